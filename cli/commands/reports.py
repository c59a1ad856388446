"""`intramix reports`: utilisation, timing and power of a bitstream that was built."""

from pathlib import Path

import click

from ...platforms.reports import Reports, read_reports
from ..figures.hardware import PowerFigures, ReportsFigures, TimingFigures, UsageFigures
from ..shared.console import errors, table
from ..shared.options import json_option
from ..shared.output import write_figures


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@json_option
def reports(folder: Path, json_path: Path | None) -> None:
    """Show utilisation, slack and power from the tool's reports in FOLDER, where `intramix build` made a bitstream."""
    found = read_reports(folder)
    print_reports(found)
    write_figures(json_path, reports_figures(found))


def print_reports(found: Reports) -> None:
    """Prints a table of what there is, and a warning for each report that is missing."""
    rows = [
        [usage.kind, f"{usage.used:,g}", f"{usage.available:,g}", _share(usage.used, usage.available)]
        for usage in found.utilisation
    ]
    if (timing := found.timing) is not None:
        count = "paths" if timing.failing_endpoints is None else f"{timing.failing_endpoints:,} endpoints"
        late = f"{count} fail: unreliable, build with a lower --clock"
        verdict = "met" if timing.met else late
        rows.append(["worst setup slack", _slack(timing.setup), "", verdict])
        rows.append(["worst hold slack", _slack(timing.hold), "", ""])
    if (power := found.power) is not None:
        parts = f"{power.dynamic:.2f} dynamic, {power.static:.2f} static"
        rows.append(["power, estimated", f"{power.total:.2f} W", parts, f"confidence: {power.confidence.lower()}"])
    columns = [("figure", "left"), ("value", "right"), ("of", "left"), ("", "left")]
    table(f"{found.tool}'s reports", columns, rows)
    for problem in found.problems:
        errors.print(f"[yellow]warning:[/] report {problem}")


def reports_figures(found: Reports) -> ReportsFigures:
    """What the reports say, as `--json` writes it."""
    timing, power = found.timing, found.power
    return ReportsFigures(
        utilisation={
            usage.kind: UsageFigures(used=usage.used, available=usage.available) for usage in found.utilisation
        },
        timing=None if timing is None else TimingFigures(
            setup_ns=timing.setup, hold_ns=timing.hold, pulse_width_ns=timing.pulse_width,
            failing_endpoints=timing.failing_endpoints, met=timing.met,
        ),
        power=None if power is None else PowerFigures(
            total_watts=power.total, dynamic_watts=power.dynamic, static_watts=power.static,
            junction_celsius=power.junction_celsius, confidence=power.confidence,
        ),
        problems=tuple(found.problems),
    )  # fmt: skip


def _share(used: float, available: float) -> str:
    return f"{used / available:.1%}" if available else "–"


def _slack(nanoseconds: float | None) -> str:
    return "no path" if nanoseconds is None else f"{nanoseconds:.3f} ns"
