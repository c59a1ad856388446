"""The options that choose a geometry: what they offer is what compiles."""

import click
import pytest
from click.testing import CliRunner

from intramix.cli.shared.options import board_options
from intramix.compiler.compile import compile_graph
from intramix.compiler.place.lanes import LUT_FORMATS
from intramix.hdl.geometry import SLOT_BITS, Geometry
from intramix.platforms.boards import BOARDS, Board
from intramix.quant.graph.random_graph import FormatMix, single_convolution


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
