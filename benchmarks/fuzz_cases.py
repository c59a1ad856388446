"""Random cases for the compiler: networks of every kind, legal geometries and batches, each small enough to interpret.

A case knows how it was made, so that it can be made smaller (`fuzz_shrink`) and written as a test.
"""

import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from intramix.compiler.compile import compile_graph
from intramix.compiler.errors import CompileError, InternalError
from intramix.compiler.interpreter.interpret import run_codes
from intramix.hdl.geometry import Dsp, Geometry, GeometryError, LaneClass
from intramix.quant.graph.executor import execute
from intramix.quant.graph.formats import FIXED4, POT_4, SP2_4
from intramix.quant.graph.graph import GraphError, IntegerGraph, MaxPool, Padding, TensorType
from intramix.quant.graph.random_graph import KINDS, FormatMix, random_codes, random_graph, single_convolution
from intramix.quant.graph.validation import output_size

UNPADDED = Padding()
MOST_MACS = 8_000_000
"""Of a case, all images together: a second of executor and interpreter."""
MOST_PIXELS = 6_000
"""Output pixels of all layers and images: where a tile streams, each is an instruction."""


class Mismatch(AssertionError):
    """A stored value that is not the executor's."""


def single_pool(
    seed: int, *, channels: int = 8, size: tuple[int, int] = (6, 6), kernel: tuple[int, int] = (2, 2),
    stride: tuple[int, int] = (2, 2), padding: Padding = UNPADDED, input_bits: int = 4,
) -> IntegerGraph:
    """A network of one max pool; `seed` is there to make networks alike to call, and changes nothing.

    Raises
    ------
    GraphError: the shape is not legal.
    """
    source = TensorType("image", channels, *size, input_bits)
    rows, columns = output_size(size, kernel, stride, padding)
    if rows < 1 or columns < 1:
        raise GraphError(f"kernel {kernel[0]}×{kernel[1]} is larger than the padded map")
    target = dataclasses.replace(source, name="map", height=rows, width=columns)
    layer = MaxPool("pool", source.name, target.name, kernel, stride, padding)
    return IntegerGraph("pool", {"image": source, "map": target}, (layer,), source.name, (target.name,))


MAKERS: dict[str, Callable[..., IntegerGraph]] = {
    maker.__name__: maker for maker in (random_graph, single_convolution, single_pool)
}
"""What makes networks, by name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A network, a geometry, and how many images are computed at once.

    Members
    -------
    maker, arguments: of the network, one of `MAKERS`; `seed` among the arguments is that of the images, too.
    keep_maps: as of `compile_graph`.
    """

    maker: str
    arguments: Mapping[str, Any]
    geometry: Geometry
    batch: int = 1
    keep_maps: bool = True

    def graph(self) -> IntegerGraph:
        """The network.

        Raises
        ------
        GraphError, ValueError: there is no such network.
        """
        return MAKERS[self.maker](**self.arguments)

    def __str__(self) -> str:
        """Python that makes the case again."""
        fields = {"geometry": self.geometry, "batch": self.batch, "keep_maps": self.keep_maps}
        given = ", ".join(f"{name}={_source(value)}" for name, value in fields.items())
        return f"check({self.maker}({', '.join(f'{k}={_source(v)}' for k, v in self.arguments.items())}), {given})"


def check(graph: IntegerGraph, geometry: Geometry, *, batch: int = 1, keep_maps: bool = True, seed: int = 0) -> int:
    """Compiles a network, interprets it on random images with every rule and hazard checked, and compares every value.

    Parameters
    ----------
    seed: of the images.

    Returns
    -------
    How many values were compared.

    Raises
    ------
    CompileError: the network does not fit the geometry.
    InterpreterError: the program breaks a rule of the machine.
    Mismatch: a value is not the executor's.
    """
    program = compile_graph(graph, geometry, batch=batch, keep_maps=keep_maps)
    codes = random_codes(graph, seed, images=batch)
    found = run_codes(program, codes.reshape(program.input.shape))
    compared = 0
    for number, image in enumerate(codes):
        expected = execute(graph, image)
        for name, maps in found.items():
            one = maps if batch == 1 else maps[number]
            compared += one.size
            if not np.array_equal(one, expected[name]):
                raise Mismatch(
                    f"tensor {name!r} of image {number}: {(one != expected[name]).sum()} of {one.size} values differ"
                )
    return compared


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a case: values that were compared, or why it was refused, or what went wrong."""

    compared: int = 0
    refused: CompileError | None = None
    fault: Exception | None = None


def outcome(case: Case) -> Outcome:
    """Runs a case; whatever is raised but a `CompileError` that blames the network is a fault of the compiler. Nothing
    becomes of a network that there is not."""
    try:
        graph = case.graph()
    except (GraphError, ValueError, OverflowError):
        return Outcome()
    try:
        return Outcome(
            check(graph, case.geometry, batch=case.batch, keep_maps=case.keep_maps, seed=case.arguments["seed"])
        )
    except InternalError as error:
        return Outcome(fault=error)
    except CompileError as error:
        return Outcome(refused=error)
    except Exception as error:
        return Outcome(fault=error)


def affordable(case: Case) -> bool:
    """Whether there is such a network, and it is small enough to interpret."""
    try:
        graph = case.graph()
    except (GraphError, ValueError, OverflowError):
        return False
    pixels = macs = 0
    for layer in graph.computing:
        target = graph.tensors[layer.output]
        size = target.height * target.width * case.batch
        pixels += size
        macs += size * (target.channels * layer.kernel[0] * layer.kernel[1] if isinstance(layer, MaxPool)
                        else layer.weight.size)  # fmt: skip
    return macs <= MOST_MACS and pixels <= MOST_PIXELS


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
                lut_scheme=(LaneClass.LUT_FIXED4, LaneClass.LUT_SP2, LaneClass.LUT_POT)[rng.integers(3)],
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
    formats = {LaneClass.LUT_FIXED4: FIXED4, LaneClass.LUT_SP2: SP2_4, LaneClass.LUT_POT: POT_4}
    fixed8, fixed4, lut = geometry.fixed8_lanes, geometry.fixed4_lanes, geometry.lut_lanes
    if rng.random() < 0.3:
        fixed8, fixed4, lut = (int(share) for share in rng.integers(0, 4, 3))
    return FormatMix(fixed8, fixed4, lut or int(fixed8 + fixed4 == 0), formats[geometry.lut_scheme])


def _source(value: Any) -> str:
    """Python for a value: enumerations and dataclasses as they are written, only with what is not their default."""
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        given = (field for field in dataclasses.fields(value) if getattr(value, field.name) != field.default)
        inner = ", ".join(f"{field.name}={_source(getattr(value, field.name))}" for field in given)
        return f"{type(value).__name__}({inner})"
    return repr(value)
