"""The LOAD_MAPs of a layer's input, block by block."""

import dataclasses
import itertools

from ...hdl.instructions import LoadMap
from ...hdl.isa import KERNEL_WORDS, Region, Token
from ..lower.layers import MachineLayer
from ..lower.on_load import stored_box
from ..plan.blocks import Block, GroupRows
from ..plan.pieces import Piece, RowSegment, lane_rows, segments
from ..plan.tile_passes import TilePass
from ..program.lane_groups import alternate, group_of
from ..span import Box, Span
from .engine_queues import EngineQueues, MapItem
from .instructions import Draft
from .memory_slices import MemorySlice

SEGMENTS = 4
"""Parts at most in which the last channel words of a layer's only block come."""


@dataclasses.dataclass(frozen=True)
class Kernels:
    """Kernels of a layer that is computed on load: their address in PARAMETERS, and the channel word of the kernel
    memory from which on they are kept."""

    address: int
    first: int


@dataclasses.dataclass(frozen=True)
class _Words:
    """Channel words, and the STORE whose data they need (−1: none)."""

    words: Span
    stored: int


@dataclasses.dataclass(frozen=True)
class LoadedBlock:
    """A block on its way.

    Members
    -------
    memory: its slice of the activation memory; `address` is that of the block's first word, after the lead.
    by_piece: the LOAD_MAPs, by the number of the piece that first needs them.
    """

    memory: MemorySlice
    by_piece: dict[int, list[MapItem]]


