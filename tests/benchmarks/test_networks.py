"""A published network, whole, on a board's geometry."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # `benchmarks` is not part of the package

from benchmarks.networks import measure

RESNET18_MAPS = (
    64 * 112 * 112  # the stem
    + 5 * 64 * 56 * 56  # its max pool, and four convolutions
    + 5 * (128 * 28 * 28 + 256 * 14 * 14 + 512 * 7 * 7)  # four convolutions and a shortcut each
    + 512 + 1000
)  # fmt: skip
"""Values of all maps that ResNet-18 computes from one image of 224 × 224."""


@pytest.mark.long  # about 5 minutes on two cores, 1 of them for the build
def test_resnet18_at_224_is_bit_exact_on_pynq_z2():
    figures = measure("pynq-z2", "resnet18", size=224, batch=1, seed=1, model=None)
    assert figures["values_compared"] == RESNET18_MAPS
    assert figures["values_mismatched"] == figures["crc_mismatched"] == 0
    assert figures["crc_compared"] == len(figures["layers"])
    assert figures["cycles_per_frame"] < 1_300_000
