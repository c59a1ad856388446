"""Array utilisation of one convolution in RTL simulation: 3×3, 64 → 64 channels on 56 × 56 unless told otherwise.

    python -m benchmarks.convolution [--board pynq-z2] [--json FILE]

The whole machine runs: maps and weights come from the DDR model, outputs go back, every value is compared. Cycles are
those from start to interrupt, loading of the first map and storing of the last one included.
"""

import argparse
import dataclasses
from pathlib import Path

from intramix.compiler.place.lanes import LUT_FORMATS
from intramix.files import write_json
from intramix.model import QuantizedModel
from intramix.platforms.boards import board as find_board
from intramix.quant.graph.graph import Padding
from intramix.quant.graph.random_graph import FormatMix, random_codes, single_convolution
from intramix.runtime.figures.fields import to_json
from intramix.runtime.figures.simulation import SimulationFigures

from .console import build, check


def measure(
    board_name: str, *, channels: int, filters: int, size: int, kernel: int, seed: int = 1
) -> SimulationFigures:
    """Figures of one convolution, as `simulate` has them."""
    board = find_board(board_name)
    geometry = board.geometry
    mix = FormatMix(
        geometry.fixed8_lanes, geometry.fixed4_lanes, geometry.lut_lanes, LUT_FORMATS[geometry.lut_scheme]
    )
    bits = geometry.activation_bits
    pad = kernel // 2
    graph = single_convolution(
        seed, channels=channels, filters=filters, size=(size, size), kernel=(kernel, kernel),
        padding=Padding(pad, pad, pad, pad), input_bits=bits, output_bits=bits, mix=mix,
    )  # fmt: skip
    graph = dataclasses.replace(graph, name=f"{kernel}×{kernel}, {channels} → {filters}, {size} × {size}")
    program = QuantizedModel(graph=graph, board=board, geometry=geometry).compile(selftest=False)
    return check(program, graph, random_codes(graph, seed, images=1), build(program)).figures


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--size", type=int, default=56, help="rows and columns of the map")
    parser.add_argument("--kernel", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = measure(
        options.board, channels=options.channels, filters=options.filters, size=options.size, kernel=options.kernel
    )
    print(
        f"{figures.network} on {figures.board}: {figures.cycles_per_frame:,.0f} cycles, "
        f"{figures.macs / figures.macs_per_cycle:,.0f} at the array's full rate: "
        f"{100 * figures.array_utilisation:.1f} % of the array; "
        f"{figures.simulated_cycles_per_second:,.0f} simulated cycles/s"
    )
    if options.json:
        write_json(options.json, to_json(figures))


if __name__ == "__main__":
    main()
