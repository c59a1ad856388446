"""The compute engine against docs/architecture.md, and its pace."""

import numpy as np
import pytest

from .layers import random_case, small


def check(case, **options):
    reference = case.expected()
    result = case.run(**options)
    assert result.error is None
    assert result.idle
    written = reference.outputs >= 0
    assert (result.outputs[written] == reference.outputs[written]).all()
    assert (result.outputs[~written] == 0).all()
    assert len(result.steps) == reference.steps
    assert result.weights_released == reference.released
    assert result.tiles_released == reference.tiles_released
    given = [token for _, mask in result.signals for token in range(8) if mask >> token & 1]
    asked = [token for fields in case.instructions for token in range(8) if fields["signal"] >> token & 1]
    assert sorted(given) == sorted(asked)
    return result


@pytest.mark.parametrize("seed", range(4))
def test_random_instructions_everything_at_hand(seed):
    check(random_case(seed, small(), count=5))


@pytest.mark.parametrize("seed", range(4))
def test_random_instructions_with_stalls(seed):
    check(random_case(100 + seed, small(), count=5), random=np.random.default_rng(seed))
