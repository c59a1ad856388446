"""`intramix hls`: a Vivado HLS project of the reference kernels, with vectors, and its C simulation."""

import time
from pathlib import Path

import click
import numpy as np

from ...hdl.geometry import SLOT_BITS
from ...hls_reference.builds import BUILDS, HlsBuild, build_for
from ...hls_reference.csim import NETWORK_BENCH, UNIT_BENCHES, BenchRun, compile_benches, run_bench
from ...hls_reference.generate import VECTORS, write_project
from ...hls_reference.performance import network_cycles
from ...hls_reference.shapes import NETWORKS, shapes_of
from ...hls_reference.tables import make_tables
from ...hls_reference.vectors import reference_codes, write_vectors
from ...hls_reference.workloads import REPRESENTATIVES, lane_mix, representative_layer
from ...quant.graph.border import laid_border, lay_border
from ...quant.graph.fileformat import load
from ...quant.graph.graph import IntegerGraph
from ...quant.graph.random_graph import random_codes
from ..figures.hardware import HlsFigures, HlsNetworkFigures, HlsSimulationFigures, TileFigures
from ..shared.console import bar, console, step, table
from ..shared.errors import EXIT_MISMATCH
from ..shared.options import LUT_SCHEMES, json_option
from ..shared.output import write_figures
from ..shared.tables import counted


@click.command()
@click.option("--board", "board_name", default="pynq-z2", show_default=True, metavar="NAME",
              help=f"Board to build for: {', '.join(BUILDS)}.")
@click.option("--activation-bits", type=click.IntRange(SLOT_BITS[0], SLOT_BITS[-1]),
              help="Bits of an activation (default: the board's, 5).")
@click.option("--lut-scheme", type=click.Choice(sorted(LUT_SCHEMES)),
              help="Number scheme of the filters that LUTs compute (default: the board's).")
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), required=True, metavar="FOLDER",
              help="Folder that receives the project.")
@click.option("--model", default="demo", show_default=True, metavar="demo|FILE",
              help="Network whose test vectors to write: `demo`, which is trained for two epochs on the spot, or an "
                   ".imx file of `intramix quantize`.")
@click.option("--images", type=click.IntRange(1), default=2, show_default=True, help="Images in the test vectors.")
@click.option("--layers", is_flag=True,
              help="Also write vectors of representative layers of ResNet-18, ResNet-50 and MobileNet-V2, with as "
                   "many channels as they really have.")
@click.option("--run", is_flag=True, help="Compile all test benches with g++ and run them here.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the demo's training and of images.")
@json_option
def hls(
    board_name: str, activation_bits: int | None, lut_scheme: str | None, output: Path, model: str, images: int,
    layers: bool, run: bool, seed: int, json_path: Path | None,
) -> None:
    """Write a Vivado HLS or Vitis HLS project of the reference kernels, ready to run.

    FOLDER receives the C++ kernels, headers generated for the board, Tcl for C simulation, synthesis, co-simulation and
    export, and vectors from the quantized PyTorch model. With --run everything is C-simulated by g++, without the tool.

    Exit code 3: a value differs from PyTorch's.
    """
    started = time.monotonic()
    build = build_for(
        board_name, activation_bits=activation_bits, lut_scheme=LUT_SCHEMES[lut_scheme] if lut_scheme else None
    )
    if model != "demo" and not Path(model).is_file():
        raise click.BadParameter(f"{model!r} is neither demo nor a file", param_hint="--model")
    with step("Quantize the demo" if model == "demo" else "Load the model"):
        graph, inputs = _demo(build, images, seed) if model == "demo" else _loaded(Path(model), images, seed)
    with step("Write the project"):
        inputs, graph = lay_border(graph, inputs), laid_border(graph)
        tables = make_tables(graph, build)
        scripts = write_project(output, build, tables, reference_codes(tables, inputs))
    console.print(
        f"{output}: {counted(len(tables.names), 'layer')} of {graph.name}, {counted(images, 'image')}; "
        f"for {build.part}:"
    )
    for script in scripts:
        console.print(f"  vitis_hls -f {script}", soft_wrap=True)
    folders = {graph.name: (output / VECTORS, tables.names)}
    if layers:
        folders |= _layer_vectors(build, output, seed)
    model_figures = _performance(build, graph)
    runs, compile_seconds = _simulate(output, folders) if run else ([], None)
    simulations = tuple(
        HlsSimulationFigures(name=each.name, passed=each.passed, seconds=round(each.seconds, 3), result=each.text)
        for each in runs
    )
    figures = HlsFigures(
        board=build.name, part=build.part, clock_hz=build.clock_hz, network=graph.name,
        activation_bits=build.activation_bits, lut_scheme=build.lut_scheme.value, images=images,
        tile=TileFigures(tm=build.filters, tn=build.channels, tr=build.tile_rows, tc=build.tile_columns),
        macs_per_cycle=build.macs_per_cycle, dsp=build.dsps, model=model_figures, compile_seconds=compile_seconds,
        simulations=simulations if run else None, seconds=round(time.monotonic() - started, 2),
    )  # fmt: skip
    write_figures(json_path, figures)
    if any(not entry.passed for entry in runs):
        console.print("[bold red]C simulation differs from PyTorch[/]")
        raise click.exceptions.Exit(EXIT_MISMATCH)
    if runs:
        console.print(f"[bold green]{counted(len(runs), 'C simulation')}, all equal[/]")


