"""How to train: the options, their ranges, and the learning rate of every step."""

import dataclasses
import math


class TrainingError(ValueError):
    """Training that cannot start or that went wrong; the message names what, where and a remedy."""


OPTIMIZERS = ("adam", "sgd")
PRECISIONS = ("float32", "bf16")
AUGMENTATIONS = ("none", "standard")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How to train.

    Parameters
    ----------
    epochs, batch_size: at least 0; at least 1, of all processes together.
    learning_rate: the highest; it rises linearly over `warm_up` epochs, then falls as half a cosine to 0.
    optimizer: `adam` (AdamW) or `sgd` (with `momentum`, Nesterov).
    weight_decay: on weights of two dimensions or more only.
    label_smoothing: 0 … 1.
    distill: α, 0 … 1; the loss is (1 − α) · cross entropy + α · T² · KL(teacher ‖ model), both softened by the
        temperature T (Hinton et al., 2015, section 2).
    temperature: T, above 0.
    precision: `float32`, or `bf16`: convolutions and their gradients in bfloat16 (autocast); weights, their updates,
        quantizers and the loss stay in float32.
    augmentation: `none`, or `standard`: see `batches.py`.
    seed: of the order of images, of augmentation and of dropout.

    Raises
    ------
    TrainingError: a value is out of range.
    """

    epochs: int
    batch_size: int = 64
    learning_rate: float = 2e-3
    optimizer: str = "adam"
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warm_up: float = 1.0
    label_smoothing: float = 0.0
    distill: float = 0.0
    temperature: float = 4.0
    precision: str = "float32"
    augmentation: str = "none"
    seed: int = 0

    def __post_init__(self) -> None:
        for field, legal, rule in (
            ("epochs", self.epochs >= 0, "at least 0"),
            ("batch_size", self.batch_size >= 1, "at least 1"),
            ("learning_rate", 0 < self.learning_rate < math.inf, "above 0"),
            ("optimizer", self.optimizer in OPTIMIZERS, " or ".join(OPTIMIZERS)),
            ("momentum", 0 <= self.momentum < 1, "at least 0 and below 1"),
            ("weight_decay", 0 <= self.weight_decay < math.inf, "at least 0"),
            ("warm_up", 0 <= self.warm_up < math.inf, "at least 0"),
            ("label_smoothing", 0 <= self.label_smoothing < 1, "at least 0 and below 1"),
            ("distill", 0 <= self.distill <= 1, "0 … 1"),
            ("temperature", 0 < self.temperature < math.inf, "above 0"),
            ("precision", self.precision in PRECISIONS, " or ".join(PRECISIONS)),
            ("augmentation", self.augmentation in AUGMENTATIONS, " or ".join(AUGMENTATIONS)),
        ):
            if not legal:
                raise TrainingError(
                    f"training option {field} is out of range: {getattr(self, field)!r}; it must be {rule}"
                )

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step (counted from 0 over the whole training), with so many steps an epoch."""
        total = max(1, self.epochs * steps)
        rise = min(total - 1, round(self.warm_up * steps))
        if step < rise:
            return self.learning_rate * (step + 1) / (rise + 1)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / (total - rise)))
