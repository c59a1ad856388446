"""Figures of every epoch, as JSON lines and as curves."""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ...files import write_whole
from ...quant.training import parallel
from ...quant.training.progress import Epoch, EpochCallback
from ...runtime.figures.fields import to_json
from ..figures.models import TrainingEpoch

PHASES = {"float": "#0b7285", "quantized": "#f08c00"}


@dataclass
class TrainingLog:
    """Epochs of all phases; both files are rewritten after every epoch.

    Members
    -------
    path: of the JSON lines; None keeps them in memory only.
    """

    path: Path | None = None
    phases: dict[str, Sequence[Epoch]] = field(default_factory=dict)

    def of(self, phase: str) -> EpochCallback:
        """What to call after every epoch of a phase."""

        def record(epochs: Sequence[Epoch]) -> None:
            self.phases[phase] = tuple(epochs)
            if self.path is not None and not parallel.rank():
                lines = [json.dumps(to_json(entry), ensure_ascii=False) for entry in self.entries()]
                write_whole(self.path, "\n".join(lines) + "\n")
                write_whole(self.path.with_suffix(".png"), plot(self.entries()))

        return record

    def entries(self) -> list[TrainingEpoch]:
        """Every epoch of all phases."""
        return [TrainingEpoch(phase=phase, **asdict(each)) for phase, epochs in self.phases.items() for each in epochs]


def plot(entries: Sequence[TrainingEpoch]) -> bytes:
    """Loss, accuracy, learning rate and changed formats over all epochs, PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True).flat
    curves = (
        ("mean loss", (("loss", "-", "training"),)),
        ("accuracy %", (("train_accuracy", ":", "training images"), ("accuracy", "-", "test images"))),
        ("learning rate", (("learning_rate", "-", ""),)),
        ("filters with another format %", (("formats_changed", "-", ""),)),
    )
    for axes, (title, fields) in zip(panels, curves):
        for phase, colour in PHASES.items():
            for key, style, label in fields:
                points = [(number, getattr(entry, key)) for number, entry in enumerate(entries, 1)
                          if entry.phase == phase and getattr(entry, key) is not None]  # fmt: skip
                if points:
                    numbers, values = zip(*points)
                    scale = 100 if title.endswith("%") else 1
                    axes.plot(numbers, [scale * value for value in values], style, color=colour, marker=".",
                              label=", ".join(filter(None, (phase, label))))  # fmt: skip
        axes.set_title(title, fontsize=10, loc="left")
        axes.grid(color="#e4e7eb", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(frameon=False, fontsize=8)
    for axes in figure.axes[2:]:
        axes.set_xlabel("epoch")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
