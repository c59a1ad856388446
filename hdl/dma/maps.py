"""The maps engine: LOAD_MAP, from DDR or the map memory into the pixel lanes' activation or residual memories."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .. import isa
from ..geometry import Geometry
from ..interfaces import (
    bases_layout,
    engine_members,
    instruction_layout,
    lane_write_signature,
    map_address_bits,
    map_read_signature,
    struct_layout,
)
from .axi import Direction, axi4_master
from .bursts import times
from .chunks import next_chunk, within_ring
from .depthwise import DepthwiseRows, DepthwiseUnit
from .faults import report_first
from .map_reader import MapReader, map_request_layout
from .placer import LanePlacer, MapRows

EXAMINATION_CYCLES = 2
"""Cycles for which an instruction is held up before its faults are known, where none was before it."""


class MapRequester(wiring.Component):
    """Takes LOAD_MAP instructions and asks for their chunks; hands what the lanes' side needs to `rows`.

    An instruction is held until all its chunks are asked for and `rows` has been taken, so the chunks of the next one
    are asked for while words of this one still arrive.

    Members
    -------
    instruction, bases: as the engine's.
    requests: to a MapReader; the tag names the layer, `plane_end` in a plane's last chunk, `final` in the last plane.
    rows: one `MapRows` per instruction, in order; none where kernels are loaded.
    depthwise_rows: likewise, one `DepthwiseRows`; only where there is a depthwise unit.
    unknown, wrong: the instruction held is not LOAD_MAP, or a field is out of range; nothing is asked for then.
    layer: of the instruction held.
    held: there is one.
    stop: takes and asks for nothing more.
    """

    def __init__(self, geometry: Geometry) -> None:
        g = self._geometry = geometry
        unit = {"depthwise_rows": Out(stream.Signature(DepthwiseRows))} if g.depthwise_channels else {}
        super().__init__({
            "instruction": In(stream.Signature(isa.INSTRUCTION_BITS)),
            "bases": In(bases_layout(g)),
            "requests": Out(stream.Signature(map_request_layout(g))),
            "rows": Out(stream.Signature(MapRows)),
            **unit,
            "unknown": Out(1),
            "wrong": Out(1),
            "layer": Out(isa.LAYER_BITS),
            "held": Out(1),
            "stop": In(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        load = data.View(instruction_layout(isa.LOAD_MAP), self.instruction.p)
        shapes = struct_layout(isa.LOAD_MAP).members
        held, asking, passing = Signal(), Signal(), Signal()
        planes, chunks, chunks_left, plane_stride, chunk_stride, chunk_words = (
            Signal(shapes[name], reset_less=True)
            for name in ("planes", "chunks", "chunks", "plane_stride", "chunk_stride", "chunk_words")
        )
        plane_address, address = (Signal(g.address_bits, reset_less=True) for _ in range(2))
        rows = Signal(MapRows, reset_less=True)
        # An instruction is examined while it waits to be taken: what is wrong with it is known when it is held.
        examined = Signal(EXAMINATION_CYCLES)
        foreign, faulty = Signal(), Signal()
        unknown, wrong = Signal(), Signal()
        with m.If(self.instruction.valid & ~self.instruction.ready):
            m.d.sync += examined.eq(Cat(1, examined))
        with m.Else():
            m.d.sync += examined.eq(0)

        m.d.comb += [
            self.held.eq(held),
            self.layer.eq(rows.layer),
            self.unknown.eq(held & unknown),
            self.wrong.eq(held & wrong),
        ]
        sound = Signal()
        m.d.comb += sound.eq(held & ~unknown & ~wrong & ~self.stop)
        last_chunk, last_plane = chunks_left == 1, planes == 1
        m.d.comb += [
            self.instruction.ready.eq(~held & examined[-1] & ~self.stop),
            self.requests.valid.eq(asking & sound),
            self.requests.p.address.eq(address),
            self.requests.p.bytes.eq(times(chunk_words, g.word_bytes)),
            self.requests.p.tag.layer.eq(rows.layer),
            self.requests.p.tag.place.plane_end.eq(last_chunk),
            self.requests.p.tag.place.final.eq(last_plane),
            self.rows.valid.eq(passing & sound),
            self.rows.p.eq(rows),
        ]
        asked = Signal()
        m.d.comb += asked.eq(self.requests.valid & self.requests.ready)
        if g.map_words:
            self._ask_chip(m, load, held, asked, chunks=chunks, chunks_left=chunks_left, words=chunk_words)
        with m.If(asked):
            following = Signal(g.address_bits)
            m.d.comb += following.eq(next_chunk(last_chunk, (plane_address, plane_stride), (address, chunk_stride)))
            m.d.sync += [address.eq(following), chunks_left.eq(chunks_left - 1)]
            with m.If(last_chunk):
                m.d.sync += [plane_address.eq(following), planes.eq(planes - 1), chunks_left.eq(chunks)]
                with m.If(last_plane):
                    m.d.sync += asking.eq(0)
        with m.If(self.rows.valid & self.rows.ready):
            m.d.sync += passing.eq(0)
        taken = Signal()
        m.d.comb += taken.eq(self.instruction.valid & self.instruction.ready)
        convolving: Value = self._depthwise_rows(m, load, held, taken, sound) if g.depthwise_channels else Const(0)
        unsound = self._unsound(m, load) if g.depthwise_channels else load.depthwise | load.kernels
        if g.map_words:
            unsound |= self._astray(m, load)
        fields = Signal()
        m.d.sync += [
            fields.eq(
                (load.planes == 0) | (load.chunks == 0) | (load.chunk_words == 0) | (load.row_words == 0)
                | (load.lane_rows == 0) | (load.lane_mask == 0) | load.lane_mask[g.pixel_lanes:].any()
            ),
            foreign.eq(load.opcode != isa.Opcode.LOAD_MAP),
            faulty.eq(fields | unsound),
        ]
        with m.If(held & ~asking & ~passing & ~convolving):
            m.d.sync += held.eq(0)
        with m.If(taken):
            m.d.sync += [held.eq(1), asking.eq(1), passing.eq(~load.kernels)]
        # Whether it is taken is known late in a cycle: while none is held, the fields follow the one that waits.
        with m.If(~held):
            start = Signal(g.address_bits)
            m.d.comb += start.eq(self.bases[load.region] + load.address)
            m.d.sync += [
                unknown.eq(foreign), wrong.eq(faulty), planes.eq(load.planes), plane_stride.eq(load.plane_stride),
                chunks.eq(load.chunks), chunks_left.eq(load.chunks), chunk_stride.eq(load.chunk_stride),
                chunk_words.eq(load.chunk_words), plane_address.eq(start), address.eq(start),
                *(rows[name].eq(load[name]) for name, _ in MapRows.as_shape() if name != "reserved"),
            ]
        return m

    def _ask_chip(
        self, m: Module, load: data.View, held: Value, asked: Value, *, chunks: Value, chunks_left: Value, words: Value
    ) -> None:
        """The requests' part for the map memory. Chunks are counted on through the ring's end; where they lie within it
        follows from that."""
        bits = map_address_bits(self._geometry)
        on_chip, last_chunk = Signal(), Signal()  # `chunks_left` is 1: a step ahead
        plane_address, address = (Signal(bits + 1, name=f"chip_{name}", reset_less=True) for name in ("plane", "chunk"))
        plane_stride, chunk_stride, end, ring_words = (
            Signal(bits + 1, name=name, reset_less=True)
            for name in ("chip_plane_stride", "chip_chunk_stride", "ring_end", "ring_words")
        )
        following = Signal(bits + 1)
        chip = self.requests.p.chip
        m.d.comb += [
            following.eq(next_chunk(last_chunk, (plane_address, plane_stride), (address, chunk_stride))),
            chip.meant.eq(on_chip),
            chip.request.address.eq(within_ring(address, end, ring_words)),
            chip.request.words.eq(words),
            chip.request.place.eq(self.requests.p.tag.place),
        ]
        with m.If(asked):
            m.d.sync += [address.eq(following), last_chunk.eq(Mux(last_chunk, chunks == 1, chunks_left == 2))]
            with m.If(last_chunk):
                m.d.sync += plane_address.eq(following)
        with m.If(~held):
            m.d.sync += [
                last_chunk.eq(load.chunks == 1), on_chip.eq(load.on_chip),
                plane_address.eq(load.chip_address), address.eq(load.chip_address),
                plane_stride.eq(load.chip_plane_stride), chunk_stride.eq(load.chip_chunk_stride),
                end.eq(load.ring_end), ring_words.eq(load.ring_words),
            ]

    def _astray(self, m: Module, load: data.View) -> Value:
        """Whether the map memory is meant and cannot be, a cycle later."""
        astray = Signal()
        longest = len(self.requests.p.chip.request.words)
        m.d.sync += astray.eq(
            load.on_chip
            & ((load.ring_end > self._geometry.map_words) | load.chunk_words[longest:].any() | load.kernels)
        )
        return astray

    def _depthwise_rows(self, m: Module, load: data.View, held: Value, taken: Value, sound: Value) -> Signal:
        """Hands what the depthwise unit needs to `depthwise_rows`; high until it is taken."""
        passing = Signal()
        rows = Signal(DepthwiseRows, reset_less=True)
        m.d.comb += [self.depthwise_rows.valid.eq(passing & sound), self.depthwise_rows.p.eq(rows)]
        with m.If(self.depthwise_rows.valid & self.depthwise_rows.ready):
            m.d.sync += passing.eq(0)
        with m.If(taken):
            m.d.sync += passing.eq(1)
        with m.If(~held):
            m.d.sync += [
                *(rows[name].eq(load[name]) for name in ("layer", "depthwise", "kernels", "planes")),
                *(rows[name].eq(load[name]) for name in ("shift", "maximum")),
                rows.row.eq(Mux(load.kernels, load.base, load.kernel_base)),
                *(rows.source[name].eq(load[f"source_{name}"]) for name in ("top", "bottom", "left", "right")),
                rows.source.skip.eq(load.source_stride[1]),
                rows.source.last_column.eq(load.source_words + load.source_left + load.source_right - 1),
            ]
        return passing

    def _unsound(self, m: Module, load: data.View) -> Value:
        """Whether the fields for the depthwise unit are out of range, or disagree with `row_words`, a cycle later."""
        beyond_window = Signal(signed(len(load.source_words) + 2))  # a row's columns after its first window
        depthwise, kernels, alone, odd = Signal(), Signal(), Signal(), Signal()
        skips = Signal()
        row_words, last_row = Signal.like(load.row_words), Signal(len(load.chunk_words) + 2)
        kernel_rows = Mux(load.kernels, load.chunk_words, times(load.planes, isa.KERNEL_WORDS))
        m.d.sync += [
            beyond_window.eq(load.source_words + load.source_left + load.source_right - isa.KERNEL_SIZE),
            depthwise.eq(load.depthwise), kernels.eq(load.kernels), skips.eq(load.source_stride[1]),
            row_words.eq(load.row_words),
            alone.eq((load.planes == 1) & (load.chunks == 1)
                     & ~(load.depthwise | load.residual | load.signal.any())),
            odd.eq((load.source_stride == 0) | (load.source_stride == 3) | (load.shift > isa.MAXIMUM_SHIFT)),
            last_row.eq(Mux(load.kernels, load.base, load.kernel_base) + kernel_rows),
        ]
        steps = Mux(skips, beyond_window >> 1, beyond_window)
        return (
            (depthwise | kernels) & (last_row > isa.KERNEL_ROWS) | kernels & ~alone
            | depthwise & (
                (beyond_window < 0) | (beyond_window > isa.DEPTHWISE_COLUMNS - isa.KERNEL_SIZE)
                | (steps + 1 != row_words) | odd
            )
        )


class MapsEngine(wiring.Component):
    """Executes LOAD_MAP: chunks from DDR, padding rows around them, each row to the pixel lanes whose window it is in.

    One word a cycle, or as many as the bus brings. Requests run ahead, over planes and into the next instruction.

    Parameters
    ----------
    geometry: with one lane group; of more, what a lane group sees (`Geometry.group`).

    Members
    -------
    `interfaces.engine_members`, and
    bases: base address by region.
    lane_write: words to the lanes' memories, registered.
    memory: the map memory; only where there is one.
    axi: the read master.
    """

    def __init__(self, geometry: Geometry) -> None:
        g = self._geometry = geometry
        axi = axi4_master(data_bits=g.maps_bus_bits, address_bits=g.address_bits, direction=Direction.READ)
        memory = {"memory": Out(map_read_signature(g))} if g.map_words else {}
        super().__init__({
            **engine_members(),
            **memory,
            "bases": In(bases_layout(g)),
            "lane_write": Out(lane_write_signature(g)),
            "axi": Out(axi),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        m.submodules.requester = requester = MapRequester(g)
        m.submodules.reader = reader = MapReader(g)
        m.submodules.placer = placer = LanePlacer(g)
        wiring.connect(m, wiring.flipped(self.instruction), requester.instruction)
        wiring.connect(m, wiring.flipped(self.axi), reader.axi)
        wiring.connect(m, requester.requests, reader.requests)
        wiring.connect(m, requester.rows, placer.rows)
        wiring.connect(m, wiring.flipped(self.lane_write), placer.lane_write)
        if g.map_words:
            wiring.connect(m, wiring.flipped(self.memory), reader.memory)

        words = placer.words
        causes = [
            (requester.unknown, isa.Error.OPCODE, requester.layer),
            (requester.wrong, isa.Error.FIELD, requester.layer),
            (placer.wrong, isa.Error.FIELD, placer.layer),
        ]
        computing, rests = Const(0), Const(1)
        if g.depthwise_channels:
            m.submodules.depthwise = unit = DepthwiseUnit(g)
            wiring.connect(m, requester.depthwise_rows, unit.rows)
            wiring.connect(m, unit.results, placer.words)
            words = unit.words
            causes.append((unit.wrong, isa.Error.FIELD, unit.layer))
            computing, rests = unit.active, unit.idle
        m.d.comb += [
            Value.cast(words.p).eq(Value.cast(reader.words.p)),
            words.valid.eq(reader.words.valid),
            reader.words.ready.eq(words.ready),
        ]
        stop = report_first(m, self, [*causes, (reader.error, isa.Error.READ_RESPONSE, reader.error_layer)])
        m.d.comb += [
            *(target.eq(self.bases[index]) for index, target in enumerate(requester.bases)),
            requester.stop.eq(stop),
            reader.abort.eq(stop),
            placer.stop.eq(stop),
            self.signals.eq(placer.signals),
            self.idle.eq(reader.idle & (stop | (~requester.held & rests & placer.idle))),
        ]
        m.d.sync += self.active.eq(
            (self.axi.arvalid & self.axi.arready) | (self.axi.rvalid & self.axi.rready) | self.lane_write.enable.any()
            | computing | (self.instruction.valid & self.instruction.ready)
        )
        return m
