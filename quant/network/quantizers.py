"""Fake quantization with straight-through gradients: weights per filter, activations per tensor.

Integer codes (`weight_codes`, `ActivationQuantizer.codes`) and the dequantised forward (`fake_quantize_weight`,
`ActivationQuantizer.forward`) are separate functions of one arithmetic. Rounding of activations is half up, as in the
requantizer of DESIGN section 3.
"""

import functools
import math

import numpy as np
import torch
from torch import Tensor, nn

from ..graph.formats import Scheme, WeightFormat
from .straight_through import AtMost, QuantizeActivation, QuantizeWeight, round_half_up, steps

Formats = tuple[WeightFormat, ...]
"""A weight format per filter."""

_MSE_STEPS = 40
_SEARCHED_AT_ONCE = 1 << 18
"""Weights whose scales are searched at once."""
SAMPLES = 65536
"""Values that a range is chosen from."""
_SMALLEST_WEIGHT = 1e-30
_SMALLEST_RANGE = 1e-6


class QuantizationError(ValueError):
    """A tensor or a layer that cannot be quantized; the message names it, the reason and a remedy."""


# Weights --------------------------------------------------------------------------------------------------------------


def weight_codes(weight: Tensor, scale: Tensor, formats: Formats) -> Tensor:
    """The integer weights: each weight over its filter's scale, projected to the nearest level of the filter's format.

    Parameters
    ----------
    weight: filters × … (any shape behind), real.
    scale: per filter, above 0; the real weight of a code is code · scale.
    formats: per filter; they may be mixed.

    Returns
    -------
    int64, shaped like `weight`.

    Raises
    ------
    QuantizationError: `formats` has another length than there are filters.
    """
    return _levels(weight, scale, formats).to(torch.int64)


def fake_quantize_weight(weight: Tensor, scale: Tensor, formats: Formats) -> Tensor:
    """The dequantised weights code · scale, with the gradient of the identity (straight-through)."""
    with torch.no_grad():
        quantized = _levels(weight, scale, formats) * _column(scale, weight)
    return QuantizeWeight.apply(weight, quantized)  # type: ignore[no-any-return,no-untyped-call]


