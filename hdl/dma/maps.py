"""The maps engine: LOAD_MAP, from DDR into the pixel lanes' activation or residual memories."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from .. import isa
from ..geometry import Geometry
from ..interfaces import (
    LOCAL_ADDRESS_BITS,
    bases_layout,
    engine_members,
    instruction_layout,
    lane_write_signature,
)
from .axi import Direction, axi4_master
from .bursts import times
from .faults import report_first
from .gearbox import Unpacker, word_layout
from .reader import BurstReader

BUFFERED_WORDS = 32
"""Words held between bus and lanes: they keep the bus busy while padding rows are written."""

OUTSTANDING_BURSTS = 16

_PLACE = data.StructLayout({"plane_end": 1, "final": 1})
_TAG = data.StructLayout({"layer": 12, "place": _PLACE})


class MapRows(data.Struct):
    """What the words of a LOAD_MAP become: the fields of the instruction that the lanes' side needs."""

    layer: unsigned(12)
    signal: unsigned(8)
    row_words: unsigned(12)
    pad_top: unsigned(6)
    pad_bottom: unsigned(6)
    lane_step: unsigned(12)
    lane_rows: unsigned(12)
    lane_mask: unsigned(16)
    residual: unsigned(1)
    base: unsigned(16)
    plane_pitch: unsigned(16)


class _Phase(enum.Enum, shape=2):
    TOP = 0
    READ = 1
    BOTTOM = 2


