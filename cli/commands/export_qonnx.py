"""`intramix export-qonnx`: an integer model as QONNX."""

from pathlib import Path

import click

from ...quant.graph import fileformat as model_file
from ...quant.graph import qonnx as qonnx
from ...quant.graph.graph import Convolution
from ..figures.models import ExportedFormat, ExportFigures
from ..shared.console import console, step
from ..shared.options import json_option
from ..shared.output import write_figures


@click.command("export-qonnx")
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, metavar="FILE",
              help="QONNX file to write (.onnx).")
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True,
              help="Images that the exported model takes at once.")
@json_option
def export_qonnx(model: Path, output: Path, batch: int, json_path: Path | None) -> None:
    """Export MODEL (an .imx file of `intramix quantize`) to QONNX. Executed there it gives the same integer codes."""
    graph = model_file.load(model)
    output.parent.mkdir(parents=True, exist_ok=True)
    with step("Write QONNX"):
        qonnx.export_qonnx(graph, output, batch=batch)
    formats = {
        kind.name: qonnx.quantizer_of(kind)
        for layer in graph.layers
        if isinstance(layer, Convolution)
        for kind in layer.formats
    }
    console.print(
        f"{output}: {output.stat().st_size:,} bytes; weights "
        + ", ".join(f"{name} as {bits} bits × {unit:g}" for name, (bits, unit) in sorted(formats.items()))
    )
    figures = ExportFigures(
        network=graph.name,
        file=str(output),
        bytes=output.stat().st_size,
        batch=batch,
        layers=len(graph.layers),
        formats={name: ExportedFormat(bits=bits, scale=unit) for name, (bits, unit) in formats.items()},
    )
    write_figures(json_path, figures)
