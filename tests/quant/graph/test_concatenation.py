"""Concatenation: what lies beside what, which channels share an order, and the whole way from modules to integers."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from intramix.quant.assignment.lane_mix import LaneMix, joint_groups
from intramix.quant.data.data import Dataset
from intramix.quant.frontend.capture import CaptureError, capture
from intramix.quant.frontend.fold import fold
from intramix.quant.frontend.folded_execution import run_folded
from intramix.quant.graph.concatenation import Chains, ChannelSegment, Tie, leaves_of, operand_ties, segment_classes
from intramix.quant.graph.executor import execute
from intramix.quant.graph.graph import Concatenation, GraphError, IntegerGraph
from intramix.quant.graph.random_graph import random_graph
from intramix.quant.graph.reference import ReferenceNetwork
from intramix.quant.network.model import QuantizedNetwork
from intramix.quant.plan import QuantizationPlan
from intramix.quant.quantize import quantize

# Chains ---------------------------------------------------------------------------------------------------------------


def chains(*concatenations: str) -> list[str]:
    plan = Chains()
    for leaves in concatenations:
        assert plan.add(tuple(leaves)) == ()
    return ["".join(chain) for chain in plan.chains]


def test_running_concatenation_is_one_chain() -> None:
    assert chains("ab", "abc", "abcd") == ["abcd"]
    assert chains("ba", "cba", "dcba") == ["dcba"], "new maps in front, as some DenseNets have them"


def test_chains_grow_at_both_ends_and_meet() -> None:
    assert chains("ab", "bc") == ["abc"]
    assert chains("ab", "cd", "abcd", "bc") == ["abcd"]
    assert chains("ab", "cd", "bc") == ["abcd"], "each is a stretch of it"
    assert chains("ab", "cd") == ["ab", "cd"]


@pytest.mark.parametrize(
    ("before", "leaves", "copies"),
    [
        (["ab"], "ba", (0, 1)),  # in another order
        (["abc"], "ac", (0, 1)),  # with a gap
        (["abc"], "bd", (0,)),  # inside already
        (["ab", "ac"[::-1]], "ad", (0,)),  # both neighbours of a are taken
        ([], "aba", (2,)),
    ],
)
def test_what_cannot_lie_together_is_left_to_copies(before: list[str], leaves: str, copies: tuple[int, ...]) -> None:
    plan = Chains()
    for others in before:
        assert plan.add(tuple(others)) == ()
    state = [list(chain) for chain in plan.chains]
    assert plan.add(tuple(leaves)) == copies
    assert plan.chains == state


def test_leaves_of_nested_concatenations() -> None:
    joined = {"ab": ("a", "b"), "abc": ("ab", "c"), "all": ("abc", "d", "ab")}
    assert leaves_of("all", joined) == ("a", "b", "c", "d", "a", "b")
    assert leaves_of("a", joined) == ("a",)


def test_segments_share_an_order_through_ties() -> None:
    channels = {"a": 3, "b": 4, "ab": 7, "c": 7}
    ties = [*operand_ties("ab", ("a", "b"), channels), Tie("c", "ab", 7)]
    assert segment_classes(channels, ties) == [
        [ChannelSegment("a", 0, 3), ChannelSegment("ab", 0, 3), ChannelSegment("c", 0, 3)],
        [ChannelSegment("b", 0, 4), ChannelSegment("ab", 3, 4), ChannelSegment("c", 3, 4)],
    ]
    assert segment_classes({"a": 2, "b": 2}, [Tie("a", "b", 2)]) == [
        [ChannelSegment("a", 0, 2), ChannelSegment("b", 0, 2)]
    ]


# Models ---------------------------------------------------------------------------------------------------------------


class Fire(nn.Module):
    """SqueezeNet's: a ReLU on each branch; then one ReLU and one batch norm of a whole concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(3, 4, 1)
        self.left, self.right = nn.Conv2d(4, 5, 1), nn.Conv2d(4, 6, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.up, self.down, self.norm = nn.Conv2d(11, 3, 1), nn.Conv2d(11, 4, 3, padding=1), nn.BatchNorm2d(7)
        self.last = nn.Conv2d(7, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.squeeze(x))
        x = self.pool(torch.cat([functional.relu(self.left(x)), functional.relu(self.right(x))], 1))
        return self.last(functional.relu(self.norm(torch.cat([self.up(x), self.down(x)], 1))))


class Dense(nn.Module):
    """DenseNet's: batch norm and ReLU of every running concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2))
        self.norms = nn.ModuleList(nn.BatchNorm2d(6 + 5 * n) for n in range(3))
        self.convs = nn.ModuleList(nn.Conv2d(6 + 5 * n, 5, 3, padding=1) for n in range(2))
        self.last = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.stem(x)]
        for norm, conv in zip(self.norms, self.convs):
            maps.append(conv(functional.relu(norm(torch.cat(maps, 1)))))
        return self.last(functional.relu(self.norms[2](torch.cat(maps, 1))).mean((2, 3)))


class Reused(nn.Module):
    """Nested; of the image; of a map that two concatenations put beside others; of ReLU6 beside ReLU; and added to."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 5, 1), nn.Conv2d(9, 3, 1)
        self.depthwise, self.mixed = nn.Conv2d(12, 12, 3, padding=1, groups=12), nn.Conv2d(12, 12, 1)
        self.six, self.last = nn.Conv2d(3, 2, 1), nn.Conv2d(23, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        a, b = functional.relu(self.a(x)), functional.relu(self.b(x))
        ab = torch.cat([a, b], -3)
        c = functional.relu(self.c(ab))
        abc = torch.cat([ab, c], 1)
        d = functional.relu(self.mixed(functional.relu(self.depthwise(abc))) + abc)
        six = functional.relu6(self.six(x))
        return self.last(torch.cat([torch.cat([d, x], 1), a, torch.cat([six, six], 1)], 1))


MODELS = [Fire, Dense, Reused]


def plausible(build: type[nn.Module]) -> nn.Module:
    torch.manual_seed(3)
    model = build()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.2)
            module.running_var.uniform_(0.3, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
    return model.eval()


@pytest.mark.parametrize("build", MODELS)
def test_folding_keeps_the_function(build: type[nn.Module]) -> None:
    model, images = plausible(build), torch.rand(2, 3, 8, 6)
    graph = fold(capture(model, (3, 8, 6)))
    expected = model.double()(images.double())
    found = run_folded(graph, images.double())[graph.outputs[0]].reshape(expected.shape)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("build", MODELS)
def test_whole_way_to_integers(build: type[nn.Module]) -> None:
    """Executor = plain torch on integers, all codes; and fake quantization differs from them by rounding alone."""
    images = torch.randint(0, 256, (12, 3, 8, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    plan = QuantizationPlan(lane_mix=LaneMix(1, 3, 4))
    result = quantize(plausible(build), Dataset("noise", images[:8], images[8:]), plan)
    found = execute(result.graph, images[8:].numpy())
    for name, value in ReferenceNetwork(result.graph)(images[8:]).items():
        assert np.array_equal(found[name], value.numpy()), name
    assert max(entry.differing for entry in result.agreement) < 0.02


def test_nothing_is_left_of_fires_concatenations_but_their_place() -> None:
    graph = fold(capture(plausible(Fire), (3, 8, 6)))
    assert [layer.kind for layer in graph.layers].count("concatenation") == 2
    assert not [layer.name for layer in graph.convolutions if layer.exact]
    assert {layer.name for layer in graph.convolutions if not layer.relu} == {"last"}


def test_densenets_norms_are_scales_and_one_copy() -> None:
    """The first map is clipped at 0, and the others are not: it is copied to their quantizer, once."""
    graph = fold(capture(plausible(Dense), (3, 8, 6)))
    assert [layer.name for layer in graph.convolutions if layer.kind == "copy"] == ["cat.copy1"]
    joined = [layer.inputs for layer in graph.layers if layer.kind == "concatenation"]
    assert joined == [("cat.copy1", "convs.0"), ("cat.copy1", "convs.0", "convs.1")]
    scales = [layer for layer in graph.convolutions if layer.exact and layer.name.startswith("norms")]
    assert len(scales) == 3
    assert all(layer.relu and layer.groups == layer.shape[0] for layer in scales)
    network = QuantizedNetwork(graph)
    assert {network.quantizer(name) for name in joined[1]} == {network.quantizer("convs.0")}
    assert network.quantizer("convs.0").bits == 8, "only rescaled channel by channel"
    assert network.quantizer("stem.0").bits == 5, "read by a max pool"


def test_copies_of_what_cannot_share_quantizer_or_place() -> None:
    graph = fold(capture(plausible(Reused), (3, 8, 6)))
    copied = [layer.input for layer in graph.convolutions if layer.kind == "copy"]
    assert copied.count("input") == 1
    assert copied.count("a") == 1
    assert copied.count("six") == 1, "clipped at 6, beside maps that are not"
    (again,) = set(copied) - {"input", "a", "six"}
    assert next(it.input for it in graph.convolutions if it.output == again) == "six", "twice in one concatenation"


def test_joint_groups_follow_the_operands() -> None:
    graph = fold(capture(plausible(Reused), (3, 8, 6)))
    groups = {parts: group.channels for group in joint_groups(graph) for parts in group.parts}
    sizes = {("a", 0): 4, ("b", 0): 5, ("c", 0): 3}
    for first, (operand, channels) in zip((0, 4, 9), sizes.items()):
        together = [set(group.parts) for group in joint_groups(graph) if operand in group.parts]
        assert groups[operand] == channels
        assert together[0] >= {operand, ("depthwise", first), ("mixed", first)}


class Joined(nn.Module):
    """Two convolutions put together by a function."""

    def __init__(self, join: object) -> None:
        super().__init__()
        self.a, self.b, self.join = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1), join

    def forward(self, x: Tensor) -> Tensor:
        return self.join(self.a(x), self.b(x))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("join", "message"),
    [
        (lambda a, b: torch.cat([a, b], 2), "joins along dimension 2; only channels, dimension 1"),
        (lambda a, b: torch.cat([a.flatten(1), b.flatten(1)], 1), "joins flattened maps; concatenate the maps along"),
        (lambda a, b: torch.cat([a, torch.ones(1, 1, 5, 5)], 1), "(constant|no such operator)"),
        (lambda a, b: torch.split(torch.cat([a, b], 1), 3, 1)[0], "cut or shuffled along channels"),
    ],
)
def test_refused(join: object, message: str) -> None:
    with pytest.raises(CaptureError, match=message):
        capture(Joined(join), (3, 5, 5))


def test_one_operand_is_the_map_itself() -> None:
    operations = capture(Joined(lambda a, b: torch.cat([a], 1) + b), (3, 5, 5)).operations
    assert [operation.name for operation in operations] == ["a", "b", "add"]


# Integer graphs -------------------------------------------------------------------------------------------------------


def joined_graph() -> IntegerGraph:
    return random_graph(4, blocks=1, kinds=("concatenation",), size=(5, 4))


def test_codes_are_those_of_the_operands() -> None:
    graph = joined_graph()
    images = np.random.default_rng(0).integers(0, 256, (2, *graph.tensors[graph.input].shape))
    codes = execute(graph, images)
    for name, operands in graph.concatenations.items():
        first = 0
        for operand in operands:
            channels = graph.tensors[operand].channels
            assert np.array_equal(codes[name][:, first : first + channels], codes[operand])
            first += channels


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": ("map0",)}, "inputs must be a tuple of at least two tensors"),
        ({"inputs": ("map0", "nothing")}, r"inputs\[1\] 'nothing' is not a tensor of the graph"),
        ({"inputs": ("map0", "image")}, r"inputs\[1\] 'image' has bits 8, but 'map2' has 5"),
        ({"inputs": ("map0", "map0")}, "output 'map2' has .* channels, but its operands have"),
        ({"inputs": ("map0", "map3")}, r"inputs\[1\] 'map3' is produced later"),
    ],
)
def test_contract(changes: dict, message: str) -> None:
    graph = joined_graph()
    place = next(index for index, layer in enumerate(graph.layers) if isinstance(layer, Concatenation))
    layers = list(graph.layers)
    layers[place] = dataclasses.replace(layers[place], **changes)  # type: ignore[type-var]
    with pytest.raises(GraphError, match=message):
        dataclasses.replace(graph, layers=tuple(layers))
