"""Where the words of a LOAD_MAP go: rows of padded planes, to the pixel lanes' memories."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .. import isa
from ..compute.pipeline import delay
from ..geometry import Geometry
from ..interfaces import LOCAL_ADDRESS_BITS, field_shape, lane_write_signature
from ..stream_registers import SkidBuffer
from .bursts import times
from .gearbox import word_layout

PLACE = data.StructLayout({"plane_end": 1, "final": 1})
"""A request's place in its instruction: a plane's last one, of the last plane."""


class MapRows(data.Struct):
    """What the words of a LOAD_MAP become: the fields of the instruction that the lanes' side needs."""

    layer: unsigned(isa.LAYER_BITS)
    signal: unsigned(isa.TOKEN_MASK_BITS)
    row_words: field_shape(isa.LOAD_MAP, "row_words")
    pad_top: field_shape(isa.LOAD_MAP, "pad_top")
    pad_bottom: field_shape(isa.LOAD_MAP, "pad_bottom")
    lane_step: field_shape(isa.LOAD_MAP, "lane_step")
    lane_rows: field_shape(isa.LOAD_MAP, "lane_rows")
    lane_mask: field_shape(isa.LOAD_MAP, "lane_mask")
    residual: unsigned(1)
    base: field_shape(isa.LOAD_MAP, "base")
    plane_pitch: field_shape(isa.LOAD_MAP, "plane_pitch")


