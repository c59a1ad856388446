"""The depthwise unit's kernels: a memory of them, from which every plane's come in time."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ..geometry import Geometry
from ..interfaces import field_shape
from ..isa import DIGIT_BITS, KERNEL_ROWS, KERNEL_WORDS, LOAD_MAP

ROW = unsigned((KERNEL_ROWS - 1).bit_length())


class KernelRows(data.Struct):
    """A row of the memory, and how many planes' kernels follow from there on."""

    row: ROW
    planes: field_shape(LOAD_MAP, "planes")


class KernelStore(wiring.Component):
    """Holds `KERNEL_ROWS` rows of a digit for each of Ti channels, and reads those of one plane after another.

    Members
    -------
    write, row, digits: In, writes a row; not while planes' kernels are read.
    planes: which kernels are read; taken when those before have all been passed on.
    load, loaded: Out, a digit of the next plane's kernels, lowest first.
    there: Out, all digits of the next plane are there.
    take: In, they are taken; the plane after it follows. Only while `there`.
    idle: Out, no plane is left.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._digits = data.ArrayLayout(unsigned(DIGIT_BITS), geometry.word_channels)
        super().__init__({
            "write": In(1),
            "row": In(ROW),
            "digits": In(self._digits),
            "planes": In(stream.Signature(KernelRows)),
            "load": Out(1),
            "loaded": Out(self._digits),
            "there": Out(1),
            "take": In(1),
            "idle": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.rows = rows = memory.Memory(shape=self._digits.as_shape(), depth=KERNEL_ROWS, init=[])
        write, read = rows.write_port(), rows.read_port()
        left = Signal(KernelRows.as_shape()["planes"].shape)
        row = Signal(ROW)
        some = Signal()  # a plane is left
        digit = Signal(range(KERNEL_WORDS + 1))
        reading = some & (digit != KERNEL_WORDS)
        m.d.comb += [
            write.en.eq(self.write),
            write.addr.eq(self.row),
            write.data.eq(self.digits),
            read.addr.eq(row),
            read.en.eq(reading),
            self.loaded.eq(read.data),
            self.planes.ready.eq(~some),
            self.idle.eq(~some),
        ]
        m.d.sync += [self.load.eq(reading), self.there.eq(some & (digit == KERNEL_WORDS) & ~self.take)]
        with m.If(reading):
            m.d.sync += [row.eq(row + 1), digit.eq(digit + 1)]
        with m.If(self.take):
            m.d.sync += [left.eq(left - 1), some.eq(left != 1), digit.eq(0)]
        with m.If(self.planes.valid & self.planes.ready):
            m.d.sync += [
                left.eq(self.planes.p.planes), some.eq(self.planes.p.planes != 0), row.eq(self.planes.p.row),
                digit.eq(0),
            ]
        return m
