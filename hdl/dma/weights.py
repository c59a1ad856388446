"""The weights engine: LOAD_WEIGHTS and LOAD_CONSTANTS, and the two rings that they fill."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .. import isa
from ..geometry import CONSTANT_BITS, Geometry
from ..interfaces import (
    bases_layout,
    constant_read_signature,
    engine_members,
    instruction_layout,
    weight_read_signature,
)
from ..modules import module_name, place
from .axi import Direction, axi4_master
from .bursts import times
from .faults import report_first
from .reader import BurstReader

_TAG = data.StructLayout({"constants": 1, "layer": isa.LAYER_BITS})


class _Column(wiring.Component):
    """One bus-wide column of a ring: a write port (`take` and `column` together), and a read port that holds its data.

    The column decodes its own write enable: the ABC of YoWASP Yosys 0.70 ends without a message on a module that holds
    block RAM and not one gate.
    """

    def __init__(self, *, width: int, depth: int) -> None:
        self._width = width
        self._depth = depth
        self.module_name = module_name("ring_column", width, depth)
        super().__init__({
            "take": In(1), "column": In(1), "write_address": In(range(depth)), "write_data": In(width),
            "read": In(1), "read_address": In(range(depth)), "read_data": Out(width),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(shape=unsigned(self._width), depth=self._depth, init=[])
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.en.eq(self.take & self.column), write.addr.eq(self.write_address), write.data.eq(self.write_data),
            read.en.eq(self.read), read.addr.eq(self.read_address), self.read_data.eq(read.data),
        ]
        return m


class _PortFill(wiring.Component):
    """Where a port's beats go: counts columns (one-hot) and words of a ring.

    Members
    -------
    take: a beat is written now, into the column whose bit of `column` is set, of word `filled`.
    filled: words completed, modulo 2 · depth.
    """

    def __init__(self, *, columns: int, depth: int) -> None:
        self._columns = columns
        super().__init__({"take": In(1), "column": Out(columns, init=1), "filled": Out(range(2 * depth))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        with m.If(self.take):
            m.d.sync += [self.column.eq(self.column.rotate_left(1)), self.filled.eq(self.filled + self.column[-1])]
        return m


class _Credit(wiring.Component):
    """Beats of a ring that are free and not yet asked for.

    Members
    -------
    release: a unit (word or tile) of `unit` beats is free again.
    waiting, length: a burst waits, and how many beats it has, − 1.
    begin: it begins. spend: and its beats are this ring's.
    enough, short: so many were free, or not, a cycle ago, for the burst that has waited since; registers.
    """

    def __init__(self, *, unit: int, units: int) -> None:
        self._unit = unit
        self._units = units
        super().__init__({
            "release": In(1), "waiting": In(1), "length": In(8), "begin": In(1), "spend": In(1),
            "enough": Out(1), "short": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        most = self._unit * self._units
        free = Signal(range(most + 1), init=most)
        grown = Signal.like(free)
        # What is left behind the waiting burst, negative if it does not fit: known before it begins.
        rest, left = (Signal(signed(len(free) + 1)) for _ in range(2))
        released = Mux(self.release, self._unit, 0)
        m.d.comb += [grown.eq(free + released), rest.eq(free - self.length - 1)]
        m.d.sync += [
            free.eq(Mux(self.spend, left + released, grown)), left.eq(rest + released),
            self.enough.eq((rest >= 0) & self.waiting & ~self.begin),
            self.short.eq((rest < 0) & self.waiting & ~self.begin),
        ]
        return m


class WeightsEngine(wiring.Component):
    """Executes LOAD_WEIGHTS and LOAD_CONSTANTS and holds the ring of weights and the ring of constants.

    Every weight port reads its slice of the words on its own, several bursts ahead but never more than there is room
    for, so its beats are always taken at once. An instruction's requests begin while data of the one before arrive.
    A word becomes visible in `weights.written` when all ports have written it, at most one word a cycle.

    Members
    -------
    `interfaces.engine_members`, and
    bases: base address by region.
    weights, constants: the rings, as COMPUTE reads them.
    axi: one read master per weight port; the first also loads constants.
    stalled: a burst waited for room in a ring, a cycle ago.
    """

    def __init__(self, geometry: Geometry) -> None:
        g = self._geometry = geometry
        port = axi4_master(data_bits=g.weights_bus_bits, address_bits=g.address_bits, direction=Direction.READ)
        super().__init__({
            **engine_members(),
            "bases": In(bases_layout(g)),
            "weights": In(weight_read_signature(g)),
            "constants": In(constant_read_signature(g)),
            "axi": Out(port).array(g.weight_ports),
            "stalled": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        bus_bytes = g.weights_bus_bits // 8
        tile_bytes = g.tile_filters * CONSTANT_BITS // 8
        length_bits = max(16 + (g.weight_slice_bits // 8).bit_length(), 8 + tile_bytes.bit_length())
        readers = [
            BurstReader(data_bits=g.weights_bus_bits, address_bits=g.address_bits, maximum_burst=g.maximum_burst,
                        length_bits=length_bits, tag=_TAG)
            for _ in range(g.weight_ports)
        ]
        for index, reader in enumerate(readers):
            m.submodules[f"reader_{index}"] = reader
            wiring.connect(m, wiring.flipped(self.axi[index]), reader.axi)
        misplaced = self._issue(m, readers, bus_bytes, tile_bytes)
        stop = report_first(m, self, [
            *misplaced,
            *((reader.error, isa.Error.READ_RESPONSE, reader.error_tag.layer) for reader in readers),
        ])
        filling = self._fill(m, platform, readers, stop)
        m.d.comb += [reader.abort.eq(stop) for reader in readers]
        m.d.sync += self.active.eq(reduce(or_, (
            (axi.arvalid & axi.arready) | (axi.rvalid & axi.rready) for axi in (r.axi for r in readers)
        )) | (self.instruction.valid & self.instruction.ready))
        at_rest = ~reduce(or_, (~reader.idle for reader in readers))
        m.d.comb += self.idle.eq(at_rest & (stop | (~self._held & ~filling)))
        with m.If(stop):
            m.d.comb += self.instruction.ready.eq(0)
        return m

    def _issue(self, m: Module, readers: list[BurstReader], bus_bytes: int, tile_bytes: int) -> list:
        """Takes instructions and hands their requests to one port after another; the causes of errors found."""
        g = self._geometry
        raw = self.instruction.p
        load = data.View(instruction_layout(isa.LOAD_WEIGHTS), raw)
        tiles = data.View(instruction_layout(isa.LOAD_CONSTANTS), raw).tiles
        self._held = held = Signal()  # an instruction whose requests are not all handed over
        checked, unknown, wrong = Signal(), Signal(), Signal()  # it was examined, and what is wrong with it
        opcode = Signal(isa.OPCODE_BITS)
        layer = Signal(isa.LAYER_BITS)
        address = Signal(g.address_bits, reset_less=True)
        stride = Signal(32, reset_less=True)
        count = Signal(16)
        turn = Signal(len(readers), init=1)  # one-hot: the port whose request is next

        constants = opcode == isa.Opcode.LOAD_CONSTANTS
        lane_bits = (bus_bytes - 1).bit_length()
        askew = Mux(constants, address[:6].any(), (address[:lane_bits] | stride[:lane_bits]).any())
        done = Signal()
        m.d.comb += self.instruction.ready.eq(~held)
        m.d.sync += [
            checked.eq(held & ~done),
            unknown.eq(~constants & (opcode != isa.Opcode.LOAD_WEIGHTS)),
            wrong.eq(askew | (count == 0)),
        ]
        with m.If(self.instruction.valid & self.instruction.ready):
            m.d.sync += [
                held.eq(1), opcode.eq(load.opcode), layer.eq(load.layer), stride.eq(load.port_stride),
                address.eq(self.bases[load.region] + load.address),
                count.eq(Mux(load.opcode == isa.Opcode.LOAD_CONSTANTS, tiles, load.words)),
            ]
        for index, reader in enumerate(readers):
            request = reader.requests
            m.d.comb += [
                request.valid.eq(checked & turn[index] & ~unknown & ~wrong),
                request.p.address.eq(address),
                request.p.tag.layer.eq(layer),
                request.p.bytes.eq(times(count, g.weight_slice_bits // 8)),
            ]
            if index == 0:
                m.d.comb += request.p.tag.constants.eq(constants)
                with m.If(constants):
                    m.d.comb += request.p.bytes.eq(times(count[:8], tile_bytes))
            with m.If(request.valid & request.ready):
                m.d.sync += address.eq(address + stride)
                if index == len(readers) - 1:
                    m.d.comb += done.eq(1)
                else:
                    m.d.comb += done.eq(constants)
                    m.d.sync += turn.eq(Mux(constants, 1, turn << 1))
        with m.If(done):
            m.d.sync += [held.eq(0), turn.eq(1)]
        return [(checked & unknown, isa.Error.OPCODE, layer), (checked & wrong, isa.Error.FIELD, layer)]

    def _chase(self, m: Module, released: Signal) -> Signal:
        """A strobe, a register, for each unit that COMPUTE has released, at most one a cycle."""
        seen = Signal.like(released)
        behind, freed = Signal(), Signal()
        m.d.comb += behind.eq(seen != released)
        m.d.sync += [seen.eq(seen + behind), freed.eq(behind)]
        return freed

    def _fill(self, m: Module, platform: object, readers: list[BurstReader], stop: Signal) -> Signal:
        """Writes beats into the rings and keeps their counts; high while what was read is not yet visible."""
        g = self._geometry
        columns = g.weight_slice_bits // g.weights_bus_bits
        row_columns = g.post_units * CONSTANT_BITS // g.weights_bus_bits
        row_bits = (g.drain_cycles - 1).bit_length()

        freed = self._chase(m, self.weights.released)
        tile_freed = self._chase(m, self.constants.released)

        m.submodules.tile_credit = tile_credit = _Credit(unit=g.drain_cycles * row_columns, units=g.constant_tiles)
        m.submodules.row_fill = row_fill = _PortFill(columns=row_columns, depth=2)  # its rows are counted below
        words, fills, pending = [], [], Signal(len(readers))
        short = Signal(len(readers))  # a port's burst waits for room
        for index, reader in enumerate(readers):
            m.submodules[f"credit_{index}"] = credit = _Credit(unit=columns, units=g.weight_depth)
            m.submodules[f"fill_{index}"] = fill = _PortFill(columns=columns, depth=g.weight_depth)
            fills.append(fill)
            with_constants = reader.next_tag.constants if index == 0 else 0
            m.d.comb += [
                credit.release.eq(freed),
                credit.waiting.eq(reader.waiting),
                credit.length.eq(reader.next_length),
                credit.begin.eq(reader.begin),
                credit.spend.eq(reader.begin & ~with_constants),
                reader.permit.eq(credit.enough),
                short[index].eq(credit.short),
                reader.beats.ready.eq(1),
            ]
            # A register between the bus and the memories' many inputs.
            beat = Signal(g.weights_bus_bits, name=f"beat_{index}")
            constants = Signal(name=f"constants_{index}")
            m.d.sync += [
                pending[index].eq(reader.beats.valid & ~stop),
                beat.eq(reader.beats.p.data),
                constants.eq(reader.beats.p.tag.constants),
            ]
            m.d.comb += fill.take.eq(pending[index] & ~constants)
            for column in range(columns):
                ring = _Column(width=g.weights_bus_bits, depth=g.weight_depth)
                m.submodules[f"ring_{index}_{column}"] = place(platform, ring)
                m.d.comb += [
                    ring.take.eq(fill.take), ring.column.eq(fill.column[column]),
                    ring.write_address.eq(fill.filled),
                    ring.write_data.eq(beat),
                    ring.read.eq(self.weights.enable),
                    ring.read_address.eq(self.weights.address),
                ]
                words.append(ring.read_data)
            if index == 0:
                m.d.comb += [
                    tile_credit.release.eq(tile_freed),
                    tile_credit.waiting.eq(reader.waiting),
                    tile_credit.length.eq(reader.next_length),
                    tile_credit.begin.eq(reader.begin),
                    tile_credit.spend.eq(reader.begin & with_constants),
                    row_fill.take.eq(pending[0] & constants),
                ]
                with m.If(with_constants):
                    m.d.comb += [reader.permit.eq(tile_credit.enough), short[index].eq(tile_credit.short)]
                first_beat = beat
        m.d.comb += [self.weights.data.eq(Cat(words)), self.stalled.eq(short.any() & ~stop)]
        complete = ~reduce(or_, (fill.filled == self.weights.written for fill in fills))
        m.d.sync += self.weights.written.eq(self.weights.written + complete)

        row, tile = Signal(row_bits), Signal.like(self.constants.written)
        row_end = row_fill.take & row_fill.column[-1]
        with m.If(row_end):
            m.d.sync += row.eq(Mux(row == g.drain_cycles - 1, 0, row + 1))
            with m.If(row == g.drain_cycles - 1):
                m.d.sync += tile.eq(tile + 1)
        rows = []
        for column in range(row_columns):
            ring = _Column(width=g.weights_bus_bits, depth=g.constant_tiles << row_bits)
            m.submodules[f"row_{column}"] = place(platform, ring)
            m.d.comb += [
                ring.take.eq(row_fill.take), ring.column.eq(row_fill.column[column]),
                ring.write_address.eq(Cat(row, tile[:-1])),
                ring.write_data.eq(first_beat),
                ring.read.eq(self.constants.enable),
                ring.read_address.eq(Cat(self.constants.row[:row_bits], self.constants.tile)),
            ]
            rows.append(ring.read_data)
        m.d.comb += [self.constants.data.eq(Cat(rows)), self.constants.written.eq(tile)]
        return pending.any() | complete
