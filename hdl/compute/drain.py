"""The drain's timing and addresses: shared by all pixel lanes, whose data path is `lane.PixelLane`.

An accumulator group leaves in `drain_cycles` rows: row i of requantizer u is filter lane u · (To / U) + i. Everything
has a fixed place in time, counted from the issue of the accumulator group's last step, so that nothing ever waits
here: the sequencer keeps last steps `DrainTiming.spacing` cycles apart.
"""

import dataclasses

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .. import isa
from ..geometry import Geometry
from ..interfaces import EngineError
from .group_queue import GroupQueue
from .layouts import (
    PoolStep,
    ResidualParameters,
    WriteParameters,
    group_parameters,
    lane_control_layout,
    row_parameters,
)
from .pipeline import SELECTION_CYCLES, delay
from .requantizer import Requantizer
from .walker import AddressWalker

STEP_DELAY = 2
"""Cycles from a step's issue to the array's operands."""
_PREFETCH_CYCLES = 3
"""Cycles from an accumulator group's issue to its first residual word (entry, address, memory); then one a word."""


@dataclasses.dataclass(frozen=True)
class DrainTiming:
    """When things happen to an accumulator group whose last step is issued in cycle 0.

    Parameters
    ----------
    latency, hold: of `Array`.
    """

    geometry: Geometry
    latency: int
    hold: int

    @property
    def copied(self) -> bool:
        """The lanes copy the array's results: it overwrites some before the next accumulator group's are complete."""
        return self.hold < self.latency

    @property
    def begin(self) -> int:
        """The row counter is set: 2 cycles before row 0's operands are selected.

        That is when they are captured or copied, or later where residuals could not be there yet.
        """
        prefetched = _PREFETCH_CYCLES + 2 * self.geometry.tile_words
        return max(self.latency + STEP_DELAY - 2 + self.copied, prefetched - 1)

    @property
    def spacing(self) -> int:
        """Cycles between the last steps of two accumulator groups, at least.

        The first one's operands have left before they are overwritten, its words are written before the second one's
        come, and the second one's residuals are fetched in time.
        """
        rows_end = self.begin + 2 + self.geometry.drain_cycles
        operands_left = rows_end - STEP_DELAY - self.latency - self.copied
        copied = self.latency - self.hold + 1
        return max(operands_left, copied, 2 * self.geometry.tile_words + _PREFETCH_CYCLES)

    @property
    def written(self) -> int:
        """Every word of the accumulator group is in the output memory, at the latest."""
        rows = self.begin + self.geometry.drain_cycles
        return rows + Requantizer.LATENCY + 2 * self.geometry.tile_words + SELECTION_CYCLES + 4

    @property
    def in_flight(self) -> int:
        """Groups between their last step and their last written word, at most, as a power of two."""
        return max(2, 1 << (self.written // self.spacing).bit_length())


class DrainControl(wiring.Component):
    """Drives the pixel lanes from the issue of an accumulator group to its last output word; and the pool's writes.

    Members
    -------
    issue, group: an accumulator group's last step is issued; its parameters.
    pool, pool_parameters: the pool's step in this cycle.
    halt: write nothing and give no token any more.
    control: the fields of `lane_control_layout` that belong to the drain.
    constant_enable, constant_tile, constant_row: read of the ring of constants.
    constants_released: tiles, modulo twice the ring's depth.
    drained: no accumulator group is in flight.
    pooling: words of the pool are under way.
    signals: tokens.
    error: FIELD, an address beyond the output or residual memory.
    """

    def __init__(self, geometry: Geometry, timing: DrainTiming) -> None:
        self._geometry = g = geometry
        self._timing = timing
        super().__init__({
            "issue": In(1),
            "group": In(group_parameters(g)),
            "pool": In(PoolStep),
            "pool_parameters": In(WriteParameters),
            "halt": In(1),
            "control": Out(lane_control_layout(g)),
            "constant_enable": Out(1),
            "constant_tile": Out(range(g.constant_tiles)),
            "constant_row": Out(range(g.drain_cycles)),
            "constants_released": Out(range(2 * g.constant_tiles)),
            "drained": Out(1, init=1),
            "pooling": Out(1),
            "signals": Out(8),
            "error": Out(EngineError),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        taken = self._rows(m)
        residual_error = self._residuals(m, taken)
        group_written, write_error = self._writes(m)

        # Groups issued before the cycle before; `drained`, a register, knows of those since.
        in_flight, following = (Signal(range(self._timing.in_flight + 1)) for _ in range(2))
        issued = Signal()
        m.d.comb += following.eq(in_flight + issued - group_written)
        m.d.sync += [issued.eq(self.issue), in_flight.eq(following)]
        m.d.sync += self.drained.eq((following == 0) & ~self.issue)

        for error in (residual_error, write_error):
            with m.If(error.valid & ~self.halt):
                m.d.comb += self.error.eq(error)
        return m

    def _queue(self, m: Module, name: str, layout: object) -> GroupQueue:
        m.submodules[name] = queue = GroupQueue(layout, self._timing.in_flight)
        m.d.comb += [queue.push.eq(self.issue), queue.entry.eq(self.group[name])]
        return queue

    def _rows(self, m: Module) -> Signal:
        """Rows of a group: selection of operands, constants, and what the requantizers are told.

        Returns the strobe with which an accumulator group's residuals are taken.
        """
        g = self._geometry
        control = self.control
        queue = self._queue(m, "row", row_parameters(g))
        begin = delay(m, self.issue, self._timing.begin, name="begin", reset=True)
        active = Signal()
        row = Signal(range(g.drain_cycles))
        parameters = Signal(row_parameters(g))
        last = Signal()
        m.d.comb += [queue.pop.eq(begin), last.eq(active & (row == g.drain_cycles - 1))]
        with m.If(begin):
            m.d.sync += [active.eq(1), row.eq(0), parameters.eq(queue.head)]
        with m.Else():
            m.d.sync += [active.eq(active & ~last), row.eq(row + 1)]

        m.d.comb += [
            self.constant_enable.eq(active),
            self.constant_tile.eq(parameters.tile),
            self.constant_row.eq(row),
        ]
        m.d.sync += self.constants_released.eq(self.constants_released + (last & parameters.release))

        # A row's operands are selected from the following cycle on, enter the requantizers, and come out as codes.
        operands = 1 + SELECTION_CYCLES
        codes = operands + Requantizer.LATENCY
        taken = Signal()
        m.d.comb += [
            taken.eq(active & (row == 0) & parameters.residual),
            control.row.eq(row),
            control.residual_take.eq(taken),
            control.residual_digits.eq(delay(m, parameters.residual_digits, operands - 1, name="residual_digits")),
            control.residual_scale.eq(delay(m, parameters.residual_scale, operands, name="residual_scale")),
            control.shift.eq(delay(m, parameters.shift, operands + Requantizer.SHIFT_LAG, name="shift")),
            control.maximum.eq(delay(m, parameters.maximum, operands + Requantizer.SHIFT_LAG, name="maximum")),
            control.output_digits.eq(delay(m, parameters.output_digits, codes, name="output_digits")),
            control.codes_take.eq(delay(m, active, codes, name="codes_take", reset=True)),
            control.words_take.eq(delay(m, last, codes, name="words_take", reset=True)),
        ]
        return taken

    def _residuals(self, m: Module, taken: Signal) -> EngineError:
        """Fetches each accumulator group's residual words into the lanes' staging registers before its first row."""
        g = self._geometry
        control = self.control
        queue = self._queue(m, "residual", ResidualParameters)
        staged = Signal()
        word = Signal(range(2 * g.tile_words))
        fetch = Signal()
        last = Signal()
        m.submodules.residual_walker = walker = AddressWalker()
        head = queue.head
        m.d.comb += [
            fetch.eq(queue.waiting & head.residual & ~staged),
            last.eq(word == Mux(head.digits, 2 * g.tile_words - 1, g.tile_words - 1)),
            queue.pop.eq(queue.waiting & (~head.residual | (fetch & last))),
            walker.take.eq(fetch),
            walker.base.eq(head.base),
            walker.pitch.eq(head.pitch),
            walker.last_word.eq(last),
            walker.last_group.eq(head.final),
        ]
        with m.If(fetch):
            m.d.sync += word.eq(Mux(last, 0, word + 1))
        with m.If(fetch & last):
            m.d.sync += staged.eq(1)
        with m.Elif(taken):
            m.d.sync += staged.eq(0)

        address = delay(m, walker.address, 1, name="residual_address")
        load = Signal(2 * g.tile_words)
        m.d.comb += load.eq(fetch << word)
        m.d.comb += [
            control.residual_address.eq(address),
            control.residual_load.eq(delay(m, load, 2, name="residual_load", reset=True)),
        ]
        error = Signal(EngineError)
        m.d.comb += [
            error.valid.eq(delay(m, fetch, 1, name="fetch", reset=True) & (address >= g.residual_depth)),
            error.code.eq(isa.Error.FIELD),
            error.layer.eq(delay(m, head.layer, 1, name="residual_layer")),
        ]
        return error

    def _writes(self, m: Module) -> tuple[Signal, EngineError]:
        """Output words to the output memory, from the drain or from the pool.

        Returns the strobe with which an accumulator group's last word is written, and the error of an address.
        """
        g = self._geometry
        control = self.control
        queue = self._queue(m, "write", WriteParameters)
        writing = Signal()
        word = Signal(range(2 * g.tile_words))
        parameters = Signal(WriteParameters)
        last = Signal()
        m.d.comb += [
            queue.pop.eq(control.words_take),
            last.eq(word == Mux(parameters.digits, 2 * g.tile_words - 1, g.tile_words - 1)),
        ]
        with m.If(control.words_take):
            m.d.sync += [writing.eq(1), word.eq(0), parameters.eq(queue.head)]
        with m.Elif(writing):
            m.d.sync += [writing.eq(~last), word.eq(word + 1)]

        # The pool's maximum is in the lanes' word register a cycle after the last step of its pass.
        pool = delay(m, self.pool, 1, name="pool", reset=True)
        pool_parameters = delay(m, self.pool_parameters, 1, name="pool_parameters")
        pooled = Signal()
        current = Signal(WriteParameters)
        m.submodules.write_walker = walker = AddressWalker()
        m.d.comb += [
            pooled.eq(pool.valid & pool.last),
            current.eq(Mux(pooled, pool_parameters, parameters)),
            walker.take.eq(writing | pooled),
            walker.base.eq(current.base),
            walker.pitch.eq(current.pitch),
            walker.last_word.eq(Mux(pooled, pool.group_last, last)),
            walker.last_group.eq(current.final),
        ]
        address = delay(m, walker.address, 1, name="write_address")
        valid = delay(m, walker.take, 1, name="write_valid", reset=True)
        inside = Signal()
        m.d.comb += [
            inside.eq(address < g.output_depth),
            control.write_word.eq(Mux(writing, word, 0)),
            control.write_address.eq(address),
            control.write_enable.eq(valid & inside & ~self.halt),
        ]
        error = Signal(EngineError)
        m.d.comb += [
            error.valid.eq(valid & ~inside),
            error.code.eq(isa.Error.FIELD),
            error.layer.eq(delay(m, current.layer, 1, name="write_layer")),
        ]
        # Tokens are given in the cycle after the write.
        m.d.comb += self.pooling.eq(self.pool.valid | pool.valid | valid)
        finished = Signal(8)
        m.d.comb += finished.eq(Mux(walker.take & walker.last_word & walker.last_group, current.signals, 0))
        m.d.comb += self.signals.eq(Mux(self.halt, 0, delay(m, finished, 2, name="finished", reset=True)))
        group_written = Signal()
        m.d.comb += group_written.eq(delay(m, writing & last, 1, name="group_written", reset=True))
        return group_written, error
