"""The trainer of float models and of quantized networks (quantization-aware fine-tuning). Deterministic by seed."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..data.data import Images
from ..network.model import image_values
from . import parallel
from .batches import epoch_batches, step_seed
from .checkpoint import Checkpoint, Interruption, TrainingStopped, interruption
from .recipe import TrainingError, TrainingOptions


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where training is, after a step: counts from 1; `loss` is the step's."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Epoch:
    """What an epoch did.

    Members
    -------
    loss, train_accuracy: mean over the images as they were trained with.
    accuracy: of the test images after the epoch; None without them.
    learning_rate: of the last step.
    formats_changed: share of the filters whose format changed before the epoch.
    seconds: of training, without the tests.
    """

    epoch: int
    loss: float
    train_accuracy: float
    accuracy: float | None
    learning_rate: float
    formats_changed: float
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """Where to train; changes nothing of what is computed but rounding.

    Members
    -------
    device: see `parallel.find_device`.
    workers: processes that read and augment images, for each training process; 0: none.
    """

    device: str = "cpu"
    workers: int = 0


ProgressCallback = Callable[[Progress], None]
EpochCallback = Callable[[Sequence[Epoch]], None]
"""Called after every epoch with all epochs so far (those before the run was resumed too)."""


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
    machine: Machine | None = None,
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
    if fault := _not_finite(model):
        raise TrainingError(f"{fault} before training; load other weights")
    run = _Run(model, images, labels, options, machine or Machine(), teacher)
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


@torch.no_grad()
def predict(model: nn.Module, images: Tensor, *, batch: int = 64) -> Tensor:
    """The model's scores in eval mode (float, N × classes), computed where its parameters are."""
    model.eval()
    device = next((parameter.device for parameter in model.parameters()), images.device)
    return torch.cat([model(image_values(part.to(device))).to(images.device) for part in images.split(batch)])


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images whose largest score is their label's."""
    return float((predict(model, images).argmax(dim=1) == labels).double().mean())


class _Run:
    """A training run between two steps: all that a checkpoint holds, and what it works with.

    Members
    -------
    epoch, step: the epoch in progress, from 1; its steps that are done.
    epochs: those that are finished.
    """

    def __init__(
        self, model: nn.Module, images: Images, labels: Tensor, options: TrainingOptions, machine: Machine,
        teacher: nn.Module | None,
    ) -> None:  # fmt: skip
        self.model, self.images, self.labels, self.options = model, images, labels, options
        self.device, self.workers = parallel.find_device(machine.device), machine.workers
        self.teacher = teacher.to(self.device).eval() if teacher is not None and options.distill else None
        self.parameters = [parameter for parameter in model.to(self.device).parameters() if parameter.requires_grad]
        self.optimizer = _optimizer(self.parameters, options)
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
                progress(Progress(self.epoch, self.options.epochs, self.step, self.steps, value))
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
            scores = self.model(values)
            if self.teacher is not None:
                with torch.no_grad():
                    target = self.teacher(values).float()
        _check_scores(scores, self.labels)
        scores = scores.float()
        smoothing, part = self.options.label_smoothing, self.options.distill
        loss = functional.cross_entropy(scores, labels, label_smoothing=smoothing, reduction="sum") / count
        if self.teacher is not None:
            loss = (1 - part) * loss + part * _divergence(scores, target, self.options.temperature) / count
        return loss, (scores.detach().argmax(dim=1) == labels).sum().to(loss.dtype)

    def _accuracy(self, images: Tensor, labels: Tensor) -> float:
        """Of all images, each process taking its share."""
        mine = predict(self.model, parallel.share(images)).argmax(dim=1) == parallel.share(labels)
        return parallel.add_up((), mine.sum()[None].float().to(self.device)).item() / len(images)

    def _rate(self) -> float:
        return self.options.rate((self.epoch - 1) * self.steps + self.step - 1, self.steps)

    def _diverged(self, value: float) -> str:
        place = f"the loss is {value} in epoch {self.epoch}, step {self.step}"
        cause = _not_finite(self.model) or "all weights are finite, but the scores are not, or are too large"
        return (
            f"{place}: {cause}; use a learning rate below {self.options.learning_rate:g} or a longer warm-up, or check "
            "the data"
        )


def _optimizer(parameters: Sequence[nn.Parameter], options: TrainingOptions) -> torch.optim.Optimizer:
    groups = [
        {"params": [entry for entry in parameters if entry.ndim >= 2], "weight_decay": options.weight_decay},
        {"params": [entry for entry in parameters if entry.ndim < 2], "weight_decay": 0.0},
    ]
    if options.optimizer == "adam":
        return torch.optim.AdamW(groups, lr=options.learning_rate)
    return torch.optim.SGD(groups, lr=options.learning_rate, momentum=options.momentum, nesterov=options.momentum > 0)


def _divergence(scores: Tensor, target: Tensor, temperature: float) -> Tensor:
    """T² · KL(target ‖ scores), both softened by T, summed over images."""
    found, wanted = (functional.log_softmax(entry / temperature, dim=1) for entry in (scores, target))
    return temperature**2 * functional.kl_div(found, wanted, reduction="sum", log_target=True)


def _not_finite(model: nn.Module) -> str | None:
    """The first tensor of a model with values that are not finite, in words; None if all are finite."""
    for key, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            path, _, field = key.rpartition(".")
            name = getattr(model.get_submodule(path), "name", path)
            bad = int((~torch.isfinite(tensor)).sum())
            return f"{field} of {name!r} has {bad} of {tensor.numel()} values that are not finite"
    return None


def _check_scores(scores: Tensor, labels: Tensor) -> None:
    if not isinstance(scores, Tensor) or scores.ndim != 2:
        found = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise TrainingError(f"the model must give scores N × classes to be trained, not {found}")
    if scores.shape[1] <= int(labels.max()):
        raise TrainingError(f"the labels go up to {int(labels.max())}, but the model gives {scores.shape[1]} scores")
