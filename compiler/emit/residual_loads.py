"""The LOAD_MAPs of the residuals that a layer adds, piece by piece."""

import dataclasses
from collections.abc import Sequence

from ...hdl.instructions import LoadMap
from ...hdl.isa import Region, Token
from ..lower.layers import MachineLayer
from ..plan.blocks import Block
from ..plan.pieces import Piece
from ..plan.tile_passes import TilePass
from ..program.lane_groups import alternate, group_of, lanes_by_group
from ..span import Box, Span
from .engine_queues import EngineQueues, MapItem
from .instructions import Draft
from .memory_slices import MemorySlice


@dataclasses.dataclass(frozen=True)
class _Share:
    """Lanes `first` … `first` + `lanes` − 1 that take as many rows of a piece each."""

    first: int
    lanes: int
    rows: int


class ResidualLoads:
    """Builds the LOAD_MAPs of a layer's residuals.

    Parameters
    ----------
    queues: of the layers before; slices are taken from the residual memory.
    layer: it has a residual.
    outputs: per tile the range of output channel words that it stores.
    """

    def __init__(self, queues: EngineQueues, layer: MachineLayer, outputs: Sequence[Span]) -> None:
        assert layer.residual is not None
        self.queues = queues
        self.geometry = queues.geometry
        self.layer = layer
        self.outputs = outputs
        self.layout = queues.layouts[layer.residual.name]

    def load(self, tile_pass: TilePass, piece: Piece) -> MemorySlice:
        """Loads the residuals of a piece into a new slice.

        One instruction serves all lanes of a group that have all the piece's rows (a chunk per lane), one more the lane
        that has fewer. Rows of a map with a border do not follow one another: each is a chunk then, and where those of
        neighbouring lanes do not follow each other either, each lane has an instruction. In a digit all planes of the
        tile are read; those a tile lacks stay as they are, and are not stored.
        """
        planes = self.geometry.tile_words * self.layout.digits
        memory = self.queues.residual.place(planes * piece.pixels)
        by_group: list[list[MapItem]] = [[] for _ in range(self.geometry.maps_ports)]
        for share in self._shares(tile_pass.block, piece):
            by_group[group_of(share.first, self.geometry)] += self._load_share(tile_pass, piece, share, memory.address)
        loads = alternate(by_group)
        loads[0].residual_slice = memory.number
        loads[-1].draft.gives(Token.RESIDUAL_READY)
        self.queues.maps += loads
        return memory

    def _shares(self, block: Block, piece: Piece) -> list[_Share]:
        height = piece.rows.size
        counts = [piece_rows(block, piece, lane) for lane in range(self.geometry.pixel_lanes)]
        full = sum(count == height for count in counts)
        if self._contiguous(piece, height) or self._lane_rows(block, piece) == height:
            shares = [_Share(lanes[0], len(lanes), height) for lanes in lanes_by_group(full, self.geometry)]
        else:
            shares = [_Share(lane, 1, height) for lane in range(full)]
        return shares + [_Share(lane, 1, count) for lane, count in enumerate(counts) if 0 < count < height]

    def _contiguous(self, piece: Piece, rows: int) -> bool:
        """Whether so many rows of a piece follow one another in memory."""
        whole = piece.columns.size == self.layout.columns and self.layout.name not in self.queues.by_row
        return rows == 1 or whole

    def _row(self, block: Block, piece: Piece, lane: int) -> int:
        """The first row of a lane's piece, as stored."""
        return self.layout.stored_row(block.lane_image(lane), block.output_row(lane) + piece.rows.begin)

    def _lane_rows(self, block: Block, piece: Piece) -> int:
        """Rows as stored from a lane's piece to that of the next lane."""
        return self._row(block, piece, 1) - self._row(block, piece, 0)

    def _load_share(self, tile_pass: TilePass, piece: Piece, share: _Share, address: int) -> list[MapItem]:
        """The LOAD_MAPs, one for each digit, of what some lanes take."""
        layout, block, words = self.layout, tile_pass.block, self.outputs[tile_pass.tile]
        columns = piece.columns.shifted(layout.stored_column(block.outputs.columns.begin))
        first = [self._row(block, piece, share.first + lane) for lane in range(share.lanes)]
        parts = self.queues.stored[layout.name]
        stored = max(parts.last(Box(Span(row, row + share.rows), columns), words) for row in first)
        if self._contiguous(piece, share.rows):
            chunk_rows, apart = share.rows, self._lane_rows(block, piece)
        else:
            chunk_rows, apart = 1, 1
        loads = []
        for digit in range(layout.digits):
            load = LoadMap(
                layer=self.layer.number,
                region=Region[layout.region],
                address=layout.address(layout.plane(digit, words.begin), first[0], columns.begin),
                planes=words.size,
                plane_stride=layout.plane_bytes,
                chunks=share.lanes * share.rows // chunk_rows,
                chunk_stride=apart * layout.columns * layout.word_bytes,
                chunk_words=chunk_rows * columns.size,
                row_words=columns.size,
                lane_step=share.rows if share.lanes > 1 else 0,
                lane_rows=share.rows,
                lane_mask=(1 << share.lanes) - 1 << share.first,
                residual=True,
                base=address + digit * self.geometry.tile_words * piece.pixels,
                plane_pitch=piece.pixels,
            )
            loads.append(MapItem(Draft(load, self.layer.where), stored))
        return loads


def piece_rows(block: Block, piece: Piece, lane: int) -> int:
    """Rows of a piece of a block that a lane has."""
    return max(0, min(piece.rows.size, block.valid_rows(lane) - piece.rows.begin))
