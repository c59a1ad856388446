"""FETCH: reads the program and routes each instruction to its engine's queue."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .. import isa
from ..dma.axi import BURST_INCR, Direction, axi4_master
from ..geometry import Geometry
from ..interfaces import EngineError
from ..stream_registers import StreamFIFO, StreamRegister
from .queue import BEAT_BITS, BEATS

ENGINES = (isa.Engine.WEIGHTS, isa.Engine.MAPS, isa.Engine.COMPUTE, isa.Engine.STORE)
"""The engines with queues, in the order of `Fetch.beats`."""

ALIGNMENT_BITS = isa.INSTRUCTION_BYTES.bit_length() - 1
"""Address bits that are 0 in the address of an instruction."""

BUFFER_BEATS = 64
"""Beats that may be under way or buffered: bursts are requested only when there is room for all of their data, so that
a full queue never blocks the bus (which another master may share)."""


class ProgramHead(data.Struct):
    """The part of an instruction's first beat that FETCH reads."""

    opcode: unsigned(isa.OPCODE_BITS)
    layer: unsigned(isa.LAYER_BITS)


class RoutedBeat(data.Struct):
    """A beat of the program, and what its instruction is.

    first, last: it is the instruction's first or last one. route: the queue that the instruction is for, one of
    `ENGINES`; none if its opcode is unknown. finish: it is FINISH (known in the first beat alone).
    """

    beat: unsigned(BEAT_BITS)
    first: unsigned(1)
    last: unsigned(1)
    route: unsigned(len(ENGINES))
    finish: unsigned(1)


