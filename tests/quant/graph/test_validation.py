"""Every rule of the integer graph's contract: a legal graph passes, each breach is refused by name."""

import dataclasses

import numpy as np
import pytest

from intramix.quant.graph.formats import FIXED4, FIXED8, POT_4, SP2_4
from intramix.quant.graph.graph import Convolution, GraphError, IntegerGraph, MaxPool, Padding, TensorType

FORMATS = (FIXED4, FIXED8, SP2_4, POT_4)


def tensor(name, channels=4, height=6, width=6, bits=5, **others):
    return TensorType(name, channels, height, width, bits, **others)


def convolution(name="conv", source="x", target="y", channels=4, kernel=(3, 3), **others):
    fields = {
        "weight": np.ones((4, channels, *kernel), np.int64),
        "formats": FORMATS,
        "multiplier": np.ones(4, np.int64),
        "bias": np.zeros(4, np.int64),
        "shift": 4,
        "padding": Padding(1, 1, 1, 1),
    }
    return Convolution(name, source, target, **(fields | others))


def graph(layers=None, tensors=None, **others):
    """x → conv → y → pool → z, with parts replaced."""
    tensors = {"x": tensor("x"), "y": tensor("y"), "z": tensor("z", height=3, width=3)} | (tensors or {})
    layers = (convolution(), MaxPool("pool", "y", "z", (2, 2), (2, 2))) if layers is None else layers
    return IntegerGraph(
        **({"name": "g", "tensors": tensors, "layers": layers, "input": "x", "outputs": ("z",)} | others)
    )


def with_convolution(**others):
    return graph((convolution(**others), MaxPool("pool", "y", "z", (2, 2), (2, 2))))


def with_pool(**others):
    pool = {"kernel": (2, 2), "stride": (2, 2)} | others
    return graph((convolution(), MaxPool("pool", "y", "z", **pool)))


def test_a_legal_graph_passes():
    assert graph().producer("y").name == "conv"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bits": 1}, "tensor 'x': bits must be 2 … 8, not 1"),
        ({"bits": 9}, "tensor 'x': bits must be 2 … 8, not 9"),
        ({"channels": 0}, "tensor 'x': channels must be an integer of at least 1, not 0"),
        ({"height": 2.0}, "tensor 'x': height must be an integer of at least 1, not 2.0"),
        ({"width": True}, "tensor 'x': width must be an integer of at least 1, not True"),
        ({"scale": 0.0}, "tensor 'x': scale must be a finite number above 0, not 0.0"),
        ({"scale": float("nan")}, "tensor 'x': scale must be a finite number above 0, not nan"),
        ({"zero_point": 0.5}, "tensor 'x': zero_point must be an integer, not 0.5"),
        ({"name": "other"}, "tensor 'x': name must be the tensor's key"),
    ],
)
def test_tensor(fields, message):
    with pytest.raises(GraphError, match=message):
        graph(tensors={"x": dataclasses.replace(tensor("x"), **fields)})


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"layers": ()}, "graph 'g': layers must not be empty"),
        ({"layers": ("conv",)}, "layer 0: must be a Convolution, a MaxPool or a Concatenation, not str"),
        ({"layers": (convolution(name=""),)}, "layer 0: name must be a string that is not empty"),
        ({"layers": (convolution(), convolution())}, "layer 'conv': name is used by two layers"),
        ({"input": "w"}, "graph 'g': input 'w' is not a tensor of the graph"),
        ({"layers": (convolution(source="w"),)}, "layer 'conv': input 'w' is not a tensor of the graph"),
        ({"layers": (convolution(target="w"),)}, "layer 'conv': output 'w' is not a tensor of the graph"),
        ({"layers": (convolution(source="y", target="z"),)}, "layer 'conv': input 'y' is produced later or never"),
        ({"layers": (convolution(source="x", target="x"),)}, "layer 'conv': output 'x' is the graph's input"),
        ({"layers": (convolution(), convolution("two"))}, "layer 'two': output 'y' is produced by an earlier layer"),
        ({"layers": (convolution(residual="z"),)}, "layer 'conv': residual 'z' is produced later or never"),
        ({"layers": (convolution(residual="w"),)}, "layer 'conv': residual 'w' is not a tensor of the graph"),
        ({"layers": (convolution(),)}, "tensor 'z': no layer produces it"),
        ({"outputs": ()}, "graph 'g': outputs must name at least one tensor"),
        ({"outputs": ("w",)}, "graph 'g': output 'w' is not produced by a layer"),
        ({"outputs": ("x",)}, "graph 'g': output 'x' is not produced by a layer"),
        ({"outputs": ("z", "z")}, "graph 'g': outputs .* name a tensor twice"),
    ],
)
def test_graph(others, message):
    with pytest.raises(GraphError, match=message):
        graph(**others)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kernel": (0, 2)}, r"layer 'pool': kernel must be two integers of at least 1, not \(0, 2\)"),
        ({"stride": (2,)}, r"layer 'pool': stride must be two integers of at least 1, not \(2,\)"),
        ({"padding": Padding(left=-1)}, "layer 'pool': padding.left must be an integer of at least 0, not -1"),
        ({"kernel": (7, 7)}, "layer 'pool': kernel 7×7 is larger than the padded map of 'y', 6×6"),
        ({"padding": Padding(bottom=2)}, "layer 'pool': output 'z' is 3×3, but .* make 4×3 of 'y'"),
    ],
)
def test_max_pool_window(fields, message):
    with pytest.raises(GraphError, match=message):
        with_pool(**fields)


