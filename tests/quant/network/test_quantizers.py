"""Fake quantizers: the nearest level for every weight, straight-through gradients, unsigned activation codes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from intramix.quant.graph.formats import FIXED4, FIXED8, POT_4, SP2_4, Scheme, WeightFormat
from intramix.quant.network.activation_quantizer import ActivationQuantizer
from intramix.quant.network.quantizers import (
    QuantizationError,
    fake_quantize_weight,
    weight_codes,
    weight_error,
    weight_scale,
)

FORMATS = [WeightFormat(Scheme.FIXED, bits) for bits in range(2, 9)] + [
    SP2_4, POT_4, WeightFormat(Scheme.SP2, 6), WeightFormat(Scheme.POT, 3),
]  # fmt: skip
finite = st.floats(-100, 100, width=32)


@given(weights=st.lists(st.tuples(finite, finite, finite), min_size=1, max_size=6), data=st.data())
@settings(max_examples=60, deadline=None)
def test_weight_codes_are_the_nearest_levels(weights: list, data: st.DataObject) -> None:
    formats = tuple(data.draw(st.sampled_from(FORMATS)) for _ in weights)
    weight = torch.tensor(weights, dtype=torch.float64)
    scale = weight_scale(weight, formats)
    codes = weight_codes(weight, scale, formats).numpy()
    for row, kind in enumerate(formats):
        assert np.isin(codes[row], kind.levels).all()
        distance = np.abs(weight[row].numpy()[:, None] - kind.levels[None] * scale[row].item())
        chosen = np.abs(weight[row].numpy() - codes[row] * scale[row].item())
        assert np.allclose(chosen, distance.min(axis=1), rtol=1e-9, atol=1e-12)


@given(st.lists(finite, min_size=2, max_size=8), st.sampled_from(FORMATS))
@settings(max_examples=60, deadline=None)
def test_maximum_scale_makes_the_largest_weight_the_largest_level(values: list, kind: WeightFormat) -> None:
    weight = torch.tensor([values])
    codes = weight_codes(weight, weight_scale(weight, (kind,)), (kind,))
    largest = int(weight.abs().argmax())
    if weight.abs().max() > 1e-30:
        assert abs(int(codes[0, largest])) == kind.levels[-1]
    else:
        assert not codes.any()


@pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.name)
def test_mse_scale_is_never_worse(kind: WeightFormat) -> None:
    weight = torch.randn(16, 30, generator=torch.Generator().manual_seed(0))
    formats = (kind,) * 16
    plain, searched = (weight_scale(weight, formats, method=method) for method in ("maximum", "mse"))
    assert (weight_error(weight, searched, formats) <= weight_error(weight, plain, formats)).all()


def test_formats_are_mixed_within_a_layer() -> None:
    weight = torch.tensor([[0.3, -1.0], [0.3, -1.0], [0.3, -1.0], [0.3, -1.0]])
    formats = (FIXED8, FIXED4, SP2_4, POT_4)
    # 0.3 of 127, 7, 8 and 64 levels: 38.1, 2.1, 2.4 and 19.2 (between 16 and 32).
    assert weight_codes(weight, weight_scale(weight, formats), formats).tolist() == [
        [38, -127], [2, -7], [2, -8], [16, -64],
    ]  # fmt: skip


def test_weight_gradient_is_the_identity() -> None:
    weight = torch.randn(5, 3, 3, 3, requires_grad=True)
    formats = (FIXED8, FIXED4, SP2_4, POT_4, FIXED4)
    scale = weight_scale(weight, formats, method="mse")
    upstream = torch.randn_like(weight)
    quantized = fake_quantize_weight(weight, scale, formats)
    quantized.backward(upstream)
    assert torch.equal(weight.grad, upstream)
    expected = weight_codes(weight, scale, formats) * scale[:, None, None, None]
    torch.testing.assert_close(quantized, expected.float())


def test_wrong_number_of_formats() -> None:
    with pytest.raises(QuantizationError, match="2 weight formats for 3 filters"):
        weight_codes(torch.zeros(3, 1), torch.ones(3), (FIXED4, FIXED4))


def test_unknown_scale_method() -> None:
    with pytest.raises(ValueError, match="must be 'maximum' or 'mse', not 'median'"):
        weight_scale(torch.zeros(1, 1), (FIXED4,), method="median")


def quantizer(low: float, high: float, bits: int, **options: object) -> ActivationQuantizer:
    made = ActivationQuantizer("map", bits, signed=low < 0, **options)
    made.initialise(torch.tensor([low, high]), method="percentile", percentile=100)
    return made


@given(
    st.lists(finite, min_size=1, max_size=20),
    st.integers(2, 8),
    st.floats(-50, -0.01) | st.just(0.0),
    st.floats(0.01, 50),
)
@example([0.0], 4, -0.01, 0.01)  # the zero point is a tie
@settings(max_examples=100, deadline=None)
def test_activation_codes_follow_the_contract(values: list, bits: int, low: float, high: float) -> None:
    made = quantizer(low, high, bits)
    scale, zero = made.scale, made.zero_point
    assert 0 <= zero <= made.maximum
    assert zero == 0 or low < 0
    real = torch.tensor(values)
    exact = np.clip(np.floor(np.asarray(values) / scale + 0.5) + zero, 0, made.maximum)
    codes = made.codes(real).numpy()
    ties = np.abs(np.asarray(values) / scale + 0.5 - np.round(np.asarray(values) / scale + 0.5)) < 1e-3
    assert (codes == exact)[~ties].all()
    assert (np.abs(codes - exact) <= 1).all()
    expected = torch.from_numpy((codes - zero) * scale).float()
    torch.testing.assert_close(made(real).detach(), expected, rtol=1e-4, atol=1e-4)


def test_activation_gradients() -> None:
    made = quantizer(-1.0, 2.1, 5)  # scale 0.1, zero point 10
    value = torch.tensor([-5.0, -0.99, 0.31, 2.04, 7.0], requires_grad=True)
    made(value).sum().backward()
    assert value.grad.tolist() == [0, 1, 1, 1, 0]
    # PACT: a clipped value moves its end of the range one for one (times the logarithm's and LSQ's factors).
    for clipped, end, sign in ((-5.0, "log_low", -1.0), (7.0, "log_high", 2.1)):
        made.zero_grad()
        made(torch.tensor([clipped])).sum().backward()
        factor = 1 / math.sqrt(made.maximum)
        assert getattr(made, end).grad.item() == pytest.approx(sign * factor, rel=1e-4)


def test_unsigned_gradient_is_that_of_lsq() -> None:
    made = quantizer(0.0, 3.1, 5)  # scale 0.1
    made(torch.tensor([0.23])).sum().backward()
    # d/ds s·round(x/s) = round(x/s) − x/s = 2 − 2.3; times s per logarithm, 31 steps of s, and the factor 1/√31.
    assert made.log_high.grad.item() == pytest.approx((2 - 2.3) * 0.1 / math.sqrt(31), rel=1e-3)


def test_ceiling_bounds_the_range() -> None:
    made = quantizer(0.0, 9.0, 4, ceiling=6.0)
    assert made.scale == pytest.approx(0.4)
    assert made.codes(torch.tensor([100.0])).item() == 15


def test_mse_calibration_beats_the_full_range_with_outliers() -> None:
    values = torch.cat([torch.rand(4000, generator=torch.Generator().manual_seed(0)), torch.tensor([4.0])])
    full, searched = quantizer(0.0, 4.0, 4), ActivationQuantizer("map", 4)
    searched.initialise(values)
    assert (searched(values) - values).square().mean() < (full(values) - values).square().mean() / 2


def test_calibration_sees_every_column_of_large_tensors() -> None:
    values = torch.zeros(512, 16, 16)
    values[:, :, 8] = torch.rand(512, 16, generator=torch.Generator().manual_seed(0)) + 3
    made = ActivationQuantizer("map", 8)
    made.initialise(values)
    assert made.scale * made.maximum > 3.9


def test_image_quantizer_is_the_identity_on_codes() -> None:
    made = ActivationQuantizer("input", 8, fixed_scale=1 / 255)
    codes = torch.arange(256)
    assert torch.equal(made.codes(codes.float() / 255), codes)
    made.initialise(torch.tensor([0.5]))
    assert made.scale == pytest.approx(1 / 255)


def test_dead_tensor_keeps_a_scale() -> None:
    made = ActivationQuantizer("map", 5)
    made.initialise(torch.zeros(10))
    assert made.scale > 0
    signed = ActivationQuantizer("map", 5, signed=True)
    signed.initialise(torch.zeros(10))
    assert signed.scale > 0


def test_calibration_with_nan_names_the_tensor() -> None:
    with pytest.raises(QuantizationError, match=r"tensor 'map'.*not finite"):
        ActivationQuantizer("map", 5).initialise(torch.tensor([1.0, float("nan")]))


@pytest.mark.parametrize("bits", [1, 9])
def test_activation_bits_out_of_range(bits: int) -> None:
    with pytest.raises(ValueError, match="tensor 'map': bits must be 2 … 8"):
        ActivationQuantizer("map", bits)
