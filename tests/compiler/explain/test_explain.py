"""What an explanation names is exact: from those words alone its value comes out, at random places of every kind."""

import dataclasses
import random

import numpy as np
import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.explain.errors import ExplainError
from intramix.compiler.explain.evaluate import evaluate
from intramix.compiler.explain.expected import expected_memory, words_of, wrong_words
from intramix.compiler.explain.explain import Explainer, explain
from intramix.compiler.explain.explanation import Position
from intramix.compiler.explain.places import Convolved, Loaded, Zero, ZeroKind
from intramix.compiler.place.lanes import LUT_FORMATS
from intramix.compiler.program.tensor_places import TensorPlaces
from intramix.hdl.geometry import Geometry
from intramix.hdl.instructions import LoadMap, Store, decode
from intramix.hdl.isa import INSTRUCTION_BYTES, Mode
from intramix.hdl.lane_classes import LaneClass
from intramix.quant.graph.executor import execute
from intramix.quant.graph.formats import FIXED4, POT_4, SP2_4
from intramix.quant.graph.graph import Padding
from intramix.quant.graph.random_graph import FormatMix, random_codes, random_graph, single_convolution
from tests.support.signed_maps import signed_network

PLACES = 8
"""Values that are explained of every layer."""


def check(graph, geometry, seed=1, *, batch=1, places=PLACES):
    """Explains values of every layer at random places, and computes each from the words named: the explanations."""
    program = compile_graph(graph, geometry, batch=batch)
    images = random_codes(graph, seed, images=batch)
    each = [execute(graph, image) for image in images]
    tensors = {name: np.stack([one[name] for one in each]) for name in each[0]}
    memory = expected_memory(program, {name: codes.reshape(layout.shape) for name, codes in tensors.items()
                                       if (layout := program.maps.get(name, program.input)).name == name})  # fmt: skip
    dice, explainer, found = random.Random(seed), Explainer(program), []
    for record in program.layers:
        shape = tensors[record.output].shape
        for place in range(places):
            image, channel, row, column = (dice.randrange(size) for size in shape)
            if place == 0:
                row = column = 0
            explanation = explainer.explain(
                record.name, Position(image=image, channel=channel, row=row, column=column)
            )
            value = evaluate(explanation, geometry, memory)
            expected = tensors[record.output][image, channel, row, column]
            assert (value.code, value.stored) == (expected, expected), f"{record.name}, {explanation.position}"
            assert not explanation.findings
            found.append(explanation)
    return found


def options(seed, geometry):
    return {
        "activation_bits": min(geometry.activation_bits, 4 + seed % 2),
        "mix": FormatMix(lut_format=(SP2_4, POT_4, FIXED4)[seed % 3], narrow=seed % 4 == 3),
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_random_networks(geometry, seed):
    graph = random_graph(
        seed, blocks=4, size=(7 + seed, 12 - seed), channels=(4, 14), input_channels=1 + seed % 4,
        **options(seed, geometry),
    )  # fmt: skip
    check(graph, geometry, seed)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [2, 3])
def test_images_of_a_batch(geometry, batch):
    graph = random_graph(batch, blocks=4, **options(batch, geometry))
    found = check(graph, geometry, batch, batch=batch)
    assert {explanation.position.image for explanation in found} == set(range(batch))


