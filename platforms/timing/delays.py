"""Delays of cells and nets, by device family, fabric and speed grade, in nanoseconds.

A clock that a vendor's tool reports for a routed design depends on its placement; here a net costs what nets of its
fan-out cost in placed and routed blocks. 7-series of the Artix fabric (XC7Z007S … XC7Z020) in grade -1 is the
calibrated one: its cell delays are those that nextpnr-xilinx takes from the device's database with the -1 values of
DSP, BRAM and SRL, its net delays were fitted to nets of blocks of this accelerator placed and routed by it
(docs/timing.md has the error). The others are of the kind that vendors' reports show for these families, and are not
calibrated.
"""

import dataclasses

from ..boards import Part
from .errors import TimingError


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetDelay:
    """A net's delay: `fixed + doubling · log2(1 + fan-out)`, and `many` more above 64 loads."""

    fixed: float
    doubling: float
    many: float

    def scaled(self, factor: float) -> "NetDelay":
        """The same with every figure multiplied."""
        return NetDelay(fixed=self.fixed * factor, doubling=self.doubling * factor, many=self.many * factor)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeedGrade:
    """Delays of one grade of one fabric.

    Members
    -------
    name: family, fabric and grade.
    calibrated: whether its nets were fitted to placed and routed blocks.
    nets: delays of nets that leave a slice.
    clock_to_q, setup, setup_enable, setup_reset: of flip-flops.
    lut, mux, mux_select: through a LUT, and through a wide multiplexer from its inputs and its select.
    carry_start, carry_bit: from a sum's input (DI, S) into a carry chain, and more for each bit passed.
    carry_through, carry_in_sum, carry_in_bit: from carry-in to the last carry-out; to the first sum, and more for each
        bit. carry_sum: from S to the sum of its own bit.
    carry_local: of a net with one load that drives a carry chain (it stays in the slice).
    ram_clock_to_q, ram_registered, ram_setup_address, ram_setup_data, ram_setup_write: of block RAM (UltraRAM alike),
        without and with its output register.
    dsp_p, dsp_m, dsp_none: of a DSP slice, from the clock to its outputs with P registered, only M, or neither.
    dsp_setup, dsp_setup_through: of its inputs into their registers; where they have none, into M (through the
        multiplier). dsp_setup_cascade, dsp_setup_other: of PCIN, and of all other pins.
    lut_ram_clock_to_q, lut_ram_read, lut_ram_setup, lut_ram_setup_write: of memory in LUTs.
    shift_clock_to_q, shift_setup: of shift registers in LUTs.
    ps_clock_to_q, ps_setup: of the processing system's ports.
    """

    name: str
    calibrated: bool
    nets: NetDelay
    clock_to_q: float
    setup: float
    setup_enable: float
    setup_reset: float
    lut: float
    mux: float
    mux_select: float
    carry_start: float
    carry_bit: float
    carry_through: float
    carry_in_sum: float
    carry_in_bit: float
    carry_sum: float
    carry_local: float
    ram_clock_to_q: float
    ram_registered: float
    ram_setup_address: float
    ram_setup_data: float
    ram_setup_write: float
    dsp_p: float
    dsp_m: float
    dsp_none: float
    dsp_setup: float
    dsp_setup_through: float
    dsp_setup_cascade: float
    dsp_setup_other: float
    lut_ram_clock_to_q: float
    lut_ram_read: float
    lut_ram_setup: float
    lut_ram_setup_write: float
    shift_clock_to_q: float
    shift_setup: float
    ps_clock_to_q: float
    ps_setup: float

    def scaled(self, name: str, cells: float, nets: float) -> "SpeedGrade":
        """Another grade of the same fabric: all cells' delays times `cells`, all nets' times `nets`; not calibrated."""
        changes = {
            field.name: getattr(self, field.name) * cells
            for field in dataclasses.fields(self)
            if field.name not in ("name", "calibrated", "nets")
        }
        return SpeedGrade(name=name, calibrated=False, nets=self.nets.scaled(nets), **changes)


