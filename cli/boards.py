"""`intramix boards`: what there is to build for."""

from pathlib import Path

import click

from ..platforms.boards import BOARDS
from .console import table
from .options import json_option
from .output import write_json


@click.command()
@json_option
def boards(json_path: Path | None) -> None:
    """List boards, their parts and the geometry built for each."""
    rows, entries = [], []
    for board in BOARDS.values():
        g = board.geometry
        lanes = {"fixed-8": g.fixed8_lanes, "fixed-4": g.fixed4_lanes, g.lut_scheme.value: g.lut_lanes}
        rows.append([
            board.name,
            board.title,
            board.part.name if board.part else "–",
            f"{board.clock_hz / 1e6:.0f} MHz",
            f"{board.memory}, {board.memory_bytes_per_second / 1e9:g} GB/s",
            f"{g.word_channels} × {g.tile_filters} × {g.pixel_lanes}",
            " + ".join(f"{count} {name}" for name, count in lanes.items() if count),
            f"{g.macs_per_cycle:,}",
        ])
        entries.append({
            "name": board.name,
            "title": board.title,
            "part": board.part.name if board.part else None,
            "clock_hz": board.clock_hz,
            "memory": board.memory,
            "memory_bytes_per_second": board.memory_bytes_per_second,
            "geometry": g.to_dict(),
            "macs_per_cycle": g.macs_per_cycle,
            "lanes": lanes,
        })
    columns = [
        ("name", "left"), ("board", "left"), ("part", "left"), ("clock", "right"), ("memory", "left"),
        ("channels × filters × pixels", "left"), ("filter lanes of a tile", "left"), ("MACs a cycle", "right"),
    ]  # fmt: skip
    table("Boards", columns, rows)
    if json_path:
        write_json(json_path, {"boards": entries})
