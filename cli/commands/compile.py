"""`intramix compile`: an integer model into a program."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...compiler.program.program import Program
from ...hdl.geometry import Geometry
from ...model import QuantizedModel
from ...platforms.boards import Board
from ...program import CompiledProgram
from ..figures.models import CompiledLayer, CompileFigures
from ..shared.console import console, step, table
from ..shared.options import batch_option, board_options, json_option
from ..shared.output import write_figures
from ..shared.schemes import warn_of_model
from ..shared.tables import frames, mix

if TYPE_CHECKING:
    from ...estimate import SpeedEstimate  # loads the generator, whose timing the cycle model has


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@board_options("pynq-z2", model="model")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Program file to write.")
@batch_option
@click.option("--listing", is_flag=True, help="Print the program as text, instruction by instruction.")
@click.option("--reuse-memory", is_flag=True,
              help="Let feature maps that are no longer needed give their memory to later ones, and write none that "
                   "stays on the chip to memory: less memory and more frames a second, but they cannot be compared "
                   "afterwards.")
@click.option("--no-selftest", is_flag=True,
              help="Leave out the CRCs that `intramix selftest` compares with (they take a run of the integer model).")
@click.option("--estimate", is_flag=True,
              help="Say how many frames a second it will compute, by a model of the cycles: takes seconds, no "
                   "simulation.")
@json_option
def compile(
    model: Path, board: Board, geometry: Geometry, output: Path | None, batch: int, listing: bool, reuse_memory: bool,
    no_selftest: bool, estimate: bool, json_path: Path | None,
) -> None:
    """Compile MODEL (an .imx file of `intramix quantize`) for a board's geometry."""
    started = time.monotonic()
    with step("Compile"):
        quantized = QuantizedModel.load(model, board=board, geometry=geometry)
        compiled = quantized.compile(batch=batch, reuse_memory=reuse_memory, selftest=False)
    seconds = time.monotonic() - started
    warn_of_model(quantized, compiled.program)
    if output and not no_selftest:
        with step("Compute the self-test's CRCs"):
            compiled = quantized.with_selftest(compiled)
    if listing:
        console.print(compiled.listing(), markup=False, soft_wrap=True)
    program = compiled.program
    layers = _layers(program)
    rows = [
        [
            str(layer.number), f"{layer.on_load} → {layer.name}" if layer.on_load else layer.name, layer.kind,
            f"{layer.macs:,}", mix(layer.formats), mix(layer.lanes),
            f"{layer.steps:,}", f"{layer.ideal_cycles:,.0f}", f"{layer.read_bytes:,}", f"{layer.write_bytes:,}",
        ]
        for layer in layers
    ]  # fmt: skip
    columns = [
        ("#", "right"), ("layer", "left"), ("kind", "left"), ("MACs", "right"), ("filters by format", "left"),
        ("by lane", "left"), ("steps", "right"), ("ideal", "right"), ("bytes read", "right"), ("written", "right"),
    ]  # fmt: skip
    table(f"{program.name} for {board.name}, per {frames(batch)}", columns, rows)
    instructions = len(program.instructions) // 64
    console.print(
        f"{instructions:,} instructions, {len(program.parameters):,} bytes of parameters, "
        f"{sum(program.sizes.get(region, 0) for region in ('INPUT', 'OUTPUT', 'WORKSPACE')):,} of maps"
        f"{f' ({program.border_bytes:,} of borders)' if program.border_bytes else ''}, "
        f"{sum(layer.steps for layer in program.layers):,} steps, {seconds:.1f} s"
    )
    speed = _estimate(compiled) if estimate else None
    if output:
        compiled.save(output)
        console.print(f"wrote {output}")
    figures = CompileFigures(
        network=program.name,
        board=board.name,
        batch=batch,
        geometry=geometry.to_dict(),
        instructions=instructions,
        parameter_bytes=len(program.parameters),
        sizes=program.sizes,
        border_bytes=program.border_bytes,
        steps=sum(layer.steps for layer in layers),
        layers=layers,
        seconds=round(seconds, 2),
        model_cycles=round(speed.cycles_per_frame) if speed else None,
        model_frames_per_second=speed.frames_per_second if speed else None,
    )
    write_figures(json_path, figures)


def _layers(program: Program) -> tuple[CompiledLayer, ...]:
    return tuple(
        CompiledLayer(
            number=layer.number, name=layer.name, on_load=layer.on_load, kind=layer.kind,
            macs=layer.macs + layer.on_load_macs, formats=layer.formats, lanes=layer.lane_mix, steps=layer.steps,
            ideal_cycles=layer.ideal_cycles, read_bytes=layer.read_bytes, write_bytes=layer.write_bytes,
        )
        for layer in program.layers
    )  # fmt: skip


def _estimate(program: CompiledProgram) -> "SpeedEstimate":
    """Says what the cycle model expects of a program on its board."""
    with step("Estimate the cycles"):
        speed = program.estimate()
    console.print(str(speed))
    return speed
