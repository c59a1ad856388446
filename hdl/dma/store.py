"""The store engine: STORE and FINISH, from the lanes' output memories to DDR or the map memory, with a CRC-32 of it."""

from itertools import pairwise

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from .. import isa
from ..compute.pipeline import delay
from ..geometry import Geometry
from ..interfaces import (
    OUTPUT_READ_LATENCY,
    bases_layout,
    engine_members,
    instruction_layout,
    map_address_bits,
    map_write_signature,
    output_read_signature,
    struct_layout,
)
from ..stream_registers import StreamFIFO
from .axi import Direction, axi4_master
from .bursts import request_layout, times
from .chunks import next_chunk, within_ring
from .crc import CrcRegisters
from .faults import report_first
from .gearbox import Packer, packed_word_layout
from .stored_order import BEGUN, StoredOrder
from .writer import BurstWriter

BUFFERED_WORDS = 8
"""Words read from output memory and not yet packed, at most."""

BUFFERED_REQUESTS = 4
RECORD_SHIFT = isa.LOG_RECORD_BYTES.bit_length() - 1

_TAG = data.StructLayout({"layer": isa.LAYER_BITS, "final": 1, "stored": 1})


def _length_bits(geometry: Geometry) -> int:
    return 20 + geometry.word_bytes.bit_length()


class WordNote(data.Struct):
    """What travels with a word from output memory.

    last: of its chunk. register: of the CRC. start: the CRC starts with it. emit: a record follows it.
    """

    last: unsigned(1)
    start: unsigned(1)
    emit: unsigned(1)
    register: range(isa.CRC_REGISTERS)
    layer: unsigned(isa.LAYER_BITS)


def chip_place_layout(geometry: Geometry) -> data.StructLayout:
    """Where a word goes in the map memory: whether it does, and nowhere else; its address; whether its STORE ends with
    it and leaves DDR alone."""
    return data.StructLayout({"meant": 1, "only": 1, "ends": 1, "address": map_address_bits(geometry)})


