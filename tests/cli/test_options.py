"""The options that choose a geometry: what they offer is what compiles."""

import json
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from intramix.cli.main import intramix as cli
from intramix.cli.shared.options import board_options
from intramix.compiler.compile import compile_graph
from intramix.compiler.place.lanes import LUT_FORMATS
from intramix.hdl.geometry import SLOT_BITS, Geometry
from intramix.lanes import LUT_SCHEMES
from intramix.platforms.boards import BOARDS, Board
from intramix.quant.graph.fileformat import made_for, save
from intramix.quant.graph.random_graph import FormatMix, random_codes, single_convolution
from intramix.target import Target


def chosen(*arguments: str) -> tuple[Geometry | None, str]:
    """The geometry that a command receives, and what it says."""
    geometries = []

    @click.command
    @board_options("small")
    def command(board: Board, geometry: Geometry) -> None:
        geometries.append(geometry)

    result = CliRunner().invoke(command, arguments)
    assert (result.exit_code == 0) == bool(geometries)
    return (geometries[0] if geometries else None), result.output


@pytest.mark.parametrize("bits", SLOT_BITS)
@pytest.mark.parametrize("name", BOARDS)
def test_every_slot_that_is_offered_compiles_for_every_board(name: str, bits: int) -> None:
    geometry, _ = chosen("--board", name, "--activation-bits", str(bits))
    assert geometry is not None
    assert geometry.activation_bits == bits
    mix = FormatMix(lut_format=LUT_FORMATS[geometry.lut_scheme])
    assert compile_graph(single_convolution(1, input_bits=bits, output_bits=bits, mix=mix), geometry).layers


@pytest.mark.parametrize("bits", [SLOT_BITS[0] - 1, SLOT_BITS[-1] + 1])
def test_other_slots_are_not_offered(bits: int) -> None:
    geometry, output = chosen("--activation-bits", str(bits))
    assert geometry is None
    assert f"{bits} is not in the range 4<=x<=6" in output


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model made for a variant of a board that is no command's default."""
    geometry = BOARDS["zc706"].geometry_for(activation_bits=6, lut_scheme=LUT_SCHEMES["sp2-4"])
    target = Target.of(BOARDS["zc706"], geometry)
    save(single_convolution(1, input_bits=5, output_bits=5), tmp_path / "net.imx", made_for=target.entries())
    assert Target.from_entries(made_for(tmp_path / "net.imx")) == target
    return tmp_path / "net.imx"


def compiled(model: Path, *arguments: str) -> tuple[str, int, str, str]:
    """Board, slot and LUT lanes that `compile` takes for a model, and its first line."""
    figures = model.with_name("figures.json")
    result = CliRunner().invoke(cli, ["compile", str(model), *arguments, "--json", str(figures)])
    assert result.exit_code == 0, result.output
    found = json.loads(figures.read_text())
    geometry = found["geometry"]
    return found["board"], geometry["activation_bits"], geometry["lut_scheme"], result.output.splitlines()[0]


def test_commands_take_what_the_model_was_made_for(model: Path) -> None:
    assert compiled(model)[:3] == ("zc706", 6, "lut-sp2-4")
    assert compiled(model, "--board", "zc706")[:3] == ("zc706", 6, "lut-sp2-4")
    assert compiled(model, "--activation-bits", "5", "--lut-scheme", "fixed-4")[:3] == ("zc706", 5, "lut-fixed-4")
    assert "was made for" not in compiled(model)[3]
    *other, line = compiled(model, "--board", "pynq-z2")
    assert other == ["pynq-z2", 5, "lut-fixed-4"]
    assert line == "net.imx was made for zc706; this is for another board, pynq-z2, as asked"


def test_a_model_that_does_not_say_is_for_the_pynq_z2(model: Path) -> None:
    save(single_convolution(1, input_bits=5, output_bits=5), model)
    assert compiled(model)[:3] == ("pynq-z2", 5, "lut-fixed-4")


def test_filters_without_lanes_are_said(tmp_path: Path) -> None:
    """More steps than with lanes of their scheme: exactly as many as the two programs differ by."""
    mix = FormatMix(fixed8=2, fixed4=6, lut=24, lut_format=LUT_FORMATS[LUT_SCHEMES["sp2-4"]])
    graph = single_convolution(1, channels=16, filters=64, input_bits=5, output_bits=5, mix=mix)
    save(graph, tmp_path / "net.imx")
    board = BOARDS["pynq-z2"]
    steps = [sum(layer.steps for layer in compile_graph(graph, geometry).layers)
             for geometry in (board.geometry, board.geometry_for(lut_scheme=LUT_SCHEMES["sp2-4"]))]  # fmt: skip
    assert steps[0] == 2 * steps[1]
    command = ["compile", str(tmp_path / "net.imx"), "--board", "pynq-z2"]
    result = CliRunner().invoke(cli, [*command, "-o", str(tmp_path / "net.imp")])
    assert f"take {steps[0] - steps[1]:,} steps more, {steps[0]:,} instead of {steps[1]:,}" in result.output
    assert "add --lut-scheme sp2-4" in result.output
    result = CliRunner().invoke(cli, [*command, "--lut-scheme", "sp2-4"])
    assert result.exit_code == 0
    assert "No lanes" not in result.output
    np.save(tmp_path / "images.npy", random_codes(graph, 1, images=2))
    run = ["run", str(tmp_path / "net.imp"), "--device", "interpreted", "--data", str(tmp_path / "images.npy")]
    result = CliRunner().invoke(cli, run)
    assert result.exit_code == 0, result.output
    assert f"take {steps[0]:,} steps, up to {steps[1]:,} more than with such lanes" in result.output
    assert "compile the model anew with --lut-scheme sp2-4" in result.output
