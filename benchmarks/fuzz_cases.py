"""A case for the compiler, a network on a geometry, and what becomes of it: interpreted and compared with the executor.

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
from intramix.hdl.geometry import Geometry
from intramix.quant.graph.executor import execute
from intramix.quant.graph.graph import GraphError, IntegerGraph, MaxPool, Padding, TensorType
from intramix.quant.graph.layers.window import output_size
from intramix.quant.graph.random_graph import random_codes, random_graph, single_convolution

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


def _source(value: Any) -> str:
    """Python for a value: enumerations and dataclasses as they are written, only with what is not their default."""
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        given = (field for field in dataclasses.fields(value) if getattr(value, field.name) != field.default)
        inner = ", ".join(f"{field.name}={_source(getattr(value, field.name))}" for field in given)
        return f"{type(value).__name__}({inner})"
    return repr(value)
