"""The registry of layer types: all that a graph does with a layer goes through its class."""

import dataclasses

import numpy as np
import pytest

from intramix.quant.graph import fileformat, layers, qonnx
from intramix.quant.graph.executor import execute
from intramix.quant.graph.graph import GraphError, IntegerGraph, TensorType


@dataclasses.dataclass(frozen=True)
class Shuffle(layers.GraphLayer):
    """A type that the package does not have: the channels in another order."""

    OPERATOR = "shuffle"
    ARRAYS = ("order",)

    name: str
    input: str
    output: str
    order: np.ndarray
    kind: str = "shuffle"

    @property
    def inputs(self):
        return (self.input,)

    def reads(self):
        return [("input", self.input)]

    def check(self, tensors):
        if len(self.order) != tensors[self.input].channels:
            self.refuse("order", "must have an entry for each channel")

    def execute(self, tensors, codes):
        return codes[self.input][:, self.order]

    def entry(self):
        return {"name": self.name, "input": self.input, "output": self.output}

    @classmethod
    def from_entry(cls, entry, arrays):
        return cls(entry["name"], entry["input"], entry["output"], arrays["order"])


def graph(order):
    tensors = {name: TensorType(name, 3, 2, 2, 4) for name in ("image", "out")}
    return IntegerGraph("g", tensors, (Shuffle("mix", "image", "out", np.array(order)),), "image", ("out",))


def test_a_new_type_is_checked_and_executed():
    codes = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    np.testing.assert_array_equal(execute(graph([2, 0, 1]), codes)["out"], codes[[2, 0, 1]])
    with pytest.raises(GraphError, match="layer 'mix': order must have an entry for each channel"):
        graph([1, 0])


def test_a_new_type_is_saved_and_loaded(tmp_path, monkeypatch):
    fileformat.save(graph([2, 0, 1]), tmp_path / "g.imx")
    with pytest.raises(fileformat.FileFormatError, match="layer 'mix' has operator 'shuffle', which is unknown"):
        fileformat.load(tmp_path / "g.imx")
    monkeypatch.setitem(layers.OPERATORS, "shuffle", Shuffle)
    (layer,) = fileformat.load(tmp_path / "g.imx").layers
    assert isinstance(layer, Shuffle)
    assert layer.order.tolist() == [2, 0, 1]
    assert layer.order.dtype == np.int64


def test_every_type_is_named_once_and_written_as_qonnx():
    assert len(layers.OPERATORS) == len(layers.LAYER_TYPES)
    assert set(qonnx.LAYER_WRITERS) == set(layers.LAYER_TYPES)
