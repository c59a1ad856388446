"""Training with a progress bar: what `demo` and `quantize` share."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...hdl.geometry import Geometry
from ...model import QuantizedModel, quantize
from ...platforms.boards import Board
from ...quant.data.data import Dataset
from ...quant.plan import QuantizationPlan
from ...quant.quantize import QuantizationCallbacks
from ...quant.training.checkpoint import Checkpoint, TrainingStopped
from ...quant.training.device import CPU, TrainingDevice
from ...quant.training.predict import accuracy
from ...quant.training.progress import TrainingProgress
from ...quant.training.recipe import TrainingOptions
from ...quant.training.train import train
from .console import Advance, bar
from .errors import Stopped
from .training_log import TrainingLog


def train_float(
    model: nn.Module, data: Dataset, options: TrainingOptions, log: TrainingLog, *,
    checkpoint: Checkpoint | None = None, device: TrainingDevice = CPU,
) -> float:  # fmt: skip
    """Trains the float model in place; its accuracy on the test images."""
    assert data.train_labels is not None
    assert data.test_labels is not None
    with _stoppable(), bar("Train in float") as advance:
        train(
            model, data.train_images, data.train_labels, options, test=(data.test_images, data.test_labels),
            checkpoint=checkpoint, device=device, progress=_moving(advance), after_epoch=log.of("float"),
        )  # fmt: skip
    return accuracy(model, data.test_images, data.test_labels)


def quantize_with_progress(
    model: nn.Module, data: Dataset, board: Board, geometry: Geometry, plan: QuantizationPlan, *,
    log: TrainingLog | None = None, checkpoint: Checkpoint | None = None, device: TrainingDevice = CPU,
) -> QuantizedModel:  # fmt: skip
    """Quantizes a trained model for a board's accelerator, with a bar while it is fine-tuned."""
    title = "Quantize and fine-tune" if plan.epochs else "Quantize (calibrate)"
    with _stoppable(), bar(title) as advance:
        return quantize(
            model,
            data,
            plan=plan,
            board=board,
            geometry=geometry,
            checkpoint=checkpoint,
            device=device,
            callbacks=QuantizationCallbacks(
                progress=_moving(advance),
                after_epoch=log.of("quantized") if log else None,
                stage=lambda what, done, total: advance(done, total, what),
            ),
        )


def checkpoint_of(folder: Path | None, phase: str, *, resume: bool, conditions: dict[str, Any]) -> Checkpoint | None:
    """The file of a phase in the folder of `--checkpoint`."""
    if folder is None:
        return None
    return Checkpoint(folder / f"{phase}.pt", resume=resume, conditions=conditions)


def fingerprint(model: nn.Module) -> str:
    """A short text that is equal for models with equal weights."""
    digest = hashlib.sha256()
    for key, tensor in model.state_dict().items():
        digest.update(key.encode() + tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


@contextmanager
def _stoppable() -> Iterator[None]:
    try:
        yield
    except TrainingStopped as stopped:
        raise Stopped(str(stopped)) from stopped


def _moving(advance: Advance) -> Any:
    def moved(progress: TrainingProgress) -> None:
        steps = (progress.epoch - 1) * progress.steps + progress.step
        note = f"epoch {progress.epoch}, loss {progress.loss:.3f}"
        advance(steps, progress.epochs * progress.steps, note)

    return moved
