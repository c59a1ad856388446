"""The roofline of a network, from the figures of `benchmarks.networks`.

    python -m benchmarks.roofline FIGURES.json -o FILE.svg

Every layer is a point at its operations a byte of DDR, as high as its own bounds allow (layers of a turn overlap, so
their measured cycles cannot be told apart); the star is the whole network as measured.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from intramix.files import write_whole
from intramix.svg import svg

COLOURS = {
    "compute": "#0b7285", "drain": "#f08c00", "weights": "#9c36b5", "maps": "#2f9e44", "residual": "#74b816",
    "stores": "#e03131", "memory": "#495057",
}  # fmt: skip


def plot(figures: dict[str, Any]) -> str:
    """SVG of one network: operations a second (a multiply-accumulate is two) over operations a byte."""
    from matplotlib.figure import Figure

    clock = figures["clock_hz"]
    peak = 2 * figures["macs_per_cycle"] * clock / 1e9
    rate = figures["ddr"]["peak_bytes_per_second"] * figures["ddr"]["efficiency"] / 1e9
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    named = set()
    intensities = []
    for layer in figures["layers"]:
        if not layer["macs"]:
            continue
        intensity = 2 * layer["macs"] / (layer["read_bytes"] + layer["write_bytes"])
        intensities.append(intensity)
        bound = layer["bound_by"]
        height = 2 * layer["macs"] * clock / layer["bounds"][bound] / 1e9
        axes.plot(intensity, height, "o", markersize=5, fillstyle="none", color=COLOURS[bound],
                  label=None if bound in named else f"layers bound by {bound}")  # fmt: skip
        named.add(bound)
    total = sum(layer["read_bytes"] + layer["write_bytes"] for layer in figures["layers"])
    whole = 2 * figures["macs"] * figures["batch"] / total
    axes.plot(whole, figures["gops"], "*", markersize=13, color="#212529",
              label=f"whole network, measured: {figures['gops']:.0f}")  # fmt: skip
    reach = [min(intensities) / 1.5, max(*intensities, 2 * peak / rate)]
    places = sorted({*reach, peak / rate})
    axes.plot(places, [min(peak, rate * place) for place in places], color="#7b8794", linewidth=1.2,
              label=f"array {peak:,.0f}, memory {rate:.2f} GB/s")  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("operations a byte of DDR")
    axes.set_ylabel("G operations a second")
    batch = f", batch {figures['batch']}" if figures["batch"] > 1 else ""
    axes.set_title(f"{figures['network']} on {figures['board']}, {clock / 1e6:.0f} MHz{batch}", fontsize=10)
    axes.grid(color="#e4e7eb", linewidth=0.6, which="both")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    return svg(figure)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    write_whole(options.output, plot(json.loads(options.figures.read_text())))


if __name__ == "__main__":
    main()
