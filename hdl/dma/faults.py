"""What the engines of this folder share towards control."""

from collections.abc import Iterable
from typing import Any

from amaranth.hdl import Module, Signal, ValueLike

from .. import isa
from ..interfaces import EngineError


def report_first(m: Module, engine: Any, causes: Iterable[tuple[ValueLike, isa.Error, ValueLike]]) -> Signal:
    """Drives `engine.error` with the first cause that holds (of several at once, the first listed), one cycle later.

    Parameters
    ----------
    engine: a component with `interfaces.engine_members`.
    causes: (condition, code, layer); nothing counts under abort.

    Returns
    -------
    `stop`: high under abort and from the cycle of the report on, until reset; the engine then begins nothing.
    """
    failed = Signal()
    fault = Signal(EngineError)
    stop = Signal()
    m.d.comb += [engine.error.eq(fault), stop.eq(engine.abort | failed)]
    m.d.sync += fault.valid.eq(0)
    taken: ValueLike = stop
    for condition, code, layer in causes:
        with m.If(condition & ~taken):
            m.d.sync += [failed.eq(1), fault.valid.eq(1), fault.code.eq(code), fault.layer.eq(layer)]
        taken = taken | condition
    return stop
