"""The accelerator as a program of this computer: the instruction interpreter behind the registers of a device.

It needs no simulator and no Verilog, and computes every value that the hardware computes, bit by bit, with the CRCs of
the log. Every rule of docs/architecture.md is checked as it goes, that tokens order all accesses among them. What it
does not know is time: no cycles, no stalls, no bus.
"""

import threading

import numpy as np

from ..compiler.interpreter.hazards import HazardChecker
from ..compiler.interpreter.machine import LOG, InterpretedMachine
from ..compiler.interpreter.state import InterpreterError
from ..compiler.program.border_fill import BorderFill
from ..hdl.geometry import ISA_VERSION, Geometry
from ..hdl.isa import ENGINE_OF, INSTRUCTION_BYTES, Engine, Error, Region
from ..hdl.registers import MAGIC, REGISTERS, Access, Control, Status
from .device import ALIGNMENT, Buffer, Device, DeviceKind
from .errors import DeviceError

_BASE = 0x1_2345_0000
"""Address of the first allocation, above 4 GiB: both halves of every address matter."""
_PAGE = 4096
_PROGRAM = "program"
"""What is at fault where no instruction is."""
_REGISTERS = {register.offset: register for register in REGISTERS}


class RuleBroken(DeviceError):
    """An instruction broke a rule of the machine; the message says which instruction, which field and which rule."""


class InterpretedBuffer(Buffer):
    """Memory of an interpreted device: both sides see the same bytes."""

    def __init__(self, address: int, size: int) -> None:
        self.address = address
        self.memory = bytearray(size)
        """What the accelerator sees."""
        self.view = np.frombuffer(self.memory, np.uint8)
        self.laid = np.zeros(size, bool)
        """Bytes of borders, which no STORE may change."""
        self.freed = False

    def lay(self, fill: BorderFill) -> None:
        super().lay(fill)
        fill.mark(self.laid)

    def to_device(self) -> None:
        pass

    def from_device(self) -> None:
        pass

    def free(self) -> None:
        self.freed = True


