"""The instructions of a layer: what its tile passes load, compute and store, for the sequences of the engines."""

import dataclasses
from collections.abc import Iterator, Sequence

from ...hdl.geometry import CONSTANT_BITS
from ...hdl.instructions import LoadConstants, LoadWeights, Store
from ...hdl.isa import MAXIMUM_PASSES, Mode, Region
from ..lower.layers import LoweredLayer, digits_of
from ..place.parameters import ParameterBlock, source_words
from ..plan.blocks import Block, Cut
from ..plan.digit_passes import PASSES
from ..plan.pieces import Piece, pieces
from ..plan.ring_use import Leaves, RingUse, Stays, Streams
from ..plan.tile_passes import TilePass, output_pixels, tile_passes
from ..program.lane_groups import alternating_lanes, group_of, log_slots
from .engine_queues import ComputeItem, MapItem, Sequences, WeightItem
from .instructions import Draft, Walk
from .loads import MapLoads, piece_rows, place_in

EDGE = 4
"""Pieces at most, beyond what the output memory asks for, of the first and last tile pass of a layer in one block."""
EDGE_STEPS = 1024
"""Steps at least of such a piece: its instructions must not take longer to fetch than it takes."""


class LayerSchedule:
    """Schedules one layer.

    Parameters
    ----------
    sequences: what it is appended to; of the layers before.
    layer: the layer.
    parameters: where its weights and constants are; None for a max pool.
    cut: how it is cut in blocks, as `tile_passes` takes it.
    before: schedules of the same turn whose weight words came into the ring before this one's.

    Raises
    ------
    CompileError: no cut of the layer fits the geometry's memories.

    Members
    -------
    passes: its tile passes, in order.
    stores: those appended so far.
    kernels: channel words of kernels that it keeps in the depthwise unit.
    ended: the layer is appended to its end.
    """

    def __init__(
        self,
        sequences: Sequences,
        layer: LoweredLayer,
        parameters: ParameterBlock | None,
        cut: Cut | None = None,
        before: Sequence["LayerSchedule"] = (),
    ) -> None:
        self.sequences = sequences
        self.before = before
        self.ended = False
        self.geometry = sequences.geometry
        self.layer = layer
        self.parameters = parameters
        self.source = sequences.layouts[layer.stored.name]
        self.target = sequences.layouts[layer.target.name]
        if parameters is None:
            words = self.source.channel_words
            self.inputs = [(word, min(word + MAXIMUM_PASSES, words)) for word in range(0, words, MAXIMUM_PASSES)]
            self.outputs = self.inputs
        else:
            placement = sequences.placements[layer.target.name]
            assert placement is not None
            self.inputs = source_words(layer, self.source.order, placement)
            self.outputs = list(zip(placement.first_word, placement.first_word[1:]))
        self.kernels: int = 0 if layer.on_load is None else self.source.channel_words
        kernels = 0 if parameters is None else parameters.kernels, sum(other.kernels for other in before)
        self.loads = MapLoads(sequences, layer, self.outputs, kernels=kernels)
        self.passes = tile_passes(layer, self.geometry, self.inputs, parameters, cut)
        self.stores: list[Draft[Store]] = []
        sequences.stored[self.target.name].boundaries = [low for low, _ in self.outputs]

    def run(self) -> Iterator[Block]:
        """Appends the layer, block by block: each is given when all its instructions are there. The last STORE of
        each group of lanes writes the layer's record of the group."""
        pixels = output_pixels(self.layer, self.geometry, max(high - low for low, high in self.inputs))
        slot = address = 0
        item: ComputeItem | None = None
        block = self.passes[0].block
        single = sum(tile_pass.loads for tile_pass in self.passes) == 1
        for tile_pass in self.passes:
            # A layer in one block follows the one before and is followed piece by piece: the first and last are small.
            limit = pixels
            if tile_pass.streams:
                limit = 1
            elif single and (tile_pass is self.passes[0] or tile_pass is self.passes[-1]):
                limit = min(pixels, self._edge_pixels(tile_pass))
            cuts = list(pieces(tile_pass.block, limit))
            loads: dict[int, list[MapItem]] = {}
            if tile_pass.loads:
                if item is not None:
                    item.closes_input = True
                if tile_pass.block is not block:
                    yield block
                block = tile_pass.block
                first = tile_pass is self.passes[0]
                slot, address, loads = self.loads.load_input(tile_pass, cuts, first=first, only=single)
            for number, piece in enumerate(cuts):
                self._load_parameters(tile_pass, first=number == 0)
                self.sequences.maps += loads.get(number, [])
                item = self._compute(tile_pass, piece, slot, address, last=number == len(cuts) - 1)
                item.opens_input = number in loads
        assert item is not None
        item.closes_input = True
        last = {group_of(store.instruction.lane, self.geometry): store for store in self.stores}
        slots = log_slots(self.layer.number, self.geometry)
        for group, store in last.items():
            store.instruction = dataclasses.replace(store.instruction, crc_emit=True, crc_slot=slots[group])
        self.ended = True
        yield block

    def _older_words(self) -> int:
        """Weight words in the ring that belong to layers of the same turn that go on."""
        waiting = [schedule.parameters for schedule in self.before if not schedule.ended]
        return sum(parameters.first_word[-1] for parameters in waiting if parameters is not None)

    def _edge_pixels(self, tile_pass: TilePass) -> int:
        """Pixels of a piece of the first or last tile pass."""
        block, (low, high) = tile_pass.block, tile_pass.words
        digits = self.source.digits * (1 if self.parameters is None else self.parameters.digits)
        steps = block.columns * self.layer.kernel[0] * self.layer.kernel[1] * (high - low) * digits  # of a row
        parts = min(EDGE, max(1, block.lane_rows_out * steps // EDGE_STEPS))
        return -(-block.lane_rows_out // parts) * block.columns

    # Weights engine -------------------------------------------------------------------------------------------------

    def _load_parameters(self, tile_pass: TilePass, *, first: bool) -> None:
        """Appends what the rings need before a piece of a tile pass; `first`: its first piece."""
        if first and (tiles := _loaded(tile_pass.constants)):
            self._load_constants(tiles)
        if isinstance(tile_pass.weights, Streams):
            self._load_weights(range(tile_pass.tile, tile_pass.tile + 1))
        elif first and (tiles := _loaded(tile_pass.weights)):
            self._load_weights(tiles)

    def _load_constants(self, tiles: range) -> None:
        assert self.parameters is not None
        load = LoadConstants(
            layer=self.layer.number,
            region=Region.PARAMETERS,
            address=self.parameters.constants + tiles.start * self.geometry.tile_filters * CONSTANT_BITS // 8,
            tiles=len(tiles),
        )
        self.sequences.weights.append(WeightItem(Draft(load, self.layer.where), tiles=len(tiles)))

    def _load_weights(self, tiles: range) -> None:
        block = self.parameters
        assert block is not None
        first, words = block.first_word[tiles.start], block.first_word[tiles.stop] - block.first_word[tiles.start]
        load = LoadWeights(
            layer=self.layer.number,
            region=Region.PARAMETERS,
            address=block.weights + first * block.slice_bytes,
            port_stride=block.port_stride,
            words=words,
        )
        self.sequences.weights.append(WeightItem(Draft(load, self.layer.where), words=words))

    # Compute and store engines --------------------------------------------------------------------------------------

    def _compute(self, tile_pass: TilePass, piece: Piece, slot: int, address: int, *, last: bool) -> ComputeItem:
        layer, block, geometry, parameters = self.layer, tile_pass.block, self.geometry, self.parameters
        stride_x = layer.stride[1]
        words = tile_pass.words[1] - tile_pass.words[0]
        # Column of the first window, counted from the first column held.
        left = (block.first_column + piece.column) * stride_x - layer.pad_left - block.read_column
        if parameters is None:
            digits = tuple(word * block.plane_pitch for word in range(words))
            planes = words
        else:
            passes = PASSES[self.source.digits, parameters.digits]
            digits = tuple(digit * words * block.plane_pitch for digit in passes.activation_digit)
            planes = geometry.tile_words * self.target.digits
        walk = Walk(
            outputs_y=piece.rows,
            outputs_x=piece.columns,
            kernel_y=layer.kernel[0],
            kernel_x=layer.kernel[1],
            channels=1 if parameters is None else words,
            stride_y=block.window_step,
            stride_x=stride_x,
            row_pitch=block.columns_in,
            plane_pitch=block.plane_pitch,
            digits=digits,
        )
        output_slot, output_base = self.sequences.output.place(planes * piece.pixels)
        compute = dataclasses.replace(
            walk.compute(Mode.MAXIMUM if parameters is None else Mode.CONVOLVE),
            layer=layer.number,
            base=address + (block.skip_rows + piece.row * block.window_step) * block.columns_in + left,
            pad_left=max(0, -left),
            width=block.columns_in - max(0, left),
            output_base=output_base,
            output_pitch=piece.pixels,
        )
        residual_slot = None
        releases = 0
        if parameters is not None:
            run = parameters.run_words[tile_pass.tile]
            if layer.residual is not None:
                residual_slot, residual_base = self.loads.load_residual(tile_pass, piece)
                compute = dataclasses.replace(
                    compute,
                    residual=True,
                    residual_base=residual_base,
                    residual_pitch=piece.pixels,
                    residual_digits=digits_of(layer.residual, geometry) - 1,
                    residual_scale=layer.convolution.residual_multiplier,
                )
            use = tile_pass.weights
            releases = use.words if isinstance(use, Streams) or (last and isinstance(use, Leaves)) else 0
            offset = use.offset if isinstance(use, Stays) else 0
            compute = dataclasses.replace(
                compute,
                shift_mask=passes.shift_mask,
                count_mask=passes.count_mask,
                weight_digit_mask=passes.weight_digit_mask,
                final_mask=passes.final_mask,
                weight_offset=self._older_words() + offset,
                weight_words=run,
                release=releases > 0,
                release_constants=last and isinstance(tile_pass.constants, Leaves),
                shift=layer.convolution.shift,
                maximum=layer.target.maximum,
                output_digits=self.target.digits - 1,
            )
        item = ComputeItem(
            draft=Draft(compute, layer.where),
            stores=self._stores(tile_pass, piece, output_base),
            weights=len(self.sequences.weights),
            maps=len(self.sequences.maps),
            steps=walk.steps,
            releases=releases,
            releases_constants=int(compute.release_constants),
            input_slot=slot,
            residual_slot=residual_slot,
            output_slot=output_slot,
        )
        self.sequences.computes.append(item)
        self.stores += item.stores
        return item

    def _stores(self, tile_pass: TilePass, piece: Piece, base: int) -> list[Draft[Store]]:
        """A STORE for each lane that has rows; or one for each of its digits where one cannot write both."""
        block, target = tile_pass.block, self.target
        begin, end = self.outputs[tile_pass.tile]
        planes = end - begin if self.parameters is None else self.geometry.tile_words
        column = block.first_column + piece.column
        contiguous = piece.columns == target.columns
        stores = []
        for lane in alternating_lanes(self.geometry):
            count = piece_rows(tile_pass, piece, lane)
            if not count:
                continue
            row = block.output_row(lane) + piece.row
            place = Store(
                layer=self.layer.number,
                region=Region[target.region],
                lane=lane,
                planes=end - begin,
                plane_stride=target.plane_bytes,
                chunks=1 if contiguous else count,
                chunk_stride=0 if contiguous else target.columns * target.word_bytes,
                chunk_words=count * piece.columns if contiguous else piece.columns,
                plane_pitch=piece.pixels,
            )
            parts = target.digits
            if parts > 1 and end - begin == planes and contiguous and count == piece.rows:
                # Planes follow one another on chip: they are the chunks, and the digits are the planes.
                parts = 1
                place = dataclasses.replace(
                    place,
                    planes=target.digits,
                    plane_stride=target.digit_bytes,
                    chunks=planes,
                    chunk_stride=target.plane_bytes,
                    plane_pitch=planes * piece.pixels,
                )
            for digit in range(parts):
                store = dataclasses.replace(
                    place,
                    address=place_in(target, target.plane(digit, begin), row, column),
                    base=base + digit * planes * piece.pixels,
                )
                stores.append(Draft(store, self.layer.where))
                number = len(self.sequences.store_owner)
                self.sequences.store_owner.append(len(self.sequences.computes))
            self.sequences.stored[target.name].add(
                number, (row, row + count), (column, column + piece.columns), (begin, end)
            )
        return stores


def _loaded(use: RingUse | None) -> range:
    """Tiles whose parts of a ring are appended before a pass."""
    return use.load if isinstance(use, Stays | Leaves) else range(0)
