"""A training run, step by step and epoch by epoch."""

import dataclasses
import math
import time

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..data.data import Images
from ..network.model import image_values
from . import parallel
from .batches import epoch_batches, step_seed
from .checkpoint import Checkpoint, Interruption
from .device import TrainingDevice
from .objective import check_scores, divergence, not_finite, optimizer
from .predict import evaluate, in_precision_of, predict
from .progress import Epoch, ProgressCallback, TrainingProgress
from .recipe import TrainingError, TrainingOptions


class TrainingRun:
    """A training run between two steps: all that a checkpoint holds, and what it works with.

    Members
    -------
    epoch, step: the epoch in progress, from 1; its steps that are done.
    epochs: those that are finished.
    """

    def __init__(
        self, model: nn.Module, images: Images, labels: Tensor, options: TrainingOptions, device: TrainingDevice,
        teacher: nn.Module | None,
    ) -> None:  # fmt: skip
        self.model, self.images, self.labels, self.options = model, images, labels, options
        self.device, self.workers = device.find(), device.workers
        self.teacher = evaluate(teacher.to(self.device)) if teacher is not None and options.distill else None
        self.parameters = [parameter for parameter in model.to(self.device).parameters() if parameter.requires_grad]
        self.optimizer = optimizer(self.parameters, options)
        self.steps = -(-len(images) // options.batch_size)
        self.epoch, self.step, self.stopped = 1, 0, False
        self.loss_sum = self.correct = self.formats_changed = self.seconds = 0.0
        self.epochs: list[Epoch] = []

    def train_epoch(self, stop: Interruption, progress: ProgressCallback | None) -> None:
        """The steps that are left of the epoch, or those until someone asks to stop (then `stopped`)."""
        self.model.to(self.device).train()
        started = time.monotonic()
        batches = epoch_batches(
            self.images, self.labels, self.options, self.epoch, first=self.step, workers=self.workers,
            pinned=self.device.type == "cuda",
        )  # fmt: skip
        for images, labels, count in batches:
            self.step += 1
            torch.manual_seed(step_seed(self.options.seed, self.epoch, self.step))
            for group in self.optimizer.param_groups:
                group["lr"] = self._rate()
            loss, correct = self._loss(images, labels, count)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            figures = torch.stack([loss.detach(), correct, loss.new_tensor(float(stop.requested))])
            value, right, asked = parallel.add_up(self.parameters, figures).tolist()
            if not math.isfinite(value):
                raise TrainingError(self._diverged(value))
            self.optimizer.step()
            self.loss_sum += value * count
            self.correct += right
            if progress is not None:
                progress(TrainingProgress(self.epoch, self.options.epochs, self.step, self.steps, value))
            if asked:
                self.stopped = True
                break
        self.seconds += time.monotonic() - started

    def finish_epoch(self, test: tuple[Tensor, Tensor] | None) -> None:
        """Writes the epoch down and turns to the next."""
        number = len(self.images)
        entry = Epoch(
            epoch=self.epoch, loss=self.loss_sum / number, train_accuracy=self.correct / number,
            accuracy=None if test is None else self._accuracy(*test), learning_rate=self._rate(),
            formats_changed=self.formats_changed, seconds=round(self.seconds, 3),
        )  # fmt: skip
        self.epochs.append(entry)
        self.epoch, self.step = self.epoch + 1, 0
        self.loss_sum = self.correct = self.formats_changed = self.seconds = 0.0

    # Checkpoints ----------------------------------------------------------------------------------------------------

    _FIELDS = ("epoch", "step", "loss_sum", "correct", "formats_changed", "seconds")

    def save(self, checkpoint: Checkpoint) -> None:
        if parallel.rank():
            return
        state = {field: getattr(self, field) for field in self._FIELDS}
        state |= {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        state |= {"epochs": [dataclasses.asdict(entry) for entry in self.epochs]}
        checkpoint.save(dataclasses.asdict(self.options), state)

    def load(self, checkpoint: Checkpoint | None) -> None:
        state = checkpoint.load(dataclasses.asdict(self.options)) if checkpoint is not None else None
        if state is None:
            return
        assert checkpoint is not None
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise TrainingError(f"{checkpoint.path} is of another model: {error}") from error
        self.epochs = [Epoch(**entry) for entry in state["epochs"]]
        for field in self._FIELDS:
            setattr(self, field, state[field])

    # Helpers --------------------------------------------------------------------------------------------------------

    def _loss(self, images: Tensor, labels: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """This process's share of the mean loss of `count` images, and how many images it got right."""
        values, labels = image_values(images.to(self.device, non_blocking=True)), labels.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.precision == "bf16"):
            scores = self.model(in_precision_of(self.model, values))
            if self.teacher is not None:
                with torch.no_grad():
                    target = self.teacher(in_precision_of(self.teacher, values)).float()
        check_scores(scores, self.labels)
        scores = scores.float()
        smoothing, part = self.options.label_smoothing, self.options.distill
        loss = functional.cross_entropy(scores, labels, label_smoothing=smoothing, reduction="sum") / count
        if self.teacher is not None:
            loss = (1 - part) * loss + part * divergence(scores, target, self.options.temperature) / count
        return loss, (scores.detach().argmax(dim=1) == labels).sum().to(loss.dtype)

    def _accuracy(self, images: Tensor, labels: Tensor) -> float:
        """Of all images, each process taking its share."""
        mine = predict(self.model, parallel.share(images)).argmax(dim=1) == parallel.share(labels)
        return parallel.add_up((), mine.sum()[None].float().to(self.device)).item() / len(images)

    def _rate(self) -> float:
        return self.options.rate((self.epoch - 1) * self.steps + self.step - 1, self.steps)

    def _diverged(self, value: float) -> str:
        place = f"the loss is {value} in epoch {self.epoch}, step {self.step}"
        cause = not_finite(self.model) or "all weights are finite, but the scores are not, or are too large"
        return (
            f"{place}: {cause}; use a learning rate below {self.options.learning_rate:g} or a longer warm-up, or check "
            "the data"
        )
