"""docs/json.md, from the classes of the figures.

    python -m intramix.cli.figures.document            rewrites docs/json.md of this source tree
"""

from pathlib import Path

from ...files import write_whole
from ...runtime.figures.fields import table_rows
from ...runtime.figures.profile import ProfileFigures
from ...runtime.figures.run import PredictionFigures
from ...runtime.figures.selftest import SelfTestFigures
from ...runtime.figures.simulation import SimulationFigures
from . import hardware, models
from .cache import CacheFigures
from .explanation import ExplainFigures
from .timing import TimingFigures

PATH = Path(__file__).parents[2] / "docs" / "json.md"
_START = """\
# Figures as JSON

Every command that reports figures takes `--json FILE`. The file is written whole or not at all. Keys are stable: new
ones may be added, none changes its meaning.

This page is written by `python -m intramix.cli.figures.document` from the classes that the figures are made of
(`runtime/figures/`, `cli/figures/`). `a.b` is the key `b` of the object under the key `a`; `a[].b` is the key `b` of
every object of the list `a`; `a.*.b` is the key `b` of every object under `a`, whose own keys are names. `null` stands
where a value does not exist.
"""
COMMANDS: dict[str, type] = {
    "`demo`, `simulate`": SimulationFigures,
    "`quantize`": models.QuantizeFigures,
    "`quantize --training-log`: an object a line and epoch": models.TrainingEpoch,
    "`compile`": models.CompileFigures,
    "`export-qonnx`": models.ExportFigures,
    "`run`": PredictionFigures,
    "`selftest`": SelfTestFigures,
    "`explain`": ExplainFigures,
    "`profile`": ProfileFigures,
    "`build`": hardware.BuildFigures,
    "`reports`": hardware.ReportsFigures,
    "`elaborate`": hardware.ElaborateFigures,
    "`synthesize`": hardware.SynthesizeFigures,
    "`timing`": TimingFigures,
    "`hls`": hardware.HlsFigures,
    "`boards`": hardware.BoardsFigures,
    "`cache`": CacheFigures,
}
"""What commands write, by heading."""


def document() -> str:
    """The page."""
    parts = [_START]
    for heading, figures in COMMANDS.items():
        lines = [f"| `{key}` | {unit} | {text} |" for key, unit, text in table_rows(figures)]
        parts.append("\n".join([f"## {heading}", "", "| key | unit | meaning |", "|---|---|---|", *lines, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    write_whole(PATH, document())
