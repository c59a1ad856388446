"""From a processor's AXI3 or AXI4 to AXI4-Lite: IDs, bursts and narrow accesses become single ones."""

from amaranth.hdl import Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from ...hdl.dma.axi import Response, axi4_lite_slave

_FIXED, _WRAP = 0b00, 0b10


class LiteBridge(wiring.Component):
    """Answers accesses to one window by an AXI4-Lite slave, all others with DECERR.

    A burst becomes one access per beat, in order (INCR, FIXED and WRAP); its answer is the worst of its beats'. One
    read burst and one write burst are under way at most, independent of each other. Exclusive accesses are answered
    OKAY: they fail, as AXI wants it of a slave without monitor. Valid never waits for ready.

    Parameters
    ----------
    bus: the master's signature (`axi_master`), 32 bits of data.
    base, size: the window in bytes; `base` is a multiple of `size`, a power of two.
    lite_address_bits: of the slave.

    Members
    -------
    bus: the master's side.
    lite: the slave.

    Raises
    ------
    ValueError: the window is not aligned, or data are not 32 bits wide.
    """

    def __init__(self, bus: wiring.Signature, *, base: int, size: int, lite_address_bits: int = 8) -> None:
        if size <= 0 or size & (size - 1) or base % size:
            raise ValueError(f"window 0x{base:x} + 0x{size:x} must be a power of two, aligned to its size")
        if bus.members["rdata"].shape != 32:
            raise ValueError(f"bus must have 32 bits of data, not {bus.members['rdata'].shape}")
        self._base, self._size = base, size
        super().__init__({"bus": In(bus), "lite": In(axi4_lite_slave(address_bits=lite_address_bits))})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        self._writes(m)
        self._reads(m)
        return m

    def _inside(self, address: Value) -> Value:
        bits = self._size.bit_length() - 1
        return address[bits:] == self._base >> bits

    def _writes(self, m: Module) -> None:
        bus, lite = self.bus, self.lite
        burst = _Burst(m, bus, "aw")
        inside, address_sent, data_sent = Signal(), Signal(), Signal()
        response = Signal(2)
        m.d.comb += [
            bus.bid.eq(burst.id),
            bus.bresp.eq(response),
            lite.awaddr.eq(burst.address),
            lite.awprot.eq(burst.prot),
            lite.wdata.eq(bus.wdata),
            lite.wstrb.eq(bus.wstrb),
        ]
        with m.FSM(name="write"):
            with m.State("ADDRESS"):
                m.d.comb += bus.awready.eq(1)
                with m.If(bus.awvalid):
                    burst.begin(m)
                    m.d.sync += [inside.eq(self._inside(bus.awaddr)), response.eq(Response.OKAY)]
                    m.next = "BEAT"
            with m.State("BEAT"):
                with m.If(~inside):
                    m.d.comb += bus.wready.eq(1)
                    m.d.sync += response.eq(Response.DECERR)
                    with m.If(bus.wvalid):
                        burst.advance(m)
                        with m.If(burst.last):
                            m.next = "ANSWER"
                with m.Else():
                    m.d.comb += [
                        lite.awvalid.eq(bus.wvalid & ~address_sent),
                        lite.wvalid.eq(bus.wvalid & ~data_sent),
                    ]
                    with m.If(lite.awvalid & lite.awready):
                        m.d.sync += address_sent.eq(1)
                    with m.If(lite.wvalid & lite.wready):
                        m.d.sync += data_sent.eq(1)
                    # The word is taken from the master with the slave's answer to it.
                    with m.If(address_sent & data_sent):
                        m.d.comb += [lite.bready.eq(1), bus.wready.eq(lite.bvalid)]
                        with m.If(lite.bvalid):
                            m.d.sync += [address_sent.eq(0), data_sent.eq(0)]
                            with m.If(lite.bresp > response):
                                m.d.sync += response.eq(lite.bresp)
                            burst.advance(m)
                            with m.If(burst.last):
                                m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += bus.bvalid.eq(1)
                with m.If(bus.bready):
                    m.next = "ADDRESS"

    def _reads(self, m: Module) -> None:
        bus, lite = self.bus, self.lite
        burst = _Burst(m, bus, "ar")
        m.d.comb += [
            bus.rid.eq(burst.id),
            bus.rlast.eq(burst.last),
            lite.araddr.eq(burst.address),
            lite.arprot.eq(burst.prot),
        ]
        with m.FSM(name="read"):
            with m.State("ADDRESS"):
                m.d.comb += bus.arready.eq(1)
                with m.If(bus.arvalid):
                    burst.begin(m)
                    with m.If(self._inside(bus.araddr)):
                        m.next = "ASK"
                    with m.Else():
                        m.next = "REFUSE"
            with m.State("ASK"):
                m.d.comb += lite.arvalid.eq(1)
                with m.If(lite.arready):
                    m.next = "BEAT"
            with m.State("BEAT"):
                m.d.comb += [
                    bus.rvalid.eq(lite.rvalid), bus.rdata.eq(lite.rdata), bus.rresp.eq(lite.rresp),
                    lite.rready.eq(bus.rready),
                ]  # fmt: skip
                with m.If(lite.rvalid & bus.rready):
                    burst.advance(m)
                    with m.If(burst.last):
                        m.next = "ADDRESS"
                    with m.Else():
                        m.next = "ASK"
            with m.State("REFUSE"):
                m.d.comb += [bus.rvalid.eq(1), bus.rresp.eq(Response.DECERR)]
                with m.If(bus.rready):
                    burst.advance(m)
                    with m.If(burst.last):
                        m.next = "ADDRESS"


class _Burst:
    """Registers of the burst under way on an address channel."""

    def __init__(self, m: Module, bus: wiring.PureInterface, channel: str) -> None:
        self._bus, self._channel = bus, channel
        for name in ("addr", "len", "size", "burst", "id", "prot"):
            source = self._port(name)
            setattr(self, {"addr": "address", "len": "left"}.get(name, name), Signal.like(source, name=channel + name))
        self.length = Signal.like(self.left)
        self.last = Signal(name=f"{channel}_last")
        m.d.comb += self.last.eq(self.left == 0)

    address: Signal
    left: Signal
    size: Signal
    burst: Signal
    id: Signal
    prot: Signal

    def _port(self, name: str) -> Signal:
        return getattr(self._bus, self._channel + name)

    def begin(self, m: Module) -> None:
        """Takes the address that is on the channel."""
        m.d.sync += [
            self.address.eq(self._port("addr")),
            self.left.eq(self._port("len")),
            self.length.eq(self._port("len")),
            self.size.eq(self._port("size")),
            self.burst.eq(self._port("burst")),
            self.id.eq(self._port("id")),
            self.prot.eq(self._port("prot")),
        ]

    def advance(self, m: Module) -> None:
        """Goes to the next beat's address: AXI's rules for INCR, FIXED and WRAP (IHI 0022, A3.4.1)."""
        bits = len(self.address)
        offset = ((1 << self.size) - 1)[:bits]
        following = ((self.address & ~offset) + (1 << self.size))[:bits]
        container = (self.length << self.size)[:bits] | offset
        wrapped = (self.address & ~container) | (following & container)
        m.d.sync += self.left.eq(self.left - 1)
        with m.If(self.burst != _FIXED):
            m.d.sync += self.address.eq(Mux(self.burst == _WRAP, wrapped, following))
