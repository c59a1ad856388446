"""The sequencer: from COMPUTE instructions to steps."""

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .. import isa
from ..geometry import Geometry
from ..interfaces import EngineError, Step, instruction_layout
from .layouts import PoolStep, group_parameters
from .loops import LOOPS, LoopNest
from .pipeline import delay

_PASSES, _X, _Y = LOOPS.index("passes"), LOOPS.index("outputs_x"), LOOPS.index("outputs_y")


class Sequencer(wiring.Component):
    """Issues the steps of COMPUTE instructions, one a cycle while nothing is missing, without a gap in between.

    One instruction is held beside the one under way; it is checked there, and the next one is taken in the cycle after
    it begins. What belongs to the step issued in cycle t
    (`stepping`): its activation address in t, whether zeros replace the word in t + 1, the read of its weight word
    in t + 1, `step` or `pool` in t + 2.

    Parameters
    ----------
    spacing: cycles from an accumulator group's last step to the next one's, at least.

    Members
    -------
    instruction: the engine's.
    halt: take nothing any more, and issue nothing from the next cycle on.
    drained: every accumulator group issued is written.
    weights_written, weights_released, weight_enable, weight_address: the ring of weights.
    constants_written: the ring of constants; tiles are released elsewhere, and counted here in program order.
    activation_address, activation_outside, step, pool: see above; `pool_parameters` come with `pool`.
    issue, group: a CONVOLVE accumulator group's last step is issued; what the drain needs to know.
    input_free: the token is given.
    busy: an instruction is held.
    stepping, wait_weights, wait_drain, wait_constants: strobes for the counters.
    error: FIELD, for an instruction that cannot be executed.
    """

    def __init__(self, geometry: Geometry, *, spacing: int) -> None:
        self._geometry = geometry
        self._spacing = spacing
        self._groups = group_parameters(geometry)
        g = geometry
        super().__init__({
            "instruction": In(stream.Signature(unsigned(isa.INSTRUCTION_BITS))),
            "halt": In(1),
            "drained": In(1),
            "weights_written": In(range(2 * g.weight_depth)),
            "weights_released": Out(range(2 * g.weight_depth)),
            "weight_enable": Out(1),
            "weight_address": Out(range(g.weight_depth)),
            "constants_written": In(range(2 * g.constant_tiles)),
            "activation_address": Out(range(g.activation_depth)),
            "activation_outside": Out(1),
            "step": Out(Step),
            "pool": Out(PoolStep),
            "pool_parameters": Out(self._groups["write"].shape),
            "issue": Out(1),
            "group": Out(self._groups),
            "input_free": Out(1),
            "busy": Out(1),
            "stepping": Out(1),
            "wait_weights": Out(1),
            "wait_drain": Out(1),
            "wait_constants": Out(1),
            "error": Out(EngineError),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        layout = instruction_layout(isa.COMPUTE)

        # The instruction held: taken in one cycle, examined in the next two.
        held = Signal(layout, reset_less=True)
        held_valid = Signal()
        examining, examined = Signal(), Signal()
        armed, load = Signal(), Signal()  # the next step is its first one; and that step comes next
        m.d.comb += self.instruction.ready.eq(~held_valid & ~self.halt)
        with m.If(self.instruction.ready & self.instruction.valid):
            m.d.sync += [held.eq(self.instruction.payload), held_valid.eq(1)]
        with m.Elif(load):
            m.d.sync += [held_valid.eq(0), examining.eq(0), examined.eq(0)]
        with m.Else():
            m.d.sync += [examining.eq(held_valid), examined.eq(examining & ~self.halt)]
        held_convolves = held.mode == isa.Mode.CONVOLVE

        ones = Signal(len(LOOPS))
        illegal = Signal()
        first_offset = Signal(range(2 * g.weight_depth))
        m.d.sync += [
            ones.eq(sum((held[name] == 1) << index for index, name in enumerate(LOOPS))),
            illegal.eq(self._illegal(m, held)),
            first_offset.eq(held.weight_offset + Mux(held.weight_digit_mask[0], held.weight_words, 0)),
        ]

        m.submodules.loops = loops = LoopNest()
        current, last = loops.current, loops.last
        go = self.stepping
        valid = Signal()
        runnable, current_illegal = Signal(), Signal()  # of the instruction that is `valid`; not under `halt`
        convolves = Signal()
        pass_last = last[:_PASSES].all()
        group_last, final = loops.group_last, loops.final
        m.d.comb += [
            loops.instruction.eq(held),
            loops.ones.eq(ones),
            loops.load.eq(armed),
            loops.step.eq(go),
            loops.start.eq(examined & ~valid),
            armed.eq(examined & (final | ~valid)),
            load.eq(armed & (go | ~valid)),
            self.busy.eq(held_valid | valid | delay(m, go, 1, name="stepped", reset=True)),
        ]
        with m.If(load):
            m.d.sync += [
                valid.eq(1), runnable.eq(~illegal), current_illegal.eq(illegal), convolves.eq(held_convolves),
            ]
        with m.Elif(go & final):
            m.d.sync += [valid.eq(0), runnable.eq(0)]
        with m.If(self.halt):
            m.d.sync += runnable.eq(0)

        # Constants: tiles are numbered in program order, an instruction's own from the moment it is held.
        head = Signal(range(2 * g.constant_tiles))
        held_tile = Signal.like(head)
        tile = Signal.like(head)
        looked_up = Signal.like(head)
        present = Signal()
        constants_ready = Signal()
        m.d.comb += looked_up.eq(Mux(valid & ~constants_ready, tile, held_tile))
        m.d.comb += present.eq(_before(looked_up, self.constants_written))
        m.d.sync += held_tile.eq(head + held.constant_offset)
        with m.If(load):
            m.d.sync += [tile.eq(held_tile), constants_ready.eq(present | ~held_convolves)]
            with m.If(held_convolves & held.release_constants):
                m.d.sync += head.eq(head + 1)
        with m.Elif(~constants_ready):
            m.d.sync += constants_ready.eq(present)

        # Weights: `position` is the number of the step's word, `released` counts in program order.
        released = Signal(range(2 * g.weight_depth))
        start = Signal.like(released)
        position = Signal.like(released)
        restart = Signal.like(released)
        restart_pass = Signal(2)
        second_digit = Signal()
        releasing = current.release & current.final_mask.bit_select(loops.number, 1) & last[_X] & last[_Y] & convolves
        freeing = go & releasing
        m.d.comb += [
            restart_pass.eq((loops.number + 1) & ~last[_PASSES].replicate(2)),
            second_digit.eq(current.weight_digit_mask.bit_select(restart_pass, 1)),
            restart.eq(start + Mux(second_digit, current.weight_words, 0)),
        ]
        m.d.sync += released.eq(released + freeing)
        # Whether the step's word is written is known a cycle ahead: for every word that may be the next one.
        there = Signal()
        firsts = [released + after + first_offset for after in (0, 1)]
        first_there = [_before(first, self.weights_written) for first in firsts]
        with m.If(load):
            m.d.sync += there.eq(Mux(freeing, first_there[1], first_there[0]))
        with m.Elif(go & pass_last):
            m.d.sync += there.eq(Mux(
                second_digit,
                _before(start + current.weight_words, self.weights_written),
                _before(start, self.weights_written),
            ))
        with m.Elif(go):
            m.d.sync += there.eq(_before(position + 1, self.weights_written))
        with m.Else():
            m.d.sync += there.eq(_before(position, self.weights_written))
        with m.If(load):
            m.d.sync += [
                start.eq((released + held.weight_offset) + freeing), position.eq(firsts[0] + freeing),
            ]
        with m.Elif(go & pass_last):
            m.d.sync += position.eq(restart)
        with m.Elif(go):
            m.d.sync += position.eq(position + 1)
        m.d.sync += [
            self.weight_enable.eq(go & convolves),
            self.weight_address.eq(position),
            self.weights_released.eq(delay(m, released, 1, name="weights_released", reset=True)),
        ]

        # Whether the step can be issued, and what it waits for.
        countdown = Signal(range(max(self._spacing, 2)))
        spaced = Signal(init=1)  # the countdown is at 0
        with m.If(go & group_last & convolves):
            m.d.sync += [countdown.eq(self._spacing - 1), spaced.eq(self._spacing == 1)]
        with m.Elif(~spaced):
            m.d.sync += [countdown.eq(countdown - 1), spaced.eq(countdown == 1)]
        with m.If(runnable & convolves):
            with m.If(~constants_ready):
                m.d.comb += self.wait_constants.eq(1)
            with m.Elif(~there):
                m.d.comb += self.wait_weights.eq(1)
            with m.Elif(group_last & ~spaced):
                m.d.comb += self.wait_drain.eq(1)
            with m.Else():
                m.d.comb += go.eq(1)
        with m.Elif(runnable):
            m.d.comb += [go.eq(self.drained), self.wait_drain.eq(~self.drained)]

        self._issue(m, loops, go=go, convolves=convolves, group_last=group_last, final=final, tile=tile)

        # An address beyond the memory is reported when a step reaches it, unless its word is replaced by zeros.
        outreaching = Signal()
        beyond = Signal()
        m.d.sync += outreaching.eq(go & (loops.address >= g.activation_depth))
        m.d.comb += beyond.eq(outreaching & ~loops.outside)
        m.d.comb += [
            self.error.valid.eq(((valid & current_illegal) | beyond) & ~self.halt),
            self.error.code.eq(isa.Error.FIELD),
            self.error.layer.eq(Mux(beyond, delay(m, current.layer, 1, name="layer"), current.layer)),
        ]
        return m

    def _illegal(self, m: Module, fields: Signal) -> Value:
        """Whether an instruction has fields that contradict each other or the geometry, a cycle later."""
        g = self._geometry
        convolves = fields.mode == isa.Mode.CONVOLVE
        several = (fields.outputs_x != 1) | (fields.outputs_y != 1)
        words_end = Signal(16)
        # Only an accumulator group that reads every word once and frees it may use more words than the ring holds.
        streams, counts = Signal(), Signal()
        m.d.sync += [
            words_end.eq(fields.weight_offset + (fields.weight_words << fields.weight_digit_mask.any())),
            streams.eq(fields.release & ~several & (fields.passes == 1 + fields.weight_digit_mask.any())),
            counts.eq(convolves),
        ]
        faults = [
            *(fields[name] == 0 for name in (*LOOPS, "stride_x", "width")),
            fields.passes > isa.MAXIMUM_PASSES,
            ~convolves & (fields.channels != 1),
            convolves & fields.release & (fields.weight_offset != 0),
            convolves & (fields.constant_offset >= g.constant_tiles),
            convolves & fields.release_constants & (fields.constant_offset != 0),
            convolves & (fields.shift > isa.MAXIMUM_SHIFT),
            convolves & ~fields.output_digits & (fields.maximum > (1 << g.activation_bits) - 1),
        ]
        faulty = Signal()
        m.d.sync += faulty.eq(sum(fault << index for index, fault in enumerate(faults)) != 0)
        return faulty | counts & ~streams & (words_end > g.weight_depth)

    def _issue(
        self,
        m: Module,
        loops: LoopNest,
        *,
        go: Signal,
        convolves: Signal,
        group_last: Signal,
        final: Signal,
        tile: Signal,
    ) -> None:
        current = loops.current
        number = loops.number
        m.d.comb += [self.activation_address.eq(loops.address), self.activation_outside.eq(loops.outside)]

        step = Signal(Step)
        m.d.comb += [
            step.valid.eq(go & convolves),
            step.clear.eq(loops.first_of_group),
            step.shift.eq(loops.first_of_pass & ~loops.first_of_group & current.shift_mask.bit_select(number, 1)),
            step.count.eq(current.count_mask.bit_select(number, 1)),
            step.last.eq(group_last),
        ]
        m.d.comb += self.step.eq(delay(m, step, 2, name="step", reset=True))

        pool = Signal(PoolStep)
        m.d.comb += [
            pool.valid.eq(go & ~convolves),
            pool.first.eq(loops.first_of_pass),
            pool.last.eq(loops.last[:_PASSES].all()),
            pool.group_last.eq(group_last),
        ]
        write = Signal.like(self.group.write)
        m.d.comb += [
            write.layer.eq(current.layer),
            write.final.eq(final),
            write.base.eq(current.output_base),
            write.pitch.eq(current.output_pitch),
            write.digits.eq(current.output_digits),
            write.signals.eq(current.signal & (1 << isa.Token.OUTPUT_READY | 1 << isa.Token.RESIDUAL_FREE)),
        ]
        m.d.comb += [
            self.pool.eq(delay(m, pool, 2, name="pool", reset=True)),
            self.pool_parameters.eq(delay(m, write, 2, name="pool_parameters")),
        ]

        m.d.comb += [
            self.issue.eq(go & convolves & group_last),
            self.group.write.eq(write),
            self.group.residual.layer.eq(current.layer),
            self.group.residual.final.eq(final),
            self.group.residual.residual.eq(current.residual),
            self.group.residual.base.eq(current.residual_base),
            self.group.residual.pitch.eq(current.residual_pitch),
            self.group.residual.digits.eq(current.residual_digits),
            self.group.row.tile.eq(tile),
            self.group.row.release.eq(current.release_constants & final),
            self.group.row.shift.eq(current.shift),
            self.group.row.maximum.eq(current.maximum),
            self.group.row.residual.eq(current.residual),
            self.group.row.residual_digits.eq(current.residual_digits),
            self.group.row.residual_scale.eq(Mux(current.residual, current.residual_scale, 0)),
            self.group.row.output_digits.eq(current.output_digits),
        ]
        m.d.sync += self.input_free.eq(go & final & current.signal[isa.Token.INPUT_FREE])


def _before(number: Value, written: Signal) -> Value:
    """Whether `number` lies before `written`; both count modulo twice the ring's depth, at most a depth apart."""
    return ~(written - number - 1)[len(written) - 1]