def weight_scale(weight: Tensor, formats: Formats, *, method: str = "maximum") -> Tensor:
    """A scale per filter, above 0 (no gradient).

    `maximum`: α = max |w| of the filter over the format's largest level, so that the levels are ±α{0, …, 1}
    (FILM-QNN equation 1, with α per filter instead of per layer; likewise SP2 of Mix and Match and PoT of ILMPQ).
    `mse`: the multiple of that scale, of 40 between 0.4 and 1, with the smallest squared error of the filter.
    A filter of zeros (or of less than 1e-30) gets scale 1.

    Raises
    ------
    ValueError: `method` is neither.
    """
    if method not in ("maximum", "mse"):
        raise ValueError(f"weight scale method must be 'maximum' or 'mse', not {method!r}")
    with torch.no_grad():
        largest = weight.detach().flatten(1).abs().amax(dim=1)
        _, high, _ = _grid(formats, weight.dtype, weight.device)
        scale = torch.where(largest > _SMALLEST_WEIGHT, largest / high, torch.ones_like(largest))
        if method == "maximum":
            return scale
        # On a CPU part by part, so that what every candidate makes stays in the cache: VGG-16 has a layer of 411 MB.
        at_once = max(1, _SEARCHED_AT_ONCE // weight[0].numel()) if weight.is_cpu else len(weight)
        for kind, rows in _rows(formats, weight.device):
            for part in rows.split(at_once):
                scale[part] = _best_scale(weight[part].detach(), scale[part], kind)
        return scale


def weight_error(weight: Tensor, scale: Tensor, formats: Formats) -> Tensor:
    """‖w − Q(w)‖² per filter."""
    with torch.no_grad():
        return _error(weight, scale, _levels(weight, scale, formats))


def _best_scale(weight: Tensor, scale: Tensor, kind: WeightFormat) -> Tensor:
    """The multiple of each filter's scale with the smallest squared error."""

    def error(candidate: Tensor) -> Tensor:
        return _error(weight, candidate, _project(weight / _column(candidate, weight), kind))

    best, best_error = scale, error(scale)
    for factor in np.linspace(0.4, 1.0, _MSE_STEPS, endpoint=False):
        candidate = scale * factor
        found = error(candidate)
        better = found < best_error
        best, best_error = torch.where(better, candidate, best), torch.where(better, found, best_error)
    return best


def _error(weight: Tensor, scale: Tensor, levels: Tensor) -> Tensor:
    """‖w − s·level‖² per filter."""
    return (weight - levels * _column(scale, weight)).flatten(1).square().sum(dim=1)


def _column(scale: Tensor, weight: Tensor) -> Tensor:
    return scale.reshape(-1, *([1] * (weight.ndim - 1)))


def _levels(weight: Tensor, scale: Tensor, formats: Formats) -> Tensor:
    """The nearest level of every weight, as floats."""
    if len(formats) != len(weight):
        raise QuantizationError(f"{len(formats)} weight formats for {len(weight)} filters; one per filter is needed")
    ratio = weight.detach() / _column(scale, weight)
    low, high, others = _grid(formats, ratio.dtype, ratio.device)
    result = ratio.round().clamp_(_column(low, ratio), _column(high, ratio))
    for kind, rows in others:
        result[rows] = _project(ratio[rows], kind)
    return result


@functools.lru_cache(maxsize=1024)
def _grid(formats: Formats, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, tuple]:
    """Each filter's smallest and largest level, and the filters of each format that leaves out integers."""
    high = torch.tensor([float(kind.levels[-1]) for kind in formats], dtype=dtype, device=device)
    others = tuple((kind, rows) for kind, rows in _rows(formats, device) if kind.scheme is not Scheme.FIXED)
    return -high, high, others


@functools.lru_cache(maxsize=1024)
def _rows(formats: Formats, device: torch.device) -> tuple[tuple[WeightFormat, Tensor], ...]:
    """The filters of each format."""
    return tuple(
        (kind, torch.tensor([index for index, entry in enumerate(formats) if entry == kind], device=device))
        for kind in dict.fromkeys(formats)
    )


def _project(ratio: Tensor, kind: WeightFormat) -> Tensor:
    top = int(kind.levels[-1])
    if kind.scheme is Scheme.FIXED:
        return ratio.round().clamp_(-top, top)
    index = (ratio * 2).ceil_().add_(2 * top).to(torch.int32).clamp_(0, 4 * top)
    return _nearest(kind, ratio.dtype, ratio.device).index_select(0, index.flatten()).view_as(ratio)


@functools.cache
def _nearest(kind: WeightFormat, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The level for each ⌈2·ratio⌉: levels are integers, so those that are nearest change at multiples of ½.

    A look-up takes a tenth of the time of `torch.bucketize`.
    """
    levels = torch.from_numpy(kind.levels)
    halves = torch.arange(-2 * int(levels[-1]), 2 * int(levels[-1]) + 1)
    return levels[torch.bucketize(halves, levels[1:] + levels[:-1])].to(dtype=dtype, device=device)


def sample(values: Tensor, count: int) -> Tensor:
    """At most `count` of the values and the two extremes, flat: all, or a fixed random choice.

    At random, because a fixed stride would see only some columns of the maps.
    """
    values = values.detach().flatten()
    if len(values) <= count:
        return values
    chosen = torch.randint(len(values), (count,), generator=torch.Generator().manual_seed(0))
    return torch.cat([values[chosen], values.min()[None], values.max()[None]])


# Activations ----------------------------------------------------------------------------------------------------------


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
        return int(round_half_up(-low * self.maximum / (high - low)).item())

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