class StoreReader(wiring.Component):
    """Takes STORE and FINISH, reads output memory and asks for the writes, chunk by chunk.

    A chunk's request leaves with its first word, the record's request after the last chunk's. The next instruction is
    taken as soon as this one's last word is read and its last request has left.

    Members
    -------
    instruction, bases, log, output: as the engine's.
    requests: to a BurstWriter; `final` in the last request of a STORE, `stored` if that gives the token STORED.
    words, note: what was read; `words` never waits, `credit` bounds what is under way.
    chip: `chip_place_layout`, of that word; only where there is a map memory, as `begins`.
    begins: `stored_order.BEGUN`, of every STORE taken.
    credit: a word has left the buffer behind `words`, a cycle ago.
    output_free: a strobe: the last word of a STORE that gives OUTPUT_FREE is read.
    finishing: FINISH is held; it leaves with `finish`.
    unknown, wrong: the instruction held is of another engine, or a field (or the address it leads to) is out of range.
    layer: of the instruction held.
    held: there is one.
    empty: no word is between output memory and the end of the buffer.
    stop: takes, reads and asks for nothing more.
    """

    def __init__(self, geometry: Geometry) -> None:
        g = self._geometry = geometry
        request = request_layout(address_bits=g.address_bits, length_bits=_length_bits(g), tag=_TAG)
        word = packed_word_layout(data_bits=g.maps_bus_bits, word_bits=g.word_bits)
        chip = {"chip": Out(chip_place_layout(g)), "begins": Out(stream.Signature(BEGUN))} if g.map_words else {}
        super().__init__({
            **chip,
            "instruction": In(stream.Signature(isa.INSTRUCTION_BITS)),
            "bases": In(bases_layout(g)),
            "log": In(g.address_bits),
            "output": Out(output_read_signature(g)),
            "requests": Out(stream.Signature(request)),
            "words": Out(stream.Signature(word, always_ready=True)),
            "note": Out(WordNote),
            "credit": In(1),
            "output_free": Out(1),
            "finishing": Out(1),
            "finish": In(1),
            "unknown": Out(1),
            "wrong": Out(1),
            "layer": Out(isa.LAYER_BITS),
            "held": Out(1),
            "empty": Out(1),
            "stop": In(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        store = data.View(instruction_layout(isa.STORE), self.instruction.p)
        shapes = struct_layout(isa.STORE).members
        held, fresh, recording = Signal(), Signal(), Signal()
        dropped = {"opcode", "wait", "region", "address", "base", "planes"}
        if not g.map_words:
            dropped |= {"on_chip", "chip_only", *(field.name for field in isa.RING)}
        kept = Signal(data.StructLayout({
            name: shape for name, shape in shapes.items() if name not in dropped
        }), reset_less=True)
        chip_only = kept.chip_only if g.map_words else Const(0)
        planes, chunks_left, words_left = Signal(12), Signal(shapes["chunks"]), Signal(shapes["chunk_words"])
        plane_address, address = (Signal(g.address_bits, reset_less=True) for _ in range(2))
        plane_local, local = Signal(13), Signal(13)
        chunk_begins = Signal()  # one that DDR is asked for
        under_way = Signal(range(BUFFERED_WORDS + 1))

        # An instruction is examined while it waits to be taken: what is wrong with it is known when it is held.
        examined, foreign, faulty = Signal(), Signal(), Signal()
        storing, finishing_held, unknown, wrong = Signal(), Signal(), Signal(), Signal()
        astray: Value = Const(0)
        if g.map_words:
            astray = store.on_chip & (store.ring_end > g.map_words) | store.chip_only & ~store.on_chip
        m.d.sync += [
            examined.eq(self.instruction.valid & ~self.instruction.ready),
            foreign.eq((store.opcode != isa.Opcode.STORE) & (store.opcode != isa.Opcode.FINISH)),
            faulty.eq(
                (store.planes == 0) | (store.chunks == 0) | (store.chunk_words == 0) | (store.lane >= g.pixel_lanes)
                | astray
            ),
        ]
        beyond = Signal()  # `local` lies beyond the output memory
        m.d.comb += [
            self.held.eq(held),
            self.layer.eq(kept.layer),
            self.finishing.eq(held & finishing_held),
            self.unknown.eq(held & unknown),
            self.wrong.eq(storing & (beyond | wrong)),
        ]
        last_word, last_plane = words_left == 1, planes == 1
        last_chunk = Signal()  # `chunks_left` is 1: a step ahead
        chunk_end = Signal()
        store_end = last_word & last_chunk & last_plane
        read = Signal()
        request = self.requests.p
        sound = storing & ~self.wrong & ~self.stop & (under_way != BUFFERED_WORDS)
        m.d.comb += [
            self.requests.valid.eq((sound & chunk_begins) | (recording & ~self.stop)),
            read.eq(sound & (~chunk_begins | self.requests.ready)),
            chunk_end.eq(read & last_word),
            request.address.eq(Mux(recording, self.log + (kept.crc_slot << RECORD_SHIFT), address)),
            request.bytes.eq(Mux(recording, isa.LOG_RECORD_BYTES, times(kept.chunk_words, g.word_bytes))),
            request.tag.layer.eq(kept.layer),
            request.tag.final.eq(recording | (last_chunk & last_plane & ~kept.crc_emit)),
            request.tag.stored.eq(kept.signal[isa.Token.STORED]),
            self.output.enable.eq(read),
            self.output.lane.eq(kept.lane),
            self.output.address.eq(local),
        ]
        m.d.sync += [
            under_way.eq(under_way + read - self.credit),
            self.output_free.eq(read & store_end & kept.signal[isa.Token.OUTPUT_FREE]),
        ]
        with m.If(read):
            m.d.sync += [chunk_begins.eq(last_word & ~chip_only), words_left.eq(words_left - 1), fresh.eq(0)]
            m.d.sync += [local.eq(local + 1), beyond.eq(local >= g.output_depth - 1)]
        with m.If(chunk_end):
            following, local_following = Signal(g.address_bits), Signal(13)
            m.d.comb += [
                following.eq(
                    next_chunk(last_chunk, (plane_address, kept.plane_stride), (address, kept.chunk_stride))
                ),
                local_following.eq(plane_local + kept.plane_pitch),
            ]
            m.d.sync += [
                address.eq(following), words_left.eq(kept.chunk_words), chunks_left.eq(chunks_left - 1),
                last_chunk.eq(chunks_left == 2),
            ]
            with m.If(last_chunk):
                m.d.sync += [
                    plane_address.eq(following), plane_local.eq(local_following), local.eq(local_following),
                    beyond.eq(local_following >= g.output_depth), planes.eq(planes - 1), chunks_left.eq(kept.chunks),
                    last_chunk.eq(kept.chunks == 1),
                ]
            with m.If(store_end):
                m.d.sync += [storing.eq(0), recording.eq(kept.crc_emit), held.eq(kept.crc_emit)]
        with m.If(recording & self.requests.valid & self.requests.ready):
            m.d.sync += [recording.eq(0), held.eq(0)]
        with m.If(self.finish):
            m.d.sync += held.eq(0)

        begins_ready = self.begins.ready if g.map_words else Const(1)
        m.d.comb += self.instruction.ready.eq(~held & examined & begins_ready & ~self.stop)
        with m.If(self.instruction.valid & self.instruction.ready):
            start = Signal(g.address_bits)
            begins = ~store.chip_only if g.map_words else Const(1)
            m.d.comb += start.eq(self.bases[store.region] + store.address)
            m.d.sync += [
                held.eq(1), fresh.eq(1), chunk_begins.eq(begins), planes.eq(store.planes), chunks_left.eq(store.chunks),
                last_chunk.eq(store.chunks == 1),
                words_left.eq(store.chunk_words), plane_address.eq(start), address.eq(start),
                plane_local.eq(store.base), local.eq(store.base), beyond.eq(store.base >= g.output_depth),
                unknown.eq(foreign), wrong.eq(faulty),
                storing.eq(store.opcode == isa.Opcode.STORE),
                finishing_held.eq(store.opcode == isa.Opcode.FINISH),
                *(kept[name].eq(store[name]) for name, _ in kept.shape()),
            ]

        # What is known of a word waits for its data.
        word = self.words.p
        delayed = data.StructLayout({"valid": 1, "offset": word.offset.shape(), "note": WordNote})
        stages = [Signal(delayed, name=f"stage_{n}") for n in range(OUTPUT_READ_LATENCY + 1)]
        m.d.comb += [
            stages[0].valid.eq(read),
            stages[0].offset.eq(address),
            stages[0].note.last.eq(last_word),
            stages[0].note.register.eq(kept.crc_register),
            stages[0].note.start.eq(fresh & kept.crc_start),
            stages[0].note.emit.eq(store_end & kept.crc_emit),
            stages[0].note.layer.eq(kept.layer),
        ]
        m.d.sync += [after.eq(before) for before, after in pairwise(stages)]
        arrived = stages[-1]
        m.d.comb += [
            self.words.valid.eq(arrived.valid),
            word.data.eq(self.output.data),
            word.offset.eq(arrived.offset),
            word.last.eq(arrived.note.last),
            self.note.eq(arrived.note),
            self.empty.eq(under_way == 0),
        ]
        if g.map_words:
            self._place_on_chip(
                m, kept, read, storing=storing, chunk_end=chunk_end, last_chunk=last_chunk, store_end=store_end
            )
        return m

    def _place_on_chip(
        self, m: Module, kept: data.View, read: Value, *, storing: Value, chunk_end: Value, last_chunk: Value,
        store_end: Value,
    ) -> None:  # fmt: skip
        """Where words go in the map memory: worked out a cycle after they are read, since their data come later still.

        They are counted on through the ring's end; where they lie within it follows from that.
        """
        bits = map_address_bits(self._geometry)
        plane, chunk, word, following = (
            Signal(bits + 1, name=f"chip_{name}", reset_less=True) for name in ("plane", "chunk", "word", "following")
        )
        taken, was_read, chunk_ended, plane_ends, ended = (
            delay(m, signal, 1, name=name, reset=True)
            for name, signal in (
                ("taken", self.instruction.valid & self.instruction.ready), ("was_read", read),
                ("chunk_ended", chunk_end), ("plane_ends", last_chunk), ("ended", store_end),
            )
        )  # fmt: skip
        place = Signal(chip_place_layout(self._geometry))
        m.d.comb += [
            self.begins.valid.eq(taken & storing),
            self.begins.p.memory.eq(~kept.chip_only | kept.crc_emit),
            self.begins.p.stored.eq(kept.signal[isa.Token.STORED]),
            following.eq(next_chunk(plane_ends, (plane, kept.chip_plane_stride), (chunk, kept.chip_chunk_stride))),
            place.meant.eq(kept.on_chip),
            place.only.eq(kept.chip_only),
            place.ends.eq(ended & kept.chip_only & ~kept.crc_emit),
            place.address.eq(within_ring(word, kept.ring_end[:bits + 1], kept.ring_words)),
            self.chip.eq(delay(m, place, OUTPUT_READ_LATENCY - 1, name="place")),
        ]
        with m.If(taken):
            m.d.sync += [address.eq(kept.chip_address) for address in (plane, chunk, word)]
        with m.Elif(chunk_ended):
            m.d.sync += [chunk.eq(following), word.eq(following)]
            with m.If(plane_ends):
                m.d.sync += plane.eq(following)
        with m.Elif(was_read):
            m.d.sync += word.eq(word + 1)


class _State(enum.Enum, shape=2):
    WORDS = 0
    """Words go to the packer and into the CRC."""
    DRAIN = 1
    """The packer empties before a record."""
    RECORD = 2


class StoreEngine(wiring.Component):
    """Executes STORE and FINISH.

    One word a cycle, or as many as the bus takes. The next STORE is read and written while the acknowledgements of this
    one are still under way; only a log record waits until the words before it have left the packer.

    Parameters
    ----------
    geometry: with one lane group; of more, what a lane group sees (`Geometry.group`).
    shared: another lane group writes the map memory, too.

    Members
    -------
    `interfaces.engine_members`, and
    bases: base address by region.
    log: base address of the log of CRC records.
    cycle: the counter CYCLES, for the records.
    output: output memory, as it is read here.
    memory: the map memory; only where there is one.
    axi: the write master.
    finished: a strobe: FINISH is executed; every write is acknowledged.
    """

    def __init__(self, geometry: Geometry, *, shared: bool = False) -> None:
        g = self._geometry = geometry
        self._shared = shared
        memory = {"memory": Out(map_write_signature(g))} if g.map_words else {}
        super().__init__({
            **engine_members(),
            **memory,
            "bases": In(bases_layout(g)),
            "log": In(g.address_bits),
            "cycle": In(32),
            "output": Out(output_read_signature(g)),
            "axi": Out(axi4_master(data_bits=g.maps_bus_bits, address_bits=g.address_bits, direction=Direction.WRITE)),
            "finished": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        m.submodules.reader = reader = StoreReader(g)
        m.submodules.packer = packer = Packer(data_bits=g.maps_bus_bits, word_bits=g.word_bits)
        m.submodules.writer = writer = BurstWriter(
            data_bits=g.maps_bus_bits, address_bits=g.address_bits, maximum_burst=g.maximum_burst,
            length_bits=_length_bits(g), tag=_TAG,
        )
        m.submodules.crc = crc = CrcRegisters(word_bits=g.word_bits)
        wiring.connect(m, wiring.flipped(self.instruction), reader.instruction)
        wiring.connect(m, wiring.flipped(self.output), reader.output)
        wiring.connect(m, wiring.flipped(self.axi), writer.axi)

        m.submodules.requests = requests = StreamFIFO(reader.requests.p.shape(), BUFFERED_REQUESTS)
        wiring.connect(m, reader.requests, requests.source)
        wiring.connect(m, requests.sink, writer.requests)
        chip = {"chip": chip_place_layout(g)} if g.map_words else {}
        entry = data.StructLayout({"word": reader.words.p.shape(), "note": WordNote, **chip})
        m.submodules.words = words = StreamFIFO(entry, BUFFERED_WORDS)
        current = words.sink.p
        m.d.comb += [
            words.source.p.word.eq(reader.words.p),
            words.source.p.note.eq(reader.note),
            words.source.valid.eq(reader.words.valid),
        ]

        # Words to the packer and into the CRC; a record after the last word of a STORE that wants one.
        state = Signal(_State)
        moved = Signal()
        register, layer = Signal(range(isa.CRC_REGISTERS)), Signal(isa.LAYER_BITS)
        record_beats = max(1, 8 * isa.LOG_RECORD_BYTES // g.maps_bus_bits)
        record_beat = Signal(range(record_beats))
        record = Cat(crc.crc, layer, Signal(32 - isa.LAYER_BITS), crc.words, self.cycle)
        room, accepts = Signal(), Signal()  # words may go on; and the next one can
        m.d.comb += [
            packer.words.p.eq(current.word),
            words.sink.ready.eq(accepts),
            moved.eq(words.sink.valid & accepts),
            crc.register.eq(Mux(state == _State.WORDS, current.note.register, register)),
            crc.word.eq(current.word.data),
            crc.valid.eq(moved),
            crc.start.eq(current.note.start),
        ]
        m.d.comb += [
            writer.beats.p.eq(packer.beats.p),
            writer.beats.valid.eq(packer.beats.valid),
            packer.beats.ready.eq(writer.beats.ready),
        ]
        if g.map_words:
            memory, place = self.memory, current.chip
            written = ~memory.wants | memory.granted if self._shared else Const(1)
            m.d.comb += [
                words.source.p.chip.eq(reader.chip),
                room.eq((state == _State.WORDS) & (written | ~place.meant)),
                packer.words.valid.eq(words.sink.valid & room & ~place.only),
                accepts.eq(room & (place.only | packer.words.ready)),
            ]
            with m.If(written):
                m.d.sync += [
                    memory.wants.eq(moved & place.meant), memory.address.eq(place.address),
                    memory.data.eq(current.word.data),
                ]
        else:
            m.d.comb += [
                room.eq(state == _State.WORDS),
                packer.words.valid.eq(words.sink.valid & room),
                accepts.eq(room & packer.words.ready),
            ]
        m.d.sync += reader.credit.eq(moved)
        with m.If(moved):
            m.d.sync += [register.eq(current.note.register), layer.eq(current.note.layer)]
            with m.If(current.note.emit):
                m.d.sync += state.eq(_State.DRAIN)
        with m.If((state == _State.DRAIN) & packer.idle):
            m.d.sync += state.eq(_State.RECORD)
        with m.If(state == _State.RECORD):
            m.d.comb += [
                writer.beats.valid.eq(1),
                writer.beats.p.data.eq(record.word_select(record_beat, g.maps_bus_bits)),
                writer.beats.p.strobes.eq(~0),
            ]
            with m.If(writer.beats.ready):
                m.d.sync += record_beat.eq(record_beat + 1)
                with m.If(record_beat == record_beats - 1):
                    m.d.sync += [record_beat.eq(0), state.eq(_State.WORDS)]

        stop = report_first(m, self, [
            (reader.unknown, isa.Error.OPCODE, reader.layer),
            (reader.wrong, isa.Error.FIELD, reader.layer),
            (writer.error, isa.Error.WRITE_RESPONSE, writer.answer_tag.layer),
        ])
        stored, all_stored = Signal(), Signal(init=1)
        rest = Signal()  # nothing was under way, a cycle ago
        acknowledged = writer.acknowledged & writer.answer_tag.final & ~stop & ~writer.error
        if g.map_words:
            m.submodules.order = order = StoredOrder()
            wiring.connect(m, reader.begins, order.begins)
            ended, written = Signal(), Signal()  # the STORE's last word waits for the map memory; or is there
            m.d.comb += written.eq(ended & memory.granted)
            m.d.sync += ended.eq((moved & current.chip.ends) | (ended & ~memory.granted))
            m.d.comb += [
                order.acknowledged.eq(acknowledged), order.written.eq(written),
                stored.eq(order.stored & ~stop), all_stored.eq(order.empty),
            ]
        else:
            m.d.sync += stored.eq(acknowledged & writer.answer_tag.stored)
        m.d.comb += [
            *(target.eq(self.bases[index]) for index, target in enumerate(reader.bases)),
            reader.log.eq(self.log),
            reader.stop.eq(stop),
            writer.abort.eq(stop),
            self.signals[isa.Token.STORED].eq(stored),
            self.signals[isa.Token.OUTPUT_FREE].eq(reader.output_free),
            reader.finish.eq(reader.finishing & rest & ~stop),
            self.idle.eq(rest & (stop | (~reader.held & reader.empty))),
            self.active.eq(reader.output.enable | (self.axi.awvalid & self.axi.awready)
                           | (self.axi.wvalid & self.axi.wready) | (self.axi.bvalid & self.axi.bready)
                           | (self.instruction.valid & self.instruction.ready)),
        ]
        emptied = (
            reader.empty & packer.idle & (state == _State.WORDS) & requests.empty & all_stored & ~self.signals.any()
        )
        m.d.sync += [rest.eq(writer.idle & (stop | emptied)), self.finished.eq(reader.finish)]
        return m