class MapRequester(wiring.Component):
    """Takes LOAD_MAP instructions and asks for their chunks; hands what the lanes' side needs to `rows`.

    An instruction is held until all its chunks are asked for and `rows` has been taken, so the chunks of the next one
    are asked for while words of this one still arrive.

    Members
    -------
    instruction, bases: as the engine's.
    requests: to a BurstReader; the tag names the layer, `plane_end` in a plane's last chunk, `final` in the last plane.
    rows: one `MapRows` per instruction, in order.
    unknown, wrong: the instruction held is not LOAD_MAP, or a field is out of range; nothing is asked for then.
    layer: of the instruction held.
    held: there is one.
    stop: takes and asks for nothing more.
    """

    def __init__(self, geometry: Geometry) -> None:
        g = self._geometry = geometry
        request = data.StructLayout({"address": g.address_bits, "bytes": 20 + g.word_bytes.bit_length(), "tag": _TAG})
        super().__init__({
            "instruction": In(stream.Signature(isa.INSTRUCTION_BITS)),
            "bases": In(bases_layout(g)),
            "requests": Out(stream.Signature(request)),
            "rows": Out(stream.Signature(MapRows)),
            "unknown": Out(1),
            "wrong": Out(1),
            "layer": Out(12),
            "held": Out(1),
            "stop": In(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        load = data.View(instruction_layout(isa.LOAD_MAP), self.instruction.p)
        held, asking, passing = Signal(), Signal(), Signal()
        opcode = Signal(4)
        planes, chunks, chunks_left = Signal(12), Signal(12), Signal(12)
        plane_stride, chunk_stride, chunk_words = Signal(28), Signal(24), Signal(20)
        plane_address, address = Signal(g.address_bits), Signal(g.address_bits)
        rows = Signal(MapRows)

        m.d.comb += [
            self.held.eq(held),
            self.layer.eq(rows.layer),
            self.unknown.eq(held & (opcode != isa.Opcode.LOAD_MAP)),
            self.wrong.eq(held & (
                (planes == 0) & asking | (chunks == 0) | (chunk_words == 0) | (rows.row_words == 0)
                | (rows.lane_rows == 0) | (rows.lane_mask == 0) | rows.lane_mask[g.pixel_lanes:].any()
            )),
        ]
        sound = held & ~self.unknown & ~self.wrong & ~self.stop
        last_chunk, last_plane = chunks_left == 1, planes == 1
        m.d.comb += [
            self.instruction.ready.eq(~held & ~self.stop),
            self.requests.valid.eq(asking & sound),
            self.requests.p.address.eq(address),
            self.requests.p.bytes.eq(times(chunk_words, g.word_bytes)),
            self.requests.p.tag.layer.eq(rows.layer),
            self.requests.p.tag.place.plane_end.eq(last_chunk),
            self.requests.p.tag.place.final.eq(last_plane),
            self.rows.valid.eq(passing & sound),
            self.rows.p.eq(rows),
        ]
        with m.If(self.requests.valid & self.requests.ready):
            following = Signal(g.address_bits)
            m.d.comb += following.eq(Mux(last_chunk, plane_address, address)
                                     + Mux(last_chunk, plane_stride, chunk_stride))
            m.d.sync += [address.eq(following), chunks_left.eq(chunks_left - 1)]
            with m.If(last_chunk):
                m.d.sync += [plane_address.eq(following), planes.eq(planes - 1), chunks_left.eq(chunks)]
                with m.If(last_plane):
                    m.d.sync += asking.eq(0)
        with m.If(self.rows.valid & self.rows.ready):
            m.d.sync += passing.eq(0)
        with m.If(held & ~asking & ~passing):
            m.d.sync += held.eq(0)
        with m.If(self.instruction.valid & self.instruction.ready):
            start = Signal(g.address_bits)
            m.d.comb += start.eq(self.bases[load.region] + load.address)
            m.d.sync += [
                held.eq(1), asking.eq(1), passing.eq(1), opcode.eq(load.opcode),
                planes.eq(load.planes), plane_stride.eq(load.plane_stride),
                chunks.eq(load.chunks), chunks_left.eq(load.chunks), chunk_stride.eq(load.chunk_stride),
                chunk_words.eq(load.chunk_words), plane_address.eq(start), address.eq(start),
                *(rows[name].eq(load[name]) for name, _ in MapRows.as_shape() if name != "reserved"),
            ]
        return m


class MapsEngine(wiring.Component):
    """Executes LOAD_MAP: chunks from DDR, padding rows around them, each row to the pixel lanes whose window it is in.

    One word a cycle, or as many as the bus brings. Requests run ahead, over planes and into the next instruction.

    Members
    -------
    `interfaces.engine_members`, and
    bases: base address by region.
    lane_write: words to the lanes' memories, registered.
    axi: the read master.
    """

    def __init__(self, geometry: Geometry) -> None:
        g = self._geometry = geometry
        super().__init__({
            **engine_members(),
            "bases": In(bases_layout(g)),
            "lane_write": Out(lane_write_signature(g)),
            "axi": Out(axi4_master(data_bits=g.maps_bus_bits, address_bits=g.address_bits, direction=Direction.READ)),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        m.submodules.requester = requester = MapRequester(g)
        m.submodules.reader = reader = BurstReader(
            data_bits=g.maps_bus_bits, address_bits=g.address_bits, maximum_burst=g.maximum_burst,
            outstanding=OUTSTANDING_BURSTS, length_bits=20 + g.word_bytes.bit_length(), tag=_TAG,
        )
        m.submodules.unpacker = unpacker = Unpacker(data_bits=g.maps_bus_bits, word_bits=g.word_bits, tag=_PLACE)
        m.submodules.placer = placer = LanePlacer(g)
        wiring.connect(m, wiring.flipped(self.instruction), requester.instruction)
        wiring.connect(m, wiring.flipped(self.axi), reader.axi)
        wiring.connect(m, requester.requests, reader.requests)
        wiring.connect(m, requester.rows, placer.rows)
        wiring.connect(m, wiring.flipped(self.lane_write), placer.lane_write)

        beat, source = unpacker.beats.p, reader.beats.p
        m.submodules.buffer = buffer = SyncFIFO(width=unpacker.words.p.shape().size, depth=BUFFERED_WORDS)
        m.d.comb += [
            *(beat[name].eq(source[name]) for name in ("data", "offset", "end", "last")),
            beat.tag.eq(source.tag.place),
            unpacker.beats.valid.eq(reader.beats.valid),
            reader.beats.ready.eq(unpacker.beats.ready),
            buffer.w_data.eq(unpacker.words.p),
            buffer.w_en.eq(unpacker.words.valid),
            unpacker.words.ready.eq(buffer.w_rdy),
            Value.cast(placer.words.p).eq(buffer.r_data),
            placer.words.valid.eq(buffer.r_rdy),
            buffer.r_en.eq(placer.words.ready),
        ]
        stop = report_first(m, self, [
            (requester.unknown, isa.Error.OPCODE, requester.layer),
            (requester.wrong, isa.Error.FIELD, requester.layer),
            (placer.wrong, isa.Error.FIELD, placer.layer),
            (reader.error, isa.Error.READ_RESPONSE, reader.error_tag.layer),
        ])
        m.d.comb += [
            *(target.eq(self.bases[index]) for index, target in enumerate(requester.bases)),
            requester.stop.eq(stop),
            reader.abort.eq(stop),
            placer.stop.eq(stop),
            self.signals.eq(placer.signals),
            self.idle.eq(reader.idle & (stop | (~requester.held & placer.idle))),
            self.active.eq((self.axi.arvalid & self.axi.arready) | (self.axi.rvalid & self.axi.rready)
                           | self.lane_write.enable.any() | (self.instruction.valid & self.instruction.ready)),
        ]
        return m


class LanePlacer(wiring.Component):
    """Writes the rows of padded planes to the pixel lanes whose window they are in.

    Members
    -------
    rows: what comes next; taken when the words of the one before are all placed.
    words: the words read, `last` of their chunks, tagged with their place in the instruction.
    lane_write: registered; three cycles after a word is taken.
    signals: the instruction's tokens, the cycle after its last write.
    wrong: rows do not end with their plane, or a lane's address is beyond its memory (the write is suppressed).
    layer: of what is wrong.
    stop: no word is taken, and no token given.
    idle: nothing is under way.
    """

    def __init__(self, geometry: Geometry) -> None:
        g = self._geometry = geometry
        super().__init__({
            "rows": In(stream.Signature(MapRows)),
            "words": In(stream.Signature(word_layout(word_bits=g.word_bits, tag=_PLACE))),
            "lane_write": Out(lane_write_signature(g)),
            "signals": Out(8),
            "wrong": Out(1),
            "layer": Out(12),
            "stop": In(1),
            "idle": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        lanes = g.pixel_lanes
        row_bits = 13  # of 4,095 rows read and two times 63 of padding

        # Cycle 0: the sequence of words, padding included.
        busy = Signal()
        rows = Signal(MapRows)
        phase = Signal(_Phase)
        column, row, pad = Signal(12), Signal(row_bits), Signal(6)
        plane_base = Signal(LOCAL_ADDRESS_BITS)
        first, final = Signal(), Signal()
        move, row_end, plane_end, done, ragged = Signal(), Signal(), Signal(), Signal(), Signal()
        reading = phase == _Phase.READ
        read_end = self.words.p.last & self.words.p.tag.plane_end
        m.d.comb += [
            self.words.ready.eq(busy & reading & ~self.stop),
            move.eq(busy & ~self.stop & (~reading | self.words.valid)),
            row_end.eq(column == rows.row_words - 1),
            ragged.eq(move & reading & read_end & ~row_end),
        ]
        m.d.comb += done.eq(plane_end & Mux(reading, self.words.p.tag.final, final))
        with m.If(move):
            m.d.sync += [column.eq(Mux(row_end, 0, column + 1)), first.eq(0)]
            with m.If(row_end):
                m.d.sync += row.eq(row + 1)
                with m.Switch(phase):
                    with m.Case(_Phase.TOP):
                        m.d.sync += pad.eq(pad + 1)
                        with m.If(pad == rows.pad_top - 1):
                            m.d.sync += [phase.eq(_Phase.READ), pad.eq(0)]
                    with m.Case(_Phase.READ):
                        m.d.sync += final.eq(self.words.p.tag.final)
                        with m.If(read_end):
                            m.d.sync += phase.eq(_Phase.BOTTOM)
                            m.d.comb += plane_end.eq(rows.pad_bottom == 0)
                    with m.Case(_Phase.BOTTOM):
                        m.d.sync += pad.eq(pad + 1)
                        m.d.comb += plane_end.eq(pad == rows.pad_bottom - 1)
        upcoming = Mux(self.rows.valid & self.rows.ready, self.rows.p.pad_top, rows.pad_top)
        with m.If(plane_end | (self.rows.valid & self.rows.ready)):
            m.d.sync += [
                row.eq(0), column.eq(0), pad.eq(0), first.eq(1), phase.eq(Mux(upcoming == 0, _Phase.READ, _Phase.TOP)),
                plane_base.eq(plane_base + rows.plane_pitch),
            ]
        m.d.comb += self.rows.ready.eq(~busy | done)
        with m.If(self.rows.ready):
            m.d.sync += busy.eq(self.rows.valid)
            with m.If(self.rows.valid):
                m.d.sync += [rows.eq(self.rows.p), plane_base.eq(self.rows.p.base)]

        # Cycle 1: the word with its row number; the lanes' windows, which lag behind `rows` by a cycle like the word.
        word = Signal(g.word_bits)
        word_valid, word_first, word_done, word_residual = Signal(), Signal(), Signal(), Signal()
        word_row, word_base = Signal(row_bits), Signal(LOCAL_ADDRESS_BITS)
        word_signal, word_layer = Signal(8), Signal(12)
        m.d.sync += [
            word.eq(Mux(reading, self.words.p.data, 0)), word_valid.eq(move), word_row.eq(row), word_first.eq(first),
            word_base.eq(plane_base), word_done.eq(done), word_signal.eq(rows.signal), word_layer.eq(rows.layer),
            word_residual.eq(rows.residual),
        ]
        start_bits = 12 + (lanes - 1).bit_length()
        starts = [Signal(start_bits, name=f"start_{lane}") for lane in range(lanes)]
        window, mask = Signal(12), Signal(lanes)
        m.d.sync += [window.eq(rows.lane_rows), mask.eq(rows.lane_mask)]
        m.d.sync += [start.eq(times(rows.lane_step, lane)) for lane, start in enumerate(starts)]

        # Cycle 2: who takes it, and where.
        write = self.lane_write
        takes = Signal(lanes)
        enable = Signal(lanes)
        distance_bits = max(row_bits, start_bits) + 1
        for lane, start in enumerate(starts):
            distance = Signal(distance_bits, name=f"distance_{lane}")  # above every window when the row is before it
            pointer = Signal(LOCAL_ADDRESS_BITS, name=f"pointer_{lane}")
            place = Mux(word_first, word_base, pointer)
            m.d.comb += [distance.eq(word_row - start), takes[lane].eq(mask[lane] & (distance < window))]
            with m.If(word_valid):
                m.d.sync += [pointer.eq(place + takes[lane]), write.address[lane].eq(place)]
        given, given_valid = Signal(8), Signal()
        write_layer = Signal(12)
        m.d.sync += [
            enable.eq(Mux(word_valid, takes, 0)), write.data.eq(word), write.residual.eq(word_residual),
            write_layer.eq(word_layer), given.eq(word_signal), given_valid.eq(word_done & word_valid),
        ]

        # Cycle 3: the write, unless it is beyond the memory; the tokens follow it.
        beyond = Signal(lanes)
        m.d.comb += [
            beyond.eq(Cat(
                enable[lane] & (address >= Mux(write.residual, g.residual_depth, g.activation_depth))
                for lane, address in enumerate(write.address)
            )),
            write.enable.eq(enable & ~beyond),
            self.wrong.eq(beyond.any() | ragged),
            self.layer.eq(Mux(beyond.any(), write_layer, rows.layer)),
            self.idle.eq(~busy & ~word_valid & ~given_valid & ~enable.any() & ~self.signals.any()),
        ]
        m.d.sync += self.signals.eq(Mux(given_valid & ~self.stop & ~beyond.any(), given, 0))
        return m
