"""Whole networks through the RTL, every stored value compared, with a table per layer and what bounds it.

    python -m benchmarks.networks --board pynq-z2 --network resnet18 [--batch N] [--seed S] [--json FILE] [--plot SVG]
    python -m benchmarks.networks --board pynq-z2 --network resnet18 --estimate [--cycles N] [--batch N]

Networks are those of the zoo with seeded weights, their batch norms settled and their activations calibrated on
generated images, or with `--model FILE` an integer model of `intramix quantize`. With `--batch N` one program computes
N images at once; figures of a layer are then those of all N, cycles a frame an N-th of the run's. Where maps stay on
the chip two programs run: one that writes them to DDR as well, for their values, and one that does not, for cycles.

Beside the frames a second at the board's clock stand those expected at the clock that the timing analysis allows
(docs/timing.md), by the cycle model, held to the cycles that were simulated. `--estimate` simulates nothing and says
what the model does; with `--cycles N`, a frame's cycles of an earlier simulation, what is expected by them.
"""

import argparse
import dataclasses
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from intramix.compiler.program.traffic import bytes_by_region
from intramix.explore.bounds import bounds
from intramix.files import write_json, write_whole
from intramix.hdl.geometry import Geometry
from intramix.lanes import lane_mix
from intramix.model import QuantizedModel
from intramix.platforms.boards import BOARDS
from intramix.platforms.boards import board as find_board
from intramix.platforms.timing.records import analysed_clock
from intramix.program import CompiledProgram
from intramix.quant.graph.fileformat import load
from intramix.quant.graph.graph import IntegerGraph
from intramix.runtime.figures.fields import to_json
from intramix.runtime.figures.simulation import SimulationFigures

from .console import build, check, console, step, table, totals
from .roofline import plot
from .seeded import generated_images, quantize_seeded


def seeded_network(
    name: str, geometry: Geometry, *, size: int, batch: int, seed: int
) -> tuple[IntegerGraph, np.ndarray]:
    """A network of the zoo with seeded weights as an integer graph, and images for it."""
    with step(f"Quantize {name}"):
        result, images = quantize_seeded(
            name, lane_mix(geometry), accumulator_bits=geometry.accumulator_bits, size=size, seed=seed, images=batch
        )
    for entry in result.narrowed:
        console.print(f"{entry}, so that their sums fit {geometry.accumulator_bits}-bit accumulators")
    return result.graph, images.numpy()


def _quantized(
    board_name: str, network: str, *, size: int, batch: int, seed: int, model: Path | None
) -> tuple[QuantizedModel, np.ndarray]:
    """The network, or the model of a file, for a board, and images for it."""
    board = find_board(board_name)
    if model is None:
        graph, images = seeded_network(network, board.geometry, size=size, batch=batch, seed=seed)
    else:
        graph = load(model)
        images = generated_images(batch, graph.tensors[graph.input].height, seed).numpy()
    return QuantizedModel(graph=graph, board=board, geometry=board.geometry), images


def measure(board_name: str, network: str, *, size: int, batch: int, seed: int, model: Path | None) -> dict[str, Any]:
    """Figures of one network on one board: as `simulate` (docs/json.md), with `bound_by` and `bounds` per layer."""
    quantized, images = _quantized(board_name, network, size=size, batch=batch, seed=seed, model=model)
    graph = quantized.graph
    started = time.monotonic()
    with step("Compile"):
        program = quantized.compile(batch=batch, selftest=False)
    compiled = time.monotonic()
    device = build(program)
    built = time.monotonic()
    simulation = check(program, graph, images, device)
    compared = simulation.figures.values_compared
    if program.program.geometry.map_words:
        # That every map is written to DDR, to be compared, takes its time: without it CRCs speak for the maps.
        with step("Compile without maps in DDR"):
            program = quantized.compile(batch=batch, selftest=False, reuse_memory=True)
        simulation = check(program, graph, images, device)
        compared += simulation.figures.values_compared
    figures = to_json(simulation.figures) | {"values_compared": compared}
    needs = bounds(program.program, bytes_per_cycle=device.conditions.bytes_per_cycle)
    for layer in figures["layers"]:
        layer["bounds"] = {name: round(value) for name, value in needs[layer["number"]].items()}
        layer["bound_by"] = max(layer["bounds"], key=layer["bounds"].__getitem__)
    moved = bytes_by_region(program.program)
    figures |= {
        "network": network if model is None else str(model),
        "input_size": size,
        "seed": seed,
        "bytes_per_frame": round(sum(moved.values()) / batch),
        "bytes_per_frame_by_region": {name: round(count / batch) for name, count in moved.items()},
        "model_cycles": round(program.estimate().cycles_per_frame),
        "seconds_compile": round(compiled - started, 1),
        "seconds_build": round(built - compiled, 1),
        "seconds_simulate": round(simulation.seconds, 1),
    }
    found = expected(program, figures["cycles_per_frame"])
    figures["expected"] = None if found is None else dataclasses.asdict(found)
    _print(figures, simulation.figures)
    if found is not None:
        console.print(str(found))
    return figures


