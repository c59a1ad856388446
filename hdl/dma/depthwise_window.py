"""Windows of 3 × 3 positions over the rows of planes, with zeros around them."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, enum, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ..geometry import Geometry
from ..isa import DEPTHWISE_COLUMNS, KERNEL_TAPS
from .gearbox import word_layout
from .placer import PLACE


class Phase(enum.Enum, shape=2):
    """Which rows of a padded plane come."""

    TOP = 0
    READ = 1
    BOTTOM = 2


class Source(data.Struct):
    """Rows as read, and what is around them."""

    last_column: unsigned((DEPTHWISE_COLUMNS - 1).bit_length())
    """Words of a row with its zero columns, − 1; at least 2."""
    top: unsigned(1)
    bottom: unsigned(1)
    left: unsigned(1)
    right: unsigned(1)
    skip: unsigned(1)
    """Every second row and column of windows is left out: stride 2."""


class WindowFormer(wiring.Component):
    """The windows of a plane, row by row.

    One position of the padded plane a cycle, zeros or a word; a window stays until it is taken, and no word is taken
    meanwhile beyond the next two.

    Members
    -------
    begin: a plane begins with the next word; only when `idle`.
    source: In; does not change within a plane.
    words: a plane's words; the plane ends with the request that is its `plane_end`.
    window: nine taps of Ti slots, row by row.
    wrong: the plane ends within a row, or has fewer than three rows.
    idle: every window of the plane is taken.
    active: a position is passed.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = g = geometry
        super().__init__({
            "begin": In(1),
            "source": In(Source),
            "words": In(stream.Signature(word_layout(word_bits=g.word_bits, tag=PLACE))),
            "window": Out(stream.Signature(data.ArrayLayout(unsigned(g.word_bits), KERNEL_TAPS))),
            "wrong": Out(1),
            "idle": Out(1),
            "active": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        source = self.source
        # The two words above the current one; of a plane's first two rows they are of no interest.
        m.submodules.above = above = memory.Memory(shape=2 * g.word_bits, depth=DEPTHWISE_COLUMNS, init=[])
        read, write = above.read_port(), above.write_port()
        formed_ready = Signal()

        # Cycle 0: the sequence of positions.
        busy = Signal()
        phase = Signal(Phase)
        column = Signal.like(source.last_column)
        beyond = Signal(len(column) + 1)
        over = Signal()  # the plane's last word was taken
        ready, move, read_end, plane_end = Signal(), Signal(), Signal(), Signal()
        row_begin, row_end = Signal(init=1), Signal()  # the first and the last column: registers of their own
        zero = (phase != Phase.READ) | (source.left & row_begin) | (source.right & row_end)
        # Numbers of row and column: 0, 1, 2, 3, 2, 3, …; from 2 on a window ends there.
        row_number, column_number = Signal(2), Signal(2)
        m.d.comb += [
            move.eq(busy & ready & (zero | self.words.valid)),
            self.active.eq(move),
            self.words.ready.eq(busy & ready & ~zero),
            read_end.eq(move & ~zero & self.words.p.last & self.words.p.tag.plane_end),
            beyond.eq(column + 1),
            read.en.eq(move),
            read.addr.eq(column),
        ]
        due = row_number[1] & column_number[1] & ~(source.skip & (row_number[0] | column_number[0]))
        with m.If(read_end):
            m.d.sync += over.eq(1)
        with m.If(move):
            m.d.sync += [
                column.eq(beyond), column_number.eq(_following(column_number)), row_begin.eq(row_end),
                row_end.eq(~row_end & (beyond == source.last_column)),
            ]
            with m.If(row_end):
                m.d.sync += [column.eq(0), column_number.eq(0), row_number.eq(_following(row_number))]
                with m.Switch(phase):
                    with m.Case(Phase.TOP):
                        m.d.sync += phase.eq(Phase.READ)
                    with m.Case(Phase.READ):
                        with m.If(over | read_end):
                            m.d.sync += phase.eq(Phase.BOTTOM)
                            m.d.comb += plane_end.eq(~source.bottom)
                    with m.Case(Phase.BOTTOM):
                        m.d.comb += plane_end.eq(1)
        with m.If(plane_end):
            m.d.sync += busy.eq(0)
        with m.If(self.begin):
            m.d.sync += [
                busy.eq(1), over.eq(0), row_number.eq(0), phase.eq(Mux(source.top, Phase.TOP, Phase.READ)),
            ]
        m.d.comb += self.wrong.eq(
            read_end & ~Mux(source.right, beyond == source.last_column, row_end) | plane_end & ~row_number[1]
        )

        # Cycle 1: the position's column of three words, whose lower two will be above the next row's.
        entering, entering_due = Signal(), Signal()
        word = Signal(g.word_bits, reset_less=True)
        m.d.comb += [
            ready.eq(~entering | formed_ready),
            write.en.eq(entering & formed_ready),
            write.data.eq(Cat(word, read.data[: g.word_bits])),
        ]
        with m.If(ready):
            m.d.sync += entering.eq(move)
        with m.If(move):
            m.d.sync += [word.eq(Mux(zero, 0, self.words.p.data)), entering_due.eq(due), write.addr.eq(column)]

        # Cycle 2: the window.
        formed = Signal()
        window = Signal(self.window.p.shape(), reset_less=True)
        m.d.comb += [
            formed_ready.eq(~formed | self.window.ready),
            self.window.valid.eq(formed),
            self.window.p.eq(window),
            self.idle.eq(~busy & ~entering & ~formed),
        ]
        with m.If(formed_ready):
            m.d.sync += formed.eq(entering & entering_due)
        with m.If(write.en):
            newest = (read.data[g.word_bits :], read.data[: g.word_bits], word)
            for row, latest in enumerate(newest):
                m.d.sync += [window[3 * row + tap].eq(window[3 * row + tap + 1]) for tap in range(2)]
                m.d.sync += window[3 * row + 2].eq(latest)
        return m


def _following(number: Signal) -> Value:
    """0, 1, 2, 3, 2, 3, …"""
    return Cat(~number[0], number[0] | number[1])
