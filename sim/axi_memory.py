"""A memory behind AXI4 ports for Amaranth's simulator, which also checks that the masters keep the rules of the bus."""

import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

BOUNDARY = 4096


class ProtocolError(AssertionError):
    """A master broke a rule of AXI4."""


class AxiMemory:
    """Bytes from `base` on, served through any number of AXI4 ports.

    Parameters
    ----------
    size, base: bytes.
    latency: cycles from an accepted address to its first read beat, and from the last write beat to its response.
    stall: probability, per cycle and channel, that a ready or valid of the memory's is withheld.
    seed: of the stalls.
    maximum_burst: beats that a burst may have.

    Members
    -------
    data: the bytes.
    fail_read, fail_write: called with a burst's address; true answers SLVERR (the write then has no effect).
    quiet: while true, a newly offered address is a ProtocolError.
    dead: while true, nothing is accepted and nothing is answered.
    in_flight: bursts accepted and not yet answered in full.
    read_beats, write_beats, read_bursts, write_bursts: counts.

    Raises
    ------
    ProtocolError: (in the simulation) a valid withdrawn or a payload changed before it was accepted, a burst across
        4 KiB, too long, unaligned or not INCR at full width, an address outside the memory, a wrong WLAST.
    """

    def __init__(self, size: int, *, base: int = 0, latency: int = 0, stall: float = 0.0, seed: int = 0,
                 maximum_burst: int = 256) -> None:
        self.base = base
        self.data = bytearray(size)
        self.latency = latency
        self.stall = stall
        self.maximum_burst = maximum_burst
        self.fail_read: Callable[[int], bool] = lambda address: False
        self.fail_write: Callable[[int], bool] = lambda address: False
        self.quiet = False
        self.dead = False
        self.in_flight = 0
        self.read_beats = self.write_beats = self.read_bursts = self.write_bursts = 0
        self._seed = seed
        self._ports = 0

    def read(self, address: int, count: int) -> bytes:
        return bytes(self.data[address - self.base:address - self.base + count])

    def write(self, address: int, content: bytes) -> None:
        if not 0 <= address - self.base <= len(self.data) - len(content):
            raise ValueError(f"{len(content)} bytes at {address:#x} are outside the memory")
        self.data[address - self.base:address - self.base + len(content)] = content

    def reader(self, axi: Any) -> Callable[[Any], Awaitable[None]]:
        """A background testbench that serves the read channels of `axi`."""
        dice = self._dice()
        address_of = _channel(axi, "ar")

        async def serve(ctx: Any) -> None:
            lanes = len(axi.rdata) // 8
            bursts: deque[list[int]] = deque()  # ready at, address, beats left, response
            offered = None
            cycle = 0
            ready = valid = False
            while True:
                ready = not self.dead and dice.random() >= self.stall
                due = not self.dead and bool(bursts) and bursts[0][0] <= cycle
                if not valid and due and dice.random() >= self.stall:
                    valid = True
                    _, address, left, response = bursts[0]
                    ctx.set(axi.rdata, int.from_bytes(self.read(address, lanes), "little"))
                    ctx.set(axi.rlast, left == 1)
                    ctx.set(axi.rresp, response)
                ctx.set(axi.arready, ready)
                ctx.set(axi.rvalid, valid)
                _, _, address_valid, taken, *payload = await ctx.tick().sample(axi.arvalid, axi.rready, *address_of)
                cycle += 1
                offered = self._check_held("AR", offered, address_valid, payload)
                if address_valid and ready:
                    self._check_burst(payload, lanes)
                    address, length = payload[0], payload[1] + 1
                    bursts.append([cycle + self.latency, address, length, 2 if self.fail_read(address) else 0])
                    self.in_flight += 1
                    self.read_bursts += 1
                    offered = None
                if valid and taken:
                    valid = False
                    self.read_beats += 1
                    bursts[0][1] += lanes
                    bursts[0][2] -= 1
                    if not bursts[0][2]:
                        bursts.popleft()
                        self.in_flight -= 1

        return serve

    def writer(self, axi: Any) -> Callable[[Any], Awaitable[None]]:
        """A background testbench that serves the write channels of `axi`."""
        dice = self._dice()
        address_of = _channel(axi, "aw")

        async def serve(ctx: Any) -> None:
            lanes = len(axi.wdata) // 8
            addresses: deque[list[int]] = deque()  # address, beats
            bursts: deque[list[tuple[int, int]]] = deque([[]])  # (data, strobes) of each burst, the last one growing
            answers: deque[tuple[int, int]] = deque()  # ready at, response
            offered = offered_data = None
            cycle = 0
            answering = False
            while True:
                address_ready = not self.dead and dice.random() >= self.stall
                data_ready = not self.dead and dice.random() >= self.stall
                due = not self.dead and bool(answers) and answers[0][0] <= cycle
                if not answering and due and dice.random() >= self.stall:
                    answering = True
                    ctx.set(axi.bresp, answers[0][1])
                ctx.set(axi.awready, address_ready)
                ctx.set(axi.wready, data_ready)
                ctx.set(axi.bvalid, answering)
                _, _, data_valid, data, strobes, last, taken, address_valid, *payload = await ctx.tick().sample(
                    axi.wvalid, axi.wdata, axi.wstrb, axi.wlast, axi.bready, axi.awvalid, *address_of)
                cycle += 1
                offered = self._check_held("AW", offered, address_valid, payload)
                offered_data = self._check_held("W", offered_data, data_valid, [data, strobes, last], data=True)
                if address_valid and address_ready:
                    self._check_burst(payload, lanes)
                    addresses.append([payload[0], payload[1] + 1])
                    self.in_flight += 1
                    self.write_bursts += 1
                    offered = None
                if data_valid and data_ready:
                    self.write_beats += 1
                    bursts[-1].append((data, strobes))
                    if last:
                        bursts.append([])
                    offered_data = None
                if answering and taken:
                    answering = False
                    answers.popleft()
                    self.in_flight -= 1
                while addresses and len(bursts) > 1:
                    address, beats = addresses.popleft()
                    content = bursts.popleft()
                    if len(content) != beats:
                        raise ProtocolError(f"a write burst of {beats} beats had WLAST on beat {len(content)}")
                    failed = self.fail_write(address)
                    if not failed:
                        self._store(address, content, lanes)
                    answers.append((cycle + self.latency, 2 if failed else 0))
                if addresses and len(bursts[0]) >= addresses[0][1]:
                    raise ProtocolError(f"a write burst of {addresses[0][1]} beats had no WLAST on its last beat")

        return serve

    # Rules --------------------------------------------------------------------------------------------------------

    def _dice(self) -> random.Random:
        self._ports += 1
        return random.Random(f"{self._seed}/{self._ports}")

    def _check_held(self, channel: str, offered: list[int] | None, valid: int, payload: list[int], *,
                    data: bool = False) -> list[int] | None:
        """What the channel offers now; it must be what it offered in the cycle before without being accepted."""
        if offered is not None and not valid:
            raise ProtocolError(f"{channel}VALID was withdrawn")
        if offered is not None and payload != offered:
            raise ProtocolError(f"{channel} changed from {offered} to {payload} before it was accepted")
        if valid and offered is None and self.quiet and not data:
            raise ProtocolError(f"a new address was offered on {channel} while the master should rest")
        return payload if valid else None

    def _check_burst(self, payload: list[int], lanes: int) -> None:
        address, length, size, kind = payload
        span = (length + 1) * lanes
        if kind != 1 or 1 << size != lanes:
            raise ProtocolError(f"a burst must be INCR and {lanes} bytes a beat, not {kind} and {1 << size}")
        if address % lanes:
            raise ProtocolError(f"burst address {address:#x} is not a multiple of {lanes}")
        if length + 1 > self.maximum_burst:
            raise ProtocolError(f"a burst of {length + 1} beats; at most {self.maximum_burst} are allowed")
        if address // BOUNDARY != (address + span - 1) // BOUNDARY:
            raise ProtocolError(f"a burst of {span} bytes at {address:#x} crosses 4 KiB")
        if not 0 <= address - self.base <= len(self.data) - span:
            raise ProtocolError(f"a burst of {span} bytes at {address:#x} leaves the memory")

    def _store(self, address: int, content: list[tuple[int, int]], lanes: int) -> None:
        for beat, (word, strobes) in enumerate(content):
            for lane in range(lanes):
                if strobes >> lane & 1:
                    self.data[address - self.base + beat * lanes + lane] = word >> 8 * lane & 0xFF


def _channel(axi: Any, prefix: str) -> list[Any]:
    return [getattr(axi, prefix + name) for name in ("addr", "len", "size", "burst")]