@dataclasses.dataclass(frozen=True)
class Expected:
    """What a network should reach at the clock that the timing analysis allows; see `intramix timing`."""

    clock_hz: float
    frames_per_second: float

    def __str__(self) -> str:
        return (
            f"expected at {self.clock_hz / 1e6:.0f} MHz, which the timing analysis allows: "
            f"{self.frames_per_second:,.1f} frames/s"
        )


def expected(program: CompiledProgram, cycles_per_frame: float) -> Expected | None:
    """Frames a second at the clock of the geometry's timing analysis; None where none is on record.

    Memory is as fast as before, in bytes and in nanoseconds: the cycle model says by how much a frame takes more cycles
    then, and the cycles known are scaled by it.

    Parameters
    ----------
    cycles_per_frame: simulated, at the board's own clock.
    """
    board = program.board
    analysed = None if board is None else analysed_clock(program.program.geometry, board.part)
    if analysed is None:
        return None
    own = program.conditions()
    latency = math.ceil(own.latency_cycles * analysed.clock_hz / own.clock_hz)
    faster = program.conditions(clock_hz=analysed.clock_hz, latency_cycles=latency, response_cycles=latency)
    share = program.estimate(faster).cycles_per_frame / program.estimate(own).cycles_per_frame
    return Expected(analysed.clock_hz, analysed.clock_hz / (cycles_per_frame * share))


def estimate(
    board_name: str, network: str, *, size: int, batch: int, seed: int, model: Path | None, cycles: float | None
) -> None:
    """Prints what the cycle model says, at the board's clock and at the one that the timing analysis allows."""
    quantized, _ = _quantized(board_name, network, size=size, batch=batch, seed=seed, model=model)
    with step("Compile"):
        program = quantized.compile(batch=batch, selftest=False, reuse_memory=True)
    own = program.estimate()
    console.print(f"{network} on {board_name}, batch {batch}: {own}")
    found = expected(program, cycles or own.cycles_per_frame)
    console.print(f"no timing analysis of {board_name} is on record" if found is None else str(found))


def _print(figures: dict[str, Any], measured: SimulationFigures) -> None:
    columns = [
        ("#", "right"), ("layer", "left"), ("MACs", "right"), ("cycles", "right"), ("steps", "right"),
        ("ideal", "right"), ("array", "right"), ("bound by", "left"), ("its least", "right"), ("DDR bytes", "right"),
    ]  # fmt: skip
    rows = [
        [
            str(layer.number), layer.title, f"{layer.macs:,}", f"{layer.cycles:,.0f}", f"{layer.steps:,}",
            f"{layer.ideal_cycles:,.0f}", f"{100 * layer.array_utilisation:.1f} %", bound["bound_by"],
            f"{bound['bounds'][bound['bound_by']]:,}", f"{layer.read_bytes + layer.write_bytes:,}",
        ]
        for layer, bound in zip(measured.layers, figures["layers"])
    ]  # fmt: skip
    size, batch = figures["input_size"], figures["batch"]
    table(f"{figures['network']} on {figures['board']}, {size} × {size}, of a run of batch {batch}", columns, rows)
    totals(measured)
    share = figures["model_cycles"] / figures["cycles_per_frame"] - 1
    console.print(f"the cycle model says {figures['model_cycles']:,} cycles a frame ({share:+.1%})")
    console.print(
        f"compiled in {figures['seconds_compile']} s, built in {figures['seconds_build']} s, simulated in "
        f"{figures['seconds_simulate']} s ({figures['simulated_cycles_per_second']:,.0f} cycles/s)"
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", default="pynq-z2", choices=list(BOARDS))
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--size", type=int, default=224, help="rows and columns of the images")
    parser.add_argument("--batch", type=int, default=1, help="images that the program computes at once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", type=Path, help="an .imx file instead of a network of the zoo")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="SVG of the network's roofline")
    parser.add_argument("--estimate", action="store_true", help="simulate nothing: what the cycle model says")
    parser.add_argument("--cycles", type=float, help="with --estimate: cycles a frame that were simulated before")
    options = parser.parse_args()
    if options.cycles is not None and not options.estimate:
        parser.error("--cycles is for --estimate: a simulation has cycles of its own")
    if options.estimate:
        estimate(
            options.board, options.network, size=options.size, batch=options.batch, seed=options.seed,
            model=options.model, cycles=options.cycles,
        )  # fmt: skip
        return
    figures = measure(
        options.board, options.network, size=options.size, batch=options.batch, seed=options.seed, model=options.model
    )
    if options.json:
        write_json(options.json, figures)
    if options.plot:
        write_whole(options.plot, plot(figures))


if __name__ == "__main__":
    main()
