"""The instructions of a layer: what its tile passes load, compute and store, for the queues of the engines."""

import dataclasses
from collections.abc import Iterator, Sequence

from ...hdl.instructions import Store
from ...hdl.isa import MAXIMUM_PASSES
from ..lower.layers import MachineLayer
from ..place.parameters import ParameterBlock, source_words
from ..plan.blocks import Block, Cut
from ..plan.pieces import Piece, pieces
from ..plan.tile_passes import TilePass, output_pixels, tile_passes
from ..program.lane_groups import group_of, log_slots
from ..span import Span
from .computes import Computes, freed
from .engine_queues import ComputeItem, EngineQueues
from .input_loads import InputLoads, Kernels, LoadedBlock
from .instructions import Draft
from .parameter_loads import ParameterLoads
from .residual_loads import ResidualLoads
from .stores import Stores

EDGE = 4
"""Pieces at most, beyond what the output memory asks for, of the first and last tile pass of a layer in one block."""
EDGE_STEPS = 1024
"""Steps at least of such a piece: its instructions must not take longer to fetch than it takes."""


class LayerSchedule:
    """Schedules one layer.

    Parameters
    ----------
    queues: what it is appended to; of the layers before.
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
    kernel_words: channel words of kernels that it keeps in the depthwise unit.
    ended: the layer is appended to its end.
    """

    def __init__(
        self,
        queues: EngineQueues,
        layer: MachineLayer,
        parameters: ParameterBlock | None,
        cut: Cut | None = None,
        before: Sequence["LayerSchedule"] = (),
    ) -> None:
        self.queues = queues
        self.before = before
        self.ended = False
        self.geometry = queues.geometry
        self.layer = layer
        self.parameters = parameters
        source = queues.layouts[layer.stored.name]
        self.digits = source.digits * (1 if parameters is None else parameters.digits)
        inputs, outputs = self._tiles(source.channel_words)
        self.passes = tile_passes(layer, self.geometry, inputs, parameters, cut)
        self.pixels = output_pixels(layer, self.geometry, max(words.size for words in inputs))
        self.kernel_words = 0 if layer.on_load is None else source.channel_words
        kernels = Kernels(0 if parameters is None else parameters.kernels, sum(other.kernel_words for other in before))
        self.input_loads = InputLoads(queues, layer, kernels)
        self.residual_loads = None if layer.residual is None else ResidualLoads(queues, layer, outputs)
        self.parameter_loads = None if parameters is None else ParameterLoads(queues, layer, parameters)
        self.computes = Computes(layer, self.geometry, parameters)
        self.storing = Stores(queues, layer, outputs)
        self.stores: list[Draft[Store]] = []

    def _tiles(self, source_planes: int) -> tuple[list[Span], list[Span]]:
        """Per tile the ranges of input channel words that it reads and of output channel words that it stores."""
        if self.parameters is None:
            starts = range(0, source_planes, MAXIMUM_PASSES)
            words = [Span(word, min(word + MAXIMUM_PASSES, source_planes)) for word in starts]
            return words, words
        placement = self.queues.placements[self.layer.target.name]
        assert placement is not None
        order = self.queues.layouts[self.layer.stored.name].order
        outputs = [Span(*ends) for ends in zip(placement.first_word, placement.first_word[1:])]
        return source_words(self.layer, order, placement), outputs

    def run(self) -> Iterator[Block]:
        """Appends the layer, block by block: each is given when all its instructions are there. The last STORE of
        each group of lanes writes the layer's record of the group."""
        item: ComputeItem | None = None
        block = self.passes[0].block
        loaded: LoadedBlock | None = None
        single = sum(tile_pass.loads for tile_pass in self.passes) == 1
        for tile_pass in self.passes:
            cuts = list(pieces(tile_pass.block, self._piece_pixels(tile_pass, single=single)))
            loads = {}
            if tile_pass.loads:
                if item is not None:
                    item.closes_input = True
                if tile_pass.block is not block:
                    yield block
                block, first = tile_pass.block, tile_pass is self.passes[0]
                loaded = self.input_loads.load(tile_pass, cuts, first=first, only=single)
                loads = loaded.by_piece
            assert loaded is not None
            for number, piece in enumerate(cuts):
                if self.parameter_loads is not None:
                    self.parameter_loads.load(tile_pass, first=number == 0)
                self.queues.maps += loads.get(number, [])
                item = self._append(tile_pass, piece, loaded, last=number == len(cuts) - 1)
                item.opens_input = number in loads
        assert item is not None
        item.closes_input = True
        self._emit_records()
        self.ended = True
        yield block

    def _piece_pixels(self, tile_pass: TilePass, *, single: bool) -> int:
        """Pixels at most of a piece of a tile pass; `single`: of a layer in one block.

        Such a layer follows the one before and is followed piece by piece: its first and last tile pass have small
        ones.
        """
        if tile_pass.streams:
            return 1
        if not single or (tile_pass is not self.passes[0] and tile_pass is not self.passes[-1]):
            return self.pixels
        block = tile_pass.block
        rows, columns = block.band.output_rows, block.outputs.columns.size
        row_steps = columns * self.layer.kernel[0] * self.layer.kernel[1] * tile_pass.words.size * self.digits
        parts = min(EDGE, max(1, rows * row_steps // EDGE_STEPS))
        return min(self.pixels, -(-rows // parts) * columns)

    def _append(self, tile_pass: TilePass, piece: Piece, loaded: LoadedBlock, *, last: bool) -> ComputeItem:
        """Appends a piece: its residuals, its COMPUTE and its STOREs."""
        planes = self.computes.planes(tile_pass)
        output = self.queues.output.place(planes * self.computes.digits * piece.pixels)
        compute = self.computes.compute(tile_pass, piece, address=loaded.memory.address, output=output.address)
        if self.parameters is not None:
            compute = self.computes.with_rings(compute, tile_pass, older=self._older_words(), last=last)
        residual = None
        if self.residual_loads is not None:
            residual = self.residual_loads.load(tile_pass, piece)
            compute = self.computes.with_residual(compute, residual.address)
        item = ComputeItem(
            draft=Draft(compute, self.layer.where),
            stores=self.storing.store(tile_pass, piece, output.address, planes),
            weights=len(self.queues.weights),
            maps=len(self.queues.maps),
            steps=compute.steps,
            releases=freed(tile_pass.weights, last=last),
            releases_constants=freed(tile_pass.constants, last=last),
            input_slice=loaded.memory.number,
            residual_slice=None if residual is None else residual.number,
            output_slice=output.number,
        )
        self.queues.computes.append(item)
        self.stores += item.stores
        return item

    def _older_words(self) -> int:
        """Weight words in the ring that belong to layers of the same turn that go on."""
        waiting = [schedule.parameters for schedule in self.before if not schedule.ended]
        return sum(parameters.first_word[-1] for parameters in waiting if parameters is not None)

    def _emit_records(self) -> None:
        last = {group_of(store.instruction.lane, self.geometry): store for store in self.stores}
        slots = log_slots(self.layer.number, self.geometry)
        for group, store in last.items():
            store.instruction = dataclasses.replace(store.instruction, crc_emit=True, crc_slot=slots[group])
