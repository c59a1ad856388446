"""The STOREs of a layer, piece by piece."""

import dataclasses
from collections.abc import Sequence

from ...hdl.instructions import Store
from ...hdl.isa import Region
from ..lower.layers import MachineLayer
from ..plan.pieces import Piece
from ..plan.tile_passes import TilePass
from ..program.lane_groups import alternating_lanes
from ..span import Box, Span
from .engine_queues import EngineQueues
from .instructions import Draft
from .residual_loads import piece_rows


class Stores:
    """Builds the STOREs of a layer.

    Parameters
    ----------
    queues: of the layers before.
    layer: the layer.
    outputs: per tile the range of output channel words that it stores.
    """

    def __init__(self, queues: EngineQueues, layer: MachineLayer, outputs: Sequence[Span]) -> None:
        self.queues = queues
        self.geometry = queues.geometry
        self.layer = layer
        self.outputs = outputs
        self.target = queues.layouts[layer.target.name]
        queues.stored[self.target.name].boundaries = [words.begin for words in outputs]

    def store(self, tile_pass: TilePass, piece: Piece, base: int, planes: int) -> list[Draft[Store]]:
        """A STORE for each lane that has rows; or one for each of its digits where one cannot write both.

        Parameters
        ----------
        base: address in the output memory.
        planes: of a digit there.
        """
        block, words = tile_pass.block, self.outputs[tile_pass.tile]
        columns = piece.columns.shifted(self.target.stored_column(block.outputs.columns.begin))
        drafts = []
        for lane in alternating_lanes(self.geometry):
            count = piece_rows(block, piece, lane)
            if not count:
                continue
            row = self.target.stored_row(block.lane_image(lane), block.output_row(lane) + piece.rows.begin)
            box = Box(Span(row, row + count), columns)
            for store in self._stores_of_lane(piece, box, words, planes):
                store = dataclasses.replace(store, lane=lane, base=base + store.base)
                drafts.append(Draft(store, self.layer.where))
                number = len(self.queues.store_owner)
                self.queues.store_owner.append(len(self.queues.computes))
            self.queues.stored[self.target.name].add(number, box, words)
        return drafts

    def _stores_of_lane(self, piece: Piece, box: Box, words: Span, planes: int) -> list[Store]:
        """STOREs of some channel words of a box, whose base is counted from the piece's."""
        target = self.target
        count = box.rows.size
        contiguous = box.columns.size == target.columns and target.name not in self.queues.by_row
        store = Store(
            layer=self.layer.number,
            region=Region[target.region],
            planes=words.size,
            plane_stride=target.plane_bytes,
            chunks=1 if contiguous else count,
            chunk_stride=0 if contiguous else target.columns * target.word_bytes,
            chunk_words=count * box.columns.size if contiguous else box.columns.size,
            plane_pitch=piece.pixels,
        )
        parts = target.digits
        if parts > 1 and words.size == planes and contiguous and count == piece.rows.size:
            # Planes follow one another on chip: they are the chunks, and the digits are the planes.
            parts = 1
            store = dataclasses.replace(
                store,
                planes=target.digits,
                plane_stride=target.digit_bytes,
                chunks=planes,
                chunk_stride=target.plane_bytes,
                plane_pitch=planes * piece.pixels,
            )
        return [
            dataclasses.replace(
                store,
                address=target.address(target.plane(digit, words.begin), box.rows.begin, box.columns.begin),
                base=digit * planes * piece.pixels,
            )
            for digit in range(parts)
        ]
