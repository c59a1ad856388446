"""What is said of a value: the instructions that make it, and every memory word that it is made of."""

import dataclasses

from ...hdl.geometry import LaneClass
from ...hdl.instructions import Compute
from ..program.program import LayerRecord
from .places import BitField, DdrWord, Source
from .rings import Constants, WeightWord


@dataclasses.dataclass(frozen=True, kw_only=True)
class Position:
    """A value of a layer's output: `image` of those that a run computes; channel, row and column of the tensor."""

    channel: int
    row: int
    column: int
    image: int = 0

    def __str__(self) -> str:
        return f"image {self.image}, channel {self.channel}, row {self.row}, column {self.column}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredDigit:
    """Where a code, or a digit of one that is wider than a slot, is stored.

    Members
    -------
    word, bits: the word in DDR, and which of its bits.
    store: number of the STORE that writes it.
    lane, address: the pixel lane, and the address in its output memory that the STORE reads.
    crc_register: the register that the word's bytes go to.
    emitter, slot: number of the STORE that writes that register to the log, and the slot; None where none does.
    """

    word: DdrWord
    bits: BitField
    store: int
    lane: int
    address: int
    crc_register: int
    emitter: int | None
    slot: int | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowStep:
    """A step of the array (or the pool) for the value: a word of codes, and of weights.

    Members
    -------
    digit_pass: the pass; its bits in the masks of the COMPUTE say what becomes of it.
    kernel_y, kernel_x, channel: of the loop nest.
    address: in the pixel lane's activation memory.
    source: where the codes come from.
    weights: None in a max pool.
    """

    digit_pass: int
    kernel_y: int
    kernel_x: int
    channel: int
    address: int
    source: Source
    weights: WeightWord | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResidualDigit:
    """A word of a residual operand: the address in the pixel lane's residual memory, and where it comes from."""

    address: int
    source: Source


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilterPlace:
    """The filter that makes a value.

    Members
    -------
    tile: number of the layer's tile. word: the output word of the tile that the channel is in.
    lane, lane_class: the filter lane.
    weight_bits: of each weight word, those of the lane's Ti weights.
    constants: where M, B and the offset are.
    """

    tile: int
    word: int
    lane: int
    lane_class: LaneClass
    weight_bits: BitField
    constants: Constants


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """Where in the layer and in the program a COMPUTE and a position of it stand.

    Members
    -------
    number, of: place of the COMPUTE among those of the layer, from 0; how many there are.
    block: number of the filling of the activation memory that it reads, among those of the layer, from 0.
    in_block: its place among the COMPUTEs of that filling, from 0.
    steps_before: steps that the array makes in the run before the first one for the value.
    """

    number: int
    of: int
    block: int
    in_block: int
    steps_before: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Explanation:
    """How a program makes a value.

    Members
    -------
    layer, tensor, position: what is explained. bits: of the tensor.
    channel_word, slot: where the channel lies in the tensor's words.
    stored: by digit, the more significant first.
    pixel_lane, lane_group: that compute it.
    compute_number, compute: the instruction and its number in the program.
    group, output_y, output_x: the position among those that the COMPUTE computes: its number, row and column.
    filter: that makes the channel; None in a max pool, which has none.
    standing: of the COMPUTE.
    steps: every step of the window, pass by pass.
    residual: by digit; empty without a residual.
    findings: what is not as a healthy program has it, in words.
    """

    layer: LayerRecord
    tensor: str
    bits: int
    position: Position
    channel_word: int
    slot: int
    stored: tuple[StoredDigit, ...]
    pixel_lane: int
    lane_group: int
    compute_number: int
    compute: Compute
    group: int
    output_y: int
    output_x: int
    filter: FilterPlace | None
    standing: Standing
    steps: tuple[WindowStep, ...]
    residual: tuple[ResidualDigit, ...]
    findings: tuple[str, ...]

    @property
    def loads(self) -> tuple[int, ...]:
        """Numbers of the LOAD_MAPs that bring the window, ascending, those of kernels and residuals included."""
        sources = (*(step.source for step in self.steps), *(digit.source for digit in self.residual))
        return tuple(sorted({load for source in sources for load in source.loads}))

    @property
    def weight_loads(self) -> tuple[int, ...]:
        """Numbers of the LOAD_WEIGHTS that bring the weights, ascending."""
        words = (step.weights for step in self.steps)
        return tuple(sorted({word.load for word in words if word is not None and word.load is not None}))
