"""Figures of `benchmarks.networks` beside published ones: the table of networks of docs/figures.md, and a plot.

    python -m benchmarks.comparison build/networks/*.json [--plot docs/images/frames.svg]

Published rows are boards; ours are simulated RTL, at the clock of the published row of the same device, and beside it
what is expected at the clock that the timing analysis allows.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from intramix.files import write_whole
from intramix.svg import svg

BOARDS = {"pynq-z2": "PYNQ-Z2", "zc706": "ZC706", "zcu102": "ZCU102", "zu15eg": "XCZU15EG"}
NETWORKS = {
    "resnet18": "ResNet-18", "resnet34": "ResNet-34", "resnet50": "ResNet-50", "mobilenet_v2": "MobileNet-V2",
    "vgg16": "VGG-16", "squeezenet1_1": "SqueezeNet 1.1", "densenet121": "DenseNet-121",
}  # fmt: skip
COLOURS = "#1864ab", "#74c0fc", "#adb5bd"
"""Of one image at a time, of a batch, of what was published."""
LEGEND = "Intramix, an image at a time, simulated", "Intramix, a batch, simulated", "published, on a board"
"""What the colours stand for."""
_BESIDE = {"right": (-6, -2.5), "left": (6, -2.5)}
"""Where the text of a mark begins, in points from it, by how it is aligned."""
_BELOW = 0.22
"""How far below one another the marks of a network stand, of the distance of networks."""


@dataclasses.dataclass(frozen=True)
class Published:
    """Frames a second that others report of a device, at our clock unless `note` says otherwise."""

    system: str
    frames_per_second: float
    note: str = ""

    def __str__(self) -> str:
        return f"{self.system} {self.frames_per_second:g}" + (f" ({self.note})" if self.note else "")


_DPU = "AMD DPU", "281 MHz, INT8, several threads"
PUBLISHED = {
    ("pynq-z2", "resnet18"): (
        Published("FILM-QNN", 27.8), Published("ILMPQ", 24.6), Published("Mix and Match", 21.3),
    ),
    ("pynq-z2", "resnet50"): (Published("FILM-QNN", 13.3),),
    ("pynq-z2", "mobilenet_v2"): (Published("FILM-QNN", 132.3), Published("Mix and Match", 120.7)),
    ("zc706", "resnet18"): (Published("ILMPQ", 116), Published("Mix and Match", 99)),
    ("zcu102", "resnet18"): (Published("FILM-QNN", 214.8), Published(_DPU[0], 500, _DPU[1])),
    ("zcu102", "resnet50"): (Published("FILM-QNN", 109.1), Published(_DPU[0], 193, _DPU[1])),
    ("zcu102", "mobilenet_v2"): (Published("FILM-QNN", 537.9), Published(_DPU[0], 733, _DPU[1])),
}  # fmt: skip
"""By board and network; of a range the upper end."""


def markdown(figures: Sequence[dict[str, Any]]) -> str:
    """A table, a row for each network of each board; a batch stands beside the network's figures of one image."""
    lines = [
        "| board, clock | network | cycles a frame | frames/s | array | frames/s in a batch (images; cycles a frame) | "
        "expected at the analysed clock (MHz) | published, same device and clock (frames/s) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    places = [(board, network) for board in BOARDS for network in NETWORKS]
    for board, network in places:
        entries = [entry for entry in figures if (entry["board"], entry["network"]) == (board, network)]
        if not entries:
            continue
        one = next((entry for entry in entries if entry["batch"] == 1), None)
        alone = ["", "", ""] if one is None else [
            f"{one['cycles_per_frame']:,.0f}", f"{one['frames_per_second']:,.1f}",
            f"{100 * one['array_utilisation']:.1f} %",
        ]  # fmt: skip
        batches = [f"{entry['frames_per_second']:,.1f} ({entry['batch']}; {entry['cycles_per_frame']:,.0f})"
                   for entry in sorted(entries, key=lambda entry: entry["batch"]) if entry["batch"] > 1]  # fmt: skip
        others = ", ".join(map(str, PUBLISHED.get((board, network), ())))
        clock = f"{BOARDS[board]}, {entries[0]['clock_hz'] / 1e6:g} MHz"
        expected = (one or {}).get("expected")
        faster = "" if expected is None else (
            f"{expected['frames_per_second']:,.1f} ({expected['clock_hz'] / 1e6:.0f})"
        )  # fmt: skip
        cells = [clock, NETWORKS[network], *alone, ", ".join(batches), faster, others]
        lines.append(" ".join(f"| {cell}" if cell else "|" for cell in cells) + " |")
    return "\n".join(lines)


def plot(figures: Sequence[dict[str, Any]]) -> str:
    """SVG: a panel for each board that anyone published of, a line for each network, frames a second across.

    Below our marks of a network stand the published ones, a line each.
    """
    from matplotlib.figure import Figure

    boards = [board for board in BOARDS if any(entry["board"] == board for entry in figures)
              and any(board == other for other, _ in PUBLISHED)]  # fmt: skip
    networks = [name for name in NETWORKS if any(name == other for _, other in PUBLISHED)]
    figure = Figure(figsize=(9.6, 1.1 + 0.95 * len(networks)), layout="constrained")
    panels = figure.subplots(1, len(boards), sharey=True, squeeze=False)[0]
    for axes, board in zip(panels, boards):
        rates = []
        for line, network in enumerate(networks):
            rates += _plot_network(axes, line, figures, board, network)
        axes.set_xscale("log", subs=(2, 5))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.xaxis.set_minor_formatter("{x:,.0f}")
        axes.set_xlim(min(rates) / 6, max(rates) * 6)
        axes.set_title(BOARDS[board], fontsize=10)
        axes.grid(color="#e4e7eb", linewidth=0.6, axis="x", which="both")
        axes.set_xlabel("frames a second", fontsize=8)
        axes.tick_params(labelsize=7, which="both")
    panels[0].set_yticks(range(len(networks)), [NETWORKS[name] for name in networks])
    panels[0].set_ylim(len(networks) - 0.1, -0.5)
    marks = [panels[0].plot([], [], "o", color=colour, markersize=7)[0] for colour in COLOURS]
    figure.legend(marks, LEGEND, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return svg(figure)


def _plot_network(axes: Any, line: int, figures: Sequence[dict[str, Any]], board: str, network: str) -> list[float]:
    """Draws the marks of a network on a board; their frames a second."""
    ours = sorted((entry for entry in figures if (entry["board"], entry["network"]) == (board, network)),
                  key=lambda entry: entry["batch"])  # fmt: skip
    others = PUBLISHED.get((board, network), ())
    marks = [
        *((entry["frames_per_second"], line, COLOURS[entry["batch"] > 1], _text(entry),
           "left" if entry["batch"] > 1 else "right") for entry in ours),
        *((row.frames_per_second, line + _BELOW * number, COLOURS[2], f"{row.system} {row.frames_per_second:,.0f}",
           "right") for number, row in enumerate(others, 1)),
    ]  # fmt: skip
    for rate, height, colour, text, side in marks:
        axes.plot(rate, height, "o", color=colour, markersize=7)
        axes.annotate(text, (rate, height), xytext=_BESIDE[side], textcoords="offset points", ha=side, fontsize=7)
    return [mark[0] for mark in marks]


def _text(entry: dict[str, Any]) -> str:
    rate = f"{entry['frames_per_second']:,.0f}"
    return rate if entry["batch"] == 1 else f"{rate}, batch {entry['batch']}"


def read(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Figures of networks. Ends with a message where a file holds something else, or values that differ."""
    result = []
    for path in paths:
        try:
            figures = json.loads(path.read_text())
            known = figures["board"] in BOARDS and figures["network"] in NETWORKS
            wrong = figures["values_mismatched"] + figures["crc_mismatched"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            sys.exit(f"{path}: not the figures of benchmarks.networks --json ({error!r})")
        if not known:
            sys.exit(f"{path}: {figures['network']} on {figures['board']} has no place in the tables")
        if wrong:
            sys.exit(f"{path}: {wrong} values or CRCs differ from the integer model; its cycles mean nothing")
        result.append(figures)
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path, nargs="+", help="files of benchmarks.networks --json")
    parser.add_argument("--plot", type=Path, help="SVG to write")
    options = parser.parse_args()
    figures = read(options.figures)
    print(markdown(figures))
    if options.plot:
        write_whole(options.plot, plot(figures))


if __name__ == "__main__":
    main()
