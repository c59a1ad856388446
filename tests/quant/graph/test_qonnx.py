"""QONNX files, run by the `qonnx` package (onnxruntime and NumPy): every tensor's codes are the executor's."""

import dataclasses
import json
import sys

import numpy as np
import pytest
import torch

from intramix.quant.assignment.lane_mix import LaneMix
from intramix.quant.data.data import Dataset
from intramix.quant.graph.executor import execute
from intramix.quant.graph.formats import FIXED4, FIXED8, POT_4, SP2_4, WeightFormat
from intramix.quant.graph.graph import Convolution, IntegerGraph, MaxPool, Padding
from intramix.quant.graph.qonnx import EXACT_FLOAT, METADATA, QonnxError, channel_parts, export_qonnx, quantizer_of
from intramix.quant.graph.random_graph import FormatMix, random_codes, random_graph, single_convolution
from intramix.quant.models import load_model
from intramix.quant.plan import QuantizationPlan
from intramix.quant.quantize import quantize

onnx = pytest.importorskip("onnx")
core = pytest.importorskip("qonnx.core.onnx_exec")
wrapper = pytest.importorskip("qonnx.core.modelwrapper")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def run(graph: IntegerGraph, folder, images: int = 1):
    """The ONNX model, the tensors that qonnx computes, and the executor's codes of the same images."""
    path = folder / "graph.onnx"
    export_qonnx(graph, path, batch=images)
    model = wrapper.ModelWrapper(str(path))
    codes, tensor = random_codes(graph, 5, images), graph.tensors[graph.input]
    values = ((codes.astype(np.float64) - tensor.zero_point) * tensor.scale).astype(np.float32)
    found = core.execute_onnx(model, {f"{graph.input}/real": values}, return_full_exec_context=True)
    return model, found, execute(graph, codes)


def check(graph: IntegerGraph, folder, images: int = 1):
    model, found, expected = run(graph, folder, images)
    for name, codes in expected.items():
        np.testing.assert_array_equal(found[name], codes, err_msg=name)
    for name in graph.outputs:
        tensor = graph.tensors[name]
        real = (expected[name].astype(np.float64) - tensor.zero_point) * tensor.scale
        np.testing.assert_allclose(found[f"{name}/real"].reshape(real.shape), real, rtol=1e-6)
    return model


@pytest.mark.parametrize(
    ("seed", "kinds"),
    [
        (1, ("stem", "residual", "projection", "linear")),
        (2, ("inverted", "depthwise", "add", "average_pool")),
        (3, ("concatenation", "max_pool", "asymmetric")),
    ],
    ids=["residual", "depthwise", "concatenated"],
)
def test_every_code(tmp_path, seed, kinds):
    mix = FormatMix(1, 1, 2, (FIXED4, SP2_4, POT_4)[seed % 3], narrow=seed == 3)
    check(random_graph(seed, blocks=3, kinds=kinds, size=(7, 6), mix=mix, wide_share=0.3), tmp_path, images=2)


def test_every_code_of_maps_that_are_padded_with_other_codes_than_zero(tmp_path):
    graph = random_graph(6, blocks=12, size=(9, 8), signed_padding=True, border=True)
    assert any(graph.tensors[it.input].zero_point for it in graph.layers if getattr(it, "padding", None))
    check(graph, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "size", "kind"),
    [("resnet18", 64, SP2_4), ("mobilenet_v2", 64, POT_4), ("squeezenet1_1", 64, FIXED4), ("densenet121", 64, FIXED4)],
)
def test_every_code_of_a_published_network(tmp_path, name, size, kind):
    """All weights, random ones, for the lanes of the PYNQ-Z2; only the images are smaller."""
    torch.manual_seed(0)
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (8, 3, size, size), dtype=np.uint8))
    model = load_model(name, channels=3, classes=1000)
    result = quantize(model, Dataset("noise", images, images[:1]), QuantizationPlan(lane_mix=LaneMix(2, 8, 22, kind)))
    assert {kind, FIXED8, FIXED4} == {
        entry for layer in result.graph.layers if isinstance(layer, Convolution) for entry in layer.formats
    }
    check(result.graph, tmp_path)


