"""Fake quantization of activations, per tensor: an unsigned code per value, with a learned range.

Integer codes (`codes`) and the dequantised forward (`forward`) are separate functions of one arithmetic. Rounding is
half up, as in the requantizer of docs/numbers.md.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from .quantizers import QuantizationError
from .straight_through import AtMost, QuantizeActivation, round_half_up, steps

SAMPLES = 65536
"""Values that a range is chosen from."""
_MSE_STEPS = 40
_SMALLEST_RANGE = 1e-6


def sample(values: Tensor, count: int) -> Tensor:
    """At most `count` of the values and the two extremes, flat: all, or a fixed random choice.

    At random, because a fixed stride would see only some columns of the maps.
    """
    values = values.detach().flatten()
    if len(values) <= count:
        return values
    chosen = torch.randint(len(values), (count,), generator=torch.Generator().manual_seed(0))
    return torch.cat([values[chosen], values.min()[None], values.max()[None]])


class ActivationQuantizer(nn.Module):
    """An unsigned code of `bits` bits per value, with a learned range.

    The range is 0 … high where the tensor is never negative (zero point 0), low … high otherwise (a zero point such
    that 0 is a code). Both ends are learned as logarithms, so that they keep their sign and steps are relative. Inside
    the range the gradient is straight-through; outside, the ends get it, as in PACT (Choi et al., 2018); the scale also
    gets the rounding term of LSQ (Esser et al., 2020), and its gradient factor 1/√(values of an image · largest code).

    Parameters
    ----------
    name: of the tensor, for messages.
    bits: 2 … 8.
    signed: the tensor has negative values.
    ceiling: the largest value that the tensor can have (6 after ReLU6); the range never exceeds it.
    fixed_scale: a scale that is not learned (the input image's); None: learned.

    Raises
    ------
    ValueError: `bits` is not 2 … 8.
    """

    def __init__(
        self, name: str, bits: int, *, signed: bool = False, ceiling: float = math.inf, fixed_scale: float | None = None
    ) -> None:
        super().__init__()
        if not 2 <= bits <= 8:
            raise ValueError(f"tensor {name!r}: bits must be 2 … 8, not {bits!r}")
        self.name, self.bits, self.signed, self.ceiling = name, bits, signed, ceiling
        self.learned = fixed_scale is None
        high = self.maximum * fixed_scale if fixed_scale is not None else min(1.0, ceiling)
        self.log_high = nn.Parameter(torch.tensor(math.log(high)), requires_grad=self.learned)
        self.log_low = nn.Parameter(torch.tensor(0.0), requires_grad=signed and self.learned)
        self.calibrated = not self.learned

    @property
    def maximum(self) -> int:
        """The largest code."""
        return (1 << self.bits) - 1

    def range(self) -> tuple[Tensor, Tensor]:
        """Low and high, real; low is 0 unless the tensor is signed."""
        high = self._high()
        return (-self.log_low.exp() if self.signed else torch.zeros_like(high)), high

    def _high(self) -> Tensor:
        high = self.log_high.exp()
        return high if self.ceiling == math.inf else AtMost.apply(high, self.ceiling)  # type: ignore[no-any-return,no-untyped-call]

    @property
    def scale(self) -> float:
        low, high = self.range()
        return ((high - low) / self.maximum).item()

    @property
    def zero_point(self) -> int:
        """The code of 0."""
        low, high = self.range()
        scale = (high - low) / self.maximum  # as `codes` and the training have it: a tie must not fall otherwise here
        return int(round_half_up(-low / scale).item())

    def codes(self, value: Tensor) -> Tensor:
        """Integer codes, int64, clipped to 0 … 2^bits − 1."""
        with torch.no_grad():
            low, high = self.range()
            scale = (high - low) / self.maximum
            zero = round_half_up(-low / scale)
            return (steps(value, scale, zero, self.maximum) + zero).to(torch.int64)

    def forward(self, value: Tensor, *, relu: bool = False) -> Tensor:
        """The dequantised values scale · (code − zero point), of the value or (`relu`, unsigned) of its ReLU.

        Rounded in float32, and returned in the precision of the value.
        """
        high = self._high()
        low = -self.log_low.exp() if self.signed else None
        factor = 1.0 / math.sqrt(value[0].numel() * self.maximum)
        return QuantizeActivation.apply(value, low, high, self.maximum, relu, factor)  # type: ignore[no-any-return,no-untyped-call]

    @torch.no_grad()
    def set_codes(self, scale: float, zero_point: int) -> None:
        """Sets the range so that code q is scale · (q − zero_point)."""
        above = self.maximum - zero_point
        self.log_high.fill_(math.log(scale * above) if above else -math.inf)
        if self.signed:
            self.log_low.fill_(math.log(scale * zero_point) if zero_point else -math.inf)

    @torch.no_grad()
    def initialise(self, samples: Tensor, *, method: str = "mse", percentile: float = 99.9) -> None:
        """Sets the range from values that the tensor takes.

        Parameters
        ----------
        samples: any shape.
        method: `mse`, the fraction (of 40) of the observed range with the smallest squared error of quantization; or
            `percentile`, the range that holds that share of the values (each side of a signed tensor).

        Raises
        ------
        QuantizationError: a sample is not finite.
        ValueError: the method is neither.
        """
        if method not in ("mse", "percentile"):
            raise ValueError(f"calibration method must be 'mse' or 'percentile', not {method!r}")
        if not self.learned:
            return
        values = samples.detach().flatten()
        if not torch.isfinite(values).all():
            raise QuantizationError(
                f"tensor {self.name!r}: calibration found values that are not finite; check the weights and the data"
            )
        values = sample(values, SAMPLES).float()
        lowest, highest = values.min().item(), values.max().item()
        if method == "percentile":
            highest = torch.quantile(values, percentile / 100).item()
            lowest = torch.quantile(values, 1 - percentile / 100).item()
            self._set_range(lowest, highest)
        else:
            errors = []
            fractions = np.linspace(1.0, 0.2, _MSE_STEPS)
            for fraction in fractions:
                self._set_range(lowest * fraction, highest * fraction)
                errors.append((self(values) - values).square().mean().item())
            fraction = fractions[int(np.argmin(errors))]
            self._set_range(lowest * fraction, highest * fraction)
        self.calibrated = True

    def _set_range(self, low: float, high: float) -> None:
        if self.signed:
            span = max(high - low, _SMALLEST_RANGE)
            low, high = min(low, -_SMALLEST_RANGE * span), max(high, _SMALLEST_RANGE * span)
            self.log_low.fill_(math.log(-low))
        elif high <= 0:
            high = 1.0  # a tensor that was always 0
        self.log_high.fill_(math.log(min(high, self.ceiling)))
