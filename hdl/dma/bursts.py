"""Requests of any bytes, cut into AXI4 bursts."""

from amaranth.hdl import Cat, Module, Mux, Shape, ShapeLike, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..stream_registers import HalfRateRegister

BOUNDARY = 4096
"""Bytes; no AXI4 burst crosses a multiple of it."""


def times(value: Value, constant: int) -> Value:
    """`value` × `constant` by shifts and adds (the non-adjacent form): no tool will spend a DSP or a multiplier on it.

    Raises
    ------
    ValueError: `constant` is negative.
    """
    if constant < 0:
        raise ValueError(f"constant must be non-negative, not {constant}")
    width = len(value) + constant.bit_length()
    total: Value = Value.cast(0)
    shift = 0
    while constant:
        if constant & 1:
            digit = 2 - (constant & 3)
            total = total + (value << shift) if digit > 0 else total - (value << shift)
            constant -= digit
        constant >>= 1
        shift += 1
    return total.as_unsigned()[:width] if total.shape().signed else total[:width]


def check_bus(data_bits: int, maximum_burst: int) -> None:
    """Refuses what AXI4 does not know.

    Raises
    ------
    TypeError: not integers.
    ValueError: not powers of two in 8 … 1024 (data bits) and 1 … 256 (beats).
    """
    for name, value, least, most in (("data_bits", data_bits, 8, 1024), ("maximum_burst", maximum_burst, 1, 256)):
        if not isinstance(value, int):
            raise TypeError(f"{name} must be an integer, not {value!r}")
        if not least <= value <= most or value & (value - 1):
            raise ValueError(f"{name} must be a power of two, {least} … {most}, not {value}")


def request_layout(*, address_bits: int, length_bits: int, tag: ShapeLike = 0) -> data.StructLayout:
    """A request: `bytes` (at least 1) from `address` (any byte) on; `tag` travels along."""
    return data.StructLayout({"address": address_bits, "bytes": length_bits, "tag": tag})


def burst_layout(*, data_bits: int, address_bits: int, tag: ShapeLike = 0) -> data.StructLayout:
    """A burst of a request.

    address: of the first beat, aligned to a beat.
    length: beats − 1.
    offset: the request's first byte within its first beat; end: its last byte within its last beat.
    last: the request's last burst.
    """
    lanes = data_bits // 8
    return data.StructLayout({
        "address": address_bits, "length": 8, "offset": range(lanes), "end": range(lanes), "last": 1, "tag": tag,
    })


class BurstSplitter(wiring.Component):
    """Cuts requests into bursts that never cross 4 KiB and have at most `maximum_burst` full-width beats.

    A burst ends at a multiple of the burst size (at most 4 KiB), hence the cut needs no comparison with the boundary
    and the memory sees aligned bursts. A burst every other cycle; no more are lost between requests. A request is
    registered first.

    Parameters
    ----------
    data_bits, address_bits: of the bus.
    maximum_burst: beats, a power of two.
    length_bits: of a request's byte count.
    tag: shape of what travels along.

    Members
    -------
    requests: `request_layout`.
    bursts: `burst_layout`; the payload holds until it is taken.
    idle: no request is held.
    """

    def __init__(self, *, data_bits: int, address_bits: int, maximum_burst: int, length_bits: int = 32,
                 tag: ShapeLike = 0) -> None:
        check_bus(data_bits, maximum_burst)
        self._lane_bits = (data_bits // 8).bit_length() - 1
        self._limit = min(maximum_burst, BOUNDARY // (data_bits // 8))
        self._address_bits = address_bits
        self._length_bits = length_bits
        self._tag = Shape.cast(tag)
        request = request_layout(address_bits=address_bits, length_bits=length_bits, tag=tag)
        super().__init__({
            "requests": In(stream.Signature(request)),
            "bursts": Out(stream.Signature(burst_layout(data_bits=data_bits, address_bits=address_bits, tag=tag))),
            "idle": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.waiting = waiting = HalfRateRegister(self.requests.p.shape())
        wiring.connect(m, wiring.flipped(self.requests), waiting.source)
        request, burst = waiting.sink.p, self.bursts.p
        lane_bits = self._lane_bits
        busy = Signal()
        beat_address = Signal(self._address_bits - lane_bits, reset_less=True)
        left = Signal(max(1, self._length_bits - lane_bits + 1), reset_less=True)  # beats − 1
        offset, end = (Signal(lane_bits, reset_less=True) for _ in range(2))
        tag = Signal(self._tag, reset_less=True)

        low = beat_address[:self._limit.bit_length() - 1]
        room = Signal(max(1, len(low)))  # beats − 1 up to the next multiple of the burst size
        m.d.comb += room.eq(~low)
        # Whether the rest fits into a burst is known in the cycle after it changes.
        fits, settled = Signal(), Signal()
        taken = Signal()
        m.d.comb += taken.eq(self.bursts.valid & self.bursts.ready)
        m.d.sync += [fits.eq(left <= room), settled.eq(busy & ~taken)]
        m.d.comb += [
            self.bursts.valid.eq(settled),
            self.idle.eq(~busy & waiting.empty),
            burst.address.eq(Cat(Signal(lane_bits), beat_address)),
            burst.length.eq(Mux(fits, left, room)),
            burst.offset.eq(offset),
            burst.end.eq(end),
            burst.last.eq(fits),
            Value.cast(burst.tag).eq(tag),
        ]
        m.d.comb += waiting.sink.ready.eq(~busy | (taken & fits))
        with m.If(taken):
            m.d.sync += [
                left.eq(left - room - 1),
                beat_address[len(low):].eq(beat_address[len(low):] + 1),
                busy.eq(~fits),
            ]
            if len(low):
                m.d.sync += low.eq(0)
        span = Signal(unsigned(self._length_bits + 1))  # bytes − 1, from the start of the first beat
        m.d.comb += span.eq(request.bytes + request.address[:lane_bits] - 1)
        with m.If(waiting.sink.valid & waiting.sink.ready):
            m.d.sync += [
                busy.eq(1),
                beat_address.eq(request.address[lane_bits:]),
                left.eq(span[lane_bits:]),
                offset.eq(request.address[:lane_bits]),
                end.eq(span[:lane_bits]),
                tag.eq(Value.cast(request.tag)),
            ]
        return m
