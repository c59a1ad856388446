"""The run: from START to DONE, with the first cause of an error, the watchdog, and the reset that ends every run."""

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .. import isa
from ..interfaces import EngineError
from .register_file import ErrorRecord, RunStatus

SETTLE_CYCLES = 8
"""Cycles for which everything must be idle under abort before it is reset."""
RESET_CYCLES = 16
"""Length of the reset. Pipelines without a reset of their own run empty meanwhile."""

REPORTERS = (
    isa.Engine.FETCH,
    isa.Engine.WEIGHTS,
    isa.Engine.MAPS,
    isa.Engine.COMPUTE,
    isa.Engine.STORE,
)
"""Engines that report errors, in the order of `Supervisor.errors`, which is also their precedence within a cycle."""


class EngineState(data.Struct):
    """What the supervisor must know of an engine."""

    error: EngineError
    idle: unsigned(1)
    active: unsigned(1)


class _Reports(data.Struct):
    """What may end a run, as it was a cycle ago."""

    errors: data.ArrayLayout(EngineError, len(REPORTERS))
    token_overflow: unsigned(1)
    token_engine: unsigned(4)
    finished: unsigned(1)
    stop: unsigned(1)


class Blocked(data.Struct):
    """The instruction that a deadlock is put down to; engine CONTROL if none waits for tokens."""

    engine: unsigned(isa.ENGINE_BITS)
    layer: unsigned(isa.LAYER_BITS)


