"""A netlist of yosys (`write_json`), read module by module and expanded to arrays of nets, arcs and endpoints.

The hierarchy is kept: each definition is read once, and its instances are expanded by adding offsets to arrays, so a
board's whole accelerator takes seconds and little memory where a flattened netlist would take minutes and gigabytes.
"""

import dataclasses
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .cells import Cell, CellTiming, WireKind, cell_timing
from .delays import SpeedGrade
from .errors import TimingError

NOWHERE = -1
"""The net of a pin that is constant or not connected."""


@dataclasses.dataclass(frozen=True, eq=False)
class Definition:
    """A module as arrays; nets are numbered from 0.

    Members
    -------
    names: of nets: the shortest that a person gave, else yosys' own.
    carries: nets that a carry chain drives.
    loads: input pins of leaf cells, by net.
    arcs: source net, target net; arc_delays, arc_kinds, arc_cells: the cell's delay, how the source net reaches it
        (`WireKind`), and which leaf cell it is.
    launches: net; launch_delays: from the clock.
    ends: net; end_delays: setup. end_names: the cell (of a flip-flop, what it holds) and port.
    children: instance name, definition, and the net here of each of its port bits.
    ports: net of each port bit, in order.
    types: of the leaf cells.
    """

    name: str
    names: list[str]
    carries: np.ndarray
    loads: np.ndarray
    arcs: np.ndarray
    arc_delays: np.ndarray
    arc_kinds: np.ndarray
    arc_cells: np.ndarray
    launches: np.ndarray
    launch_delays: np.ndarray
    ends: np.ndarray
    end_delays: np.ndarray
    end_names: list[str]
    children: "list[tuple[str, str, np.ndarray]]"
    ports: np.ndarray
    types: list[str]


@dataclasses.dataclass(frozen=True)
class Instance:
    """An instance of a definition in the expanded design: its path, and the design's net of each of its nets."""

    path: str
    definition: Definition
    nets: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Design:
    """A design expanded: arrays as in `Definition`, of all instances together.

    Members
    -------
    instances: in order; arc_instances, end_instances: which one an arc or endpoint belongs to.
    fanout: loads of every net, over all instances that it passes.
    """

    top: str
    grade: SpeedGrade
    instances: list[Instance]
    fanout: np.ndarray
    arcs: np.ndarray
    arc_delays: np.ndarray
    arc_instances: np.ndarray
    arc_numbers: np.ndarray
    launches: np.ndarray
    launch_delays: np.ndarray
    ends: np.ndarray
    end_delays: np.ndarray
    end_instances: np.ndarray
    end_numbers: np.ndarray

    @property
    def cells(self) -> int:
        return sum(len(instance.definition.types) for instance in self.instances)


