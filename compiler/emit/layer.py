"""The instructions of a layer: loads, computations and stores of every visit, appended to the engines' sequences."""

import dataclasses
from collections.abc import Iterator, Sequence

from ...hdl.geometry import CONSTANT_BITS
from ...hdl.instructions import LoadConstants, LoadWeights, Store
from ...hdl.isa import MAXIMUM_PASSES, Mode, Region
from ..lower.layers import LoweredLayer, digits_of
from ..place.parameters import ALIGNMENT, ParameterBlock, source_words
from ..plan.blocks import Block, Cut
from ..plan.digit_passes import PASSES
from ..plan.pieces import Piece, pieces
from ..plan.tile_passes import Visit, output_pixels, visits
from ..program.lane_groups import alternating_lanes, group_of, log_slots
from .engine_queues import ComputeItem, MapItem, Sequences, WeightItem
from .instructions import Draft, Walk
from .loads import MapLoads, piece_rows, place_in

EDGE = 4
"""Pieces at most, beyond what the output memory asks for, of the first and the last visit of a layer in one block."""
EDGE_STEPS = 1024
"""Steps at least of such a piece: its instructions must not take longer to fetch than it takes."""


class LayerSchedule:
    """Schedules one layer.

    Parameters
    ----------
    sequences: what it is appended to; of the layers before.
    layer: the layer.
    parameters: where its weights and constants are; None for a max pool.
    cut: how it is cut in blocks, as `visits` takes it.
    before: schedules of the same turn whose weight words came into the ring before this one's.

    Raises
    ------
    CompileError: no cut of the layer fits the geometry's memories.

    Members
    -------
    visits: in order.
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
        self.weights_until = self.constants_until = 0
        self.visits = list(visits(layer, self.geometry, self.inputs, parameters, cut))
        self.stores: list[Draft[Store]] = []
        sequences.stored[self.target.name].boundaries = [low for low, _ in self.outputs]
        self.streams = parameters is not None and parameters.streams(self.geometry)

    def run(self) -> Iterator[Block]:
        """Appends the layer, block by block: each is given when all its instructions are there. The last STORE of
        each group of lanes writes the layer's record of the group."""
        pixels = output_pixels(self.layer, self.geometry, max(high - low for low, high in self.inputs))
        slot = address = 0
        item: ComputeItem | None = None
        block = self.visits[0].block
        sequence = self.visits
        single = sum(visit.loads for visit in sequence) == 1
        for visit in sequence:
            # A layer in one block follows the one before and is followed piece by piece: the first and last are small.
            limit = pixels
            if single and (visit is sequence[0] or visit is sequence[-1]):
                limit = min(pixels, self._edge_pixels(visit))
            cuts = list(pieces(visit.block, 1 if self.streams else limit))
            loads: dict[int, list[MapItem]] = {}
            if visit.loads:
                if item is not None:
                    item.closes_input = True
                if visit.block is not block:
                    yield block
                block = visit.block
                slot, address, loads = self.loads.load_input(visit, cuts, first=visit is sequence[0], only=single)
            if visit.restarts_constants:
                self.constants_until = 0
            if visit.restarts_weights:
                self.weights_until = 0
            if self.parameters is not None:
                self._stream_parameters(visit, self.parameters)
            for number, piece in enumerate(cuts):
                if self.streams and number > 0 and self.parameters is not None:
                    self.weights_until = visit.tile
                    self._stream_parameters(visit, self.parameters)
                self.sequences.maps += loads.get(number, [])
                item = self._compute(visit, piece, slot, address, last=number == len(cuts) - 1)
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

    def _edge_pixels(self, visit: Visit) -> int:
        """Pixels of a piece of the first or last visit."""
        block, (low, high) = visit.block, visit.words
        digits = self.source.digits * (1 if self.parameters is None else self.parameters.digits)
        steps = block.columns * self.layer.kernel[0] * self.layer.kernel[1] * (high - low) * digits  # of a row
        parts = min(EDGE, max(1, block.lane_rows_out * steps // EDGE_STEPS))
        return -(-block.lane_rows_out // parts) * block.columns

    # Weights engine -------------------------------------------------------------------------------------------------

    def _stream_parameters(self, visit: Visit, block: ParameterBlock) -> None:
        """Appends the weights and constants of the tile, and of as many after it as make one good transfer."""
        geometry, tiles, tile = self.geometry, len(block.run_words), visit.tile
        where, number = self.layer.where, self.layer.number
        if tile >= self.constants_until:
            size = geometry.tile_filters * CONSTANT_BITS // 8
            unit = 1 if size % ALIGNMENT == 0 else 2  # a transfer begins at a multiple of 64 bytes
            count = min(max(unit, geometry.constant_tiles // 2 // unit * unit), tiles - tile)
            constants = LoadConstants(
                layer=number, region=Region.PARAMETERS, address=block.constants + tile * size, tiles=count
            )
            self.sequences.weights.append(WeightItem(Draft(constants, where), tiles=count))
            self.constants_until = tile + count
        if tile >= self.weights_until:
            end, first = tiles if block.shared else tile + 1, block.first_word[tile]
            while end < tiles and block.first_word[end + 1] - first <= geometry.weight_depth // 4:
                end += 1
            words = block.first_word[end] - first
            weights = LoadWeights(
                layer=number,
                region=Region.PARAMETERS,
                address=block.weights + first * block.slice_bytes,
                port_stride=block.port_stride,
                words=words,
            )
            self.sequences.weights.append(WeightItem(Draft(weights, where), words=words))
            self.weights_until = end

    # Compute and store engines --------------------------------------------------------------------------------------

    def _compute(self, visit: Visit, piece: Piece, slot: int, address: int, *, last: bool) -> ComputeItem:
        layer, block, geometry, parameters = self.layer, visit.block, self.geometry, self.parameters
        stride_x = layer.stride[1]
        words = visit.words[1] - visit.words[0]
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
            run = parameters.run_words[visit.tile]
            if layer.residual is not None:
                residual_slot, residual_base = self.loads.load_residual(visit, piece)
                compute = dataclasses.replace(
                    compute,
                    residual=True,
                    residual_base=residual_base,
                    residual_pitch=piece.pixels,
                    residual_digits=digits_of(layer.residual, geometry) - 1,
                    residual_scale=layer.convolution.residual_multiplier,
                )
            releases = run * parameters.digits if self.streams or (last and visit.frees_weights) else 0
            compute = dataclasses.replace(
                compute,
                shift_mask=passes.shift_mask,
                count_mask=passes.count_mask,
                weight_digit_mask=passes.weight_digit_mask,
                final_mask=passes.final_mask,
                weight_offset=self._older_words() + visit.first_word,
                weight_words=run,
                release=releases > 0,
                release_constants=last and visit.frees_constants,
                shift=layer.convolution.shift,
                maximum=layer.target.maximum,
                output_digits=self.target.digits - 1,
            )
        item = ComputeItem(
            draft=Draft(compute, layer.where),
            stores=self._stores(visit, piece, output_base),
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

    def _stores(self, visit: Visit, piece: Piece, base: int) -> list[Draft[Store]]:
        """A STORE for each lane that has rows; or one for each of its digits where one cannot write both."""
        block, target = visit.block, self.target
        begin, end = self.outputs[visit.tile]
        planes = end - begin if self.parameters is None else self.geometry.tile_words
        column = block.first_column + piece.column
        contiguous = piece.columns == target.columns
        stores = []
        for lane in alternating_lanes(self.geometry):
            count = piece_rows(visit, piece, lane)
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
