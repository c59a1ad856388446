"""A host on an AXI4-Lite bus, for Amaranth's simulator."""

import random
from typing import Any

from ..hdl.registers import OFFSET


class AxiLiteHost:
    """Reads and writes registers through the slave `bus`, checking that it keeps the rules of the bus.

    Parameters
    ----------
    bus: the slave's AXI4-Lite interface.
    stall: probability, per cycle and channel, that the host waits before it offers or takes something.
    seed: of the stalls.
    """

    def __init__(self, bus: Any, *, stall: float = 0.0, seed: int = 0) -> None:
        self._bus = bus
        self._stall = stall
        self._dice = random.Random(seed)

    def _pause(self) -> int:
        """Cycles to wait: geometric."""
        cycles = 0
        while self._dice.random() < self._stall:
            cycles += 1
        return cycles

    async def write(self, ctx: Any, register: str | int, value: int, *, strobes: int = 0b1111) -> None:
        """Writes a register by name or offset; address and data start any time apart.

        Raises
        ------
        AssertionError: a response without a complete write, or one that is not OKAY.
        """
        bus = self._bus
        offset = OFFSET[register] if isinstance(register, str) else register
        waits = {"aw": self._pause(), "w": self._pause()}
        payload = {"aw": [(bus.awaddr, offset)], "w": [(bus.wdata, value), (bus.wstrb, strobes)]}
        valid = {"aw": bus.awvalid, "w": bus.wvalid}
        ready = {"aw": bus.awready, "w": bus.wready}
        ctx.set(bus.bready, 0)
        while waits:
            for channel, cycles in waits.items():
                if cycles == 0:
                    for signal, content in payload[channel]:
                        ctx.set(signal, content)
                    ctx.set(valid[channel], 1)
            offered = [channel for channel in waits if waits[channel] <= 0]
            _, _, answered, *taken = await ctx.tick().sample(bus.bvalid, *(ready[channel] for channel in offered))
            assert not answered, "a write was answered before it was complete"
            for channel in waits:
                waits[channel] -= 1
            for channel, accepted in zip(offered, taken):
                if accepted:
                    ctx.set(valid[channel], 0)
                    del waits[channel]
        for _ in range(self._pause()):
            await ctx.tick()
        ctx.set(bus.bready, 1)
        (response,) = await ctx.tick().sample(bus.bresp).until(bus.bvalid)
        ctx.set(bus.bready, 0)
        assert response == 0, f"a write was answered with {response}"

    async def read(self, ctx: Any, register: str | int) -> int:
        """The value of a register, by name or offset.

        Raises
        ------
        AssertionError: the response is not OKAY, or the data change while they wait.
        """
        bus = self._bus
        offset = OFFSET[register] if isinstance(register, str) else register
        for _ in range(self._pause()):
            await ctx.tick()
        ctx.set(bus.araddr, offset)
        ctx.set(bus.arvalid, 1)
        await ctx.tick().until(bus.arready)
        ctx.set(bus.arvalid, 0)
        seen = set()
        for _ in range(self._pause()):
            _, _, valid, value = await ctx.tick().sample(bus.rvalid, bus.rdata)
            if valid:
                seen.add(value)
        ctx.set(bus.rready, 1)
        value, response = await ctx.tick().sample(bus.rdata, bus.rresp).until(bus.rvalid)
        ctx.set(bus.rready, 0)
        assert response == 0, f"a read was answered with {response}"
        assert seen <= {value}, "read data changed before they were taken"
        return value
