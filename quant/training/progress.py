"""What training tells while it goes on."""

import dataclasses
from collections.abc import Callable, Sequence


@dataclasses.dataclass(frozen=True)
class TrainingProgress:
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


ProgressCallback = Callable[[TrainingProgress], None]
EpochCallback = Callable[[Sequence[Epoch]], None]
"""Called after every epoch with all epochs so far (those before the run was resumed too)."""
StageCallback = Callable[[str, int, int], None]
"""Told what quantization does outside of fine-tuning: a few words, and how much of it is done and to do (0, 0: not
counted; 0 to do: nobody knows how much)."""
