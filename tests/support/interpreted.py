"""A device without hardware: registers, memory, and the instruction interpreter behind START."""

import numpy as np

from intramix.compiler.interpreter.interpret import InterpretedMachine, InterpreterError
from intramix.hdl.geometry import ISA_VERSION, Geometry
from intramix.hdl.isa import INSTRUCTION_BYTES, Engine, Error, Region
from intramix.hdl.registers import MAGIC, OFFSET, REGISTERS, Access, Control, Status
from intramix.runtime.device import Buffer, Device

NAME = {offset: name for name, offset in OFFSET.items()}
BASE = 0x1_2345_0000  # above 4 GiB: both halves of every address matter


class ArrayBuffer(Buffer):
    """Two copies of the bytes: what is not synchronized is not seen."""

    def __init__(self, address: int, size: int) -> None:
        self.address, self.view, self.remote = address, np.zeros(size, np.uint8), bytearray(size)
        self.freed = False

    def to_device(self) -> None:
        self.remote[:] = self.view.tobytes()

    def from_device(self) -> None:
        self.view[:] = np.frombuffer(self.remote, np.uint8)

    def free(self) -> None:
        assert not self.freed
        self.freed = True


class InterpretedDevice(Device):
    """`answers` overrides what registers read; `damage(memory)` is called after a run; `hang`: runs never end."""

    clock_hz = 100e6

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self.registers = {register.name: 0 for register in REGISTERS}
        self.registers |= {"ID": MAGIC, "VERSION": ISA_VERSION, "SIGNATURE": geometry.signature}
        self.answers: dict[str, int] = {}
        self.buffers: list[ArrayBuffer] = []
        self.damage = lambda memory: None
        self.hang = self.deaf = False
        self.runs = 0

    def allocate(self, size: int) -> ArrayBuffer:
        last = self.buffers[-1] if self.buffers else None
        address = BASE if last is None else (last.address + len(last.remote) + 8191) // 4096 * 4096 + 64
        self.buffers.append(ArrayBuffer(address, -(-size // 64) * 64))
        return self.buffers[-1]

    def read_offset(self, offset: int) -> int:
        name = NAME[offset]
        return self.answers.get(name, self.registers[name])

    def write_offset(self, offset: int, value: int) -> None:
        name, status = NAME[offset], Status(self.registers["STATUS"])
        register = next(register for register in REGISTERS if register.offset == offset)
        if name == "CONTROL":
            self._command(Control(value), status)
        elif register.access is Access.WRITE and not status & Status.BUSY:
            self.registers[name] = value
        else:
            self.registers["STATUS"] |= Status.REJECTED

    def wait_interrupt(self, seconds: float) -> bool:
        return bool(self.registers["STATUS"] & Status.DONE)

    def close(self) -> None:
        pass

    def _command(self, control: Control, status: Status) -> None:
        if control & Control.STOP and status & Status.BUSY and not self.deaf:
            self._end(Error.STOPPED, Engine.CONTROL, 0)
        if control & Control.CLEAR and not status & Status.BUSY:
            self.registers["STATUS"] = 0
            self.registers["ERROR"] = 0
        if control & Control.START:
            if status & Status.BUSY:
                self.registers["STATUS"] |= Status.REJECTED
            elif self.hang:
                self.registers["STATUS"] = Status.BUSY
            else:
                self._run()

    def _end(self, error: Error = Error.NONE, engine: Engine = Engine.CONTROL, layer: int = 0) -> None:
        self.registers["STATUS"] = Status.DONE | (Status.ERROR if error else 0)
        self.registers["ERROR"] = error | engine << 8 | layer << 16

    def _at(self, name: str) -> bytearray:
        address = self.registers[f"{name}_LOW"] | self.registers[f"{name}_HIGH"] << 32
        return next(buffer.remote for buffer in self.buffers if buffer.address == address and not buffer.freed)

    def _run(self) -> None:
        memory = {name: self._at(name) for name in (*Region.__members__, "LOG")}
        code, count = bytes(self._at("PROGRAM")), self.registers["INSTRUCTIONS"]
        machine = InterpretedMachine(self.geometry, memory)
        self.registers["ERROR_INSTRUCTION"] = count
        for index in range(count):
            instruction = code[index * INSTRUCTION_BYTES : (index + 1) * INSTRUCTION_BYTES]
            try:
                machine.execute(instruction)
            except InterpreterError:
                self._end(Error.FIELD, Engine.COMPUTE, int.from_bytes(instruction[:2], "little") >> 4)
                return
        # The interpreter knows no cycles: the log says 100 for each layer.
        log = np.frombuffer(memory["LOG"], "<u4").reshape(-1, 4)
        for order, slot in enumerate(np.flatnonzero(log[:, 2])):
            log[slot, 3] = 100 * (order + 1)
        self.registers["CYCLES"] = 100 * int((log[:, 2] != 0).sum()) + 7
        self.damage(memory)
        self.runs += 1
        self._end()