ARTIX_1 = SpeedGrade(
    name="7-series, Artix fabric, -1",
    calibrated=True,
    nets=NetDelay(fixed=0.35, doubling=0.12, many=0.3),
    clock_to_q=0.456, setup=0.05, setup_enable=0.205, setup_reset=0.429,
    lut=0.124, mux=0.24, mux_select=0.30,
    carry_start=0.40, carry_bit=0.045, carry_through=0.114, carry_in_sum=0.23, carry_in_bit=0.03, carry_sum=0.25,
    carry_local=0.25,
    ram_clock_to_q=2.454, ram_registered=0.882,
    ram_setup_address=0.566, ram_setup_data=0.737, ram_setup_write=0.53,
    dsp_p=0.434, dsp_m=2.305, dsp_none=4.0,
    dsp_setup=0.45, dsp_setup_through=3.288, dsp_setup_cascade=1.4, dsp_setup_other=0.5,
    lut_ram_clock_to_q=1.31, lut_ram_read=0.15, lut_ram_setup=0.26, lut_ram_setup_write=0.53,
    shift_clock_to_q=1.63, shift_setup=0.26,
    ps_clock_to_q=1.45, ps_setup=0.9,
)  # fmt: skip
ARTIX_2 = ARTIX_1.scaled("7-series, Artix fabric, -2", cells=0.85, nets=0.87)
KINTEX_2 = SpeedGrade(
    name="7-series, Kintex fabric, -2",
    calibrated=False,
    nets=NetDelay(fixed=0.26, doubling=0.09, many=0.22),
    clock_to_q=0.223, setup=0.03, setup_enable=0.16, setup_reset=0.30,
    lut=0.043, mux=0.12, mux_select=0.16,
    carry_start=0.22, carry_bit=0.03, carry_through=0.053, carry_in_sum=0.13, carry_in_bit=0.025, carry_sum=0.15,
    carry_local=0.17,
    ram_clock_to_q=1.80, ram_registered=0.63,
    ram_setup_address=0.39, ram_setup_data=0.54, ram_setup_write=0.39,
    dsp_p=0.35, dsp_m=1.69, dsp_none=3.0,
    dsp_setup=0.29, dsp_setup_through=2.4, dsp_setup_cascade=1.05, dsp_setup_other=0.35,
    lut_ram_clock_to_q=0.75, lut_ram_read=0.06, lut_ram_setup=0.18, lut_ram_setup_write=0.36,
    shift_clock_to_q=0.95, shift_setup=0.18,
    ps_clock_to_q=1.2, ps_setup=0.7,
)  # fmt: skip
KINTEX_1 = KINTEX_2.scaled("7-series, Kintex fabric, -1", cells=1.18, nets=1.15)
ULTRASCALE_PLUS_2 = SpeedGrade(
    name="UltraScale+, -2",
    calibrated=False,
    nets=NetDelay(fixed=0.16, doubling=0.06, many=0.15),
    clock_to_q=0.079, setup=0.025, setup_enable=0.042, setup_reset=0.074,
    lut=0.10, mux=0.07, mux_select=0.09,
    carry_start=0.15, carry_bit=0.012, carry_through=0.023, carry_in_sum=0.07, carry_in_bit=0.010, carry_sum=0.10,
    carry_local=0.02,
    ram_clock_to_q=0.99, ram_registered=0.27,
    ram_setup_address=0.26, ram_setup_data=0.27, ram_setup_write=0.30,
    dsp_p=0.23, dsp_m=0.92, dsp_none=1.6,
    dsp_setup=0.20, dsp_setup_through=1.2, dsp_setup_cascade=0.70, dsp_setup_other=0.25,
    lut_ram_clock_to_q=0.42, lut_ram_read=0.10, lut_ram_setup=0.12, lut_ram_setup_write=0.18,
    shift_clock_to_q=0.45, shift_setup=0.10,
    ps_clock_to_q=0.9, ps_setup=0.6,
)  # fmt: skip
ULTRASCALE_PLUS_1 = ULTRASCALE_PLUS_2.scaled("UltraScale+, -1", cells=1.18, nets=1.15)

_ARTIX_PARTS = ("xc7z007s", "xc7z010", "xc7z012s", "xc7z014s", "xc7z015", "xc7z020")
_GRADES = {
    ("artix", "1"): ARTIX_1, ("artix", "2"): ARTIX_2,
    ("kintex", "1"): KINTEX_1, ("kintex", "2"): KINTEX_2,
    ("ultrascale+", "1"): ULTRASCALE_PLUS_1, ("ultrascale+", "2"): ULTRASCALE_PLUS_2,
}  # fmt: skip


def speed_grade(part: Part | None) -> SpeedGrade:
    """The delays of a part, by its name and speed grade; of none (simulation only) those of XC7Z020 -1.

    Raises
    ------
    TimingError: a speed grade without delays.
    """
    if part is None:
        return ARTIX_1
    device, _, rest = part.name.partition("-")
    if part.family == "xcup":
        fabric, grade = "ultrascale+", rest.split("-")[1] if "-" in rest else rest
    else:
        fabric, grade = "artix" if device.startswith(_ARTIX_PARTS) else "kintex", rest
    found = _GRADES.get((fabric, grade[:1]))
    if found is None:
        known = ", ".join(sorted({number for name, number in _GRADES if name == fabric}))
        raise TimingError(f"part {part.name}: no delays of speed grade -{grade} of {fabric}; there are -{known}")
    return found
