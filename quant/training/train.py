"""The trainer of float models and of quantized networks (quantization-aware fine-tuning). Deterministic by seed."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..data.data import Images
from . import parallel
from .checkpoint import Checkpoint, TrainingStopped, interruption
from .device import CPU, TrainingDevice
from .objective import not_finite
from .progress import EpochCallback, ProgressCallback
from .recipe import TrainingError, TrainingOptions
from .run import TrainingRun


def train(
    model: nn.Module,
    images: Images,
    labels: Tensor,
    options: TrainingOptions,
    *,
    test: tuple[Tensor, Tensor] | None = None,
    teacher: nn.Module | None = None,
    before_epoch: Callable[[int], float | None] | None = None,
    checkpoint: Checkpoint | None = None,
    device: TrainingDevice = CPU,
    progress: ProgressCallback | None = None,
    after_epoch: EpochCallback | None = None,
) -> list[float]:
    """Trains a model in place with cross entropy, and leaves it in eval mode, on the CPU.

    Several processes (`parallel.process_group`) train one model: all call it with the same arguments.

    Parameters
    ----------
    model: gives scores, N × classes, for float images.
    images, labels: uint8 (or float in 0 … 1) N × C × H × W; int64 N.
    test: images and labels that the accuracy after every epoch is measured with.
    teacher: gives the scores to distil from, where `options.distill` is above 0.
    before_epoch: called with the epoch's number, from 1; gives the share of filters that have another format now.
    checkpoint: save there after every epoch, and when SIGINT (Ctrl-C) or SIGTERM comes; go on from there.

    Returns
    -------
    The mean loss of each epoch.

    Raises
    ------
    TrainingError: labels that do not fit the images or the model's scores; a loss or a weight that is not finite; a
        checkpoint of another run.
    TrainingStopped: a signal came; the checkpoint has everything.
    """
    if len(images) != len(labels) or not len(images):
        raise TrainingError(f"{len(images)} images and {len(labels)} labels: there must be as many, and at least one")
    if options.distill and teacher is None:
        raise TrainingError("distillation needs a teacher's scores; give a teacher, or distill = 0")
    if fault := not_finite(model):
        raise TrainingError(f"{fault} before training; load other weights")
    run = TrainingRun(model, images, labels, options, device, teacher)
    run.load(checkpoint)
    # The caller's random numbers stay as they are.
    with (
        torch.random.fork_rng(devices=[]), parallel.synchronized_norms(model), parallel.reproducible(tf32=True),
        interruption(bool(checkpoint)) as stop,
    ):  # fmt: skip
        while run.epoch <= options.epochs:
            if run.step == 0 and before_epoch is not None:
                run.formats_changed = before_epoch(run.epoch) or 0.0
            run.train_epoch(stop, progress)
            if run.stopped and checkpoint is not None:
                run.save(checkpoint)
                raise TrainingStopped(
                    f"stopped in epoch {run.epoch} of {options.epochs}, after step {run.step} of {run.steps}; "
                    f"all of it is in {checkpoint.path}: the same command with --resume goes on from there"
                )
            run.finish_epoch(test)
            if checkpoint is not None:
                run.save(checkpoint)
            if after_epoch is not None:
                after_epoch(run.epochs)
    model.cpu().eval()
    if teacher is not None:
        teacher.cpu()
    return [entry.loss for entry in run.epochs]

