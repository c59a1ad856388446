"""`intramix explain`: a value, the first wrong one, and what it says to questions without an answer."""

import dataclasses
import json

import click
import pytest
from click.testing import CliRunner

from intramix.cli.commands.explain import explain
from intramix.cli.shared.explanation import show_explain_command
from intramix.cli.shared.waves import chosen_window, layer_window, value_window
from intramix.compiler.compile import compile_graph
from intramix.compiler.explain.explain import explain as explain_value
from intramix.compiler.explain.explanation import Position
from intramix.compiler.program.fileformat import save
from intramix.hdl.instructions import LoadWeights
from intramix.quant.graph import fileformat as model_file
from intramix.quant.graph.executor import execute
from intramix.quant.graph.random_graph import random_graph
from intramix.runtime.verification import LayerCheck, Mismatch, VerificationReport
from intramix.runtime.waves import WaveUnit, WaveWindow
from tests.support.small import SMALL

VALUE = ("--layer", "1", "--channel", "2", "--row", "1", "--column", "0")


@pytest.fixture(scope="module")
def graph():
    return random_graph(31, blocks=3, size=(9, 8), channels=(8, 20))


@pytest.fixture(scope="module")
def program(graph):
    return compile_graph(graph, SMALL)


@pytest.fixture(scope="module")
def wrong(program):
    """The address of a weight of the second layer that is damaged in `damaged.imp`."""
    return next(load.address for load in program.decoded() if isinstance(load, LoadWeights) and load.layer == 1) + 1


@pytest.fixture(scope="module")
def folder(graph, program, wrong, tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    model_file.save(graph, folder / "net.imx")
    save(program, folder / "net.imp")
    parameters = bytearray(program.parameters)
    parameters[wrong] ^= 0x88
    save(dataclasses.replace(program, parameters=bytes(parameters)), folder / "damaged.imp")
    save(compile_graph(graph, SMALL, batch=2), folder / "two.imp")
    return folder


def run(folder, program, *arguments):
    """The exit code, the text and the figures."""
    paths = {"net.imp", "net.imx", "damaged.imp", "two.imp"}
    words = [str(folder / word) if word in paths else str(word) for word in (program, *arguments)]
    result = CliRunner().invoke(explain, [*words, "--json", str(folder / "figures.json")], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return 1, str(result.exception), None
    if result.exit_code in (0, 3):
        return result.exit_code, result.output, json.loads((folder / "figures.json").read_text())
    return result.exit_code, result.output, None


def test_a_value(folder, program):
    code, _, figures = run(folder, "net.imp", *VALUE)
    explanation = explain_value(program, "1", Position(channel=2, row=1, column=0))
    assert code == 0
    assert figures["compute_number"] == explanation.compute_number
    assert figures["compute"]["kernel_x"] == explanation.compute.kernel_x
    assert figures["filter"]["lane"] == explanation.filter.lane
    assert figures["filter"]["lane_class"] == explanation.filter.lane_class.name.lower()
    assert len(figures["steps"]) == len(explanation.steps)
    assert figures["loads"] == list(explanation.loads)
    assert figures["inspection"] is figures["cycles"] is None


def test_a_value_on_a_device(folder, program, graph):
    code, text, figures = run(folder, "net.imp", *VALUE, "--device", "interpreted", "--model", "net.imx")
    assert code == 0
    assert figures["inspection"]["passed"]
    assert figures["inspection"]["evaluation"]["stored"] == figures["inspection"]["expected"]
    assert "The value is right" in text


def test_images_of_a_batch(folder, tmp_path, graph):
    import numpy as np

    from intramix.quant.graph.random_graph import random_codes

    images = random_codes(graph, 5, images=3)
    np.savez(tmp_path / "images.npz", test_images=images)
    for image in (0, 1, 2):
        asked = ("--image", image, "--data", tmp_path / "images.npz", "--device", "interpreted", "--model", "net.imx")
        code, _, figures = run(folder, "two.imp", *VALUE, *asked)
        assert code == 0
        tensor = figures["tensor"]
        assert figures["inspection"]["evaluation"]["stored"] == execute(graph, images[image])[tensor][2, 1, 0]
    assert "has images 0 … 2, not 3" in run(folder, "two.imp", *VALUE, *asked, "--image", 3)[1]


def test_the_first_wrong_value_and_its_wrong_word(folder, program, wrong):
    code, text, figures = run(folder, "damaged.imp", "--device", "interpreted", "--model", "net.imx")
    assert code == 3
    assert figures["layer"]["number"] == 1
    assert [word["region"] for word in figures["inspection"]["wrong"]] == ["PARAMETERS"]
    word = figures["inspection"]["wrong"][0]
    assert word["address"] <= wrong < word["address"] + word["size"]
    assert "computed rightly from wrong words" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--layer", "1", "--channel", "2"), "all four"),
        (("--layer", "1"), "name a value by --layer"),
        ((*VALUE[:2], "--device", "interpreted"), "only the model knows"),
        (("--device", "interpreted", "--model", "net.imx"), "there is nothing to explain"),
        ((*VALUE, "--device", "interpreted", "--wave", "w.vcd"), "only the simulated accelerator has waves"),
        (("--wave", "w.vcd"), "--wave needs --layer"),
        ((*VALUE, "--image", "1", "--device", "interpreted"), "images 0 … 0, not 1"),
        (("--layer", "9999", *VALUE[2:]), "has no layer"),
    ],
)
def test_questions_without_an_answer(folder, arguments, message):
    code, text, _ = run(folder, "net.imp", *arguments)
    assert code == 1
    assert message in text


def test_windows(program):
    """What `--wave`, `--trace-cycles` and `--trace-layer` ask for."""
    record = program.layers[1]
    window = layer_window(program, record.number)
    value = value_window(program, explain_value(program, "1", Position(channel=0, row=0, column=0)))
    assert window.first <= value.first < value.end <= window.end
    assert window.end - window.first >= record.steps
    assert chosen_window(program, None, record.name) == window
    assert chosen_window(program, "10:20", None) == WaveWindow(unit=WaveUnit.CYCLES, first=10, end=20)
    assert chosen_window(program, "10:", None) == WaveWindow(unit=WaveUnit.CYCLES, first=10)
    assert chosen_window(program, None, None) == WaveWindow(unit=WaveUnit.CYCLES)
    for cycles, layer, message in (("20:10", None, "such as 1000:2000"), ("a:b", None, "such as"),
                                   ("1:2", "x", "exclude each other"), (None, "x", "has no layer 'x'")):  # fmt: skip
        with pytest.raises(click.ClickException, match=message):
            chosen_window(program, cycles, layer)


def test_the_command_that_explains_a_mismatch(capsys, folder):
    first = Mismatch(image=3, channel=1, row=0, column=7, expected=4, found=5)
    report = VerificationReport((LayerCheck("conv a", "map", 9, 1, first, 1, 1),), 4, ())
    with click.Context(explain, info_name="simulate") as context:
        context.params = {"board_name": "small", "activation_bits": None, "lut_scheme": "pot-4", "batch": 2}
        show_explain_command(folder / "net.imx", report, data="digits")
    assert (
        f"intramix explain {folder / 'net.imx'} --board small --lut-scheme pot-4 --batch 2 --data digits --layer "
        "'conv a' --image 3 --channel 1 --row 0 --column 7 --device sim"
    ) in capsys.readouterr().out
