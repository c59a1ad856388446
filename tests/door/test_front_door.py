"""`import intramix`: what a person calls, from a PyTorch model to frames, on a model of two layers."""

import ast
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import intramix
from intramix.quant.graph.executor import execute
from intramix.quant.graph.fileformat import save
from intramix.runtime.errors import ImageError
from intramix.target import TargetError

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (24, 2, 6, 6), dtype=np.uint8)


@pytest.fixture(scope="module")
def model(images):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))
    return intramix.quantize(network, images, np.arange(24) % 4, board="small")


def python(code, folder):
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


@pytest.mark.parametrize("folder", [ROOT, ROOT / "docs"])
def test_import_loads_nothing_else(folder):
    """From the repository's root too, where the folder intramix/ lies on the path."""
    code = "import sys, intramix; print({'torch', 'numpy', 'amaranth', 'click'} & set(sys.modules))"
    assert python(code, folder) == "set()"
    assert python("import intramix.hdl as hdl; print(hdl.__file__)", folder) == str(ROOT / "hdl/__init__.py")


def test_every_name_is_there_for_people_and_for_type_checkers():
    tree = ast.parse((ROOT / "intramix/__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.asname or alias.name for node in block.body for alias in node.names}
    assert typed == set(intramix.__all__) <= set(dir(intramix))
    assert all(getattr(intramix, name) is not None for name in intramix.__all__)


def test_a_model_says_what_it_costs(model):
    cost, estimate = model.cost(), model.compile(selftest=False).estimate()
    assert cost.frames_per_second == estimate.frames_per_second
    assert cost.cycles == estimate.cycles_per_frame == pytest.approx(sum(cost.layer_cycles.values()), rel=0.02)
    assert set(cost.layer_cycles) == {layer.name for layer in model.graph.layers}
    bits = sum(kind.bits * layer.weight[0].size for layer in model.graph.layers for kind in layer.formats)
    assert bits / 8 <= cost.weight_bytes < bits / 8 + len(model.graph.layers)


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'train'; it has CompiledProgram, "):
        intramix.train  # noqa: B018


def test_outputs_and_predictions_are_the_integer_model_s(model, images):
    graph = model.graph
    (name,) = graph.outputs
    codes = execute(graph, images)[name]
    tensor = graph.tensors[name]
    values = model.outputs(images)[name]
    np.testing.assert_allclose(values, (codes.astype(int) - tensor.zero_point) * tensor.scale, rtol=1e-6)
    np.testing.assert_array_equal(model.predict(images), codes.reshape(24, -1).argmax(axis=1))
    np.testing.assert_array_equal(model.predict(torch.from_numpy(images)), model.predict(images))
    np.testing.assert_array_equal(model.predict(images / 255.0), model.predict(images))  # real values
    assert model.quantization.integer_accuracy is not None


def test_images_of_another_shape_are_refused(model, images):
    with pytest.raises(ImageError, match="channels first"):
        model.predict(images.transpose(0, 2, 3, 1))


def test_method_brings_its_number_scheme(images):
    network = nn.Sequential(nn.Conv2d(2, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 4))
    model = intramix.quantize(network, images, board="pynq-z2", method="msq")
    assert model.geometry.lut_scheme.value == "lut-sp2-4"
    assert intramix.boards["pynq-z2"].geometry.lut_scheme.value == "lut-fixed-4"


def test_files_are_loaded_again(model, images, tmp_path):
    model.save(tmp_path / "net.imx")
    again = intramix.load(tmp_path / "net.imx", board="small")
    assert isinstance(again, intramix.QuantizedModel)
    np.testing.assert_array_equal(again.predict(images), model.predict(images))
    program = model.compile()
    program.save(tmp_path / "net.imp")
    again = intramix.load(tmp_path / "net.imp", board="small")
    assert isinstance(again, intramix.CompiledProgram)
    assert again.program.instructions == program.program.instructions
    assert again.listing() == program.listing()
    assert list(program.program.selftest) == [0, 1]


def test_file_remembers_what_the_model_was_made_for(images, tmp_path):
    network = nn.Sequential(nn.Conv2d(2, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 4))
    model = intramix.quantize(network, images, board="zc706", method="msq")
    model.save(tmp_path / "net.imx")
    again = intramix.load(tmp_path / "net.imx")
    assert (again.board, again.geometry) == (model.board, model.geometry)
    other = intramix.load(tmp_path / "net.imx", board="small")
    assert (other.board.name, other.geometry) == ("small", intramix.boards["small"].geometry)
    save(model.graph, tmp_path / "old.imx")  # as before there was a remembered board
    assert intramix.load(tmp_path / "old.imx").board.name == "pynq-z2"
    save(model.graph, tmp_path / "new.imx", made_for={"board": "z99", "activation_bits": "5", "lut_scheme": "sp2-4"})
    with pytest.raises(TargetError, match=r"made for board z99, .* which this Intramix does not have"):
        intramix.load(tmp_path / "new.imx")


@pytest.mark.simulator
def test_estimate_is_near_the_simulation_and_every_value_equal(model, images):
    simulation = model.simulate(images[:2])
    assert simulation.passed
    assert simulation.report.compared == 2 * (8 * 36 + 4)
    estimate = model.compile().estimate()
    ratio = estimate.cycles_per_frame / simulation.figures.cycles_per_frame
    assert abs(ratio - 1) < 0.12  # so short a run is mostly latency
    assert estimate.frames_per_second == pytest.approx(100e6 / estimate.cycles_per_frame)
    assert f"{estimate.frames_per_second:,.1f} frames/s" in str(estimate)
    assert f"{simulation.figures.frames_per_second:,.1f} frames/s" in str(simulation)


def test_program_runs_on_the_interpreter(model, images):
    program = model.compile(batch=2)
    device = program.interpreter()
    assert isinstance(device, intramix.InterpretedDevice)
    result = program.run(images[:3], device)
    np.testing.assert_array_equal(result.predictions, model.predict(images[:3]))


@pytest.mark.simulator
def test_program_runs_on_the_simulated_device(model, images):
    result = model.compile(batch=2).run(images[:3])
    np.testing.assert_array_equal(result.predictions, model.predict(images[:3]))