@pytest.mark.slow
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("batch", [1, 2])
def test_maps_with_borders(geometry, bits, batch):
    """The words around a map are words of memory like others, and so are those that the depthwise unit takes."""
    unit = dataclasses.replace(geometry, depthwise_channels=geometry.word_channels)
    graph = signed_network(bits, pool=bits == 4)
    found = check(graph, unit, batch=batch)
    places = TensorPlaces(compile_graph(graph, unit, batch=batch))
    words = {word for explanation in found for word in words_of(explanation) if word.region != "PARAMETERS"}
    assert any(places.place(word.region, word.address, 99).endswith(" (border)") for word in words)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_depthwise_on_load(geometry, seed):
    unit = dataclasses.replace(geometry, depthwise_channels=geometry.word_channels >> seed % 3)
    graph = random_graph(
        seed, blocks=3, size=(9 + seed, 14 - seed), channels=(4, 14), kinds=("stem", "inverted", "depthwise", "linear"),
        **options(seed, geometry),
    )  # fmt: skip
    found = check(graph, unit, seed)
    convolved = [e for e in found if any(isinstance(step.source, Convolved) for step in e.steps)]
    assert convolved
    on_load = convolved[0].layer.on_load
    program = compile_graph(graph, unit)
    with pytest.raises(ExplainError, match=f"{on_load} is computed while .* explain a value of"):
        explain(program, on_load, Position(channel=0, row=0, column=0))


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape",
    [
        {"kernel": (5, 3), "padding": Padding(3, 0, 1, 2), "stride": (2, 1)},
        {"input_bits": 8, "output_bits": 8},
        {"residual_bits": 8, "output_bits": 8, "padding": Padding(1, 1, 1, 1)},
        {"residual_bits": 4},
        {"depthwise": True, "channels": 20, "filters": 20, "padding": Padding(1, 1, 1, 1)},
        {"size": (14, 15), "channels": 20, "filters": 70, "padding": Padding(1, 1, 1, 1)},
        {"channels": 8, "filters": 14, "mix": FormatMix(1, 0, 0), "input_bits": 8},
    ],
    ids=str,
)
def test_single_layers(geometry, shape):
    check(single_convolution(3, **({"input_bits": 4, "output_bits": 4} | shape)), geometry, places=20)


@pytest.mark.slow
def test_what_is_reached(geometries):
    """The tests above see what they are meant to: every kind of layer, source and digit."""
    kinds, sources, digits, residuals, passes = set(), set(), set(), set(), set()
    for name, seed in (("plain", 0), ("narrow", 1), ("wide-tile", 2), ("one-lane", 4)):
        geometry = geometries[name]
        for explanation in check(random_graph(seed, blocks=8, **options(seed, geometry)), geometry, seed):
            kinds.add(explanation.layer.kind)
            sources |= {step.source.kind if isinstance(step.source, Zero) else type(step.source)
                        for step in explanation.steps}  # fmt: skip
            digits.add(len(explanation.stored))
            residuals.add(len(explanation.residual))
            passes.add(explanation.compute.passes if explanation.filter else 0)
    assert kinds >= {"convolution", "max_pool", "add", "average_pool", "linear"}
    assert sources >= {ZeroKind.ROW, ZeroKind.COLUMN, Loaded}
    assert digits == {1, 2}
    assert residuals >= {0, 1}
    assert passes >= {0, 1, 2}


@pytest.mark.parametrize("lanes", [lane for lane in LaneClass if lane.is_lut], ids=lambda lane: lane.value)
def test_every_class_of_lanes(geometries, lanes):
    geometry = dataclasses.replace(geometries["plain"], lut_scheme=lanes)
    mix = FormatMix(lut_format=LUT_FORMATS[lanes])
    graph = single_convolution(6, channels=12, filters=30, size=(5, 4), input_bits=4, output_bits=4, mix=mix)
    found = check(graph, geometry, places=60)
    assert {explanation.filter.lane_class for explanation in found} >= {lanes, LaneClass.FIXED8, LaneClass.FIXED4}


# What is said beside the words ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program():
    geometry = Geometry(word_channels=8, pixel_lanes=2, fixed8_lanes=2, fixed4_lanes=4, lut_lanes=2)
    graph = single_convolution(
        2, channels=8, filters=24, size=(8, 9), padding=Padding(1, 1, 1, 1), input_bits=4, output_bits=4,
        mix=FormatMix(1, 2, 1),
    )  # fmt: skip
    return compile_graph(graph, geometry)


