"""The end of every requantization: from a DSP's sum to a code."""

from amaranth.hdl import Module, Mux, Signal, Value

from .pipeline import delay

CLIP_CYCLES = 4
"""Cycles from the sum to its code."""


def shift_and_clip(m: Module, total: Value, *, shift: Value, maximum: Value, steady: bool = False) -> Signal:
    """clip(total >> shift, 0, maximum), 8 bits, `CLIP_CYCLES` cycles after its operands, which come together.

    Parameters
    ----------
    total: signed, 48 bits.
    shift: 6 bits, at most 47.
    maximum: 8 bits.
    steady: shift and maximum do not change while a sum is under way, and are not delayed with it.
    """
    # Cycles 0, 1, 2: shift by 16s, by 4s, by 1s. Each keeps the bits that may still become the code, and whether a
    # higher one is set; what the sign would fill is of no interest, because negative results become 0.
    window = total[:47]
    negative = total[47]
    over = None
    cycles = 0 if steady else 1
    for stage, (step, keep) in enumerate(((16, 23), (4, 11), (1, 8))):
        select = shift[4:6] if step == 16 else shift[2:4] if step == 4 else shift[0:2]
        shifted = Signal(keep, name=f"window_{stage}", reset_less=True)
        beyond = Signal(name=f"over_{stage}", reset_less=True)
        sign = Signal(name=f"negative_{stage}", reset_less=True)
        for count in range(4):
            with m.If(select == count):
                m.d.sync += shifted.eq(window[step * count : step * count + keep])
                higher = window[min(step * count + keep, len(window)) :]
                m.d.sync += beyond.eq(higher.any() if over is None else higher.any() | over)
        m.d.sync += sign.eq(negative)
        shift = delay(m, shift, cycles, name=f"shift_{stage}")
        window, over, negative = shifted, beyond, sign
    # Cycle 3: clip.
    maximum = delay(m, maximum, 3 * cycles, name="maximum")
    code = Signal(8, reset_less=True)
    clipped = Mux(over | (window > maximum), maximum, window)
    m.d.sync += code.eq(Mux(negative, 0, clipped))
    return code
