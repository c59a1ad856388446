"""What paths do at a technology cell: where they begin, where they end, and how they go through it."""

import dataclasses
import enum
import re
from collections.abc import Callable, Iterator, Mapping

from .delays import SpeedGrade
from .errors import TimingError

FLIP_FLOPS = frozenset({"FDRE", "FDSE", "FDCE", "FDPE"})
_CLOCKS = frozenset({"C", "CLK", "WCLK", "CLKARDCLK", "CLKBWRCLK", "CLKA", "CLKB"})
_LUT_RAM = re.compile(r"RAM(32|64|128|256)")
_BLOCK_RAM = re.compile(r"RAMB(18|36)E|URAM288")
_READ_PORT = {"DOA": "ADDRA", "DOB": "ADDRB", "DOC": "ADDRC", "DOD": "ADDRD", "DOE": "ADDRE", "DOF": "ADDRF",
              "DOG": "ADDRG", "DOH": "ADDRH", "SPO": "A", "DPO": "DPRA", "O": "A"}  # fmt: skip
PASSIVE = frozenset({"BUFG", "IBUF", "OBUF", "BUFGCTRL", "BUFGCE"})
"""Buffers of clocks and pins: no path of the logic goes through them."""

Pin = tuple[str, int]
"""A cell's port and the index in it."""


class WireKind(enum.IntEnum):
    """How the net before an input is routed: through the fabric, or inside the slice."""

    ORDINARY = 0
    MULTIPLEXER = 1
    CARRY = 2


@dataclasses.dataclass(frozen=True)
class CellTiming:
    """Delays of a cell.

    Members
    -------
    launches: from the clock to outputs.
    setups: of inputs, to the clock.
    arcs: from inputs to outputs.
    kind: how the net before an input is routed: an ordinary one, into a wide multiplexer (inside the slice), or into a
        carry chain.
    """

    launches: Mapping[Pin, float]
    setups: Mapping[Pin, float]
    arcs: Mapping[tuple[Pin, Pin], float]
    kind: WireKind


@dataclasses.dataclass(frozen=True)
class Cell:
    """A leaf of the netlist: its type, the widths of its ports, its parameters."""

    type: str
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    parameters: Mapping[str, str]

    def registered(self, name: str, default: int) -> bool:
        """Whether a parameter that counts registers is not 0."""
        text = self.parameters.get(name)
        try:
            return bool(default if text is None else int(str(text), 2))
        except ValueError:
            return bool(default)

    def input_pins(self) -> Iterator[Pin]:
        return ((port, index) for port, width in self.inputs.items() for index in range(width))

    def output_pins(self) -> Iterator[Pin]:
        return ((port, index) for port, width in self.outputs.items() for index in range(width))


def cell_timing(cell: Cell, grade: SpeedGrade) -> CellTiming:
    """The delays of a cell.

    Raises
    ------
    TimingError: a type that is not known; a netlist of another family, or one that is not mapped to cells.
    """
    for matches, build in _BUILDERS:
        if matches(cell.type):
            return build(cell, grade)
    raise TimingError(
        f"cell type {cell.type!r} has no delays here: the netlist is of another family, or not mapped "
        "to its cells; make it with yosys' synth_xilinx -family xc7 or xcup, and write_json"
    )


def _combinational(cell: Cell, delay: Callable[[Pin], float], kind: WireKind = WireKind.ORDINARY) -> CellTiming:
    arcs = {(pin, out): delay(pin) for pin in cell.input_pins() for out in cell.output_pins()}
    return CellTiming({}, {}, arcs, kind)


def _lut(cell: Cell, grade: SpeedGrade) -> CellTiming:
    return _combinational(cell, lambda pin: grade.lut)


def _mux(cell: Cell, grade: SpeedGrade) -> CellTiming:
    return _combinational(cell, lambda pin: grade.mux_select if pin[0] == "S" else grade.mux, WireKind.MULTIPLEXER)


def _passive(cell: Cell, grade: SpeedGrade) -> CellTiming:
    return _combinational(cell, lambda pin: 0.0)


def _flip_flop(cell: Cell, grade: SpeedGrade) -> CellTiming:
    setups = {"D": grade.setup, "CE": grade.setup_enable}
    return CellTiming(
        {("Q", 0): grade.clock_to_q},
        {(port, 0): setups.get(port, grade.setup_reset) for port in cell.inputs if port not in _CLOCKS},
        {},
        WireKind.ORDINARY,
    )