def load(path: Path, *, top: str | None, grade: SpeedGrade) -> Design:
    """Reads a netlist.

    Parameters
    ----------
    top: the module to analyse; None: the one that yosys calls top.

    Raises
    ------
    TimingError: not a netlist of yosys, no such module, cells that are not a Zynq's.
    OSError: the file cannot be read.
    """
    try:
        modules = json.loads(path.read_text())["modules"]
        modules = {name.lstrip("\\"): body for name, body in modules.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TimingError(f"{path} is no netlist of yosys ({error}); write one with write_json") from None
    if top is None:
        top = next((name for name, body in modules.items() if _flag(body, "top")), "")
    if top not in modules:
        named = f"no module {top!r}" if top else "no top module"
        known = [name for name, body in modules.items() if not _flag(body, "blackbox")]
        raise TimingError(f"{path} has {named}; its modules: {', '.join(known[:8]) or 'none'}")
    return expand(modules, top, grade)


def _flag(body: Mapping[str, Any], name: str) -> bool:
    return bool(int(str(body.get("attributes", {}).get(name, "0")), 2))


class _Reader:
    """Reads a module's nets, cells and children."""

    def __init__(self, name: str, body: Mapping[str, Any], inner: frozenset[str], timing: Any) -> None:
        self.numbers: dict[int, int] = {}
        self.name, self.body, self.inner, self.timing = name, body, inner, timing
        self.arcs: list[tuple[int, int, float, int, int]] = []
        self.launches: list[tuple[int, float]] = []
        self.ends: list[tuple[int, float]] = []
        self.end_names: list[str] = []
        self.loads: list[int] = []
        self.carries: list[int] = []
        self.types: list[str] = []
        self.children: list[tuple[str, str, np.ndarray]] = []

    def net(self, bit: int | str) -> int:
        return NOWHERE if isinstance(bit, str) else self.numbers.setdefault(bit, len(self.numbers))

    def read(self, ports: Mapping[str, list[tuple[str, int]]]) -> Definition:
        own = [self.net(bit) for port in self.body["ports"].values() for bit in port["bits"]]
        for name, cell in self.body["cells"].items():
            kind = cell["type"].lstrip("\\")
            if kind in self.inner:
                self._child(name, kind, cell, ports[kind])
            else:
                self._leaf(name, kind, cell)
        names = self._names()
        count = len(self.numbers)
        loads = np.bincount(np.array(self.loads, np.int64), minlength=count)
        carries = np.zeros(count, bool)
        carries[self.carries] = True
        arcs = np.array([arc[:2] for arc in self.arcs], np.int64).reshape(-1, 2)
        return Definition(
            name=self.name, names=names, carries=carries, loads=loads, arcs=arcs,
            arc_delays=np.array([arc[2] for arc in self.arcs], float),
            arc_kinds=np.array([arc[3] for arc in self.arcs], np.int8),
            arc_cells=np.array([arc[4] for arc in self.arcs], np.int64),
            launches=np.array([net for net, _ in self.launches], np.int64),
            launch_delays=np.array([delay for _, delay in self.launches], float),
            ends=np.array([net for net, _ in self.ends], np.int64),
            end_delays=np.array([delay for _, delay in self.ends], float),
            end_names=self.end_names, children=self.children, ports=np.array(own, np.int64), types=self.types,
        )  # fmt: skip

    def _child(self, name: str, kind: str, cell: Mapping[str, Any], ports: list[tuple[str, int]]) -> None:
        given = cell["connections"]
        nets = []
        for port, width in ports:
            bits = given.get(port, [])
            nets += [self.net(bit) for bit in bits] + [NOWHERE] * (width - len(bits))
        self.children.append((name.lstrip("\\"), kind, np.array(nets, np.int64)))

    def _leaf(self, name: str, kind: str, cell: Mapping[str, Any]) -> None:
        given, directions = cell["connections"], cell["port_directions"]
        timing: CellTiming = self.timing(
            kind,
            tuple((port, len(bits)) for port, bits in given.items() if directions.get(port) != "output"),
            tuple((port, len(bits)) for port, bits in given.items() if directions.get(port) == "output"),
            tuple((key, str(value)) for key, value in cell.get("parameters", {}).items() if "REG" in key),
        )
        number = len(self.types)
        self.types.append(kind)
        for port, bits in given.items():
            if directions.get(port) != "output":
                self.loads += [self.net(bit) for bit in bits if not isinstance(bit, str)]
            elif timing.kind is WireKind.CARRY and port == "CO":
                self.carries += [self.net(bit) for bit in bits if not isinstance(bit, str)]
        for (port, index), delay in timing.launches.items():
            if not isinstance(bit := given[port][index], str):
                self.launches.append((self.net(bit), delay))
        for ((port, index), (out, place)), delay in timing.arcs.items():
            source, target = given[port][index], given[out][place]
            if not isinstance(source, str) and not isinstance(target, str):
                self.arcs.append((self.net(source), self.net(target), delay, timing.kind, number))
        held = given["Q"][0] if given.get("Q") else ""
        for (port, index), delay in timing.setups.items():
            if not isinstance(bit := given[port][index], str):
                self.ends.append((self.net(bit), delay))
                # The name of what a flip-flop holds is found once all nets are known.
                self.end_names.append(f"{held if isinstance(held, int) else name}\0{port}")

    def _names(self) -> list[str]:
        best: dict[int, tuple[tuple[bool, int, int], str]] = {}
        for name, net in self.body["netnames"].items():
            name = name.lstrip("\\")
            rank = (bool(net.get("hide_name")) or "$" in name, name.count("."), len(name))
            for index, bit in enumerate(net["bits"]):
                if not isinstance(bit, str) and (bit not in best or rank < best[bit][0]):
                    best[bit] = rank, name + (f"[{index}]" if len(net["bits"]) > 1 else "")
        for number, text in enumerate(self.end_names):
            what, port = text.split("\0")
            if what.isdecimal():
                what = best[int(what)][1] if int(what) in best else what
            self.end_names[number] = f"{what.lstrip(chr(92))}.{port}"
        return [best[bit][1] if bit in best else "" for bit in self.numbers]


def expand(modules: Mapping[str, Mapping[str, Any]], top: str, grade: SpeedGrade) -> Design:
    """The design of a top module, with all instances below it."""
    inner = frozenset(name for name, body in modules.items() if not _flag(body, "blackbox"))
    ports = {name: [(port, len(it["bits"])) for port, it in modules[name]["ports"].items()] for name in inner}

    @lru_cache(None)
    def timing(kind: str, inputs: tuple, outputs: tuple, parameters: tuple) -> CellTiming:
        return cell_timing(Cell(kind, dict(inputs), dict(outputs), dict(parameters)), grade)

    @lru_cache(None)
    def definition(name: str) -> Definition:
        return _Reader(name, modules[name], inner, timing).read(ports)

    instances: list[Instance] = []
    count = 0
    aliases: list[tuple[int, int]] = []

    def place(path: str, name: str, given: np.ndarray | None) -> None:
        nonlocal count
        found = definition(name)
        nets = np.full(len(found.names), NOWHERE, np.int64)
        if given is not None:
            for inside, outside in zip(found.ports.tolist(), given.tolist()):
                if inside == NOWHERE or outside == NOWHERE:
                    continue
                if nets[inside] == NOWHERE:
                    nets[inside] = outside
                elif nets[inside] != outside:
                    aliases.append((int(nets[inside]), outside))
        fresh = np.flatnonzero(nets == NOWHERE)
        nets[fresh] = np.arange(count, count + len(fresh))
        count += len(fresh)
        instances.append(Instance(path, found, nets))
        for child, kind, bits in found.children:
            outside = np.where(bits == NOWHERE, NOWHERE, nets[bits])
            place(f"{path}.{child}" if path else child, kind, outside)

    place("", top, None)
    return _joined(top, grade, instances, _merged(count, aliases))


def _merged(count: int, aliases: list[tuple[int, int]]) -> np.ndarray:
    """The one number of nets that are the same: those between which a module only passes a port through."""
    root = np.arange(count)

    def find(net: int) -> int:
        while root[net] != net:
            root[net] = root[root[net]]
            net = int(root[net])
        return net

    for one, other in aliases:
        root[find(other)] = find(one)
    while True:
        step = root[root]
        if np.array_equal(step, root):
            return root
        root = step


def _joined(top: str, grade: SpeedGrade, instances: list[Instance], root: np.ndarray) -> Design:
    instances = [Instance(it.path, it.definition, root[it.nets]) for it in instances]
    fanout = np.zeros(len(root), np.int64)
    carries = np.zeros(len(root), bool)
    for it in instances:
        np.add.at(fanout, it.nets, it.definition.loads)
        carries[it.nets[it.definition.carries]] = True

    def gather(nets: str) -> tuple[np.ndarray, ...]:
        parts = [it.nets[getattr(it.definition, nets)] for it in instances]
        sizes = [len(part) for part in parts]
        return (
            np.concatenate(parts),
            np.repeat(np.arange(len(instances)), sizes),
            np.concatenate([np.arange(size) for size in sizes]),
        )

    def values(name: str) -> np.ndarray:
        return np.concatenate([getattr(it.definition, name) for it in instances])

    arcs, arc_instances, arc_numbers = gather("arcs")
    ends, end_instances, end_numbers = gather("ends")
    kinds = values("arc_kinds")
    wires = wire_delays(grade, fanout, carries, arcs[:, 0], kinds)
    end_wires = wire_delays(grade, fanout, carries, ends, np.zeros(len(ends), np.int8))
    return Design(
        top=top, grade=grade, instances=instances, fanout=fanout,
        arcs=arcs, arc_delays=values("arc_delays") + wires, arc_instances=arc_instances, arc_numbers=arc_numbers,
        launches=gather("launches")[0], launch_delays=values("launch_delays"),
        ends=ends, end_delays=values("end_delays") + end_wires, end_instances=end_instances, end_numbers=end_numbers,
    )  # fmt: skip


def wire_delays(
    grade: SpeedGrade, fanout: np.ndarray, carries: np.ndarray, nets: np.ndarray, kinds: np.ndarray
) -> np.ndarray:
    """Delays of nets on their way into pins of these kinds (`WireKind`)."""
    loads = fanout[nets]
    routed = grade.nets.fixed + grade.nets.doubling * np.log2(1 + loads) + grade.nets.many * (loads > 64)
    routed = np.where((kinds == WireKind.CARRY) & (loads == 1), grade.carry_local, routed)
    inside = (kinds == WireKind.MULTIPLEXER) | ((kinds == WireKind.CARRY) & carries[nets])
    return np.where(inside, 0.0, routed)
