"""What a program's instructions wrote where, searched backwards: from a word that is read to what brought it."""

import dataclasses

import numpy as np

from ...hdl.geometry import Geometry
from ...hdl.instructions import Compute, Instruction, InstructionError, LoadMap, Store, decode
from ...hdl.isa import INSTRUCTION_BYTES, KERNEL_SIZE, KERNEL_WORDS, Mode
from ..program.lane_groups import map_group
from ..program.program import Program
from .places import Convolved, DdrWord, Loaded, Source, Unwritten, Zero, ZeroKind


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComputedWord:
    """The word of the output memory that a COMPUTE wrote.

    Members
    -------
    number, compute: the instruction and its number in the program.
    plane: of those that it writes. group: the number of the outputs' position, row by row.
    """

    number: int
    compute: Compute
    plane: int
    group: int


class History:
    """The instructions of a program, and who wrote a word last before one of them, in program order.

    An instruction that cannot be decoded is None; the rest is as if it were not there.

    Members
    -------
    instructions: by number.
    faults: of those that cannot be decoded, in words.
    """

    def __init__(self, program: Program) -> None:
        self.geometry: Geometry = program.geometry
        self.instructions: list[Instruction | None] = []
        self.faults: list[str] = []
        for number in range(len(program.instructions) // INSTRUCTION_BYTES):
            code = program.instructions[number * INSTRUCTION_BYTES : (number + 1) * INSTRUCTION_BYTES]
            try:
                self.instructions.append(decode(code))
            except InstructionError as error:
                self.instructions.append(None)
                self.faults.append(f"instruction {number} cannot be decoded: {error}")
        self._loads = [(n, i) for n, i in enumerate(self.instructions) if isinstance(i, LoadMap)]
        self.computes = [(n, i) for n, i in enumerate(self.instructions) if isinstance(i, Compute)]
        self.stores = [(n, i) for n, i in enumerate(self.instructions) if isinstance(i, Store)]

    def computed(self, address: int, before: int) -> ComputedWord | None:
        """Who wrote a word of the output memories last before instruction `before`: every COMPUTE writes all lanes."""
        for number, compute in reversed(self.computes):
            if number >= before:
                continue
            for plane in reversed(range(output_planes(compute, self.geometry))):
                group = address - compute.output_base - plane * compute.output_pitch
                if 0 <= group < compute.groups:
                    return ComputedWord(number=number, compute=compute, plane=plane, group=group)
        return None

    def sources(self, lane: int, addresses: np.ndarray, before: int, *, residual: bool = False) -> list[Source]:
        """Who wrote words of a lane's activation (or residual) memory last before an instruction, and from where.

        Parameters
        ----------
        addresses: int64; those that nobody wrote are `Unwritten`.
        """
        result: list[Source] = [Unwritten()] * len(addresses)
        missing = np.ones(len(addresses), bool)
        for number, load in reversed(self._loads):
            if not missing.any():
                break
            if number >= before or load.kernels or load.residual != residual or not load.lane_mask >> lane & 1:
                continue
            for index, plane, word in self._written(load, lane, addresses, missing):
                result[index] = self._source(number, load, plane, word)
                missing[index] = False
        return result

    def _written(
        self, load: LoadMap, lane: int, addresses: np.ndarray, missing: np.ndarray
    ) -> list[tuple[int, int, int]]:
        """Of the addresses that are missing, those that a LOAD_MAP writes in a lane: index, plane, word of the padded
        plane."""
        group = map_group(load, self.geometry)
        first = (lane - group * self.geometry.group_lanes) * load.lane_step
        words = (max(0, min(load.lane_rows, padded_rows(load) - first))) * load.row_words
        found: dict[int, tuple[int, int, int]] = {}
        for plane in range(load.planes):  # of planes that overlap the last one counts
            offsets = addresses - load.base - plane * load.plane_pitch
            for index in np.flatnonzero(missing & (offsets >= 0) & (offsets < words)).tolist():
                found[index] = index, plane, int(offsets[index]) + first * load.row_words
        return list(found.values())

    def _source(self, number: int, load: LoadMap, plane: int, word: int) -> Source:
        row, column = divmod(word, load.row_words)
        row -= load.pad_top
        if not 0 <= row < read_rows(load):
            return Zero(kind=ZeroKind.ROW, load=number)
        if not load.depthwise:
            return Loaded(load=number, word=self.ddr_word(load, plane, row * load.row_words + column))
        taps = tuple(
            self._tap(load, plane, row * load.source_stride + y, column * load.source_stride + x)
            for y in range(KERNEL_SIZE) for x in range(KERNEL_SIZE)
        )  # fmt: skip
        group = map_group(load, self.geometry)
        kernel = tuple(
            self._kernel_word(group, load.kernel_base + plane * KERNEL_WORDS + place, number)
            for place in range(KERNEL_WORDS)
        )
        return Convolved(load=number, taps=taps, kernel=kernel, shift=load.shift, maximum=load.maximum)

    def _tap(self, load: LoadMap, plane: int, row: int, column: int) -> DdrWord | None:
        """A word of the depthwise unit's padded input; None: one of the zeros around it."""
        row, column = row - load.source_top, column - load.source_left
        rows = load.chunks * load.chunk_words // load.source_words
        if not (0 <= row < rows and 0 <= column < load.source_words):
            return None
        return self.ddr_word(load, plane, row * load.source_words + column)

    def _kernel_word(self, group: int, row: int, before: int) -> Loaded | None:
        """Who wrote a row of a group's kernel memory last before an instruction."""
        for number, load in reversed(self._loads):
            if number >= before or not load.kernels or map_group(load, self.geometry) != group:
                continue
            if load.base <= row < load.base + load.chunk_words:
                return Loaded(load=number, word=self.ddr_word(load, 0, row - load.base))
        return None

    def ddr_word(self, transfer: LoadMap | Store, plane: int, word: int) -> DdrWord:
        """The place of a plane's n-th word that a LOAD_MAP reads, or a STORE writes."""
        chunk, place = divmod(word, max(1, transfer.chunk_words))
        size = self.geometry.word_bytes
        address = transfer.address + plane * transfer.plane_stride + chunk * transfer.chunk_stride + place * size
        return DdrWord(region=transfer.region.name, address=address, size=size)


def output_planes(compute: Compute, geometry: Geometry) -> int:
    """Planes of the output memory that a COMPUTE writes."""
    return compute.passes if compute.mode is Mode.MAXIMUM else (1 + compute.output_digits) * geometry.tile_words


def read_rows(load: LoadMap) -> int:
    """Rows of a plane that a LOAD_MAP brings, without those of padding."""
    words = load.chunks * load.chunk_words
    if not load.depthwise:
        return words // max(1, load.row_words)
    rows = words // max(1, load.source_words) + load.source_top + load.source_bottom
    return max(0, rows - KERNEL_SIZE) // max(1, load.source_stride) + 1


def padded_rows(load: LoadMap) -> int:
    """Rows of a plane that a LOAD_MAP lays out for the lanes."""
    return load.pad_top + read_rows(load) + load.pad_bottom
