"""Plans: every field is checked, and the message names it."""

import re

import pytest

from intramix.quant.assignment.budget import Budget
from intramix.quant.assignment.lane_mix import LaneMix
from intramix.quant.assignment.methods import METHODS, MethodError
from intramix.quant.plan import PlanError, QuantizationPlan
from intramix.quant.training.recipe import TrainingOptions

MIX = LaneMix(1, 3, 4)


def test_a_plan_of_lanes_alone_only_calibrates() -> None:
    plan = QuantizationPlan(lane_mix=MIX)
    assert plan.epochs == 0
    assert plan.preset is METHODS["variance"]
    assert QuantizationPlan(lane_mix=MIX, training=TrainingOptions(epochs=3)).epochs == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lane_mix": (1, 3, 4)}, "lane_mix must be a LaneMix, not (1, 3, 4)"),
        ({"activation_bits": 9}, "activation_bits must be 2 … 8, not 9"),
        ({"activation_bits": 1}, "activation_bits must be 2 … 8, not 1"),
        ({"activation_bits": 4.0}, "activation_bits must be 2 … 8, not 4.0"),
        ({"tensor_bits": {"conv1": 8, "conv2": 10}}, "tensor_bits['conv2'] must be 2 … 8, not 10"),
        ({"scale_method": "mean"}, "scale_method must be 'maximum' or 'mse', not 'mean'"),
        ({"accumulator_bits": 1}, "accumulator_bits must be None or an integer of at least 2, not 1"),
        ({"training": 8}, "training must be None or TrainingOptions, not 8"),
        (
            {"refined": True, "training": TrainingOptions(epochs=2)},
            "refined and training exclude each other; leave out all but one",
        ),
    ],
)
def test_fields_outside_their_range_are_refused(fields: dict, message: str) -> None:
    with pytest.raises(PlanError, match=re.escape(f"plan: {message}")):
        QuantizationPlan(**{"lane_mix": MIX, **fields})


def test_methods_are_checked_before_anything_is_computed() -> None:
    with pytest.raises(MethodError, match=r"method must be one of variance, .*, not 'best'"):
        QuantizationPlan(lane_mix=MIX, method="best")
    with pytest.raises(MethodError, match=r"method 'msq' takes no budget .*; hbp, hawq-v3 do"):
        QuantizationPlan(lane_mix=MIX, method="msq", budgets=(Budget("size", 1e6),))
    both = (Budget("size", 1e6), Budget("latency", 0.5, share=True))
    assert QuantizationPlan(lane_mix=MIX, method="hbp", budgets=both).budgets == both
    with pytest.raises(MethodError, match="size has 2 limits; give one"):
        QuantizationPlan(lane_mix=MIX, method="hbp", budgets=both[:1] * 2)
    assert QuantizationPlan(lane_mix=MIX, refined=True, training=TrainingOptions(epochs=0)).refined
