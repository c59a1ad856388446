"""`intramix boards`: what there is to build for, and how much of it the geometries take."""

from pathlib import Path

import click

from ...platforms.boards import BOARDS, LUT_LIMIT, Board, Part
from ...platforms.estimate import LUT_ERROR, Occupancy, occupancy
from ...runtime.figures.fields import keys
from ..figures.hardware import BoardFigures, BoardLimits, BoardsFigures, OccupancyFigures
from ..shared.console import console, table
from ..shared.options import json_option
from ..shared.output import write_figures


@click.command()
@json_option
def boards(json_path: Path | None) -> None:
    """List boards, their parts, the geometry built for each, and what it takes of the part."""
    rows, fits, entries = [], [], []
    for board in BOARDS.values():
        g, taken = board.geometry, occupancy(board.geometry)
        if board.part is not None:
            fits.append(_fit_row(board.name, board.part, taken))
        lanes = {"fixed-8": g.fixed8_lanes, "fixed-4": g.fixed4_lanes, g.lut_scheme.value: g.lut_lanes}
        rows.append([
            board.name,
            board.title,
            f"{board.clock_hz / 1e6:.0f} MHz",
            f"{board.memory}, {board.memory_bytes_per_second / 1e9:g} GB/s",
            f"{g.word_channels} × {g.tile_filters} × {g.pixel_lanes}",
            " + ".join(f"{count} {name}" for name, count in lanes.items() if count),
            f"{g.macs_per_cycle:,}",
        ])
        entries.append(_figures(board, taken, lanes))
    columns = [
        ("name", "left"), ("board", "left"), ("clock", "right"), ("memory", "left"),
        ("channels × filters × pixels", "left"), ("filter lanes of a tile", "left"), ("MACs a cycle", "right"),
    ]  # fmt: skip
    table("Boards", columns, rows, spare=("channels × filters × pixels", "memory", "board"))
    columns = [
        ("name", "left"), ("part", "left"), ("LUT", "right"), ("DSP", "right"), ("BRAM36", "right"), ("", "left"),
        ("figures by", "left"),
    ]  # fmt: skip
    table("What the geometries take of the parts", columns, fits, spare=("figures by", "part", "BRAM36"))
    console.print(
        "yosys: a synthesis, neither placed nor routed; estimate: DSPs and BRAMs counted, LUTs by a model that was "
        f"within {LUT_ERROR:.0%} of the syntheses. LUTs may be used up to {LUT_LIMIT:.0%}. "
        "`intramix synthesize --board NAME` counts anew.",
        soft_wrap=True,
    )
    write_figures(json_path, BoardsFigures(boards=tuple(entries)))


def _figures(board: Board, taken: Occupancy, lanes: dict[str, int]) -> BoardFigures:
    part = board.part
    return BoardFigures(
        name=board.name,
        title=board.title,
        part=part.name if part else None,
        clock_hz=board.clock_hz,
        memory=board.memory,
        memory_bytes_per_second=board.memory_bytes_per_second,
        geometry=board.geometry.to_dict(),
        macs_per_cycle=board.geometry.macs_per_cycle,
        lanes=lanes,
        occupancy=OccupancyFigures(**{key.name: getattr(taken, key.name) for key in keys(OccupancyFigures)}),
        limits=None if part is None else BoardLimits(
            lut=part.lut, dsp=part.dsp, bram36=part.bram36, lut_share=LUT_LIMIT
        ),
        fits=None if part is None else taken.fits(part),
    )


def _fit_row(name: str, part: Part, taken: Occupancy) -> list[str]:
    shares = [
        f"{used:,g} of {available:,} ({used / available:.0%})"
        for used, available in ((taken.lut, part.lut), (taken.dsp, part.dsp), (taken.bram36, part.bram36))
    ]
    return [name, part.name, *shares, "fits" if taken.fits(part) else "does not fit", taken.source]
