"""An interpreted device that errs, hangs and damages memory on demand, and otherwise is as strict as hardware."""

from collections.abc import Callable, Mapping

import numpy as np

from intramix.compiler.interpreter.machine import LOG
from intramix.hdl.geometry import Geometry
from intramix.hdl.isa import Region
from intramix.hdl.registers import Control
from intramix.runtime.interpreted import InterpretedBuffer, InterpretedDevice, RuleBroken

_FOREVER = 1 << 60
"""Cycles that nobody waits for."""


class CachedBuffer(InterpretedBuffer):
    """Two copies of the bytes: what is not synchronized is not seen."""

    def __init__(self, address: int, size: int) -> None:
        super().__init__(address, size)
        self.view = np.zeros(size, np.uint8)

    def to_device(self) -> None:
        self.memory[:] = self.view.tobytes()

    def from_device(self) -> None:
        self.view[:] = np.frombuffer(self.memory, np.uint8)

    def free(self) -> None:
        assert not self.freed
        super().free()


class FaultyDevice(InterpretedDevice):
    """The interpreted device, with faults.

    Its log says 100 cycles for each layer. An instruction that breaks a rule ends the run with an error and no more,
    as in hardware.

    Members
    -------
    answers: what registers read, by name, whatever they hold.
    damage: called after a run with the bytes of every region, and the log's, by name.
    hang: runs never end. deaf: nor does STOP end them.
    runs: that ended without an error.
    """

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.answers: dict[str, int] = {}
        self.damage: Callable[[Mapping[str, bytearray]], None] = lambda memory: None
        self.hang = self.deaf = False
        self.runs = 0

    def new_buffer(self, address: int, size: int) -> CachedBuffer:
        return CachedBuffer(address, size)

    def read_register(self, register: "str | int") -> int:
        return self.answers.get(str(register), super().read_register(register))

    def wait_interrupt(self, seconds: float) -> bool:
        try:
            return super().wait_interrupt(seconds)
        except RuleBroken:
            return True

    def run_ended(self) -> None:
        memory = {name: self.region(name) for name in (*Region.__members__, LOG)}
        log = np.frombuffer(memory[LOG], "<u4").reshape(-1, 4)
        for order, slot in enumerate(np.flatnonzero(log[:, 2])):
            log[slot, 3] = 100 * (order + 1)
        self.registers["CYCLES"] = 100 * int((log[:, 2] != 0).sum()) + 7
        self.damage(memory)
        self.runs += 1

    def _advance(self) -> int:
        return _FOREVER if self.hang else super()._advance()

    def _command(self, control: Control, busy: bool) -> None:
        super()._command(control & ~Control.STOP if self.deaf else control, busy)
