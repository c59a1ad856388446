"""What the tools' text reports say of a finished bitstream: utilisation, timing, estimated power (Vivado)."""

import dataclasses
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from .errors import BitstreamError
from .project import NAME

UTILISATION = f"{NAME}_utilization_place.rpt"
TIMING = f"{NAME}_timing.rpt"
POWER = f"{NAME}_power.rpt"
NEXTPNR = f"{NAME}_nextpnr.log"

_SITES = {
    "Slice LUTs": "LUT", "CLB LUTs": "LUT",
    "Slice Registers": "FF", "CLB Registers": "FF",
    "Block RAM Tile": "BRAM36", "URAM": "URAM", "DSPs": "DSP",
}  # fmt: skip
"""Rows of `report_utilization` by family (7 series, UltraScale+), and what they count."""
_BELS = {"SLICE_LUTX": "LUT half", "SLICE_FFX": "FF", "DSP48E1": "DSP"}
"""Rows of nextpnr's "Device utilisation", which counts halves of LUTs; a BRAM36 is a RAMB36E1 or two RAMB18E1."""
_BEL_ROW = re.compile(r"^Info:\s+(\w+?)(?:_\1)?:\s*(\d+)/\s*(\d+)\s+\d+%", re.MULTILINE)
_FREQUENCY = re.compile(r"Max frequency for clock\s+'[^']*': ([\d.]+) MHz \((?:PASS|FAIL) at ([\d.]+) MHz\)")
_POWER_ROWS = {
    "Total On-Chip Power (W)": "total", "Dynamic (W)": "dynamic", "Device Static (W)": "static",
    "Junction Temperature (C)": "junction_celsius",
}  # fmt: skip
_Result = TypeVar("_Result")


class ReportError(BitstreamError):
    """A report is no such report, or it is cut short; the message names it and what it lacks."""


@dataclasses.dataclass(frozen=True)
class Usage:
    """Sites of one kind (LUT, FF, DSP, BRAM36, URAM) that a design occupies, and how many the device has."""

    kind: str
    used: float
    available: float


@dataclasses.dataclass(frozen=True)
class Timing:
    """Worst slacks in nanoseconds; None where there is no path of the kind.

    Members
    -------
    setup: worst negative slack (WNS): negative, and the clock is too fast.
    hold: worst hold slack (WHS).
    pulse_width: worst pulse width slack (WPWS).
    failing_endpoints: that miss their time; None where the tool does not count them.
    """

    setup: float | None
    hold: float | None
    pulse_width: float | None
    failing_endpoints: int | None

    @property
    def met(self) -> bool:
        return not self.failing_endpoints and all(
            slack is None or slack >= 0 for slack in (self.setup, self.hold, self.pulse_width)
        )


@dataclasses.dataclass(frozen=True)
class Power:
    """Vivado's estimate, in watts.

    Members
    -------
    confidence: how much Vivado trusts it: without a recorded activity of the signals, Low or Medium.
    """

    total: float
    dynamic: float
    static: float
    junction_celsius: float
    confidence: str


@dataclasses.dataclass(frozen=True)
class Reports:
    """What a project's folder has.

    Members
    -------
    tool: whose reports they are.
    problems: a line for each report that is absent or cut short, naming it.
    """

    tool: str
    utilisation: tuple[Usage, ...]
    timing: Timing | None
    power: Power | None
    problems: tuple[str, ...]


def read_reports(folder: Path) -> Reports:
    """The reports that are in a project's folder.

    Raises
    ------
    BitstreamError: there is none.
    """
    problems: list[str] = []

    def read(name: str, parse: Callable[[str], _Result]) -> _Result | None:
        try:
            return parse((folder / name).read_text(errors="replace"))
        except OSError as error:
            problems.append(f"{name}: {'absent' if isinstance(error, FileNotFoundError) else error.strerror}")
        except ReportError as error:
            problems.append(f"{name}: {error}")
        return None

    if (folder / NEXTPNR).exists():
        both = read(NEXTPNR, parse_nextpnr)
        if both is None:
            raise BitstreamError(f"{folder} has no report that can be read: {'; '.join(problems)}")
        return Reports("nextpnr", *both, None, ())
    result = Reports(
        "Vivado",
        read(UTILISATION, parse_utilisation) or (), read(TIMING, parse_timing), read(POWER, parse_power),
        tuple(problems),
    )  # fmt: skip
    if len(problems) == 3:
        raise BitstreamError(f"{folder} has no report that can be read: {'; '.join(problems)}")
    return result