def _demo(build: HlsBuild, images: int, seed: int) -> tuple[IntegerGraph, np.ndarray]:
    import torch

    from ...quant.data.data import load_data
    from ...quant.models import load_model
    from ...quant.network.export import image_codes
    from ...quant.plan import QuantizationPlan
    from ...quant.quantize import quantize
    from ...quant.training.train import TrainingOptions, train

    data = load_data("digits")
    assert data.train_labels is not None
    torch.manual_seed(seed)
    network = load_model("demo", channels=1, classes=10)
    train(network, data.train_images, data.train_labels, TrainingOptions(epochs=2, seed=seed))
    plan = QuantizationPlan(lane_mix=lane_mix(build), activation_bits=build.activation_bits, name="demo")
    result = quantize(network, data, plan)
    return result.graph, image_codes(data.test_images[:images])


def _loaded(path: Path, images: int, seed: int) -> tuple[IntegerGraph, np.ndarray]:
    graph = load(path)
    return graph, random_codes(graph, seed, images)


def _layer_vectors(build: HlsBuild, output: Path, seed: int) -> dict[str, tuple[Path, tuple[str, ...]]]:
    names = [(network, layer) for network, chosen in REPRESENTATIVES.items() for layer in chosen]
    folders = {}
    with bar("Representative layers") as advance:
        for index, (network, layer) in enumerate(names):
            advance(index, len(names), f"{network} {layer}")
            entry = representative_layer(network, layer, build)
            tables = make_tables(entry.graph, build)
            folder = output / "layers" / entry.name
            write_vectors(folder, tables, reference_codes(tables, random_codes(entry.graph, seed, 1)))
            folders[entry.name] = folder, tables.names
    return folders


def _simulate(
    output: Path, folders: dict[str, tuple[Path, tuple[str, ...]]]
) -> tuple[list[BenchRun], float]:
    started = time.monotonic()
    with step("Compile the test benches") as note:
        executables = compile_benches(output, progress=note)
    compile_seconds = round(time.monotonic() - started, 2)
    runs = [run_bench(executables[name]) for name in UNIT_BENCHES]
    with bar("C simulation") as advance:
        for index, (name, (folder, names)) in enumerate(folders.items()):
            advance(index, len(folders), name)
            runs.append(run_bench(executables[NETWORK_BENCH], folder, name=name, layers=names))
    rows = [
        [entry.name, "[green]equal[/]" if entry.passed else "[red]differs[/]", f"{entry.seconds:.2f}", entry.text]
        for entry in runs
    ]
    columns = [("C simulation", "left"), ("", "left"), ("seconds", "right"), ("compared", "left")]
    table(f"C simulation, compiled in {compile_seconds:.1f} s", columns, rows)
    return runs, compile_seconds


def _performance(build: HlsBuild, graph: IntegerGraph) -> dict[str, HlsNetworkFigures]:
    """Cycles of the graph, first, and of the published networks at 224 × 224; a published one gives way to a graph of
    its name."""
    figures, rows = {}, []
    networks = {graph.name: shapes_of(graph, build.activation_bits)}
    networks |= {name: shapes() for name, shapes in NETWORKS.items() if name != graph.name}
    for name, shapes in networks.items():
        entries = network_cycles(shapes, build.tile_model, depthwise_lanes=build.channels)
        cycles = sum(entry.cycles for entry in entries)
        macs = sum(shape.macs for shape in shapes)
        share = {
            bound: sum(entry.cycles for entry in entries if entry.bound == bound) / cycles
            for bound in ("compute", "inputs", "weights")
        }
        figures[name] = HlsNetworkFigures(
            cycles=round(cycles), frames_per_second=round(build.clock_hz / cycles, 2), macs=macs,
            array_utilisation=round(macs / (cycles * build.macs_per_cycle), 4), cycles_by_bound=share,
        )  # fmt: skip
        rows.append([
            name if name == graph.name else f"{name}, 224 × 224", f"{cycles:,.0f}", f"{build.clock_hz / cycles:.1f}",
            f"{100 * macs / cycles / build.macs_per_cycle:.1f} %",
            " · ".join(f"{100 * value:.0f} % {bound}" for bound, value in share.items()),
        ])  # fmt: skip
    columns = [("network", "left"), ("cycles", "right"), ("frames/s", "right"), ("of peak", "right"),
               ("bound by", "left")]  # fmt: skip
    title = f"FILM-QNN's equations 11 to 15: {build.macs_per_cycle:,} MACs a cycle, {build.clock_hz / 1e6:.0f} MHz"
    table(title, columns, rows)
    return figures
