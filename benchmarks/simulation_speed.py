"""How fast accelerators simulate: `python -m benchmarks.simulation_speed --board pynq-z2 --json FILE`.

Measures the seconds of elaboration (Amaranth to Verilog), of the build (Verilator and the C++ compiler) at each
optimisation level, and simulated cycles a second of a network on the whole accelerator, every map checked.
Prints what it ran on. A machine's other work counts against seconds, not against processor seconds. With `--fresh`
nothing comes from the cache.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

from intramix.compiler.compile import compile_graph
from intramix.hdl.geometry import Geometry
from intramix.platforms.boards import board
from intramix.quant.graph.random_graph import FormatMix, random_codes, random_graph
from intramix.runtime.driver import Driver
from intramix.runtime.simulated import SimulatedDevice
from intramix.runtime.verification import verify
from intramix.sim.accelerator import accelerator_text
from intramix.sim.cache import ENVIRONMENT_VARIABLE
from intramix.sim.conditions import DdrConditions
from intramix.sim.verilator import BuildOptions


def measure(geometry: Geometry, conditions: DdrConditions, *, optimisation: int, size: int = 32) -> dict[str, Any]:
    """Seconds and cycles of one geometry at one optimisation level of the C++ compiler."""
    begin = time.perf_counter()
    text = accelerator_text(geometry, progress=print)
    elaborated = time.perf_counter()
    options = BuildOptions(optimisation=optimisation)
    device = SimulatedDevice(geometry, conditions, options=options, progress=print)
    built = time.perf_counter()
    lanes = (geometry.fixed8_lanes, geometry.fixed4_lanes, geometry.lut_lanes)
    graph = random_graph(
        1, blocks=4, size=(size, size), channels=(32, 64), kinds=("stem", "pointwise", "residual"),
        activation_bits=geometry.activation_bits, mix=FormatMix(*lanes),
    )  # fmt: skip
    codes = random_codes(graph, 1)
    with device:
        driver = Driver(device)
        driver.load(compile_graph(graph, geometry))
        before = device.cycles
        start, processor = time.perf_counter(), time.process_time()
        result = driver.run(codes)
        seconds, processor = time.perf_counter() - start, time.process_time() - processor
        cycles = device.cycles - before
        report = verify(driver, graph, codes)
    if not report.passed:
        raise SystemExit(f"the run is wrong: {report}")
    steps = result.runs[0].counters["COMPUTE_STEPS"]
    return {
        "optimisation": optimisation,
        "verilog_bytes": len(text),
        "elaboration_seconds": round(elaborated - begin, 2),
        "build_seconds": round(built - elaborated, 2),
        "cycles": cycles,
        "steps": steps,
        "seconds": round(seconds, 3),
        "cycles_per_second": round(cycles / seconds),
        "cycles_per_processor_second": round(cycles / processor),
        "codes_compared": report.compared,
        "codes_mismatched": report.mismatched,
        "conditions": str(conditions),
    }


def target(arguments: argparse.Namespace) -> tuple[Geometry, DdrConditions]:
    """The geometry and memory asked for: a board's, or the geometry of a JSON file with default memory."""
    if arguments.geometry:
        return Geometry.from_dict(json.loads(arguments.geometry.read_text())), DdrConditions()
    chosen = board(arguments.board)
    return chosen.geometry, DdrConditions(
        peak_bytes_per_second=chosen.memory_bytes_per_second, clock_hz=chosen.clock_hz
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--geometry", type=Path, help="a geometry as JSON, instead of a board's")
    parser.add_argument("--optimisation", type=int, nargs="+", default=[BuildOptions().optimisation])
    parser.add_argument("--fresh", action="store_true", help="build in an empty cache")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    geometry, conditions = target(arguments)
    with tempfile.TemporaryDirectory() as cache:
        if arguments.fresh:
            os.environ[ENVIRONMENT_VARIABLE] = cache
        results = [measure(geometry, conditions, optimisation=level) for level in arguments.optimisation]
    report = {
        "geometry": geometry.to_dict(),
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "results": results,
    }
    for result in results:
        print(", ".join(f"{name} {value}" for name, value in result.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