def parse_utilisation(text: str) -> tuple[Usage, ...]:
    """`report_utilization`.

    Raises
    ------
    ReportError: a table is missing that every device's report has.
    """
    _check_header(text, "report_utilization")
    found: dict[str, Usage] = {}
    columns: list[str] = []
    for cells in _rows(text):
        if cells[0] == "Site Type":
            columns = cells
        elif (kind := _SITES.get(cells[0].rstrip("*"))) and len(cells) == len(columns) and kind not in found:
            row = dict(zip(columns, cells))
            found[kind] = Usage(kind, _number(row, "Used"), _number(row, "Available"))
    lacking = [kind for kind in ("LUT", "FF", "BRAM36", "DSP") if kind not in found]
    if lacking:
        raise ReportError(f"cut short: it has no row for {', '.join(lacking)}")
    return tuple(found[kind] for kind in dict.fromkeys(_SITES.values()) if kind in found)


def parse_timing(text: str) -> Timing:
    """`report_timing_summary`: its table "Design Timing Summary".

    Raises
    ------
    ReportError: the table is missing.
    """
    _check_header(text, "report_timing_summary")
    lines = iter(text.splitlines())
    for line in lines:
        if line.split()[:1] == ["WNS(ns)"]:
            break
    next(lines, None)  # a rule
    cells = next(lines, "").split()
    if len(cells) != 12:
        raise ReportError('cut short: the table "Design Timing Summary" has no figures')
    values = [None if cell == "NA" else float(cell) for cell in cells]
    setup, _, failing_setup, _, hold, _, failing_hold, _, pulse, _, failing_pulse, _ = values
    failing = sum(int(count or 0) for count in (failing_setup, failing_hold, failing_pulse))
    return Timing(setup, hold, pulse, failing)


def parse_power(text: str) -> Power:
    """`report_power`: its table "Summary".

    Raises
    ------
    ReportError: a row of it is missing.
    """
    _check_header(text, "report_power")
    table = {cells[0]: cells[1] for cells in _rows(text) if len(cells) == 2}
    lacking = [name for name in (*_POWER_ROWS, "Confidence Level") if name not in table]
    if lacking:
        raise ReportError(f"cut short: it has no row for {', '.join(lacking)}")
    values = {member: _number(table, name) for name, member in _POWER_ROWS.items()}
    return Power(**values, confidence=table["Confidence Level"])


def parse_nextpnr(text: str) -> tuple[tuple[Usage, ...], Timing]:
    """The log of nextpnr-xilinx: utilisation, and the clock that is reached after routing.

    Raises
    ------
    ReportError: one of them is missing.
    """
    rows = {bel: (int(used), int(available)) for bel, used, available in _BEL_ROW.findall(text)}
    clocks = _FREQUENCY.findall(text.rpartition("Info: Routing")[2])
    if not rows or not clocks:
        raise ReportError("cut short: it does not come to the clock that is reached after routing")
    usages = [Usage(kind, *rows[bel]) for bel, kind in _BELS.items() if bel in rows]
    if "RAMB36E1" in rows:
        used, available = rows["RAMB36E1"]
        usages.append(Usage("BRAM36", used + rows.get("RAMB18E1", (0, 0))[0] / 2, available))
    reached, wanted = map(float, clocks[-1])
    slack = round(1e3 / wanted - 1e3 / reached, 3)
    return tuple(usages), Timing(slack, None, None, None)


def _check_header(text: str, command: str) -> None:
    if not any(line.startswith("| Command") and command in line for line in text.splitlines()):
        raise ReportError(f"no report of {command}" if text.strip() else "empty")


def _rows(text: str) -> Iterable[list[str]]:
    """Cells of every row of every table."""
    for line in text.splitlines():
        if line.startswith("|") and line.rstrip().endswith("|"):
            yield [cell.strip() for cell in line.strip().strip("|").split("|")]


def _number(row: dict[str, str], name: str) -> float:
    try:
        return float(row[name].lstrip("<"))
    except (KeyError, ValueError):
        raise ReportError(f"the column or row {name!r} has no number, but {row.get(name)!r}") from None
