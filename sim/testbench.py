"""The accelerator under cocotb: registers over AXI4-Lite, memory behind AXI4 bus models of cocotbext-axi."""

import itertools
import json
import os
import random
from typing import Any

import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiReadBus, AxiSlaveRead, AxiSlaveWrite, AxiWriteBus

from ..compiler.program.program import Program
from ..hdl.geometry import Geometry
from ..hdl.isa import INSTRUCTION_BYTES, Region
from ..hdl.registers import OFFSET, Control, Status
from .cocotb_runner import GEOMETRY_VARIABLE
from .ports import master_ports

_PERIOD_NS = 10
_REGION_STRIDE = 1 << 20


class Memory:
    """Bytes that all bus models serve; what is not in a range of `allowed` or is in one of `faults` answers SLVERR."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)
        self.allowed: list[tuple[int, int]] = []
        self.read_faults: list[tuple[int, int]] = []
        self.write_faults: list[tuple[int, int]] = []
        self.violations: list[str] = []

    async def read(self, address: int, length: int) -> bytes:
        self._check("read", address, address + length, self.read_faults)
        return bytes(self.data[address : address + length])

    async def write(self, address: int, data: bytes) -> None:
        self._check("write", address, address + len(data), self.write_faults)
        self.data[address : address + len(data)] = data

    def _check(self, what: str, begin: int, end: int, faults: list[tuple[int, int]]) -> None:
        if any(begin < last and first < end for first, last in faults):
            raise ValueError("injected")  # the bus model answers SLVERR
        if not any(first <= begin and end <= last for first, last in self.allowed):
            self.violations.append(f"{what} of {begin:#x} … {end - 1:#x}, which is not allocated")


class Testbench:
    """An accelerator with its buses; `await reset()` first.

    Members
    -------
    memory: what the masters see. control: the AXI4-Lite master.
    reads, writes: bus models by master's name.
    """

    __test__ = False

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.geometry = Geometry.from_dict(json.loads(os.environ[GEOMETRY_VARIABLE]))
        self.memory = Memory(8 * _REGION_STRIDE)
        self.base: dict[str, int] = {}
        dut.rst.value = 1  # before the bus models look at it
        Clock(dut.clk, _PERIOD_NS, "ns").start()
        self.control = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        self.reads: dict[str, AxiSlaveRead] = {}
        self.writes: dict[str, AxiSlaveWrite] = {}
        for port in master_ports(self.geometry):
            bus = AxiReadBus.from_prefix(dut, port.name)
            self.reads[port.name] = AxiSlaveRead(bus, dut.clk, dut.rst, target=self.memory)
            if port.write:
                bus = AxiWriteBus.from_prefix(dut, port.name)
                self.writes[port.name] = AxiSlaveWrite(bus, dut.clk, dut.rst, target=self.memory)

    async def reset(self) -> None:
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 5)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)

    def stall(self, seed: int, probability: float) -> None:
        """Holds every channel of every bus back at random."""
        channels: list[Any] = []
        for read in self.reads.values():
            channels += [read.ar_channel, read.r_channel]
        for write in self.writes.values():
            channels += [write.aw_channel, write.w_channel, write.b_channel]
        for side in (self.control.write_if, self.control.read_if):
            channels += [
                getattr(side, name) for name in ("aw_channel", "w_channel", "b_channel", "ar_channel", "r_channel")
                if hasattr(side, name)
            ]
        for index, channel in enumerate(channels):
            rng = random.Random(seed * 1000 + index)
            channel.set_pause_generator(rng.random() < probability for _ in itertools.count())

    def mute(self, port: str, quiet: bool = True) -> None:
        """Lets a master's reads wait without an answer, until called with False."""
        self.reads[port].r_channel.clear_pause_generator()
        self.reads[port].r_channel.pause = quiet

    # Registers ----------------------------------------------------------------------------------------------------

    async def read(self, register: str | int) -> int:
        offset = OFFSET[register] if isinstance(register, str) else register
        return await self.control.read_dword(offset)

    async def write(self, register: str | int, value: int) -> int:
        """Writes a register: the bus response."""
        offset = OFFSET[register] if isinstance(register, str) else register
        answer = await self.control.write(offset, value.to_bytes(4, "little"))
        return int(answer.resp)

    async def status(self) -> Status:
        return Status(await self.read("STATUS"))

    # Programs -----------------------------------------------------------------------------------------------------

    async def load(self, program: Program) -> None:
        """Puts a program into memory, every region 1 MiB apart, and sets the registers up."""
        sizes = {name: program.sizes.get(name, 0) for name in (*Region.__members__, "LOG")}
        sizes |= {"PROGRAM": len(program.instructions)}
        self.memory.allowed = []
        for index, (name, size) in enumerate(sizes.items()):
            if size > _REGION_STRIDE - 4096:
                raise ValueError(f"region {name} of {size} bytes is too large for the testbench's memory")
            # Never at the same place within 4 KiB.
            self.base[name] = index * _REGION_STRIDE + 64 * (5 * index + 3)
            self.memory.allowed.append((self.base[name], self.base[name] + -(-max(size, 1) // 64) * 64))
            await self.write(f"{name}_LOW", self.base[name])
            await self.write(f"{name}_HIGH", 0)
        self.place("PROGRAM", program.instructions)
        self.place("PARAMETERS", program.parameters)
        for fill in program.fills:
            region = np.frombuffer(self.bytes_of(fill.region, 0, sizes[fill.region]), np.uint8).copy()
            fill.lay(region)
            self.place(fill.region, region.tobytes())
        await self.write("INSTRUCTIONS", len(program.instructions) // INSTRUCTION_BYTES)

    def place(self, region: str, data: bytes, offset: int = 0) -> None:
        """Writes bytes into a region."""
        start = self.base[region] + offset
        self.memory.data[start : start + len(data)] = data

    def bytes_of(self, region: str, offset: int, size: int) -> bytes:
        start = self.base[region] + offset
        return bytes(self.memory.data[start : start + size])

    async def start(self) -> None:
        await self.write("CONTROL", Control.CLEAR | Control.INTERRUPT_ENABLE)
        await self.write("CONTROL", Control.START | Control.INTERRUPT_ENABLE)

    async def finish(self, cycles: int = 200_000) -> Status:
        """Waits for the interrupt: the status then.

        Raises
        ------
        cocotb.triggers.SimTimeoutError: it does not come within so many cycles.
        """
        if not int(self.dut.interrupt.value):
            await with_timeout(RisingEdge(self.dut.interrupt), cycles * _PERIOD_NS, "ns")
        return await self.status()