class InputLoads:
    """Builds the LOAD_MAPs of a layer's input.

    Parameters
    ----------
    queues: of the layers before; slices are taken from the activation memory.
    layer: the layer.
    kernels: of the layer that is computed on load, if there is one.
    """

    def __init__(self, queues: EngineQueues, layer: MachineLayer, kernels: Kernels) -> None:
        self.queues = queues
        self.geometry = queues.geometry
        self.layer = layer
        self.kernels = kernels
        self.source = queues.layouts[layer.stored.name]

    def load(self, tile_pass: TilePass, cuts: list[Piece], *, first: bool, only: bool) -> LoadedBlock:
        """Loads the block of a tile pass into a new slice.

        A layer's first block comes in parts, so that it keeps pace with the layer before: the channel words of one of
        its tiles after the other; and those of the last tile, if there is no other block, in segments of rows.
        """
        block = tile_pass.block
        memory = self.queues.input.place(block.words(tile_pass.words.size * self.source.digits))
        memory = dataclasses.replace(memory, address=memory.address + block.inputs.lead)
        parts = [RowSegment(0, Span(0, block.band.rows))]
        if only and block.inputs.columns.size == self.layer.source.width and self.layer.on_load is None:
            parts = segments(block, cuts, self.layer, SEGMENTS)
        groups = block.groups(self.geometry)
        whole_loads: list[list[MapItem]] = [[] for _ in groups]
        last_words: list[Span] = []
        for lanes, loads_of_group in zip(groups, whole_loads):
            for shared in lanes:
                ranges = self._ranges(tile_pass, shared, cut=first)
                if len(parts) > 1:
                    *ranges, rest = ranges
                    last_words += [rest.words] * len(shared.lanes)
                loads_of_group += self._load_shared(tile_pass, shared, ranges, memory.address)
        loads: dict[int, list[MapItem]] = {part.piece: [] for part in parts}
        loads[0] += alternate(whole_loads)
        if len(parts) > 1:
            for part in parts:
                loads[part.piece] += self._load_segment(tile_pass, part, last_words, memory.address)
        # The wait for the slice comes before all that fills it in program order, its token after all that does.
        loads[0][0].input_slice = memory.number
        if first and self.layer.on_load is not None:
            loads[0][:0] = [MapItem(self._load_kernels(lanes[0].lanes[0]), -1) for lanes in groups]
        for items in loads.values():
            items[-1].draft.gives(Token.INPUT_READY)
        return LoadedBlock(memory, loads)

    def _load_shared(
        self, tile_pass: TilePass, shared: GroupRows, ranges: list[_Words], address: int
    ) -> list[MapItem]:
        """Loads of what lanes of a group take of a block, one for each range of channel words and digit."""
        block = tile_pass.block
        taken = LoadMap(
            pad_top=shared.rows.before,
            pad_bottom=shared.rows.after,
            lane_step=block.band.step,
            lane_rows=block.band.rows,
            lane_mask=sum(1 << lane for lane in shared.lanes),
            base=address,
        )
        box, image = Box(shared.rows.span, block.inputs.columns), block.lane_image(shared.lanes[0])
        return [
            MapItem(draft, part.stored)
            for part in ranges
            for draft in self._load_words(tile_pass, part.words, image, box, taken)
        ]

    def _load_segment(
        self, tile_pass: TilePass, segment: RowSegment, words: list[Span], address: int
    ) -> list[MapItem]:
        """Loads of the rows of a segment, one for each lane and digit; `words`: channel words by lane."""
        block, source = tile_pass.block, self.source
        columns = Span(0, self.layer.source.width)
        loads: list[list[MapItem]] = [[] for _ in range(self.geometry.maps_ports)]
        for part in lane_rows(block, segment, self.layer, self.geometry):
            image, needed = block.lane_image(part.lane), words[part.lane]
            # At least one row is read; where the lane takes zero rows only, it falls behind them.
            rows = Span(part.rows.span.begin, max(part.rows.span.end, part.rows.span.begin + 1))
            span = self._of_image(image, _map_rows(block, rows))
            stored = self.queues.stored[source.name].last(Box(span, self._across(columns)), needed)
            taken = LoadMap(
                pad_top=part.rows.before,
                pad_bottom=part.rows.after,
                lane_rows=part.rows.size,
                lane_mask=1 << part.lane,
                base=address + segment.rows.begin * columns.size,
            )
            drafts = self._load_words(tile_pass, needed, image, Box(rows, columns), taken)
            loads[group_of(part.lane, self.geometry)] += [MapItem(draft, stored) for draft in drafts]
        return alternate(loads)

    def _of_image(self, image: int, rows: Span) -> Span:
        """Rows of an image of the input, which may begin with those of a border, as they are stored."""
        return rows.shifted(self.source.stored_row(image, -self.layer.stored_border.top))

    def _across(self, columns: Span) -> Span:
        """Columns of the input as they are stored."""
        return columns.shifted(self.source.stored_column(-self.layer.stored_border.left))

    def _ranges(self, tile_pass: TilePass, shared: GroupRows, *, cut: bool) -> list[_Words]:
        """Channel words that lanes of a group take, with the STORE that each needs; with `cut`, cut where the source's
        tiles begin."""
        block, words = tile_pass.block, tile_pass.words
        stored = self.queues.stored[self.source.name]
        taken, across = stored_box(self.layer, _map_rows(block, shared.rows.span), block.inputs.columns)
        box = Box(self._of_image(block.lane_image(shared.lanes[0]), taken.span), self._across(across.span))
        cuts = [words.begin, words.end]
        if cut:
            cuts[1:1] = [word for word in stored.boundaries if words.begin < word < words.end]
        ranges: list[_Words] = []
        for begin, end in itertools.pairwise(cuts):
            need = stored.last(box, Span(begin, end))
            if ranges and need <= ranges[-1].stored:
                ranges[-1] = _Words(Span(ranges[-1].words.begin, end), ranges[-1].stored)
            else:
                ranges.append(_Words(Span(begin, end), need))
        return ranges

    def _load_words(
        self, tile_pass: TilePass, words: Span, image: int, box: Box, taken: LoadMap
    ) -> list[Draft[LoadMap]]:
        """LOAD_MAPs of some channel words of a box of an image, one for each digit, or one for all of them.

        Parameters
        ----------
        box: rows as the block counts them.
        taken: what lanes take, with the address of the block's first word as its base.
        """
        source, block, held = self.source, tile_pass.block, tile_pass.words
        # The planes of all digits are contiguous in DDR where all channel words are read.
        whole = source.dense and words == held == Span(0, source.channel_words)
        drafts = []
        for digit in range(1 if whole else source.digits):
            plane = digit * held.size + words.begin - held.begin
            load = dataclasses.replace(
                taken,
                planes=words.size * (source.digits if whole else 1),
                base=taken.base + plane * block.plane_pitch,
                plane_pitch=block.plane_pitch,
            )
            drafts.append(self._load(block, image, box, source.plane(digit, words.begin), load))
        return drafts

    def _load(self, block: Block, image: int, box: Box, first_plane: int, load: LoadMap) -> Draft[LoadMap]:
        """A LOAD_MAP of a box of an image of the input; rows as the block counts them. `load` says what lanes take."""
        layout, row_step = self.source, block.inputs.row_step
        begin = box.rows.begin * row_step
        taken, across = stored_box(self.layer, Span(begin, begin + box.rows.size), box.columns)
        count, width = taken.span.size, across.span.size
        if (before := self.layer.on_load) is not None:
            load = dataclasses.replace(
                load,
                depthwise=True,
                kernel_base=(self.kernels.first + first_plane) * KERNEL_WORDS,
                source_words=width,
                source_top=taken.before,
                source_bottom=taken.after,
                source_left=across.before,
                source_right=across.after,
                source_stride=before.stride[0],
                shift=before.convolution.shift,
                maximum=before.target.maximum,
            )
        by_row = count > 1 and layout.name in self.queues.by_row
        contiguous = width == layout.columns and (row_step == 1 or count == 1) and not by_row
        load = dataclasses.replace(
            load,
            layer=self.layer.number,
            region=Region[layout.region],
            address=layout.address(
                first_plane, self._of_image(image, taken.span).begin, self._across(across.span).begin
            ),
            plane_stride=layout.plane_bytes,
            chunks=1 if contiguous else count,
            chunk_stride=0 if contiguous else row_step * layout.columns * layout.word_bytes,
            chunk_words=count * width if contiguous else width,
            row_words=box.columns.size,
        )
        return Draft(load, self.layer.where)

    def _load_kernels(self, lane: int) -> Draft[LoadMap]:
        """A LOAD_MAP of all kernels of the layer that is computed on load, for the group that begins with a lane."""
        words = self.source.channel_words * KERNEL_WORDS
        load = LoadMap(
            layer=self.layer.number,
            region=Region.PARAMETERS,
            address=self.kernels.address,
            planes=1,
            chunks=1,
            chunk_words=words,
            row_words=words,
            lane_rows=1,
            lane_mask=1 << lane,
            base=self.kernels.first * KERNEL_WORDS,
            kernels=True,
        )
        return Draft(load, self.layer.where)


def _map_rows(block: Block, rows: Span) -> Span:
    """Rows of the map from the first to the last of rows as a block counts them."""
    step = block.inputs.row_step
    return Span(rows.begin * step, (rows.end - 1) * step + 1)
