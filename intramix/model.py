"""A quantized model as a person uses it: made from a PyTorch model, saved, asked, simulated and compiled."""

import dataclasses
import functools
import os
from typing import Any

import numpy as np
from torch import nn

from .compiler.compile import compile_graph
from .compiler.selftest import with_selftest
from .cost import cost_of
from .hdl.geometry import Geometry
from .lanes import plan_for, scheme_of
from .platforms.boards import Board
from .platforms.boards import board as find_board
from .program import CompiledProgram
from .quant.assignment.cost import NetworkCost
from .quant.assignment.methods import find_method
from .quant.data.data import Dataset, dataset_of
from .quant.graph.executor import execute
from .quant.graph.fileformat import load, made_for, save
from .quant.graph.graph import IntegerGraph
from .quant.plan import QuantizationPlan
from .quant.quantize import QuantizationResult
from .quant.quantize import quantize as quantize_network
from .runtime.images import as_array, to_codes, to_values
from .simulation import SimulationResult, simulate
from .target import Target


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class QuantizedModel:
    """A model in integers, for the lanes of a board's accelerator.

    Members
    -------
    graph: the integer graph (`quant/graph/graph.py`).
    board, geometry: what it is compiled for.
    quantization: what quantizing found out (accuracies, formats); None of a model that was loaded.
    """

    graph: IntegerGraph
    board: Board
    geometry: Geometry
    quantization: QuantizationResult | None = None

    @classmethod
    def load(
        cls, path: "str | os.PathLike[str]", *, board: str | Board | None = None, geometry: Geometry | None = None
    ) -> "QuantizedModel":
        """Reads a model from a file (.imx), to be compiled for a board.

        Parameters
        ----------
        board: None: the one that the model was made for, as its file says; pynq-z2 if it does not say.
        geometry: None: the variant that the model was made for if `board` is that board, else the board's.

        Raises
        ------
        FileFormatError: it is no model, or damaged.
        TargetError: no board is given, and the one that it was made for is unknown.
        OSError: it cannot be read.
        """
        if isinstance(board, str):
            board = find_board(board)
        origin = Target.from_entries(made_for(path)) if board is None or geometry is None else None
        target = board or find_board(origin.board if origin else "pynq-z2")
        if geometry is None and origin and origin.board == target.name:
            geometry = origin.geometry()
        return cls(graph=load(path), board=target, geometry=geometry or target.geometry)

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Writes the model, and what it was made for, to a file (.imx), whole or not at all.

        Raises
        ------
        OSError: the file cannot be written.
        """
        save(self.graph, path, made_for=Target.of(self.board, self.geometry).entries())

    def outputs(self, images: Any) -> dict[str, np.ndarray]:
        """Real values of every output, by its name: float32, N × C × H × W, exactly those of the accelerator.

        Parameters
        ----------
        images: N × C × H × W or C × H × W, of NumPy or PyTorch: integers are codes, floating-point numbers real values.

        Raises
        ------
        ImageError: they do not fit the model's input.
        """
        codes = to_codes(as_array(images), self.graph.tensors[self.graph.input])
        found = execute(self.graph, codes, keep=self.graph.outputs)
        return {name: to_values(found[name], self.graph.tensors[name]) for name in self.graph.outputs}

    def predict(self, images: Any) -> np.ndarray:
        """The class with the largest score, of each image: N integers; see `outputs` for what images may be.

        Raises
        ------
        ValueError: the model has several outputs.
        """
        found = self.outputs(images)
        if len(found) != 1:
            raise ValueError(f"{self.graph.name} has {len(found)} outputs, {', '.join(found)}: take outputs(images)")
        (scores,) = found.values()
        return scores.reshape(len(scores), -1).argmax(axis=1)

    def compile(self, *, batch: int = 1, reuse_memory: bool = False, selftest: bool = True) -> CompiledProgram:
        """The model as a program for the accelerator.

        Parameters
        ----------
        batch: images that the program computes at once.
        reuse_memory: maps share memory once they are dead, and those that stay on the chip are not written to it: less
            memory and more frames a second, but maps cannot be compared afterwards.
        selftest: with the CRCs that a self-test compares with, which take a run of the integer model.

        Raises
        ------
        CompileError: the model does not fit the geometry; the message names the layer, the reason and the remedy.
        """
        program = compile_graph(self.graph, self.geometry, batch=batch, keep_maps=not reuse_memory)
        compiled = CompiledProgram(program, self.board)
        return self.with_selftest(compiled) if selftest else compiled

    def cost(self) -> NetworkCost:
        """What the model costs on its board, by the cycle model: frames a second, cycles and bytes of weights.

        Raises
        ------
        CompileError: the model does not fit the geometry; the message names the layer, the reason and the remedy.
        """
        return cost_of(self.graph, self.board, self.geometry)

    def with_selftest(self, compiled: CompiledProgram) -> CompiledProgram:
        """A program of this model with the CRCs that a self-test compares with."""
        return CompiledProgram(with_selftest(compiled.program, self.graph), compiled.board)

    def simulate(self, images: Any, *, batch: int = 1) -> SimulationResult:
        """Runs images on the simulated RTL and compares every stored value of every layer with the integer model's. The
        first time the simulator is built, which takes minutes.

        Parameters
        ----------
        images: see `outputs`.
        batch: images that a run computes at once.
        """
        program = self.compile(batch=batch, selftest=False)
        with program.simulator() as device:
            return simulate(program, self.graph, images, device)


def quantize(
    model: nn.Module, images: Any, labels: Any = None, *, board: str | Board = "pynq-z2", method: str = "variance",
    epochs: int = 0, geometry: Geometry | None = None, plan: QuantizationPlan | None = None, **training: Any,
) -> QuantizedModel:  # fmt: skip
    """Quantizes a trained PyTorch model for the lanes of a board's accelerator.

    Parameters
    ----------
    model: any module that takes N × C × H × W floats in 0 … 1; it is left in eval mode.
    images: N × C × H × W, of NumPy or PyTorch, uint8 or floats in 0 … 1; or a `Dataset`. A fifth of them, by a fixed
        shuffle, is kept to measure with; the others calibrate and train.
    labels: a class number an image; needed to train and to measure accuracy.
    board: its name, one of `intramix.boards`.
    method: how filters are given their formats (docs/quantization.md).
    epochs: of fine-tuning; 0 only calibrates.
    geometry: of the accelerator; None: the board's, with LUT lanes for the method's number scheme.
    plan: all choices of the quantization, instead of `method` and `epochs` (`lanes.plan_for` makes one).
    training: `checkpoint`, `device` and `callbacks` of `quant.quantize.quantize`.

    Raises
    ------
    DataError: the images or labels cannot be used.
    CaptureError, QuantizationError: the model cannot be quantized; the message names the layer and a remedy.
    CompileError: the accelerator cannot run it; found out before anything is trained.
    TargetMissedError: no assignment reaches the plan's target.
    """
    target = find_board(board) if isinstance(board, str) else board
    geometry = geometry or scheme_of(plan.method if plan else method, target, target.geometry)
    plan = plan or plan_for(geometry, method=method, training=find_method(method).options(epochs=epochs))
    data = images if isinstance(images, Dataset) else dataset_of(images, labels)
    result = quantize_network(
        model, data, plan, check=lambda graph: compile_graph(graph, geometry),
        cost_of=functools.partial(cost_of, board=target, geometry=geometry), **training,
    )  # fmt: skip
    return QuantizedModel(graph=result.graph, board=target, geometry=geometry, quantization=result)