class LanePlacer(wiring.Component):
    """Writes the rows of padded planes to the pixel lanes whose window they are in.

    Members
    -------
    rows: what comes next; taken when the words of the one before are all placed.
    words: the words read, `last` of their chunks, tagged with their place in the instruction.
    lane_write: registered; five cycles after a word is taken.
    signals: the instruction's tokens, the cycle after its last write.
    wrong: rows do not end with their plane, or a lane's address is beyond its memory (the write is suppressed); a cycle
        after it is seen.
    layer: of what is wrong.
    stop: nothing is written any more, and no token given; words that are taken are lost.
    idle: nothing is under way.
    """

    def __init__(self, geometry: Geometry) -> None:
        g = self._geometry = geometry
        super().__init__({
            "rows": In(stream.Signature(MapRows)),
            "words": In(stream.Signature(word_layout(word_bits=g.word_bits, tag=PLACE))),
            "lane_write": Out(lane_write_signature(g)),
            "signals": Out(isa.TOKEN_MASK_BITS),
            "wrong": Out(1),
            "layer": Out(isa.LAYER_BITS),
            "stop": In(1),
            "idle": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        lanes = g.pixel_lanes
        row_bits = 13  # of 4,095 rows read and two times 63 of padding

        # Registers for what is read, with what a word ends.
        m.submodules.arriving = arriving = SkidBuffer(
            data.StructLayout({"data": g.word_bits, "plane_end": 1, "final": 1, "finish": 1})
        )
        read, source = arriving.sink, self.words.p
        plane_ends = source.last & source.tag.plane_end
        m.d.comb += [
            arriving.source.valid.eq(self.words.valid),
            self.words.ready.eq(arriving.source.ready),
            arriving.source.p.data.eq(source.data),
            arriving.source.p.plane_end.eq(plane_ends),
            arriving.source.p.final.eq(source.tag.final),
            arriving.source.p.finish.eq(plane_ends & source.tag.final),
        ]

        # Cycle 0: the sequence of words, padding included.
        busy = Signal()
        rows = Signal(MapRows, reset_less=True)
        reading, below = Signal(), Signal()  # rows that are read come; else padding, above or below them
        column, row = Signal(12), Signal(row_bits)
        pad = Signal.like(rows.pad_top)  # padding rows that are left above or below, this one included
        pad_ends, topless, bottomless = Signal(), Signal(), Signal()  # one is left; a plane has none: a step ahead
        plane_base = Signal(LOCAL_ADDRESS_BITS)
        first, final = Signal(), Signal()
        single, row_end = Signal(), Signal()  # rows have one word; it is the row's last word: a step ahead
        move, plane_end, done, ragged = Signal(), Signal(), Signal(), Signal()
        may_end = Signal()  # the word is a plane's last one; of a row that is read: if the plane says so
        m.d.comb += [
            read.ready.eq(reading),
            move.eq(busy & (~reading | read.valid)),
            may_end.eq(row_end & Mux(reading, bottomless, busy & below & pad_ends)),
            plane_end.eq(may_end & (~reading | (read.valid & read.p.plane_end))),
            done.eq(may_end & Mux(reading, read.valid & read.p.finish, final)),
            ragged.eq(reading & read.valid & read.p.plane_end & ~row_end),
        ]
        with m.If(move):
            m.d.sync += [
                column.eq(Mux(row_end, 0, column + 1)), first.eq(0),
                row_end.eq(Mux(row_end, single, column + 2 == rows.row_words)),
            ]
            with m.If(row_end):
                m.d.sync += row.eq(row + 1)
                with m.If(reading):
                    m.d.sync += final.eq(read.p.final)
                    with m.If(read.p.plane_end):
                        m.d.sync += [reading.eq(0), below.eq(1)]
                with m.Elif(pad_ends):
                    m.d.sync += reading.eq(1)
        with m.If(plane_end | ~busy):
            m.d.sync += [row.eq(0), column.eq(0), first.eq(1), below.eq(0)]
        with m.If(plane_end):
            m.d.sync += [plane_base.eq(plane_base + rows.plane_pitch), reading.eq(topless)]
        m.d.comb += self.rows.ready.eq(~busy | done)
        coming = self.rows.p
        with m.If(self.rows.ready):
            # What comes next is taken whether there is any or not: `busy` says so.
            of_one, without_top = coming.row_words == 1, coming.pad_top == 0
            m.d.sync += [
                busy.eq(self.rows.valid), rows.eq(coming), plane_base.eq(coming.base), single.eq(of_one),
                row_end.eq(of_one), reading.eq(self.rows.valid & without_top), topless.eq(without_top),
                bottomless.eq(coming.pad_bottom == 0),
            ]
        # While rows are read, what is below them is at hand; whether a word comes then does not matter.
        with m.If(reading | row_end | ~busy):
            m.d.sync += [pad.eq(pad - 1), pad_ends.eq(pad == 2)]
            with m.If(self.rows.ready):
                m.d.sync += [pad.eq(coming.pad_top), pad_ends.eq(coming.pad_top == 1)]
            with m.Elif(plane_end):
                m.d.sync += [pad.eq(rows.pad_top), pad_ends.eq(rows.pad_top == 1)]
            with m.Elif(reading):
                m.d.sync += [pad.eq(rows.pad_bottom), pad_ends.eq(rows.pad_bottom == 1)]

        # Cycle 1: the word with its row number; the lanes' windows, which lag behind `rows` by a cycle like the word.
        word, word_read = Signal(g.word_bits, reset_less=True), Signal()  # zeros if it is not read
        word_valid, word_first, word_done, word_residual = Signal(), Signal(), Signal(), Signal()
        word_row, word_base = Signal(row_bits), Signal(LOCAL_ADDRESS_BITS)
        word_signal, word_layer = Signal(isa.TOKEN_MASK_BITS), Signal(isa.LAYER_BITS)
        m.d.sync += [
            word.eq(read.p.data), word_read.eq(reading), word_valid.eq(move), word_row.eq(row), word_first.eq(first),
            word_base.eq(plane_base), word_done.eq(done), word_signal.eq(rows.signal), word_layer.eq(rows.layer),
            word_residual.eq(rows.residual),
        ]
        start_bits = 12 + (lanes - 1).bit_length()
        starts = [Signal(start_bits, name=f"start_{lane}") for lane in range(lanes)]
        window, mask = Signal(12), Signal(lanes)
        m.d.sync += [window.eq(rows.lane_rows), mask.eq(rows.lane_mask)]
        m.d.sync += [start.eq(times(rows.lane_step, lane)) for lane, start in enumerate(starts)]

        # Cycle 2: how far the row is from the first one of each lane's window.
        distance_bits = max(row_bits, start_bits) + 1
        distances = [Signal(distance_bits, name=f"distance_{lane}") for lane in range(lanes)]
        m.d.sync += [distance.eq(word_row - start) for distance, start in zip(distances, starts)]

        def far(signal: Signal, *, reset: bool = False) -> Signal:
            return delay(m, signal, 1, name=f"{signal.name}_far", reset=reset)

        far_window, far_mask = far(window), far(mask)
        far_valid = far(word_valid, reset=True)
        far_word = delay(m, Mux(word_read, word, 0), 1, name="word_far")
        far_first, far_done = far(word_first), far(word_done)
        far_base, far_residual, far_signal, far_layer = (
            far(word_base), far(word_residual), far(word_signal), far(word_layer)
        )  # fmt: skip

        # Cycle 3: who takes it, and where. A distance is above every window when the row is before it.
        write = self.lane_write
        takes = Signal(lanes)
        enable = Signal(lanes)
        for lane, distance in enumerate(distances):
            pointer = Signal(LOCAL_ADDRESS_BITS, name=f"pointer_{lane}")
            place = Mux(far_first, far_base, pointer)
            m.d.comb += takes[lane].eq(far_mask[lane] & (distance < far_window))
            with m.If(far_valid):
                m.d.sync += [pointer.eq(place + takes[lane]), write.address[lane].eq(place)]
        given, given_valid = Signal(isa.TOKEN_MASK_BITS), Signal()
        write_layer = Signal(isa.LAYER_BITS)
        m.d.sync += [
            enable.eq(Mux(far_valid & ~self.stop, takes, 0)), write.data.eq(far_word), write.residual.eq(far_residual),
            write_layer.eq(far_layer), given.eq(far_signal), given_valid.eq(far_done & far_valid),
        ]

        # Cycle 4: the write, unless it is beyond the memory; the tokens follow it.
        beyond = Signal(lanes)
        m.d.comb += [
            beyond.eq(Cat(
                enable[lane] & (address >= Mux(write.residual, g.residual_depth, g.activation_depth))
                for lane, address in enumerate(write.address)
            )),
            write.enable.eq(enable & ~beyond),
            self.idle.eq(~busy & ~word_valid & ~far_valid & ~given_valid & ~enable.any() & ~self.signals.any()),
        ]
        m.d.sync += [
            self.wrong.eq(beyond.any() | ragged),
            self.layer.eq(Mux(beyond.any(), write_layer, rows.layer)),
            self.signals.eq(Mux(given_valid & ~self.stop & ~self.wrong & ~beyond.any(), given, 0)),
        ]
        return m