def edited(program, kind, change, number=0):
    """The program with its n-th instruction of a kind changed."""
    code = bytearray(program.instructions)
    places = [start for start in range(0, len(code), INSTRUCTION_BYTES)
              if isinstance(decode(bytes(code[start : start + INSTRUCTION_BYTES])), kind)]  # fmt: skip
    place = slice(places[number], places[number] + INSTRUCTION_BYTES)
    code[place] = change(decode(bytes(code[place]))).encode()
    return dataclasses.replace(program, instructions=bytes(code))


def test_lanes_tile_and_steps(program):
    """Every channel of a position, each by another filter lane of its tile; steps are counted over the program."""
    geometry, record = program.geometry, program.layers[0]
    explainer = Explainer(program)
    made = [explainer.explain(record.name, Position(channel=channel, row=3, column=2)) for channel in range(24)]
    lanes = {(e.filter.tile, e.filter.lane) for e in made}
    assert len(lanes) == 24
    assert {tile for tile, _ in lanes} == set(range(1 + max(tile for tile, _ in lanes)))
    assert all(e.filter.lane_class is geometry.lanes[e.filter.lane] for e in made)
    last = max((explainer.explain(record.name, Position(channel=channel, row=row, column=8))
                for channel in range(24) for row in range(8)), key=lambda e: e.standing.steps_before)  # fmt: skip
    assert last.standing.steps_before + last.compute.group_steps == record.steps
    assert last.standing.number == last.standing.of - 1
    assert {e.stored[0].slot for e in made} == {record.number}


def test_a_damaged_program_is_explained(program):
    name, position = program.layers[0].name, Position(channel=5, row=0, column=0)
    healthy = explain(program, name, position)
    moved = edited(program, LoadMap, lambda load: dataclasses.replace(load, address=load.address + 5))
    words = [step.source.word.address for step in explain(moved, name, position).steps
             if isinstance(step.source, Loaded)]  # fmt: skip
    before = [step.source.word.address for step in healthy.steps if isinstance(step.source, Loaded)]
    assert words == [address + 5 for address in before]
    shifted = edited(program, LoadMap, lambda load: dataclasses.replace(load, base=load.base + 1000))
    assert "is read, but never written" in explain(shifted, name, position).findings[0]
    elsewhere = edited(program, Store, lambda store: dataclasses.replace(store, address=store.address + 1 << 20))
    with pytest.raises(ExplainError, match=f"no STORE of layer {name} writes OUTPUT"):
        explain(elsewhere, name, position)
    unknown = dataclasses.replace(program, instructions=b"\x0f" * 64 + program.instructions[64:])
    assert "instruction 0 cannot be decoded" in explain(unknown, name, position).findings[0]


def test_what_there_is_not(program):
    with pytest.raises(ExplainError, match="has no layer 'conv9'; it has"):
        explain(program, "conv9", Position(channel=0, row=0, column=0))
    with pytest.raises(ExplainError, match=r"row must be 0 … 7 of tensor .*, not 8"):
        explain(program, "0", Position(channel=0, row=8, column=0))
    with pytest.raises(ExplainError, match="image must be 0 … 0 of the run, not 1"):
        explain(program, "0", Position(channel=0, row=0, column=0, image=1))


def test_a_wrong_word_makes_another_value(program):
    """The words are needed: with one bit of a weight that is named changed the value is another one."""
    name = program.layers[0].name
    explanation = explain(program, name, Position(channel=5, row=4, column=4))
    assert explanation.compute.mode is Mode.CONVOLVE
    memory = {region: bytearray(b"\x55" * size) for region, size in program.sizes.items()}
    memory["PARAMETERS"] = bytearray(program.parameters)
    before = evaluate(explanation, program.geometry, memory)
    bit = explanation.filter.weight_bits.first
    word = explanation.steps[0].weights.slices[bit // (8 * explanation.steps[0].weights.slices[0].size)]
    memory["PARAMETERS"][word.address + bit % (8 * word.size) // 8] ^= 1 << bit % 8
    after = evaluate(explanation, program.geometry, memory)
    assert wrong_words(explanation, memory, memory | {"PARAMETERS": program.parameters}) == (word,)
    assert abs(after.accumulator - before.accumulator) == before.codes[0][0]
