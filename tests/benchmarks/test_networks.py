"""A published network, whole, on a board's geometry."""


import pytest

from benchmarks.networks import measure
from benchmarks.roofline import plot

RESNET18_MAPS = (
    64 * 112 * 112  # the stem
    + 5 * 64 * 56 * 56  # its max pool, and four convolutions
    + 5 * (128 * 28 * 28 + 256 * 14 * 14 + 512 * 7 * 7)  # four convolutions and a shortcut each
    + 512 + 1000
)  # fmt: skip
"""Values of all maps that ResNet-18 computes from one image of 224 × 224."""


@pytest.mark.long  # about 10 minutes on two cores, 1 of them for the build
@pytest.mark.parametrize("batch", [1, 4])
def test_resnet18_at_224_is_bit_exact_on_pynq_z2(batch):
    figures = measure("pynq-z2", "resnet18", size=224, batch=batch, seed=1, model=None)
    assert (figures["network"], figures["board"]) == ("resnet18", "pynq-z2")
    assert figures["values_compared"] == batch * RESNET18_MAPS
    assert figures["values_mismatched"] == figures["crc_mismatched"] == 0
    assert figures["crc_compared"] == len(figures["layers"])
    assert figures["cycles_per_frame"] < 1_200_000


def test_roofline_has_a_point_for_every_layer_that_multiplies():
    bounds = {"compute": 100, "memory": 50}
    layers = [
        {"macs": macs, "read_bytes": 4000, "write_bytes": 1000, "bounds": bounds, "bound_by": bound}
        for macs, bound in ((200_000, "compute"), (50_000, "memory"), (0, "maps"))
    ]
    figures = {
        "network": "two layers and a pool", "board": "pynq-z2", "batch": 1, "clock_hz": 100_000_000,
        "macs_per_cycle": 2048, "macs": 250_000, "gops": 250.0,
        "ddr": {"peak_bytes_per_second": 2.1e9, "efficiency": 0.75}, "layers": layers,
    }  # fmt: skip
    svg = plot(figures)
    assert svg.startswith("<?xml")
    assert svg.count("two layers and a pool on pynq-z2, 100 MHz") == 1
    for label in ("layers bound by compute", "layers bound by memory", "whole network, measured: 250"):
        assert label in svg
    assert "bound by maps" not in svg