class Fetch(wiring.Component):
    """Reads `instructions` × 64 bytes from `program` on, once, in bursts of at most an instruction (which never cross
    4 KiB).

    Reported errors: READ_RESPONSE; OPCODE of an unknown opcode; PROGRAM when FINISH is not exactly the last
    instruction, or there is none; FIELD when `program` is not a multiple of 64. After an error nothing more is fetched
    or delivered.

    Throughput: a beat (an eighth of an instruction) a cycle, with BUFFER_BEATS − 8 or more under way.

    Members
    -------
    bus: AXI4 master, 64 bits, read only.
    start: begin; `program` and `instructions` hold still from then on.
    abort: request nothing more, discard what is under way.
    beats: one stream for every engine of ENGINES.
    fetched: instructions whose delivery has begun.
    error, idle, active: as in `interfaces.engine_members`; the first report comes a cycle after `start`.
    """

    def __init__(self, geometry: Geometry):
        self.geometry = geometry
        super().__init__({
            "bus": Out(
                axi4_master(data_bits=BEAT_BITS, address_bits=geometry.address_bits, direction=Direction.READ)
            ),
            "start": In(1),
            "program": In(geometry.address_bits),
            "instructions": In(32),
            "abort": In(1),
            "beats": Out(stream.Signature(unsigned(BEAT_BITS))).array(len(ENGINES)),
            "fetched": Out(32),
            "error": Out(EngineError),
            "idle": Out(1),
            "active": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        bus = self.bus
        burst = min(BEATS, self.geometry.maximum_burst)
        bursts_per_instruction = BEATS // burst

        started = Signal()
        running = Signal()
        m.submodules.buffer = buffer = StreamFIFO(BEAT_BITS, BUFFER_BEATS)
        # Between the buffer and what reads it: the beat, with its instruction's queue, which the first beat chooses.
        m.submodules.routed = routed = StreamRegister(RoutedBeat)
        buffered, incoming = routed.sink, routed.source.p
        beat = Signal(range(BEATS))
        route = Signal(len(ENGINES))
        head = Signal(ProgramHead)
        m.d.comb += [
            routed.source.valid.eq(buffer.sink.valid),
            buffer.sink.ready.eq(routed.source.ready),
            head.eq(buffer.sink.p),
            incoming.beat.eq(buffer.sink.p),
            incoming.first.eq(beat == 0),
            incoming.last.eq(beat == BEATS - 1),
            incoming.route.eq(route),
            incoming.finish.eq(head.opcode == isa.Opcode.FINISH),
        ]
        with m.If(beat == 0):
            with m.Switch(head.opcode):
                for opcode in isa.Opcode:
                    with m.Case(opcode):
                        m.d.comb += incoming.route.eq(1 << ENGINES.index(isa.ENGINE_OF[opcode]))
                with m.Default():
                    m.d.comb += incoming.route.eq(0)
        with m.If(routed.source.valid & routed.source.ready):
            m.d.sync += [beat.eq(beat + 1), route.eq(incoming.route)]
        pop = Signal()
        m.d.comb += [
            pop.eq(buffered.valid & buffered.ready),
            self.active.eq((bus.arvalid & bus.arready) | bus.rvalid | pop),
        ]

        # Requests. A burst reserves its room, and counts as under way, from the moment its address is offered.
        requested = Signal(32 + bursts_per_instruction.bit_length() - 1)
        reserved = Signal(range(BUFFER_BEATS + 1))
        under_way = Signal(range(BUFFER_BEATS + 1))
        offer = Signal()
        m.d.comb += [
            bus.arlen.eq(burst - 1),
            bus.arsize.eq((BEAT_BITS // 8).bit_length() - 1),
            bus.arburst.eq(BURST_INCR),
            bus.arcache.eq(0b0011),
            bus.arprot.eq(0),
            bus.rready.eq(1),
            offer.eq(
                running
                & ~self.abort
                & ~bus.arvalid
                & (requested != self.instructions * bursts_per_instruction)
                & (reserved <= BUFFER_BEATS - burst)
            ),
        ]
        with m.If(offer):
            m.d.sync += bus.arvalid.eq(1)
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [
                bus.arvalid.eq(0),
                bus.araddr.eq(bus.araddr + burst * BEAT_BITS // 8),
                requested.eq(requested + 1),
            ]
        m.d.sync += [
            reserved.eq(reserved + Mux(offer, burst, 0) - pop),
            under_way.eq(under_way + Mux(offer, burst, 0) - bus.rvalid),
        ]
        m.d.comb += self.idle.eq(~started & ~running & (under_way == 0))

        # Data.
        bad_response = Signal()
        m.d.comb += [
            bad_response.eq(running & bus.rvalid & bus.rresp[1]),
            buffer.source.p.eq(bus.rdata),
            buffer.source.valid.eq(running & bus.rvalid & ~bus.rresp[1]),
        ]

        # Delivery.
        last = Signal()
        last_held = Signal()
        malformed = Signal(isa.Error)
        layer = data.View(ProgramHead, buffered.p.beat[: ProgramHead.as_shape().size]).layer
        m.d.sync += last.eq(self.fetched + 1 == self.instructions)  # settles while beats 1 … 7 pass
        with m.If(buffered.p.first):
            with m.If(buffered.p.route == 0):
                m.d.comb += malformed.eq(isa.Error.OPCODE)
            with m.Elif(last != buffered.p.finish):
                m.d.comb += malformed.eq(isa.Error.PROGRAM)

        present = Signal()
        m.d.comb += present.eq(running & buffered.valid)
        for position, beats in enumerate(self.beats):
            m.d.comb += [
                beats.payload.eq(buffered.p.beat),
                beats.valid.eq(present & buffered.p.route[position] & (malformed == isa.Error.NONE)),
            ]
            # One of a malformed instruction, the last that comes, may go as well: it is given to no queue.
            with m.If(buffered.p.route[position]):
                m.d.comb += buffered.ready.eq(running & beats.ready)
        with m.If(pop & (malformed == isa.Error.NONE)):
            with m.If(buffered.p.first):
                m.d.sync += [self.fetched.eq(self.fetched + 1), last_held.eq(last)]
            with m.If(buffered.p.last & last_held):
                m.d.sync += running.eq(0)

        # Errors, the oldest instruction's first.
        with m.If(present & (malformed != isa.Error.NONE)):
            m.d.comb += [self.error.valid.eq(1), self.error.code.eq(malformed), self.error.layer.eq(layer)]
        with m.Elif(bad_response):
            m.d.comb += [self.error.valid.eq(1), self.error.code.eq(isa.Error.READ_RESPONSE)]
        with m.Elif(started & self.program[:ALIGNMENT_BITS].any()):
            m.d.comb += [self.error.valid.eq(1), self.error.code.eq(isa.Error.FIELD)]
        with m.Elif(started & (self.instructions == 0)):
            m.d.comb += [self.error.valid.eq(1), self.error.code.eq(isa.Error.PROGRAM)]

        m.d.sync += started.eq(self.start)
        with m.If(started):
            m.d.sync += [running.eq(1), bus.araddr.eq(self.program), requested.eq(0), self.fetched.eq(0), beat.eq(0)]
        with m.If(self.error.valid | self.abort):
            m.d.sync += running.eq(0)
        return m
