"""Pieces: what one COMPUTE makes of a block, and the rows of its input that come first."""

import dataclasses
from collections.abc import Iterator

from ...hdl.geometry import Geometry
from ..lower.layers import LoweredLayer
from .blocks import Block


@dataclasses.dataclass(frozen=True)
class Piece:
    """What one COMPUTE makes of a block: `rows` output rows of each lane from `row` on, `columns` columns from `column`
    on (counted from the lane's first row, the block's first column)."""

    row: int
    rows: int
    column: int
    columns: int

    @property
    def pixels(self) -> int:
        return self.rows * self.columns


@dataclasses.dataclass(frozen=True)
class Segment:
    """Rows `begin` … `end` − 1 of every lane's memory, first needed by the piece of number `piece`."""

    piece: int
    begin: int
    end: int


def segments(block: Block, cuts: list[Piece], layer: LoweredLayer, most: int) -> list[Segment]:
    """Cuts the rows of a block where its pieces need more of them, in at most `most` segments of whole pieces."""
    needs = [block.skip_rows + (piece.row + piece.rows - 1) * block.window_step + layer.kernel[0] for piece in cuts]
    starts = [number for number, need in enumerate(needs) if number == 0 or need > needs[number - 1]]
    starts = starts[:: -(-len(starts) // most)]
    ends = [needs[number - 1] for number in starts[1:]] + [needs[-1]]
    return [Segment(*entry) for entry in zip(starts, [0, *ends[:-1]], ends)]


@dataclasses.dataclass(frozen=True)
class LaneRows:
    """Rows that a lane takes: `top` zero rows, `rows` rows of the map from `first` on, `bottom` zero rows."""

    lane: int
    top: int
    first: int
    rows: int
    bottom: int


def lane_rows(block: Block, segment: Segment, layer: LoweredLayer, geometry: Geometry) -> list[LaneRows]:
    """What each lane takes of a segment; lanes that take nothing are left out. Zero rows alone are all `top`."""
    result: list[LaneRows] = []
    for lane in range(block.lanes(geometry)):
        need = block.skip_rows + (block.valid_rows(lane) - 1) * block.window_step + layer.kernel[0]
        height = min(segment.end, need) - segment.begin
        if height <= 0:
            continue
        first = block.read_row - block.pad_top + lane * block.lane_step + segment.begin
        top = min(max(0, -first), height)
        bottom = min(max(0, first + height - -(-layer.source.height // block.row_step)), height - top)
        rows = height - top - bottom
        result.append(LaneRows(lane, top, first + top, rows, bottom) if rows else LaneRows(lane, height, 0, 0, 0))
    return result


def pieces(block: Block, pixels: int) -> Iterator[Piece]:
    """Cuts a block into pieces of at most `pixels` pixels per lane, as even as possible."""
    if block.columns <= pixels:
        rows = _even(block.lane_rows_out, pixels // block.columns)
        for row in range(0, block.lane_rows_out, rows):
            if block.valid_rows(0) > row:
                yield Piece(row, min(rows, block.valid_rows(0) - row), 0, block.columns)
        return
    columns = _even(block.columns, pixels)
    for row in range(block.valid_rows(0)):
        for column in range(0, block.columns, columns):
            yield Piece(row, 1, column, min(columns, block.columns - column))


def _even(size: int, most: int) -> int:
    """The size of equal parts of at most `most`, as few as possible."""
    return -(-size // -(-size // most))
