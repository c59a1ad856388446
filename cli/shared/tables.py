"""Tables of figures for the terminal."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...runtime.figures.run import SpeedFigures
from ...runtime.figures.simulation import SimulationFigures
from .console import console, table

if TYPE_CHECKING:
    from ..figures.hardware import SynthesizeFigures

_RESOURCES = ("lut", "ff", "dsp", "bram36")


def mix(counts: Mapping[str, int]) -> str:
    """`4 fixed-8 + 12 fixed-4`, widest first, LUT schemes last; or a dash."""
    used = [(name, count) for name, count in counts.items() if count]
    used.sort(key=lambda item: format_order(item[0]))
    return " + ".join(f"{count} {name}" for name, count in used) or "–"


def format_order(name: str) -> tuple[int, bool, str]:
    """Sorts names of formats and lanes: widest first, LUT schemes last."""
    return -int(name.rpartition("-")[2]), not name.startswith("fixed"), name


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def counted(number: int, noun: str) -> str:
    """`1 image`, `1,024 images`: a number with its noun, whose plural ends in s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def frames(batch: int) -> str:
    """What a run of a program computes: `frame`, or `batch of 4 frames`."""
    return "frame" if batch == 1 else f"batch of {batch} frames"


def layer_table(figures: SimulationFigures) -> None:
    """Every layer of a run, then its totals."""
    rows = [
        [
            str(layer.number),
            layer.title,
            f"{layer.macs:,}",
            mix(layer.formats),
            mix(layer.lanes),
            f"{layer.cycles:,.0f}",
            percent(layer.array_utilisation),
            f"{layer.read_bytes + layer.write_bytes:,}",
            f"{layer.values_compared:,}",
            _equal(layer.values_mismatched, "equal"),
        ]
        for layer in figures.layers
    ]
    footer = [
        "", frames(figures.batch), f"{figures.macs * figures.batch:,}", "", "",
        f"{figures.cycles_per_run:,.0f}",
        percent(figures.array_utilisation),
        f"{sum(layer.read_bytes + layer.write_bytes for layer in figures.layers):,}",
        f"{figures.values_compared:,}",
        _equal(figures.values_mismatched, "all equal"),
    ]  # fmt: skip
    columns = [
        ("#", "right"), ("layer", "left"), ("MACs", "right"), ("filters by format", "left"), ("by lane", "left"),
        ("cycles", "right"), ("array", "right"), ("DDR bytes", "right"), ("values", "right"), ("RTL = model", "left"),
    ]  # fmt: skip
    table(f"{figures.network} on {figures.board}, per {frames(figures.batch)}", columns, rows, footer,
          spare=("values", "DDR bytes", "MACs", "filters by format", "by lane"))


def totals(figures: SimulationFigures) -> None:
    """The totals and the conditions they hold under."""
    ddr = figures.ddr
    console.print(
        f"[bold]{figures.cycles_per_frame:,.0f}[/] cycles a frame · "
        f"[bold]{figures.frames_per_second:,.1f}[/] frames/s at {figures.clock_hz / 1e6:.0f} MHz · "
        f"{figures.gops:.2f} GOPS · array {percent(figures.array_utilisation)} of "
        f"{figures.macs_per_cycle:,} MACs a cycle"
    )
    show_latency(figures)
    console.print(
        f"[dim]simulated RTL, batch {figures.batch}; memory {ddr.peak_bytes_per_second / 1e9:g} GB/s peak, "
        f"{percent(ddr.efficiency)} granted, {ddr.latency_cycles} cycles of read latency. A layer's cycles run until "
        "the array has done all its steps; layers of a turn share theirs in proportion to their steps.[/]"
    )


def show_latency(figures: SpeedFigures) -> None:
    """How long a batch takes, if it is one: until its end there is no answer to any of its images."""
    if figures.batch > 1:
        cycles = figures.cycles_per_run
        time = f"{cycles:,.0f} cycles, {1e3 * cycles / figures.clock_hz:,.2f} ms"
        console.print(f"{figures.batch} images at once: all answers after {time}")


def _equal(mismatched: int, text: str) -> str:
    return f"[bold red]{mismatched:,} differ[/]" if mismatched else f"[green]{text}[/]"


def block_table(figures: "SynthesizeFigures") -> None:
    """Resources per block, and how much of the part they are."""
    rows = []
    for block in figures.blocks:
        level = block.path.count("/")
        name = "  " * level + block.path.rsplit("/", 1)[-1] + (f" × {block.count}" if block.count > 1 else "")
        rows.append([name, *(f"{getattr(block, key):,}" for key in _RESOURCES)])
    columns = [("block", "left"), ("LUT", "right"), ("FF", "right"), ("DSP", "right"), ("BRAM36", "right")]
    footer = ["total", *(f"{getattr(figures, key):,}" for key in _RESOURCES)]
    table(f"{figures.board}, {figures.tool.split(' (')[0]}", columns, rows, footer)
    if limits := figures.limits:
        shares = [(name, getattr(figures, name), getattr(limits, name)) for name in _RESOURCES]
        use = " · ".join(f"{name.upper()} {used:,} of {most:,} ({percent(used / most)})" for name, used, most in shares)
        verdict = "[green]fits[/]" if figures.fits else "[bold red]does not fit[/]"
        console.print(f"{figures.part}: {use}: {verdict} (LUTs up to {percent(limits.lut_share)})")
