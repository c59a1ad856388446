"""Training with a progress bar: what `demo` and `quantize` share."""

import dataclasses
from typing import Any

from torch import nn

from ..hdl.geometry import Geometry
from ..quant.allocation import Budget
from ..quant.assign import LaneMix
from ..quant.data import Dataset
from ..quant.quantize import QuantizationResult, quantize
from ..quant.train import Progress, TrainingOptions, accuracy, train
from .console import Advance, bar
from .lanes import lane_mix


@dataclasses.dataclass
class History:
    """Epochs of all phases, for the report's plot."""

    entries: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def add(self, phase: str, losses: list[float] | tuple[float, ...]) -> None:
        self.entries += [{"phase": phase, "epoch": epoch, "loss": loss} for epoch, loss in enumerate(losses, 1)]


def train_float(model: nn.Module, data: Dataset, options: TrainingOptions, history: History) -> float:
    """Trains the float model in place; its accuracy on the test images."""
    assert data.train_labels is not None
    assert data.test_labels is not None
    with bar("Train in float") as advance:
        losses = train(model, data.train_images, data.train_labels, options, progress=_moving(advance))
    history.add("float", losses)
    return accuracy(model, data.test_images, data.test_labels)


def quantize_for(
    model: nn.Module, data: Dataset, geometry: Geometry, *, activation_bits: int | None = None, method: str,
    ratio: LaneMix | None = None, budget: Budget | None = None, options: TrainingOptions,
    refined: bool = False, name: str, history: History | None = None,
) -> QuantizationResult:
    """Quantizes a trained model for a geometry's lanes (or a ratio), with a bar while it is fine-tuned."""
    title = "Quantize and fine-tune" if options.epochs else "Quantize (calibrate)"
    with bar(title) as advance:
        result = quantize(
            model,
            data,
            lane_mix=ratio or lane_mix(geometry),
            activation_bits=activation_bits or geometry.activation_bits,
            method=method,
            budget=budget,
            options=options,
            refined=refined,
            accumulator_bits=geometry.accumulator_bits,
            progress=_moving(advance),
            name=name,
        )
    if history is not None:
        history.add("quantized", result.losses)
    return result


def _moving(advance: Advance) -> Any:
    def moved(progress: Progress) -> None:
        steps = (progress.epoch - 1) * progress.steps + progress.step
        note = f"epoch {progress.epoch}, loss {progress.loss:.3f}"
        advance(steps, progress.epochs * progress.steps, note)

    return moved
