"""Pieces: what one COMPUTE makes of a block, and the rows of its input that come first."""

import dataclasses
from collections.abc import Iterator

from ...hdl.geometry import Geometry
from ..lower.layers import MachineLayer
from ..span import Padded, Span
from .blocks import Block


@dataclasses.dataclass(frozen=True)
class Piece:
    """What one COMPUTE makes of a block: output rows of each lane and output columns, counted from the lane's first row
    and the block's first column."""

    rows: Span
    columns: Span

    @property
    def pixels(self) -> int:
        return self.rows.size * self.columns.size


@dataclasses.dataclass(frozen=True)
class RowSegment:
    """Rows of every lane's memory, first needed by the piece of number `piece`."""

    piece: int
    rows: Span


def segments(block: Block, cuts: list[Piece], layer: MachineLayer, most: int) -> list[RowSegment]:
    """Cuts the rows of a block where its pieces need more of them, in at most `most` segments of whole pieces."""
    band = block.band
    needs = [band.skip_rows + (piece.rows.end - 1) * band.window_step + layer.kernel[0] for piece in cuts]
    starts = [number for number, need in enumerate(needs) if number == 0 or need > needs[number - 1]]
    starts = starts[:: -(-len(starts) // most)]
    ends = [needs[number - 1] for number in starts[1:]] + [needs[-1]]
    return [RowSegment(start, Span(*rows)) for start, *rows in zip(starts, [0, *ends[:-1]], ends)]


@dataclasses.dataclass(frozen=True)
class LaneRows:
    """Rows that a lane takes; zero rows alone are all before a span that is empty."""

    lane: int
    rows: Padded


def lane_rows(block: Block, segment: RowSegment, layer: MachineLayer, geometry: Geometry) -> list[LaneRows]:
    """What each lane takes of a segment; lanes that take nothing are left out."""
    band, read = block.band, block.inputs.rows
    result: list[LaneRows] = []
    for lane in range(block.lanes(geometry)):
        need = band.skip_rows + (block.valid_rows(lane) - 1) * band.window_step + layer.kernel[0]
        height = min(segment.rows.end, need) - segment.rows.begin
        if height <= 0:
            continue
        first = read.span.begin - read.before + lane * band.step + segment.rows.begin
        top = min(max(0, -first), height)
        bottom = min(max(0, first + height - -(-layer.source.height // block.inputs.row_step)), height - top)
        rows = Padded(Span(first + top, first + height - bottom), top, bottom)
        result.append(LaneRows(lane, rows if rows.span.size else Padded(Span(0, 0), height, 0)))
    return result


def pieces(block: Block, pixels: int) -> Iterator[Piece]:
    """Cuts a block into pieces of at most `pixels` pixels per lane, as even as possible."""
    width, height = block.outputs.columns.size, block.valid_rows(0)
    if width <= pixels:
        rows = _even(block.band.output_rows, pixels // width)
        for row in range(0, height, rows):
            yield Piece(Span(row, min(row + rows, height)), Span(0, width))
        return
    columns = _even(width, pixels)
    for row in range(height):
        for column in range(0, width, columns):
            yield Piece(Span(row, row + 1), Span(column, min(column + columns, width)))


def _even(size: int, most: int) -> int:
    """The size of equal parts of at most `most`, as few as possible."""
    return -(-size // -(-size // most))
