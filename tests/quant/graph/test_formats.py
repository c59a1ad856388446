"""The grids of the number schemes: against the papers' tables, and what the rest relies on."""

import numpy as np
import pytest

from intramix.quant.graph.formats import FIXED4, POT_4, SP2_4, Scheme, WeightFormat

FORMATS = [WeightFormat(scheme, bits) for scheme in Scheme for bits in range(scheme.least_bits, scheme.most_bits + 1)]


@pytest.mark.parametrize(
    ("kind", "magnitudes"),
    [
        (FIXED4, [0, 1, 2, 3, 4, 5, 6, 7]),
        (SP2_4, [0, 1, 2, 4, 5, 6, 8]),
        (POT_4, [0, 1, 2, 4, 8, 16, 32, 64]),
        (WeightFormat(Scheme.SP2, 5), [0, 1, 2, 3, 4, 5, 6, 8]),
        (WeightFormat(Scheme.POT, 3), [0, 1, 2, 4]),
    ],
)
def test_grid_is_that_of_the_papers(kind, magnitudes):
    assert kind.levels[kind.levels >= 0].tolist() == magnitudes


@pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.name)
def test_levels_are_symmetric_and_the_name_is_parsed(kind):
    np.testing.assert_array_equal(kind.levels, -kind.levels[::-1])
    assert 0 in kind.levels
    assert len(kind.levels) <= 1 << kind.bits
    assert WeightFormat.parse(kind.name) == kind


@pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.name)
def test_levels_of_fewer_bits_are_levels_of_more(kind):
    """Then a filter that loses bits keeps its lane (`quant.network.accumulators`)."""
    if kind.scheme.least_bits < kind.bits and (kind.bits <= 5 or kind.scheme is Scheme.FIXED):
        assert set(WeightFormat(kind.scheme, kind.bits - 1).levels) <= set(kind.levels)


@pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.name)
def test_uniform_grids_leave_out_no_integer(kind):
    if kind.scheme.uniform:
        assert (np.diff(kind.levels) == 1).all()


@pytest.mark.parametrize("name", ["fixed-9", "sp2-2", "pot-5", "float-4", "fixed", "fixed-four"])
def test_unknown_format(name):
    with pytest.raises(ValueError, match=r"is not one of fixed-2 … 8, sp2-3 … 8, pot-2 … 4"):
        WeightFormat.parse(name)