def _carry(cell: Cell, grade: SpeedGrade) -> CellTiming:
    """CARRY4 and CARRY8: sums O, carries CO."""
    arcs: dict[tuple[Pin, Pin], float] = {}
    for out in cell.output_pins():
        port, index = out
        for pin in cell.input_pins():
            name, place = pin
            if name in ("CI", "CYINIT", "CI_TOP"):
                arcs[pin, out] = (
                    grade.carry_in_sum + grade.carry_in_bit * index if port == "O" else grade.carry_through
                )
            elif place < index or (port == "CO" and place == index):
                extra = 0.0 if port == "CO" else grade.carry_bit
                arcs[pin, out] = grade.carry_start + grade.carry_bit * (index - place) + extra
            elif port == "O" and place == index and name == "S":
                arcs[pin, out] = grade.carry_sum
    return CellTiming({}, {}, arcs, WireKind.CARRY)


def _shift_register(cell: Cell, grade: SpeedGrade) -> CellTiming:
    outs = list(cell.output_pins())
    arcs = {(pin, out): grade.lut_ram_read for pin in cell.input_pins() if pin[0].startswith("A") for out in outs}
    setups = {pin: grade.shift_setup for pin in cell.input_pins() if pin[0] in ("D", "CE")}
    return CellTiming({out: grade.shift_clock_to_q for out in outs}, setups, arcs, WireKind.ORDINARY)


def _lut_ram(cell: Cell, grade: SpeedGrade) -> CellTiming:
    launches = {out: grade.lut_ram_clock_to_q for out in cell.output_pins()}
    setups: dict[Pin, float] = {}
    arcs: dict[tuple[Pin, Pin], float] = {}
    for pin in cell.input_pins():
        port = pin[0]
        address = port.rstrip("0123456789")
        if port.startswith("WE"):
            setups[pin] = grade.lut_ram_setup_write
        elif port.startswith("D") and not port.startswith("DPRA"):
            setups[pin] = grade.lut_ram_setup
        elif address in ("A", "ADDRD", "ADDRH") and (address != "ADDRD" or "DOH" not in cell.outputs):
            setups[pin] = grade.lut_ram_setup  # the port that writes
        for out in launches:
            if _READ_PORT.get(out[0]) in (port, address):
                arcs[pin, out] = grade.lut_ram_read
    return CellTiming(launches, setups, arcs, WireKind.ORDINARY)


def _block_ram(cell: Cell, grade: SpeedGrade) -> CellTiming:
    """RAMB18, RAMB36: a port's output register is DOA_REG or DOB_REG; UltraRAM: OREG_A or OREG_B."""
    launches: dict[Pin, float] = {}
    for out in cell.output_pins():
        side = "B" if "B" in out[0] else "A"
        registered = cell.registered(f"DO{side}_REG", 0) or cell.registered(f"OREG_{side}", 0)
        launches[out] = grade.ram_registered if registered else grade.ram_clock_to_q
    setups: dict[Pin, float] = {}
    for pin in cell.input_pins():
        port = pin[0]
        if port in _CLOCKS or "CLK" in port or "CAS" in port:
            continue
        if port.startswith(("DI", "DIN")):
            setups[pin] = grade.ram_setup_data
        else:
            setups[pin] = grade.ram_setup_write if port.startswith(("W", "BWE")) else grade.ram_setup_address
    return CellTiming(launches, setups, {}, WireKind.ORDINARY)


def _dsp(cell: Cell, grade: SpeedGrade) -> CellTiming:
    delay = grade.dsp_none
    if cell.registered("MREG", 1):
        delay = grade.dsp_m
    if cell.registered("PREG", 1):
        delay = grade.dsp_p
    setups: dict[Pin, float] = {}
    for pin in cell.input_pins():
        port = pin[0]
        if "CLK" in port:
            continue
        if port in ("A", "B", "C", "D"):
            register = cell.registered(port + "REG", 1)
            setups[pin] = grade.dsp_setup if register else grade.dsp_setup_through
        else:
            setups[pin] = grade.dsp_setup_cascade if port == "PCIN" else grade.dsp_setup_other
    return CellTiming({out: delay for out in cell.output_pins()}, setups, {}, WireKind.ORDINARY)


def _processing_system(cell: Cell, grade: SpeedGrade) -> CellTiming:
    setups = {pin: grade.ps_setup for pin in cell.input_pins() if "CLK" not in pin[0]}
    return CellTiming({out: grade.ps_clock_to_q for out in cell.output_pins()}, setups, {}, WireKind.ORDINARY)


_BUILDERS: tuple[tuple[Callable[[str], object], Callable[[Cell, SpeedGrade], CellTiming]], ...] = (
    (re.compile(r"LUT[1-6](_2)?$|INV$").match, _lut),
    (FLIP_FLOPS.__contains__, _flip_flop),
    (re.compile(r"CARRY[48]$").match, _carry),
    (re.compile(r"MUXF[789]$").match, _mux),
    (re.compile(r"SRL(16|C16|C32)E?$").match, _shift_register),
    (_LUT_RAM.match, _lut_ram),
    (_BLOCK_RAM.match, _block_ram),
    (re.compile(r"DSP48E[12]$").match, _dsp),
    (re.compile(r"PS[78]$").match, _processing_system),
    (PASSIVE.__contains__, _passive),
)