class Supervisor(wiring.Component):
    """Runs a program: idle → run → drain → reset → idle.

    A run ends when FINISH completes, on the first error, or on STOP. Then `abort` rises; when everything has been idle
    for SETTLE_CYCLES, engines, queues and tokens are reset for RESET_CYCLES, and the run is done. Causes of one cycle
    take precedence in this order: errors in the order of REPORTERS, TOKENS, the end of FINISH, STOP, DEADLOCK. Later
    ones are not recorded. All of them, and what is idle and active, take effect a cycle after they are given.

    The watchdog counts cycles in which nothing is `active`, from the start of the run and again from the start of
    draining. At `watchdog` cycles (0: never) a run ends with DEADLOCK; draining that stands still is reported as done
    (with DEADLOCK, if there was no error before) though it goes on: `draining` stays, no start is possible until the
    bus has answered, and the reset follows.

    Members
    -------
    start, stop, clear: commands. `start` only when neither busy nor draining.
    watchdog: see above.
    engines: by REPORTERS.
    finished: FINISH has completed; for one cycle.
    token_overflow, token_engine: a lost token and who gave it.
    blocked: what a deadlock is put down to.
    fetched: for the record.
    status: of the run, for the registers.
    abort: to FETCH and the engines; high from the end of the run on, and during the reset.
    reset: to FETCH, the engines, queues and tokens.
    """

    start: In(1)
    stop: In(1)
    clear: In(1)
    watchdog: In(32)
    engines: In(data.ArrayLayout(EngineState, len(REPORTERS)))
    finished: In(1)
    token_overflow: In(1)
    token_engine: In(isa.ENGINE_BITS)
    blocked: In(Blocked)
    fetched: In(32)
    status: Out(RunStatus)
    abort: Out(1)
    reset: Out(1)

    def elaborate(self, platform):
        m = Module()
        status = self.status

        # What the engines report is looked at a cycle later, all of it: which cause came first stays as it is.
        all_idle, progress = Signal(), Signal(init=1)
        seen = Signal(_Reports)
        m.d.sync += [
            all_idle.eq(Cat(engine.idle for engine in self.engines).all()),
            progress.eq(Cat(engine.active for engine in self.engines).any()),
            *(error.eq(engine.error) for error, engine in zip(seen.errors, self.engines)),
            seen.token_overflow.eq(self.token_overflow),
            seen.token_engine.eq(self.token_engine),
            seen.finished.eq(self.finished),
            seen.stop.eq(self.stop),
        ]

        # Watchdog. That `quiet` is at `watchdog` is known a step ahead.
        quiet, limit = Signal(32), Signal(32)
        watching, expired, heard = Signal(), Signal(), Signal()
        m.d.sync += [limit.eq(self.watchdog - 1), watching.eq(self.watchdog != 0)]
        with m.If(progress | heard):
            m.d.sync += [quiet.eq(0), expired.eq(0)]
        with m.Elif(~expired):
            m.d.sync += [quiet.eq(quiet + 1), expired.eq(watching & (quiet == limit))]

        # Why a run ends in this cycle.
        ended = Signal()
        cause = Signal(ErrorRecord)
        self._choose_cause(m, seen, ended, cause, expired)

        settled = Signal(range(SETTLE_CYCLES + 1))
        resetting = Signal(range(RESET_CYCLES))
        reported = Signal()
        with m.If(self.clear):
            m.d.sync += [status.done.eq(0), status.error.eq(0), status.error_instruction.eq(0)]
        with m.FSM() as states:
            with m.State("IDLE"):
                m.d.sync += progress.eq(1)
                with m.If(self.start):
                    m.d.sync += [status.done.eq(0), status.error.eq(0), status.error_instruction.eq(0)]
                    m.next = "RUN"
            with m.State("RUN"):
                with m.If(ended):
                    m.d.comb += heard.eq(1)
                    m.d.sync += [settled.eq(0), status.error.eq(cause)]
                    with m.If(cause.code != isa.Error.NONE):
                        m.d.sync += status.error_instruction.eq(self.fetched)
                    m.next = "DRAIN"
            with m.State("DRAIN"):
                with m.If(all_idle):
                    m.d.comb += heard.eq(1)
                    m.d.sync += settled.eq(settled + 1)
                with m.Else():
                    m.d.sync += settled.eq(0)
                with m.If(settled == SETTLE_CYCLES):
                    m.d.sync += resetting.eq(0)
                    m.next = "RESET"
                with m.Elif(expired & ~reported):
                    m.d.sync += [status.done.eq(1), reported.eq(1)]
                    with m.If(status.error.code == isa.Error.NONE):
                        m.d.sync += [
                            status.error.code.eq(isa.Error.DEADLOCK),
                            status.error_instruction.eq(self.fetched),
                        ]
            with m.State("RESET"):
                m.d.sync += resetting.eq(resetting + 1)
                with m.If(resetting == RESET_CYCLES - 1):
                    m.d.sync += reported.eq(0)
                    with m.If(~reported):
                        m.d.sync += status.done.eq(1)
                    m.next = "IDLE"

        m.d.comb += [
            status.busy.eq(~states.ongoing("IDLE") & ~reported),
            status.draining.eq(states.ongoing("DRAIN") | states.ongoing("RESET")),
            self.abort.eq(status.draining),
            self.reset.eq(states.ongoing("RESET")),
        ]
        return m

    def _choose_cause(self, m: Module, seen, ended: Signal, cause, expired: Signal) -> None:
        """Drives `ended` and `cause` by the precedence that the class states."""
        m.d.comb += ended.eq(1)
        for name, error in zip(REPORTERS, seen.errors):
            with m.If(error.valid) if name is REPORTERS[0] else m.Elif(error.valid):
                m.d.comb += [cause.code.eq(error.code), cause.engine.eq(name), cause.layer.eq(error.layer)]
        with m.Elif(seen.token_overflow):
            m.d.comb += [cause.code.eq(isa.Error.TOKENS), cause.engine.eq(seen.token_engine)]
        with m.Elif(seen.finished):
            pass
        with m.Elif(seen.stop):
            m.d.comb += [cause.code.eq(isa.Error.STOPPED), cause.engine.eq(isa.Engine.CONTROL)]
        with m.Elif(expired):
            m.d.comb += [
                cause.code.eq(isa.Error.DEADLOCK),
                cause.engine.eq(self.blocked.engine),
                cause.layer.eq(self.blocked.layer),
            ]
        with m.Else():
            m.d.comb += ended.eq(0)
