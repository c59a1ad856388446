"""What the schedule is made of: a queue of instructions per engine, with what ties them together."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ...hdl.geometry import Geometry
from ...hdl.instructions import Compute, LoadConstants, LoadMap, LoadWeights, Store
from ..place.lanes import Placement
from ..program.map_layout import MapLayout
from ..span import Box, Span
from .instructions import Draft
from .memory_slices import SliceRing


@dataclasses.dataclass(eq=False)
class WeightItem:
    """An instruction of the weights engine: how many weight words and tiles of constants it appends."""

    draft: Draft[LoadWeights] | Draft[LoadConstants]
    words: int = 0
    tiles: int = 0


@dataclasses.dataclass(eq=False)
class MapItem:
    """A LOAD_MAP: the number of the STORE whose data it needs (−1: none), and the slice that it is first to fill."""

    draft: Draft[LoadMap]
    stored: int
    input_slice: int | None = None
    residual_slice: int | None = None


@dataclasses.dataclass(eq=False)
class ComputeItem:
    """A COMPUTE with the STOREs that follow it.

    Members
    -------
    weights, maps: how many items of the other two engines must come before it.
    steps: that it takes.
    releases, releases_constants: weight words and tiles of constants that it frees.
    input_slice, residual_slice, output_slice: numbers of the memories' slices that it uses; None: no residual.
    opens_input, closes_input: it is the first, the last to use its input slice.
    """

    draft: Draft[Compute]
    stores: list[Draft[Store]]
    weights: int
    maps: int
    steps: int
    releases: int
    releases_constants: int
    input_slice: int
    residual_slice: int | None
    output_slice: int
    opens_input: bool = False
    closes_input: bool = False


class StoredParts:
    """Which STOREs have written which part of a tensor.

    Parameters
    ----------
    layout: of the tensor.
    operands: of a concatenated tensor: what is stored of each; nothing is added to it itself.
    """

    def __init__(self, layout: MapLayout, operands: "Sequence[StoredParts]" = ()) -> None:
        self.words = layout.channel_words
        self.operands = operands
        self._last = np.full((0 if operands else self.words, layout.rows, layout.columns), -1, np.int32)
        self._starts: list[int] = []

    def add(self, number: int, box: Box, words: Span) -> None:
        """STORE `number`, after all before it, writes a box of some channel words; nothing is written twice."""
        self._last[words.slice, box.rows.slice, box.columns.slice] = number

    @property
    def boundaries(self) -> list[int]:
        """The channel words that its tiles begin with, as far as it has been scheduled."""
        starts, first = list(self._starts), 0
        for operand in self.operands:
            starts += [first + word for word in operand.boundaries]
            first += operand.words
        return starts

    @boundaries.setter
    def boundaries(self, words: list[int]) -> None:
        self._starts = words

    def last(self, box: Box, words: Span) -> int:
        """The last STORE that wrote any of a box of some channel words; −1 where none did. Rows of `box` are counted
        over all images."""
        first, latest = 0, -1
        for operand in self.operands:
            part = Span(max(words.begin - first, 0), min(words.end - first, operand.words))
            if part.begin < part.end:
                latest = max(latest, operand.last(box, part))
            first += operand.words
        return int(self._last[words.slice, box.rows.slice, box.columns.slice].max(initial=latest))


class EngineQueues:
    """The queues of instructions of all engines, and what scheduling the next layer must know of those before.

    Parameters
    ----------
    geometry: of the accelerator.
    layouts: of every tensor, by name.
    placements: of every tensor that a convolution writes.
    concatenations: operands by concatenated tensor, in order of execution.
    by_row: tensors that LOAD_MAPs and STOREs move row by row, each row a chunk.

    Members
    -------
    weights, maps, computes: the queues.
    store_owner: by number of a STORE, the number of its COMPUTE.
    input, residual, output: the slices of the three memories.
    stored: by tensor, which STOREs write which part of it.
    """

    def __init__(
        self,
        geometry: Geometry,
        layouts: dict[str, MapLayout],
        placements: dict[str, Placement | None],
        concatenations: Mapping[str, Sequence[str]],
        by_row: Collection[str] = (),
    ) -> None:
        self.geometry = geometry
        self.by_row = frozenset(by_row)
        self.layouts = layouts
        self.placements = placements
        self.weights: list[WeightItem] = []
        self.maps: list[MapItem] = []
        self.computes: list[ComputeItem] = []
        self.store_owner: list[int] = []
        self.input = SliceRing(geometry.activation_depth)
        self.residual = SliceRing(geometry.residual_depth)
        self.output = SliceRing(geometry.output_depth)
        self.stored = {name: StoredParts(layout) for name, layout in layouts.items() if name not in concatenations}
        for name, operands in concatenations.items():
            self.stored[name] = StoredParts(layouts[name], [self.stored[operand] for operand in operands])

    @property
    def images(self) -> int:
        """Images that are computed at once."""
        return next(iter(self.layouts.values())).images