@pytest.mark.parametrize(("field", "value"), [("channels", 3), ("bits", 4), ("scale", 0.5), ("zero_point", 1)])
def test_max_pool_keeps_its_type(field, value):
    with pytest.raises(GraphError, match=f"layer 'pool': output 'z' has {field} {value}; a max pool keeps its input's"):
        graph(tensors={"z": dataclasses.replace(tensor("z", height=3, width=3), **{field: value})})


def test_max_pool_may_pad_a_map_with_a_zero_point():
    tensors = {name: tensor(name, height=size, width=size, zero_point=7) for name, size in (("y", 6), ("z", 3))}
    pool = MaxPool("pool", "y", "z", (3, 3), (2, 2), Padding(1, 1, 0, 0))
    assert graph((convolution(), pool), tensors).layers[1] is pool


ONES = np.ones((4, 4, 3, 3), np.int64)


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weight": ONES.astype(float)}, "weight must be an int64 array of 4 dimensions, not float64 of 4"),
        ({"weight": [1]}, "weight must be an int64 array of 4 dimensions, not no array"),
        ({"weight": ONES[:, :3]}, "weight has 3 channels a filter; 'x' with 1 groups needs 4"),
        ({"weight": ONES[:, :2], "groups": 2}, r"groups must be 1 or the 4 input channels \(depthwise\), not 2"),
        ({"weight": ONES[:3, :1], "groups": 4}, "weight has 3 filters; a multiple of the 4 groups"),
        ({"weight": ONES[:3]}, "output 'y' has 4 channels, but weight has 3 filters"),
        ({"stride": (2, 1)}, "output 'y' is 6×6, but .* make 3×6 of 'x'"),
        ({"padding": Padding(1, 1, 1, 0)}, "output 'y' is 6×6, but .* make 6×5 of 'x'"),
        ({"formats": FORMATS[:3]}, "formats has 3 entries for 4 filters"),
        ({"formats": (*FORMATS[:3], "pot-4")}, r"formats\[3\] must be a WeightFormat, not 'pot-4'"),
        ({"weight": changed(ONES, (0, 1, 2, 0), 8)}, r"weight\[0\] holds 8, which is not a level of .* fixed-4"),
        ({"weight": changed(ONES, (1, 1, 2, 0), -128)}, r"weight\[1\] holds -128, .* fixed-8"),
        ({"weight": changed(ONES, (2, 1, 2, 0), 3)}, r"weight\[2\] holds 3, .* sp2-4"),
        ({"weight": changed(ONES, (3, 1, 2, 0), 3)}, r"weight\[3\] holds 3, .* pot-4"),
        ({"shift": 48}, "shift must be 0 … 47, not 48"),
        ({"shift": -1}, "shift must be 0 … 47, not -1"),
        (
            {"multiplier": np.ones(3, np.int64)},
            "multiplier must be an int64 array with one entry for each of 4 filters",
        ),
        ({"multiplier": np.ones(4, np.int32)}, "multiplier must be an int64 array"),
        (
            {"multiplier": np.array([1, 1, 1 << 17, 1])},
            r"multiplier\[2\] must be -131072 … 131071 \(18 bits\), not 131072",
        ),
        ({"bias": np.array([0, -(1 << 43) - 9, 0, 0])}, r"bias\[1\] must be -8796093022216 … .*half = 8 added"),
        ({"bias": np.array([0, (1 << 43) - 8, 0, 0])}, r"bias\[1\] must be .* … 8796093022199 .*, not 8796093022200"),
        ({"residual": "x", "residual_multiplier": 1 << 17}, "residual_multiplier must be -131072 … 131071"),
        ({"residual_multiplier": 1}, "residual_multiplier must be 0 where there is no residual"),
    ],
)
def test_convolution(fields, message):
    with pytest.raises(GraphError, match="layer 'conv': " + message):
        with_convolution(**fields)


