"""`intramix compile`: an integer model into a program."""

import time
from pathlib import Path

import click

from ...compiler.compile import compile_graph
from ...compiler.program.fileformat import save
from ...compiler.program.listing import listing as list_program
from ...compiler.program.program import Program
from ...compiler.selftest import with_selftest
from ...hdl.geometry import Geometry
from ...platforms.boards import Board
from ...quant.graph import fileformat as model_file
from ..shared.console import console, step, table
from ..shared.options import batch_option, board_options, json_option
from ..shared.output import write_json
from ..shared.tables import frames, layer_name, mix


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@board_options("pynq-z2")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Program file to write.")
@batch_option
@click.option("--listing", is_flag=True, help="Print the program, instruction by instruction.")
@click.option("--reuse-memory", is_flag=True,
              help="Let maps share DDR once they are dead: less memory, but they cannot be compared afterwards.")
@click.option("--no-selftest", is_flag=True,
              help="Leave out the CRCs that `intramix selftest` compares with (they take a run of the integer model).")
@click.option("--estimate", is_flag=True,
              help="Say how fast it will be, by the model of the engines' cycles: seconds, without a simulation.")
@json_option
def compile(
    model: Path, board: Board, geometry: Geometry, output: Path | None, batch: int, listing: bool, reuse_memory: bool,
    no_selftest: bool, estimate: bool, json_path: Path | None,
) -> None:
    """Compile MODEL (an .imx file of `intramix quantize`) for a board's geometry."""
    started = time.monotonic()
    with step("Compile"):
        graph = model_file.load(model)
        program = compile_graph(graph, geometry, batch=batch, keep_maps=not reuse_memory)
    seconds = time.monotonic() - started
    if output and not no_selftest:
        with step("Compute the self-test's CRCs"):
            program = with_selftest(program, graph)
    if listing:
        console.print(list_program(program), markup=False, soft_wrap=True)
    rows = [
        [
            str(layer.number), layer_name(layer.name, layer.on_load), layer.kind,
            f"{layer.macs + layer.on_load_macs:,}", mix(layer.formats), mix(layer.lane_mix),
            f"{layer.steps:,}", f"{layer.ideal_cycles:,.0f}", f"{layer.read_bytes:,}", f"{layer.write_bytes:,}",
        ]
        for layer in program.layers
    ]  # fmt: skip
    columns = [
        ("#", "right"), ("layer", "left"), ("kind", "left"), ("MACs", "right"), ("filters by format", "left"),
        ("by lane", "left"), ("steps", "right"), ("ideal", "right"), ("bytes read", "right"), ("written", "right"),
    ]  # fmt: skip
    table(f"{program.name} for {board.name}, per {frames(batch)}", columns, rows)
    instructions = len(program.instructions) // 64
    console.print(
        f"{instructions:,} instructions, {len(program.parameters):,} bytes of parameters, "
        f"{sum(program.sizes.get(region, 0) for region in ('INPUT', 'OUTPUT', 'WORKSPACE')):,} of maps, "
        f"{sum(layer.steps for layer in program.layers):,} steps, {seconds:.1f} s"
    )
    speed = _speed(program, board) if estimate else {}
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        save(program, output)
        console.print(f"wrote {output}")
    if json_path:
        write_json(json_path, {
            "network": program.name,
            "board": board.name,
            "batch": batch,
            "geometry": geometry.to_dict(),
            "instructions": instructions,
            "parameter_bytes": len(program.parameters),
            "sizes": program.sizes,
            "steps": sum(layer.steps for layer in program.layers),
            "layers": [
                {
                    "number": layer.number, "name": layer.name, "on_load": layer.on_load, "kind": layer.kind,
                    "macs": layer.macs + layer.on_load_macs,
                    "formats": layer.formats, "lanes": layer.lane_mix, "steps": layer.steps,
                    "ideal_cycles": layer.ideal_cycles, "read_bytes": layer.read_bytes,
                    "write_bytes": layer.write_bytes,
                }
                for layer in program.layers
            ],
            "seconds": round(seconds, 2),
            **speed,
        })  # fmt: skip


def _speed(program: Program, board: Board) -> dict[str, float]:
    """Says what the cycle model expects of a program on a board, under the keys of docs/json.md."""
    from ..shared.verification import (  # the simulator's parts, which compiling does not need
        conditions_of,
        modelled_cycles,
    )

    conditions = conditions_of(board)
    with step("Estimate the cycles"):
        frame = modelled_cycles(program, conditions)
    console.print(
        f"the cycle model says {frame:,.0f} cycles a frame: {conditions.clock_hz / frame:,.1f} frames/s at "
        f"{conditions.clock_hz / 1e6:g} MHz with {conditions.efficiency:.0%} of "
        f"{conditions.peak_bytes_per_second / 1e9:.1f} GB/s"
    )
    return {"model_cycles": round(frame), "model_frames_per_second": conditions.clock_hz / frame}