def test_window_that_lies_in_padding(tmp_path):
    graph = random_graph(1, blocks=1, kinds=("pointwise", "max_pool"), size=(4, 4))
    pool = next(layer for layer in graph.layers if isinstance(layer, MaxPool))
    padded = dataclasses.replace(pool, kernel=(1, 1), stride=(1, 1), padding=Padding(1, 0, 2, 1))
    layers = tuple(padded if layer is pool else layer for layer in graph.layers)
    source = graph.tensors[pool.input]
    changed = dataclasses.replace(source, name=pool.output, height=source.height + 3, width=source.width + 1)
    check(IntegerGraph("padded", graph.tensors | {pool.output: changed}, layers, graph.input, graph.outputs), tmp_path)


def test_sums_beyond_float32_are_cut(tmp_path):
    graph = single_convolution(
        2, channels=40, filters=3, size=(5, 5), kernel=(5, 5), input_bits=8, mix=FormatMix(1, 0, 0)
    )
    (layer,) = graph.layers
    largest = np.full_like(layer.weight, 127)  # past 2^24 in the codes of the test, not in a bound alone
    graph = dataclasses.replace(graph, layers=(dataclasses.replace(layer, weight=largest),))
    parts = channel_parts(graph.layers[0], 255)
    assert len(parts) == 2
    assert all(127 * 25 * 255 * (end - begin) < EXACT_FLOAT for begin, end in parts)
    model = check(graph, tmp_path)
    assert [node.op_type for node in model.graph.node].count("Conv") == 2


def test_weights_have_bits_and_scale_of_their_format(tmp_path):
    graph = single_convolution(3, filters=12, mix=FormatMix(1, 1, 1, SP2_4))
    model, found, _ = run(graph, tmp_path)
    (layer,) = graph.layers
    units = np.array([{FIXED8: 1 / 128, FIXED4: 1 / 8, SP2_4: 1 / 8}[kind] for kind in layer.formats])
    (convolution,) = [node for node in model.graph.node if node.op_type == "Conv"]
    np.testing.assert_array_equal(found[convolution.input[1]], layer.weight * units[:, None, None, None])
    quants = {node.output[0]: node for node in model.graph.node if node.op_type == "Quant"}
    for kind, bits in ((FIXED8, 8), (FIXED4, 4), (SP2_4, 5)):
        node = quants[f"convolution/{kind.name}/quantized"]
        assert model.get_initializer(node.input[3]) == bits
    properties = {entry.key: entry.value for entry in model.model.metadata_props}
    metadata = json.loads(properties[METADATA])
    assert metadata["formats"] == {"convolution": [kind.name for kind in layer.formats]}
    assert metadata["tensors"]["image"] == {"bits": 5, "scale": 1.0, "zero_point": 0}


@pytest.mark.parametrize("name", ["fixed-2", "fixed-3", "fixed-4", "fixed-8", "sp2-4", "sp2-6", "pot-4", "pot-3"])
def test_every_level_fits_its_quantizer(name):
    kind = WeightFormat.parse(name)
    bits, unit = quantizer_of(kind)
    assert np.abs(kind.levels).max() <= 2 ** (bits - 1) - 1
    assert 0.5 <= kind.levels[-1] * unit <= 1
    assert np.log2(unit) == round(np.log2(unit))


def test_what_cannot_be_expressed_is_named(tmp_path, monkeypatch):
    graph = single_convolution(1, channels=1, filters=1, size=(24, 24), kernel=(24, 24), input_bits=8,
                               mix=FormatMix(1, 0, 0))  # fmt: skip
    (layer,) = graph.layers
    heavy = dataclasses.replace(graph, layers=(dataclasses.replace(layer, weight=np.full_like(layer.weight, 127)),))
    with pytest.raises(QonnxError, match=r"layer 'convolution': the sums of one input channel reach 18,653,760"):
        export_qonnx(heavy, tmp_path / "heavy.onnx")
    renamed = dataclasses.replace(graph.tensors[layer.output], name="convolution/sums")
    layers = (dataclasses.replace(layer, output="convolution/sums"),)
    tensors = {graph.input: graph.tensors[graph.input], "convolution/sums": renamed}
    with pytest.raises(QonnxError, match="two things would be named 'convolution/sums'"):
        export_qonnx(IntegerGraph("twice", tensors, layers, graph.input, ("convolution/sums",)), tmp_path / "x.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(QonnxError, match=r"pip install 'onnx>=1\.17'"):
        export_qonnx(graph, tmp_path / "graph.onnx")
