"""The LOAD_MAPs of a layer: its input's blocks, and the residuals of its pieces."""

import dataclasses
import itertools

from ...hdl.instructions import LoadMap
from ...hdl.isa import KERNEL_WORDS, Region, Token
from ..lower.layers import LoweredLayer
from ..lower.on_load import stored_box
from ..plan.blocks import Block, GroupRows
from ..plan.pieces import Piece, Segment, lane_rows, segments
from ..plan.tile_passes import TilePass
from ..program.lane_groups import alternate, group_of, lanes_by_group
from ..program.map_layout import MapLayout
from .engine_queues import MapItem, Sequences
from .instructions import Draft

SEGMENTS = 4
"""Parts at most in which the last channel words of a layer's only block come."""


class MapLoads:
    """Builds the LOAD_MAPs of a layer.

    Parameters
    ----------
    sequences: of the layers before; slots are taken from its memories.
    layer: the layer.
    outputs: per tile the range of output channel words that it stores.
    kernels: of the layer that is computed on load, if there is one: their address in PARAMETERS, and the channel word
        of the kernel memory from which on they are kept.
    """

    def __init__(
        self, sequences: Sequences, layer: LoweredLayer, outputs: list[tuple[int, int]], *,
        kernels: tuple[int, int] = (0, 0),
    ) -> None:
        self.sequences = sequences
        self.geometry = sequences.geometry
        self.layer = layer
        self.outputs = outputs
        self.kernels = kernels
        self.source = sequences.layouts[layer.stored.name]

    def load_input(
        self, tile_pass: TilePass, cuts: list[Piece], *, first: bool, only: bool
    ) -> tuple[int, int, dict[int, list[MapItem]]]:
        """Loads a block into a new slot: the slot's number, the address of the block's first word, and the loads by the
        number of the piece that first needs them.

        A layer's first block comes in parts, so that it keeps pace with the layer before: the channel words of one of
        its tiles after the other; and those of the last tile, if there is no other block, in segments of rows.
        """
        block, source, (low, high) = tile_pass.block, self.source, tile_pass.words
        slot, address = self.sequences.input.place(block.words((high - low) * source.digits))
        address += block.lead
        columns = (block.read_column, block.read_column + block.columns_in)
        parts = [Segment(0, 0, block.lane_rows)]
        if only and block.columns_in == source.columns and self.layer.on_load is None:
            parts = segments(block, cuts, self.layer, SEGMENTS)
        groups = block.groups(self.geometry)
        whole_loads: list[list[MapItem]] = [[] for _ in groups]
        last_words: list[tuple[int, int]] = []
        for lanes, loads_of_group in zip(groups, whole_loads):
            for shared in lanes:
                rows, image = range(shared.first, shared.first + shared.rows), block.lane_image(shared.lanes[0])
                ranges = self._ranges(tile_pass.words, image, _span(block, rows), columns, cut=first)
                if len(parts) > 1:
                    *ranges, rest = ranges
                    last_words += [rest[0]] * len(shared.lanes)
                loads_of_group += self._load_shared(tile_pass, shared, columns, ranges, address)
        loads: dict[int, list[MapItem]] = {part.piece: [] for part in parts}
        loads[0] += alternate(whole_loads)
        if len(parts) > 1:
            for part in parts:
                loads[part.piece] += self._load_segment(tile_pass, part, last_words, address)
        # The wait for the slot comes before all that fills it in program order, its token after all that does.
        loads[0][0].input_slot = slot
        if first and self.layer.on_load is not None:
            kernels = [self._load_kernels(lanes[0].lanes[0]) for lanes in groups]
            loads[0][:0] = [MapItem(load, -1) for load in kernels]
        for items in loads.values():
            items[-1].draft.gives(Token.INPUT_READY)
        return slot, address, loads

    def _load_shared(
        self,
        tile_pass: TilePass,
        shared: GroupRows,
        columns: tuple[int, int],
        ranges: list[tuple[tuple[int, int], int]],
        address: int,
    ) -> list[MapItem]:
        """Loads of what lanes of a group take of a block, one for each range of channel words and digit."""
        block, source, (low, high) = tile_pass.block, self.source, tile_pass.words
        loads = []
        for (begin, end), stored in ranges:
            # The planes of all digits are contiguous in DDR where all channel words are read.
            whole = source.dense and (begin, end) == (low, high) == (0, source.channel_words)
            for digit in range(1 if whole else source.digits):
                plane = digit * (high - low) + begin - low
                taken = LoadMap(
                    planes=(end - begin) * (source.digits if whole else 1),
                    pad_top=shared.top,
                    pad_bottom=shared.bottom,
                    lane_step=block.lane_step,
                    lane_rows=block.lane_rows,
                    lane_mask=sum(1 << lane for lane in shared.lanes),
                    base=address + plane * block.plane_pitch,
                    plane_pitch=block.plane_pitch,
                )
                rows, image = range(shared.first, shared.first + shared.rows), block.lane_image(shared.lanes[0])
                draft = self._load(block, image, rows, columns, source.plane(digit, begin), taken)
                loads.append(MapItem(draft, stored))
        return loads

    def _load_segment(
        self, tile_pass: TilePass, segment: Segment, words: list[tuple[int, int]], address: int
    ) -> list[MapItem]:
        """Loads of the rows of a segment, one for each lane and digit; `words`: channel words by lane."""
        block, source, (low, high) = tile_pass.block, self.source, tile_pass.words
        loads: list[list[MapItem]] = [[] for _ in range(self.geometry.maps_ports)]
        for part in lane_rows(block, segment, self.layer, self.geometry):
            begin, end = words[part.lane]
            image = block.lane_image(part.lane)
            whole = source.dense and (begin, end) == (low, high) == (0, source.channel_words)
            # At least one row is read; where the lane takes zero rows only, it falls behind them.
            rows = range(part.first, part.first + max(part.rows, 1))
            span = self._of_image(image, *_span(block, rows))
            stored = self.sequences.stored[source.name].last(span, (0, source.columns), (begin, end))
            for digit in range(1 if whole else source.digits):
                plane = digit * (high - low) + begin - low
                taken = LoadMap(
                    planes=(end - begin) * (source.digits if whole else 1),
                    pad_top=part.top,
                    pad_bottom=part.bottom,
                    lane_rows=part.top + part.rows + part.bottom,
                    lane_mask=1 << part.lane,
                    base=address + plane * block.plane_pitch + segment.begin * source.columns,
                    plane_pitch=block.plane_pitch,
                )
                draft = self._load(block, image, rows, (0, source.columns), source.plane(digit, begin), taken)
                loads[group_of(part.lane, self.geometry)].append(MapItem(draft, stored))
        return alternate(loads)

    def _of_image(self, image: int, begin: int, end: int) -> tuple[int, int]:
        """Rows of an image of the input as they are counted over all images."""
        before = image * self.source.image_rows
        return before + begin, before + end

    def _ranges(
        self, words: tuple[int, int], image: int, rows: tuple[int, int], columns: tuple[int, int], *, cut: bool
    ) -> list[tuple[tuple[int, int], int]]:
        """Ranges of channel words, with the STORE that each needs; with `cut`, cut where the source's tiles begin."""
        stored = self.sequences.stored[self.source.name]
        taken, across = stored_box(self.layer, rows, columns)
        low, high = words
        cuts = [low, high]
        if cut:
            cuts[1:1] = [word for word in stored.boundaries if low < word < high]
        ranges: list[tuple[tuple[int, int], int]] = []
        for begin, end in itertools.pairwise(cuts):
            need = stored.last(self._of_image(image, taken.begin, taken.end), (across.begin, across.end), (begin, end))
            if ranges and need <= ranges[-1][1]:
                ranges[-1] = (ranges[-1][0][0], end), ranges[-1][1]
            else:
                ranges.append(((begin, end), need))
        return ranges

    def _load(
        self, block: Block, image: int, rows: range, columns: tuple[int, int], first_plane: int, load: LoadMap
    ) -> Draft[LoadMap]:
        """A LOAD_MAP of a box of an image of the input; rows as the block counts them. `load` says what lanes take."""
        layout, row_step = self.source, block.row_step
        begin, count = rows[0] * row_step, len(rows)
        taken, across = stored_box(self.layer, (begin, begin + count), columns)
        begin, count, width = taken.begin, taken.end - taken.begin, across.end - across.begin
        if (before := self.layer.on_load) is not None:
            load = dataclasses.replace(
                load,
                depthwise=True,
                kernel_base=(self.kernels[1] + first_plane) * KERNEL_WORDS,
                source_words=width,
                source_top=taken.before,
                source_bottom=taken.after,
                source_left=across.before,
                source_right=across.after,
                source_stride=before.stride[0],
                shift=before.convolution.shift,
                maximum=before.target.maximum,
            )
        contiguous = width == layout.columns and (row_step == 1 or count == 1)
        load = dataclasses.replace(
            load,
            layer=self.layer.number,
            region=Region[layout.region],
            address=place_in(layout, first_plane, self._of_image(image, begin, begin)[0], across.begin),
            plane_stride=layout.plane_bytes,
            chunks=1 if contiguous else count,
            chunk_stride=0 if contiguous else row_step * layout.columns * layout.word_bytes,
            chunk_words=count * width if contiguous else width,
            row_words=columns[1] - columns[0],
        )
        return Draft(load, self.layer.where)

    def _load_kernels(self, lane: int) -> Draft[LoadMap]:
        """A LOAD_MAP of all kernels of the layer that is computed on load, for the group that begins with a lane."""
        address, first = self.kernels
        words = self.source.channel_words * KERNEL_WORDS
        load = LoadMap(
            layer=self.layer.number,
            region=Region.PARAMETERS,
            address=address,
            planes=1,
            chunks=1,
            chunk_words=words,
            row_words=words,
            lane_rows=1,
            lane_mask=1 << lane,
            base=first * KERNEL_WORDS,
            kernels=True,
        )
        return Draft(load, self.layer.where)

    def load_residual(self, tile_pass: TilePass, piece: Piece) -> tuple[int, int]:
        """Loads the residuals of a piece into a new slot: the slot's number and address.

        One instruction serves all lanes of a group that have all the piece's rows (a chunk per lane), one more the lane
        that has fewer. In a digit all planes of the tile are read; those a tile lacks stay as they are, and are not
        stored.
        """
        assert self.layer.residual is not None
        layout = self.sequences.layouts[self.layer.residual.name]
        block, tile_words = tile_pass.block, self.geometry.tile_words
        begin, end = self.outputs[tile_pass.tile]
        slot, address = self.sequences.residual.place(tile_words * layout.digits * piece.pixels)
        row_bytes = layout.columns * layout.word_bytes
        column = block.first_column + piece.column
        counts = [piece_rows(tile_pass, piece, lane) for lane in range(self.geometry.pixel_lanes)]
        full = sum(count == piece.rows for count in counts)
        parts = [(lanes[0], len(lanes), piece.rows) for lanes in lanes_by_group(full, self.geometry)]
        parts += [(lane, 1, count) for lane, count in enumerate(counts) if 0 < count < piece.rows]
        by_group: list[list[MapItem]] = [[] for _ in range(self.geometry.maps_ports)]
        for lane, lanes, count in parts:
            rows = [block.output_row(lane + other) + piece.row for other in range(lanes)]
            stored = max(
                self.sequences.stored[layout.name].last(
                    (row, row + count), (column, column + piece.columns), (begin, end)
                )
                for row in rows
            )
            for digit in range(layout.digits):
                load = LoadMap(
                    layer=self.layer.number,
                    region=Region[layout.region],
                    address=place_in(layout, layout.plane(digit, begin), rows[0], column),
                    planes=end - begin,
                    plane_stride=layout.plane_bytes,
                    chunks=lanes,
                    chunk_stride=(block.output_row(1) - block.output_row(0)) * row_bytes,
                    chunk_words=count * piece.columns,
                    row_words=piece.columns,
                    lane_step=count if lanes > 1 else 0,
                    lane_rows=count,
                    lane_mask=(1 << lanes) - 1 << lane,
                    residual=True,
                    base=address + digit * tile_words * piece.pixels,
                    plane_pitch=piece.pixels,
                )
                by_group[group_of(lane, self.geometry)].append(MapItem(Draft(load, self.layer.where), stored))
        loads = alternate(by_group)
        loads[0].residual_slot = slot
        loads[-1].draft.gives(Token.RESIDUAL_READY)
        self.sequences.maps += loads
        return slot, address


def place_in(layout: MapLayout, plane: int, row: int, column: int) -> int:
    """Address of a word of a map."""
    return layout.offset + plane * layout.plane_bytes + (row * layout.columns + column) * layout.word_bytes


def _span(block: Block, rows: range) -> tuple[int, int]:
    """First and one past the last row of the map, of rows as a block counts them."""
    return rows[0] * block.row_step, rows[-1] * block.row_step + 1


def piece_rows(tile_pass: TilePass, piece: Piece, lane: int) -> int:
    """Rows of a piece that a lane has."""
    return max(0, min(piece.rows, tile_pass.block.valid_rows(lane) - piece.row))
