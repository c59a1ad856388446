"""C simulation of the kernels against PyTorch's operators on integers."""

import dataclasses
import shutil

import pytest
import torch

from intramix.hls_reference import csim
from intramix.hls_reference.builds import build_for
from intramix.hls_reference.csim import UNIT_BENCHES, CSimulationError, compile_benches, header_folder, run_bench
from intramix.hls_reference.generate import write_project
from intramix.hls_reference.layout import place_filters
from intramix.hls_reference.records import Operation
from intramix.hls_reference.tables import make_tables
from intramix.hls_reference.vectors import reference_codes, write_vectors
from intramix.hls_reference.workloads import lane_mix
from intramix.quant.data.data import load_data
from intramix.quant.graph.formats import FIXED4
from intramix.quant.graph.graph import IntegerGraph, Padding
from intramix.quant.graph.random_graph import FormatMix, random_codes, random_graph, single_convolution
from intramix.quant.models import load_model
from intramix.quant.network.export import image_codes
from intramix.quant.plan import QuantizationPlan
from intramix.quant.quantize import quantize
from tests.support.kernels import KERNEL_KINDS

pytestmark = pytest.mark.slow


def simulate(benches, folder, tables, **options):
    return run_bench(benches["network_tb"], folder, layers=tables.names, **options)


@pytest.mark.parametrize("name", UNIT_BENCHES)
def test_unit_bench_finds_nothing_wrong(benches, name):
    run = run_bench(benches[name])
    assert run.passed, run.text
    assert " 0 " in run.text


def test_packed_multiplies_are_exhaustive(benches, build):
    operands = 16 * 16 * 4**build.activation_bits + 256 * 4**build.activation_bits
    assert run_bench(benches["packed_multiply_tb"]).text.startswith(f"{operands} operands")


@pytest.mark.parametrize("seed", range(8))
def test_random_network_equals_pytorch(benches, vectors, seed):
    folder, tables = vectors(random_graph(seed, kinds=KERNEL_KINDS, blocks=6, size=(13, 25), wide_share=0.25), images=2)
    run = simulate(benches, folder, tables)
    assert run.passed, run.text
    assert f"of {len(tables.names)} layers and 2 images" in run.text


def test_every_operator_and_many_tiles_were_run(build):
    graphs = [random_graph(seed, kinds=KERNEL_KINDS, blocks=6, size=(13, 25), wide_share=0.25) for seed in range(8)]
    records = [record for graph in graphs for record in make_tables(graph, build).records]
    assert {record["operation"] for record in records} == set(Operation)
    assert any(record["tile_rows"] < record["output_rows"] for record in records)
    assert any(record["tile_columns"] < record["output_columns"] for record in records)
    assert any(record["filter_tiles"] > 1 for record in records)


def test_layer_by_layer_between_two_memories(benches, vectors):
    folder, tables = vectors(random_graph(3, kinds=KERNEL_KINDS, blocks=5))
    run = simulate(benches, folder, tables, layerwise=True)
    assert run.passed, run.text


@pytest.mark.parametrize(
    "shape",
    [
        {"channels": 3, "filters": 19, "size": (15, 13), "kernel": (7, 7), "stride": (2, 2), "input_bits": 8},
        {"channels": 8, "filters": 16, "depthwise": True, "size": (9, 11), "padding": Padding(1, 1, 1, 1)},
        {"channels": 6, "filters": 6, "depthwise": True, "kernel": (5, 2), "stride": (3, 1), "input_bits": 8},
        {"channels": 5, "filters": 3, "size": (1, 40), "kernel": (1, 3), "output_bits": 8},
        {"channels": 20, "filters": 33, "size": (3, 3), "kernel": (3, 3), "input_bits": 8},  # linear
        {"channels": 8, "filters": 8, "size": (1, 1), "kernel": (3, 3), "padding": Padding(1, 1, 1, 1)},
    ],
)
def test_shape_equals_pytorch(benches, vectors, shape):
    folder, tables = vectors(single_convolution(5, **shape), images=2)
    run = simulate(benches, folder, tables)
    assert run.passed, run.text


