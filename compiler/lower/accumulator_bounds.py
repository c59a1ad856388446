"""Proof that a layer's sums fit the machine, from its actual weights.

Only the accumulator needs a proof for each layer. acc·M + r·R + B always fits the 48 bits of the requantizer: with the
widest accumulator |acc·M| ≤ 2^(26 + 17), |r·R| < 2^(8 + 17) and |B| ≤ 2^43, in all less than 2^45.
"""

from ...hdl.geometry import Geometry
from ...quant.graph.layers.sums import accumulator_interval
from ..errors import CompileError
from .layers import MachineLayer


def signed_bits(value: int) -> int:
    """Bits of the narrowest two's complement number that holds a value."""
    return (value if value >= 0 else ~value).bit_length() + 1


def check_bounds(layer: MachineLayer, geometry: Geometry) -> None:
    """Proves that every Σ w·q of a layer fits `accumulator_bits`.

    The accumulator works modulo 2^accumulator_bits, so the digits and offsets in between may wrap.

    Raises
    ------
    CompileError: a filter's does not; the message names the layer, the filter and the bits it needs.
    """
    if layer.weight is None:
        return
    low, high = accumulator_interval(layer.weight, layer.source.maximum)
    for index, (least, greatest) in enumerate(zip(low.tolist(), high.tolist())):
        needed = max(signed_bits(least), signed_bits(greatest))
        if needed > geometry.accumulator_bits:
            raise CompileError(
                f"{layer.where}, filter {index}",
                f"its sums reach {least} … {greatest}, which needs {needed} bits; accumulator_bits = "
                f"{geometry.accumulator_bits}",
                "raise the geometry's accumulator_bits, or use fewer bits for the filter or for tensor "
                f"{layer.source.name!r}",
            )
