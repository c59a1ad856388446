"""The weight ring and the ring of constants: which word of which load a COMPUTE reads."""

import bisect
import dataclasses
import itertools

from ...hdl.geometry import CONSTANT_BITS, Geometry
from ...hdl.instructions import Compute, LoadConstants, LoadWeights
from ...hdl.isa import Mode
from .history import History
from .places import BitField, DdrWord, Loaded


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightWord:
    """A weight word.

    Members
    -------
    number: counted from the start of the run; it lies at `place` = number mod depth of the ring.
    load: number of the LOAD_WEIGHTS that appended it; None: it is used, but none did.
    slices: its bytes, a slice of each weight port, lowest bits first.
    """

    number: int
    place: int
    load: int | None
    slices: tuple[DdrWord, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Constants:
    """A filter's constants: `tile` is counted from the start of the run; `source` is None where nobody loaded it."""

    tile: int
    source: Loaded | None


class RingContents:
    """Both rings over a program, in program order."""

    def __init__(self, history: History) -> None:
        self.geometry: Geometry = history.geometry
        self._weights: list[tuple[int, LoadWeights]] = []
        self._constants: list[tuple[int, LoadConstants]] = []
        self._released: dict[int, tuple[int, int]] = {}  # by COMPUTE: weight words and tiles released before it
        words = tiles = 0
        for number, instruction in enumerate(history.instructions):
            match instruction:
                case LoadWeights():
                    self._weights.append((number, instruction))
                case LoadConstants():
                    self._constants.append((number, instruction))
                case Compute():
                    self._released[number] = words, tiles
                    if instruction.mode is Mode.CONVOLVE and instruction.release:
                        words += instruction.final_mask.bit_count() * instruction.weight_words
                    tiles += instruction.release_constants
        self._first_word = [0, *itertools.accumulate(load.words for _, load in self._weights)]
        self._first_tile = [0, *itertools.accumulate(load.tiles for _, load in self._constants)]

    def weight_word(self, number: int, compute: Compute, digit_pass: int, step: int) -> WeightWord:
        """The word that step `step` of a pass of COMPUTE `number` reads."""
        run = compute.weight_digit_mask >> digit_pass & 1
        word = self._released[number][0] + compute.weight_offset + run * compute.weight_words + step
        index = bisect.bisect_right(self._first_word, word) - 1
        place = word % self.geometry.weight_depth
        if index >= len(self._weights) or self._weights[index][0] > number:
            return WeightWord(number=word, place=place, load=None, slices=())
        load_number, load = self._weights[index]
        size = self.geometry.weight_slice_bits // 8
        begin = load.address + (word - self._first_word[index]) * size
        slices = tuple(
            DdrWord(region=load.region.name, address=begin + port * load.port_stride, size=size)
            for port in range(self.geometry.weight_ports)
        )
        return WeightWord(number=word, place=place, load=load_number, slices=slices)

    def constants(self, number: int, compute: Compute, filter_lane: int) -> Constants:
        """The constants of a filter lane that COMPUTE `number` uses."""
        tile = self._released[number][1] + compute.constant_offset
        index = bisect.bisect_right(self._first_tile, tile) - 1
        if index >= len(self._constants) or self._constants[index][0] > number:
            return Constants(tile=tile, source=None)
        load_number, load = self._constants[index]
        unit, row = divmod(filter_lane, self.geometry.drain_cycles)
        size = CONSTANT_BITS // 8
        tile_bytes = self.geometry.tile_filters * size
        address = load.address + (tile - self._first_tile[index]) * tile_bytes
        address += (row * self.geometry.post_units + unit) * size
        word = DdrWord(region=load.region.name, address=address, size=size)
        return Constants(tile=tile, source=Loaded(load=load_number, word=word))


def weight_bits(geometry: Geometry, filter_lane: int) -> BitField:
    """A filter lane's weights in a weight word: of each of Ti channels in turn."""
    widths = [kind.weight_bits * geometry.word_channels for kind in geometry.lanes]
    return BitField(first=sum(widths[:filter_lane]), width=widths[filter_lane])
