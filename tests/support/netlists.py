"""Netlists as yosys' write_json has them, made of a few cells."""

from collections.abc import Mapping, Sequence
from typing import Any

Bits = Sequence[int | str]


def cell(kind: str, inputs: Mapping[str, Bits], outputs: Mapping[str, Bits], **parameters: str) -> dict[str, Any]:
    """A cell; its bits are numbers of nets, or "0", "1", "x"."""
    directions = dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output")
    return {
        "type": kind, "port_directions": directions, "connections": {**inputs, **outputs}, "parameters": parameters,
    }


def flip_flop(data: int, held: int, clock: int = 2) -> dict[str, Any]:
    return cell("FDRE", {"C": [clock], "CE": ["1"], "R": ["0"], "D": [data]}, {"Q": [held]})


def lut(inputs: Sequence[int], output: int) -> dict[str, Any]:
    return cell(f"LUT{len(inputs)}", {f"I{n}": [bit] for n, bit in enumerate(inputs)}, {"O": [output]})


def module(
    cells: Mapping[str, Any], *, ports: Mapping[str, tuple[str, Bits]] | None = None,
    names: Mapping[str, Bits] | None = None, top: bool = False,
) -> dict[str, Any]:
    """A module: cells by name, ports as (direction, bits), names of nets."""
    ports = {"clk": ("input", [2])} if ports is None else ports
    return {
        "attributes": {"top": "1"} if top else {},
        "ports": {name: {"direction": direction, "bits": bits} for name, (direction, bits) in ports.items()},
        "cells": dict(cells),
        "netnames": {name: {"bits": bits, "hide_name": 0} for name, bits in (names or {}).items()},
    }
