"""Jobs of the cycle model: instructions with what is left of each."""

from ..compiler.plan.load_cycles import OVERHEAD, unit_cycles
from ..compiler.program.lane_groups import map_group
from ..compiler.program.traffic import chip_words, read_bytes
from ..hdl.geometry import Geometry
from ..hdl.instructions import Compute, Instruction, LoadMap, Store
from ..hdl.isa import KERNEL_SIZE, Mode

STORE_OVERHEAD = 4
"""Cycles of a STORE's chunk beside its words."""
CHIP_OVERHEAD = 6
"""Cycles of a LOAD_MAP from the map memory, or of a STORE to it, beside its words."""
RECORD_CYCLES = 20
"""Cycles in which a log record holds up the words behind it."""


class Job:
    """An instruction: what it waits for, what it signals, and what is left of it.

    Members
    -------
    instruction: what is executed.
    waits, signals: its tokens, in ascending order.
    group: of pixel lanes, that executes it.
    bytes_left: that a bus has yet to carry. cycles_left: that it takes beside or after them.
    taken, ended: cycles in which its tokens were taken, and in which it ended.
    """

    def __init__(self, geometry: Geometry, instruction: Instruction) -> None:
        self.instruction = instruction
        self.group = map_group(instruction, geometry) if isinstance(instruction, LoadMap | Store) else 0
        self.waits, self.signals = sorted(instruction.wait), sorted(instruction.signal)
        self.taken = 0.0
        self.ended: float | None = None
        self.bytes_left = float(read_bytes(geometry, instruction))
        self.cycles_left = 0.0
        if isinstance(instruction, LoadMap):
            rows = instruction.planes * (instruction.pad_top + instruction.pad_bottom)
            self.cycles_left = float(rows * instruction.row_words) + _depthwise_cycles(geometry, instruction)
        elif isinstance(instruction, Store):
            self.bytes_left = float((instruction.moved_words - chip_words(instruction)) * geometry.word_bytes)
            self.cycles_left = float(RECORD_CYCLES * instruction.crc_emit)
            if self.bytes_left:
                self.cycles_left += STORE_OVERHEAD * instruction.planes * instruction.chunks
        if words := chip_words(instruction):
            self.cycles_left += CHIP_OVERHEAD + words


class ComputeJob(Job):
    """A COMPUTE.

    Parameters
    ----------
    spacing: cycles at least between the captures of two groups.

    Members
    -------
    group_cycles: of one group of outputs. total_cycles: of all of them. words: weight words that a group reads.
    """

    def __init__(self, geometry: Geometry, instruction: Compute, spacing: int) -> None:
        super().__init__(geometry, instruction)
        self.compute = instruction
        self.groups = instruction.groups
        self.convolves = instruction.mode is Mode.CONVOLVE
        steps = instruction.group_steps
        self.group_cycles = max(steps, spacing) if self.convolves else steps
        self.total_cycles = self.groups * self.group_cycles
        self.words = instruction.weight_words * (2 if instruction.weight_digit_mask else 1)
        self.cycles_left = float(self.total_cycles)


def job_of(geometry: Geometry, instruction: Instruction, spacing: int) -> Job:
    """An instruction's job; `spacing` as `ComputeJob` takes it."""
    if isinstance(instruction, Compute):
        return ComputeJob(geometry, instruction, spacing)
    return Job(geometry, instruction)


def _depthwise_cycles(geometry: Geometry, load: LoadMap) -> float:
    """Cycles that the depthwise unit takes longer than the bus."""
    if not load.depthwise:
        return 0.0
    words = load.chunks * load.chunk_words
    rows = words // load.source_words + load.source_top + load.source_bottom
    columns = load.source_words + load.source_left + load.source_right
    outputs = ((rows - KERNEL_SIZE) // load.source_stride + 1) * load.row_words
    unit = float(unit_cycles(geometry, rows * columns, outputs))
    if (parts := geometry.word_channels // geometry.depthwise_channels) > 1:
        # A window takes a cycle for each part of its words; before a plane's first one come all rows above its last.
        unit = max(unit, (KERNEL_SIZE - 1) * columns + parts * outputs)
    bus = words if load.on_chip else words * geometry.cycles_per_word
    return OVERHEAD + load.planes * max(0.0, unit - bus)