def test_convolution_at_the_limits_passes():
    with_convolution(
        multiplier=np.array([-(1 << 17), (1 << 17) - 1, 0, 1]),
        bias=np.array([-(1 << 43) - 8, (1 << 43) - 9, 0, 0]),
        residual="x",
        residual_multiplier=-(1 << 17),
    )
    with_convolution(
        shift=47, bias=np.array([-(1 << 43) - (1 << 46), 0 - (1 << 46), -(1 << 45) - (1 << 45), -(1 << 46)])
    )


def test_residual_of_another_shape():
    with pytest.raises(GraphError, match=r"layer 'conv': residual 'x' has shape \(4, 8, 6\); it must be the output's"):
        graph(
            (convolution(residual="x", padding=Padding(0, 1, 0, 1)), MaxPool("pool", "y", "z", (2, 2), (2, 2))),
            {"x": tensor("x", height=8)},
        )


@pytest.mark.parametrize("zero_point", [-1, 32])
def test_a_padded_map_has_a_code_for_zero(zero_point):
    with pytest.raises(GraphError, match=f"layer 'conv': padding pads 'x', whose zero_point is {zero_point}"):
        graph(tensors={"x": tensor("x", zero_point=zero_point)})
    unpadded = convolution(kernel=(1, 1), padding=Padding())
    graph((unpadded, MaxPool("pool", "y", "z", (2, 2), (2, 2))), {"x": tensor("x", zero_point=zero_point)})
    graph(tensors={"x": tensor("x", zero_point=zero_point, border=(1, 2, 3, 31))})


@pytest.mark.parametrize("border", [(1, 2, 3), (1, 2, 3, 32), (1, 2, 3, -1), (1, 2, 3, 0.5)])
def test_borders_that_are_no_codes(border):
    with pytest.raises(GraphError, match="tensor 'x': border must be 4 codes of 0 … 31, one a channel"):
        graph(tensors={"x": tensor("x", border=border)})


def test_borders_that_cannot_be_laid_around_the_image():
    border = {"border": (1, 2, 3, 4)}
    with pytest.raises(GraphError, match="tensor 'y': border must be empty; only the graph's input 'x' has one"):
        graph(tensors={"y": tensor("y", **border)})
    depthwise = convolution(weight=np.ones((4, 1, 3, 3), np.int64), groups=4)
    pool = MaxPool("pool", "y", "z", (2, 2), (2, 2))
    with pytest.raises(GraphError, match="layer 'conv': input 'x' has a border; only convolutions over all channels"):
        graph((depthwise, pool), {"x": tensor("x", **border)})
    with pytest.raises(GraphError, match="layer 'pool': input 'x' has a border; only convolutions over all channels"):
        graph((convolution(), MaxPool("pool", "x", "z", (2, 2), (2, 2))), {"x": tensor("x", **border)})
    with pytest.raises(GraphError, match="layer 'conv': input 'x' has a border"):
        graph((convolution(residual="x"), pool), {"x": tensor("x", **border)})
    both = (convolution(), convolution("half", target="z", stride=(2, 2)))
    with pytest.raises(GraphError, match="layer 'half': stride and the size of the output must be those of the other"):
        graph(both, {"x": tensor("x", **border)})


def test_depthwise_with_a_multiplier_passes():
    layer = convolution(weight=np.ones((4, 1, 3, 3), np.int64), groups=2)
    graph((layer, MaxPool("pool", "y", "z", (2, 2), (2, 2))), {"x": tensor("x", channels=2)})
