"""Adam (Kingma and Ba, 2015) with a learning rate for every value."""

from collections.abc import Sequence

import torch
from torch import Tensor

_MOMENTS = (0.9, 0.999)
_SMALLEST = 1e-8


class Adam:
    """Moves values by their gradients.

    `torch.optim.Adam` has a rate for a whole tensor; filters of one layer have scales far apart, and a rate that suits
    one of them destroys another.

    Parameters
    ----------
    values: leaves that need gradients, each with its rates: a tensor that can be broadcast to it, or a number.
    """

    def __init__(self, values: Sequence[tuple[Tensor, Tensor | float]]) -> None:
        self._values = list(values)
        self._means = [torch.zeros_like(value) for value, _ in self._values]
        self._squares = [torch.zeros_like(value) for value, _ in self._values]
        self._steps = 0

    @torch.no_grad()
    def step(self, factor: float = 1.0) -> None:
        """A step with the gradients that there are, which it clears; all rates are multiplied by `factor`."""
        self._steps += 1
        first, second = (1 - moment**self._steps for moment in _MOMENTS)
        for (value, rate), mean, square in zip(self._values, self._means, self._squares):
            if value.grad is None:
                continue
            mean.lerp_(value.grad, 1 - _MOMENTS[0])
            square.mul_(_MOMENTS[1]).addcmul_(value.grad, value.grad, value=1 - _MOMENTS[1])
            value -= factor * rate * (mean / first) / ((square / second).sqrt() + _SMALLEST)
            value.grad = None