class InterpretedDevice(Device):
    """An accelerator that is interpreted.

    A run goes on while somebody waits for its interrupt, as on a simulated device, and may be stopped meanwhile. Of
    the counters only COMPUTE_STEPS is counted; the others, and the cycles in the log, stay 0: they are not measured.

    Parameters
    ----------
    geometry: of the accelerator.

    Raises
    ------
    RuleBroken: from `wait_interrupt`, when an instruction breaks a rule. The run has ended with an error then.
    """

    kind = DeviceKind.INTERPRETED
    clock_hz = 100e6

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self.registers = {register.name: 0 for register in REGISTERS}
        self.registers |= {"ID": MAGIC, "VERSION": ISA_VERSION, "SIGNATURE": geometry.signature}
        self.buffers: list[InterpretedBuffer] = []
        self._next = _BASE
        self._run: _Run | None = None
        self._lock = threading.Lock()

    def allocate(self, size: int) -> InterpretedBuffer:
        if size < 0:
            raise ValueError(f"a buffer's size must be at least 0, not {size}")
        self.buffers = [buffer for buffer in self.buffers if not buffer.freed]
        buffer = self.new_buffer(self._next, max(ALIGNMENT, -(-size // ALIGNMENT) * ALIGNMENT))
        # A page beyond the next boundary, plus one unit: buffers begin at ever different offsets within a page.
        self._next = (self._next + len(buffer.memory) + 2 * _PAGE - 1) // _PAGE * _PAGE + ALIGNMENT
        self.buffers.append(buffer)
        return buffer

    def new_buffer(self, address: int, size: int) -> InterpretedBuffer:
        """Memory at an address that nobody has; `allocate` chose it."""
        return InterpretedBuffer(address, size)

    def read_offset(self, offset: int) -> int:
        return self.registers[_REGISTERS[offset].name]

    def write_offset(self, offset: int, value: int) -> None:
        register, busy = _REGISTERS[offset], bool(self.registers["STATUS"] & Status.BUSY)
        if register.name == "CONTROL":
            with self._lock:
                self._command(Control(value), busy)
        elif register.access is Access.WRITE and not busy:
            self.registers[register.name] = value
        else:
            self.registers["STATUS"] |= Status.REJECTED

    def wait_interrupt(self, seconds: float) -> bool:
        """Executes instructions; a step of the array and a byte moved count as a cycle of the seconds to wait."""
        left = seconds * self.clock_hz
        while left > 0 and self.registers["STATUS"] & Status.BUSY:
            with self._lock:
                left -= self._advance()
        return bool(self.registers["STATUS"] & Status.DONE)

    def close(self) -> None:
        self._run = None
        self.buffers.clear()

    def run_ended(self) -> None:
        """Called when a run has ended without an error, before DONE is set: here nothing."""

    def region(self, name: str) -> bytearray:
        """The memory that a base register points to, by the region's name or "LOG"; empty where there is none."""
        buffer = self._buffer(name)
        return bytearray() if buffer is None else buffer.memory

    def _buffer(self, name: str) -> InterpretedBuffer | None:
        address = self.registers[f"{name}_LOW"] | self.registers[f"{name}_HIGH"] << 32
        found = (buffer for buffer in self.buffers if buffer.address == address and not buffer.freed)
        return next(found, None)

    def _command(self, control: Control, busy: bool) -> None:
        if control & Control.STOP and busy:
            self._end(Error.STOPPED, Engine.CONTROL, 0)
        if control & Control.CLEAR and not busy:
            self.registers |= {"STATUS": 0, "ERROR": 0}
        if control & Control.START:
            if busy or self.registers["STATUS"] & Status.ERROR:
                self.registers["STATUS"] |= Status.REJECTED
            else:
                self._start()

    def _start(self) -> None:
        regions = {name: self.region(name) for name in (*Region.__members__, LOG)}
        buffers = {name: self._buffer(name) for name in Region.__members__}
        laid = {name: buffer.laid for name, buffer in buffers.items() if buffer is not None}
        self._run = _Run(self.geometry, regions, laid, self.region("PROGRAM"), self.registers["INSTRUCTIONS"])
        self.registers |= {"STATUS": int(Status.BUSY), "COMPUTE_STEPS": 0}

    def _advance(self) -> int:
        """Executes an instruction of the run under way, if there is one: the cycles that it counts as."""
        if (run := self._run) is None:
            return 0
        try:
            cycles = run.step()
        except InterpreterError as error:
            self.registers["ERROR_INSTRUCTION"] = run.fetched
            self._end(*_cause(error))
            raise RuleBroken(str(error)) from error
        self.registers["COMPUTE_STEPS"] = run.steps
        if run.finished:
            self.run_ended()
            self._end(Error.NONE, Engine.CONTROL, 0)
        return cycles

    def _end(self, error: Error, engine: Engine, layer: int) -> None:
        self._run = None
        self.registers["STATUS"] = int(Status.DONE | (Status.ERROR if error else Status(0)))
        self.registers["ERROR"] = error | engine << 8 | layer << 16


class _Run:
    """A run under way, its instructions executed one by one in program order."""

    def __init__(
        self, geometry: Geometry, regions: dict[str, bytearray], laid: dict[str, np.ndarray], code: bytearray,
        count: int,
    ) -> None:  # fmt: skip
        self.code, self.count = code, count
        self.machine = InterpretedMachine(geometry, regions, laid=laid)
        self.hazards = HazardChecker(geometry, {region.name: len(regions[region.name]) for region in Region})
        self.steps = 0

    @property
    def fetched(self) -> int:
        return self.machine.executed

    @property
    def finished(self) -> bool:
        return self.machine.executed == self.count

    def step(self) -> int:
        """Executes the next instruction: its steps and the bytes that it moved, at least 1."""
        if self.finished:
            raise InterpreterError(0, None, _PROGRAM, "it has no instructions")
        start = self.fetched * INSTRUCTION_BYTES
        effect = self.machine.execute(bytes(self.code[start : start + INSTRUCTION_BYTES]))
        self.hazards(effect)
        if self.finished and not self.machine.finished:
            raise InterpreterError(self.fetched, None, _PROGRAM, "it ends without FINISH")
        self.steps += effect.steps
        return max(1, effect.steps + effect.read_bytes + effect.write_bytes)


def _cause(error: InterpreterError) -> tuple[Error, Engine, int]:
    """What the hardware's error register would say of it, as nearly as it has words: code, engine, layer."""
    if error.opcode is None:
        return Error.PROGRAM if error.field == _PROGRAM else Error.OPCODE, Engine.FETCH, 0
    return Error.FIELD, ENGINE_OF[error.opcode], error.layer or 0