def test_identity_in_another_order_than_the_output(benches, build, vectors):
    graph = single_convolution(2, channels=8, filters=24, residual_bits=8)
    shortcut, convolution = graph.layers
    turned = dataclasses.replace(
        shortcut,
        weight=shortcut.weight[::-1].copy(),
        formats=shortcut.formats[::-1],
        multiplier=shortcut.multiplier[::-1].copy(),
        bias=shortcut.bias[::-1].copy(),
    )
    assert (place_filters(turned, build) != place_filters(convolution, build)).any()
    graph = IntegerGraph(graph.name, graph.tensors, (turned, convolution), graph.input, graph.outputs)
    folder, tables = vectors(graph)
    run = simulate(benches, folder, tables)
    assert run.passed, run.text


def test_a_wrong_expected_value_is_found(benches, vectors):
    folder, tables = vectors(single_convolution(1, channels=4))
    path = folder / "expected_0.bin"
    data = bytearray(path.read_bytes())
    data[8] ^= 1
    path.write_bytes(data)
    run = simulate(benches, folder, tables)
    assert not run.passed
    assert "1 of" in run.text
    assert "first beat 1:" in run.text


def test_a_wrong_weight_is_found(benches, vectors):
    folder, tables = vectors(single_convolution(1, channels=8))
    path = folder / "weights.bin"
    data = bytearray(path.read_bytes())
    data[0] ^= 0x40  # the first 8-bit filter's first weight
    path.write_bytes(data)
    assert not simulate(benches, folder, tables).passed


def test_demo_network_from_pytorch(benches, build, tmp_path):
    torch.manual_seed(0)
    data = load_data("digits")
    plan = QuantizationPlan(lane_mix=lane_mix(build), name="demo")
    result = quantize(load_model("demo", channels=1, classes=10), data, plan)
    tables = make_tables(result.graph, build)
    write_vectors(tmp_path, tables, reference_codes(tables, image_codes(data.test_images[:2])))
    run = simulate(benches, tmp_path, tables)
    assert run.passed, run.text


def test_missing_vectors_are_an_error(benches, tmp_path):
    with pytest.raises(CSimulationError, match="write vectors with intramix hls"):
        run_bench(benches["network_tb"], tmp_path)


def test_missing_compiler(project, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(CSimulationError, match=r"g\+\+ is missing: apt-get install g\+\+"):
        compile_benches(project)


def test_missing_headers(monkeypatch):
    monkeypatch.setattr(csim.importlib.util, "find_spec", lambda name: None)
    monkeypatch.delenv("INTRAMIX_AP_TYPES", raising=False)
    with pytest.raises(CSimulationError, match="pip install hls4ml"):
        header_folder()


def test_headers_of_the_tool_itself(monkeypatch, tmp_path):
    (tmp_path / "ap_int.h").touch()
    monkeypatch.setenv("INTRAMIX_AP_TYPES", str(tmp_path))
    assert header_folder() == tmp_path


def test_compiler_complaint_is_passed_on(project, tmp_path):
    copy = tmp_path / "project"
    shutil.copytree(project, copy)
    (copy / "testbench" / "lut_multiply_tb.cpp").write_text("int main() { return nonsense; }\n")
    with pytest.raises(CSimulationError, match=r"could not compile lut_multiply_tb(.|\n)*nonsense"):
        compile_benches(copy, ["lut_multiply_tb"])


@pytest.mark.long
@pytest.mark.parametrize("board", ["pynq-z2", "zc706", "zcu102"])
def test_boards(board, tmp_path):
    build = build_for(board)
    mix = FormatMix(2, 20, 10, FIXED4)
    graph = random_graph(11, kinds=KERNEL_KINDS, blocks=8, channels=(8, 60), wide_share=0.2, mix=mix)
    tables = make_tables(graph, build)
    write_project(tmp_path, build, tables, reference_codes(tables, random_codes(graph, 0, 1)))
    for name, bench in compile_benches(tmp_path).items():
        run = run_bench(bench, tmp_path / "vectors" if name == "network_tb" else None)
        assert run.passed, run.text

