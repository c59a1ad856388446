"""What the schedule is made of: a sequence of instructions per engine, with what ties them together."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ...hdl.geometry import Geometry
from ...hdl.instructions import Compute, LoadConstants, LoadMap, LoadWeights, Store
from ..place.lanes import Placement
from ..program.map_layout import MapLayout
from .instructions import Draft
from .memory_slices import SlotRing


@dataclasses.dataclass(eq=False)
class WeightItem:
    """An instruction of the weights engine: how many weight words and tiles of constants it appends."""

    draft: Draft[LoadWeights] | Draft[LoadConstants]
    words: int = 0
    tiles: int = 0


@dataclasses.dataclass(eq=False)
class MapItem:
    """A LOAD_MAP: the number of the STORE whose data it needs (−1: none), and the slot that it is the first to fill."""

    draft: Draft[LoadMap]
    stored: int
    input_slot: int | None = None
    residual_slot: int | None = None


@dataclasses.dataclass(eq=False)
class ComputeItem:
    """A COMPUTE with the STOREs that follow it.

    Members
    -------
    weights, maps: how many items of the other two engines must come before it.
    steps: that it takes.
    releases, releases_constants: weight words and tiles of constants that it frees.
    input_slot, residual_slot, output_slot: slots it uses; None: no residual.
    opens_input, closes_input: it is the first, the last to use its input slot.
    """

    draft: Draft[Compute]
    stores: list[Draft[Store]]
    weights: int
    maps: int
    steps: int
    releases: int
    releases_constants: int
    input_slot: int
    residual_slot: int | None
    output_slot: int
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

    def add(self, number: int, rows: tuple[int, int], columns: tuple[int, int], words: tuple[int, int]) -> None:
        """STORE `number`, after all before it, writes a box; nothing is written twice."""
        self._last[slice(*words), slice(*rows), slice(*columns)] = number

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

    def last(self, rows: tuple[int, int], columns: tuple[int, int], words: tuple[int, int]) -> int:
        """The last STORE that wrote any of a box; −1 where none did."""
        first, latest = 0, -1
        for operand in self.operands:
            low, high = max(words[0] - first, 0), min(words[1] - first, operand.words)
            if low < high:
                latest = max(latest, operand.last(rows, columns, (low, high)))
            first += operand.words
        return int(self._last[slice(*words), slice(*rows), slice(*columns)].max(initial=latest))


class Sequences:
    """The sequences of instructions of all engines, and what scheduling the next layer must know of those before.

    Parameters
    ----------
    geometry: of the accelerator.
    layouts: of every tensor, by name.
    placements: of every tensor that a convolution writes.
    concatenations: operands by concatenated tensor, in order of execution.

    Members
    -------
    weights, maps, computes: the sequences.
    store_owner: by number of a STORE, the number of its COMPUTE.
    input, residual, output: the slots of the three memories.
    stored: by tensor, which STOREs write which part of it.
    """

    def __init__(
        self,
        geometry: Geometry,
        layouts: dict[str, MapLayout],
        placements: dict[str, Placement | None],
        concatenations: Mapping[str, Sequence[str]],
    ) -> None:
        self.geometry = geometry
        self.layouts = layouts
        self.placements = placements
        self.weights: list[WeightItem] = []
        self.maps: list[MapItem] = []
        self.computes: list[ComputeItem] = []
        self.store_owner: list[int] = []
        self.input = SlotRing(geometry.activation_depth)
        self.residual = SlotRing(geometry.residual_depth)
        self.output = SlotRing(geometry.output_depth)
        self.stored = {name: StoredParts(layout) for name, layout in layouts.items() if name not in concatenations}
        for name, operands in concatenations.items():
            self.stored[name] = StoredParts(layouts[name], [self.stored[operand] for operand in operands])

    @property
    def images(self) -> int:
        """Images that are computed at once."""
        return next(iter(self.layouts.values())).images
