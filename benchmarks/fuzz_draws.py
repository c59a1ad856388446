"""Draws random cases for the compiler: networks of every kind, legal geometries and batches."""

from typing import Any

import numpy as np

from intramix.compiler.place.lanes import LUT_FORMATS
from intramix.hdl.geometry import Dsp, Geometry, GeometryError
from intramix.quant.graph.graph import Padding
from intramix.quant.graph.random_graph import KINDS, FormatMix, random_graph, single_convolution

from .fuzz_cases import Case, affordable, single_pool


def draw_case(seed: int, number: int) -> Case:
    """Case `number` of a seed; equal arguments draw equal cases."""
    rng = np.random.default_rng([seed, number])
    while True:
        geometry = draw_geometry(rng)
        maker, arguments = _NETWORKS[rng.integers(len(_NETWORKS))](rng, geometry)
        case = Case(
            maker=maker,
            arguments={"seed": int(rng.integers(1 << 16)), **arguments},
            geometry=geometry,
            batch=int(rng.choice([1, 1, 1, 2, 3, 4, 5, 6, 7, 8])),
            keep_maps=bool(rng.random() < 0.7),
        )
        if affordable(case):
            return case


def draw_geometry(rng: np.random.Generator) -> Geometry:
    """A legal geometry, memories often so small that everything must be cut."""
    while True:
        channels, lanes = _power(rng, 4, 16), _power(rng, 1, 8)
        filters = channels * int(rng.integers(1, 5))
        fixed8, fixed4, lut = rng.multinomial(filters, rng.dirichlet([1, 1, 1])).tolist()
        try:
            return Geometry(
                word_channels=channels,
                pixel_lanes=lanes,
                fixed8_lanes=fixed8,
                fixed4_lanes=fixed4,
                lut_lanes=lut,
                lut_scheme=tuple(LUT_FORMATS)[rng.integers(len(LUT_FORMATS))],
                activation_bits=int(rng.integers(4, 7)),
                dsp=tuple(Dsp)[rng.integers(3)],
                activation_depth=int(2 ** rng.uniform(6, 12)),
                residual_depth=_power(rng, 16, 512),
                output_depth=_power(rng, 16, 512),
                weight_depth=_power(rng, 8, 1024),
                constant_tiles=_power(rng, 2, 16),
                post_units=filters // channels * _power(rng, 1, 4),
                depthwise_channels=int(rng.choice([0, 0, channels, channels // 2])),
                weight_ports=_power(rng, 1, 4),
                maps_ports=_power(rng, 1, 2),
                weights_bus_bits=_power(rng, 32, 128),
                maps_bus_bits=_power(rng, 32, 128),
                map_words=int(rng.choice([0, 2 * int(2 ** rng.uniform(4, 13))])),
            )
        except GeometryError:
            continue


Network = tuple[str, dict[str, Any]]


def _blocks(rng: np.random.Generator, geometry: Geometry) -> Network:
    """Several layers of all kinds, or of a few."""
    kinds = KINDS if rng.random() < 0.5 else tuple(kind for kind in KINDS if rng.random() < 0.4) or KINDS
    least = int(rng.integers(1, 24))
    return random_graph.__name__, {
        "blocks": int(rng.integers(1, 6)),
        "kinds": kinds,
        "size": _size(rng, 28),
        "input_channels": int(rng.integers(1, 20)),
        "input_bits": int(rng.choice([4, 5, 8])),
        "channels": (least, least + int(rng.integers(24))),
        "activation_bits": geometry.activation_bits,
        "wide_share": float(rng.choice([0.0, 0.0, 0.4])),
        "signed_padding": True,
        "signed_share": float(rng.choice([0.0, 0.5, 0.9])),
        "mix": _mix(rng, geometry),
    }


def _convolution(rng: np.random.Generator, geometry: Geometry) -> Network:
    """One convolution, of a window up to the whole map, with strides that skip."""
    size = _size(rng, 40)
    kernel = tuple(int(rng.integers(1, min(side, 40) + 1)) for side in size)
    if rng.random() < 0.5:
        kernel = tuple(min(side, int(rng.integers(1, 6))) for side in size)
    stride = kernel if rng.random() < 0.3 else tuple(int(rng.integers(1, side + 2)) for side in kernel)
    padding = Padding()
    if rng.random() < 0.4:
        padding = Padding(*(int(rng.integers(0, kernel[side % 2])) for side in range(4)))
    depthwise, channels = rng.random() < 0.4, int(rng.integers(1, 40))
    filters = channels * int(rng.choice([1, 1, 1, 2, 3])) if depthwise else int(rng.integers(1, 60))
    return single_convolution.__name__, {
        "channels": channels,
        "filters": filters,
        "size": size,
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "depthwise": bool(depthwise),
        "residual_bits": int(rng.choice([4, 8])) if rng.random() < 0.2 else None,
        "input_bits": int(rng.choice([geometry.activation_bits, 4, 8])),
        "output_bits": int(rng.choice([geometry.activation_bits, 4, 8])),
        "zero_point": int(rng.choice([0, 0, 1, 9])),
        "mix": _mix(rng, geometry),
    }


def _global_pool(rng: np.random.Generator, geometry: Geometry) -> Network:
    channels = int(rng.integers(1, 60))
    return random_graph.__name__, {
        "blocks": 1,
        "kinds": ("pointwise", "average_pool"),
        "size": _size(rng, 40),
        "input_channels": int(rng.integers(1, 6)),
        "input_bits": 4,
        "channels": (channels, channels),
        "activation_bits": geometry.activation_bits,
        "mix": _mix(rng, geometry),
    }


def _linear(rng: np.random.Generator, geometry: Geometry) -> Network:
    return single_convolution.__name__, {
        "channels": int(rng.integers(1, 600)),
        "filters": int(rng.integers(1, 300)),
        "size": (1, 1),
        "kernel": (1, 1),
        "input_bits": int(rng.choice([4, 8])),
        "output_bits": int(rng.choice([4, 8])),
        "mix": _mix(rng, geometry),
    }


def _max_pool(rng: np.random.Generator, geometry: Geometry) -> Network:
    size = _size(rng, 40)
    kernel = tuple(int(rng.integers(1, min(side, 9) + 1)) for side in size)
    return single_pool.__name__, {
        "channels": int(rng.integers(1, 60)),
        "size": size,
        "kernel": kernel,
        "stride": tuple(int(rng.integers(1, side + 2)) for side in kernel),
        "padding": Padding(*(int(rng.integers(0, kernel[side % 2])) for side in range(4))),
        "input_bits": 4,
    }


_NETWORKS = (_blocks, _blocks, _blocks, _convolution, _convolution, _convolution, _global_pool, _linear, _max_pool)


def _power(rng: np.random.Generator, least: int, most: int) -> int:
    """A power of two."""
    return int(2 ** rng.integers(least.bit_length() - 1, most.bit_length()))


def _size(rng: np.random.Generator, most: int) -> tuple[int, int]:
    """Rows and columns, one of which may be 1."""
    rows, columns = (int(side) for side in rng.integers(2, most + 1, 2))
    flat = rng.random()
    return (1, columns) if flat < 0.07 else (rows, 1) if flat < 0.14 else (rows, columns)


def _mix(rng: np.random.Generator, geometry: Geometry) -> FormatMix:
    """Formats that the geometry's lanes take, or any."""
    fixed8, fixed4, lut = geometry.fixed8_lanes, geometry.fixed4_lanes, geometry.lut_lanes
    if rng.random() < 0.3:
        fixed8, fixed4, lut = (int(share) for share in rng.integers(0, 4, 3))
    return FormatMix(fixed8, fixed4, lut or int(fixed8 + fixed4 == 0), LUT_FORMATS[geometry.lut_scheme])
