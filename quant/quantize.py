"""The way from a float model to the integer graph in one call."""

import dataclasses
from collections.abc import Callable, Mapping

import torch
from torch import nn

from .assignment.allocation import Budget
from .assignment.lane_mix import LaneMix
from .assignment.methods import assign, find_method
from .data.data import Dataset, Images
from .frontend.capture import capture
from .frontend.fold import fold
from .graph.graph import IntegerGraph
from .network.accumulators import Narrowed, fit_accumulators
from .network.export import Agreement, agreement, align_scales, export, integer_accuracy
from .network.model import QuantizedNetwork
from .network.quantizers import Formats, QuantizationError
from .network.refine import refine
from .training import parallel
from .training.checkpoint import Checkpoint
from .training.recipe import TrainingOptions
from .training.train import EpochCallback, Machine, ProgressCallback, accuracy, train

CALIBRATION_IMAGES = 256
ASSIGNMENT_IMAGES = 64
AGREEMENT_IMAGES = 64
REFINEMENT_IMAGES = 64

StageCallback = Callable[[str, int, int], None]
"""Told what quantization does outside of fine-tuning: a few words, and how much of it is done and to do (0, 0: not
counted)."""


def _untold(what: str, done: int, total: int) -> None:
    """A stage that nobody wants to know."""


@dataclasses.dataclass(frozen=True, eq=False)
class QuantizationResult:
    """What quantization made of a model.

    Members
    -------
    graph: the integer graph.
    network: the quantized network that it was exported from.
    formats: per filter, by layer.
    float_accuracy, quantized_accuracy, integer_accuracy: on the test images: of the float model, with fake
        quantization, of the integer graph by the executor. None without labels, or with several outputs.
    losses: mean loss per epoch of fine-tuning.
    agreement: how far the codes of fake quantization and of the integer graph differ, by tensor, on test images.
    narrowed: filters that have fewer bits than the method gave them, so that their sums fit the accumulators.

    In all but the first of several processes there are no accuracies and no agreement.
    """

    graph: IntegerGraph
    network: QuantizedNetwork
    formats: dict[str, Formats]
    float_accuracy: float | None
    quantized_accuracy: float | None
    integer_accuracy: float | None
    losses: tuple[float, ...]
    agreement: tuple[Agreement, ...]
    narrowed: tuple[Narrowed, ...] = ()


def quantize(
    model: nn.Module,
    data: Dataset,
    *,
    lane_mix: LaneMix,
    activation_bits: int = 5,
    method: str = "variance",
    budget: Budget | None = None,
    epochs: int = 0,
    options: TrainingOptions | None = None,
    tensor_bits: Mapping[str, int] | None = None,
    scale_method: str = "mse",
    refined: bool = False,
    accumulator_bits: int | None = None,
    checkpoint: Checkpoint | None = None,
    machine: Machine | None = None,
    progress: ProgressCallback | None = None,
    after_epoch: EpochCallback | None = None,
    stage: StageCallback = _untold,
    name: str | None = None,
) -> QuantizationResult:
    """Captures, folds, calibrates, assigns, fine-tunes and exports a trained float model (it is left in eval mode).

    Parameters
    ----------
    model: maps N × C × H × W floats in 0 … 1 to scores.
    data: the training images calibrate and fine-tune, the test images measure.
    lane_mix: of the accelerator's tiles.
    activation_bits: of hidden maps, 2 … 8.
    method: of the assignment, a name in `methods.METHODS`; it says when formats are assigned anew.
    budget: for methods with an integer program.
    epochs: of fine-tuning by the method's recipe; 0 only calibrates.
    options: of fine-tuning instead of the recipe; `epochs` then comes from them.
    tensor_bits, scale_method: see `QuantizedNetwork`.
    refined: without fine-tuning, round the weights by the layers' outputs and correct the biases (`refine.py`).
    accumulator_bits: of the accelerator; filters whose sums could exceed them get fewer bits (`accumulators.py`).
    checkpoint, machine, progress, after_epoch: of fine-tuning, see `train.train`; the float model is its teacher.
    stage: told what is done before and after it.

    Raises
    ------
    CaptureError, QuantizationError, TrainingError, GraphError, ValueError: see the steps; every one is a ValueError.
    """
    preset = find_method(method)
    options = options or preset.options(epochs=epochs)
    if options.epochs and data.train_labels is None:
        raise ValueError(f"data {data.name!r} has no labels to fine-tune with; add labels, or use epochs=0 (calibrate)")
    if options.epochs and refined:
        raise ValueError("refined networks are not fine-tuned; use epochs=0 with refinement, or leave it out")
    network = prepare(
        model, data.train_images, activation_bits=activation_bits, tensor_bits=tensor_bits, scale_method=scale_method,
        stage=stage, name=name,
    )  # fmt: skip
    batch = data.train_images[:ASSIGNMENT_IMAGES]
    device = parallel.find_device((machine or Machine()).device)
    narrowed: tuple[Narrowed, ...] = ()

    def fit() -> tuple[Narrowed, ...]:
        """Sets the assigned formats, or as many bits of them as the accumulators take."""
        network.set_formats({name: module.assigned for name, module in network.convolutions.items()})
        return () if accumulator_bits is None else fit_accumulators(network, accumulator_bits)

    def renew() -> float:
        """Assigns formats; the share of the filters that have another one now."""
        nonlocal narrowed
        stage("assigning formats", 0, 0)
        before = _formats(network.to(device))
        with parallel.reproducible(tf32=False):
            formats = assign(network, lane_mix, method=method, images=batch, budget=budget)
        for layer, kinds in parallel.same_everywhere(formats).items():
            network.convolutions[layer].assigned = kinds
        narrowed = fit()
        return _share_changed(before, _formats(network))

    renew()
    losses: list[float] = []
    if options.epochs and data.train_labels is not None:
        measured = data.test_labels is not None and len(network.graph.outputs) == 1

        def before_epoch(epoch: int) -> float:
            if epoch > 1 and preset.assigns_before(epoch, options.epochs):
                return renew()
            network.update_scales()
            return 0.0

        losses = train(
            network, data.train_images, data.train_labels, options, before_epoch=before_epoch, teacher=model,
            test=(data.test_images, data.test_labels) if measured and data.test_labels is not None else None,
            checkpoint=checkpoint, machine=machine, progress=progress, after_epoch=after_epoch,
        )  # fmt: skip
    network.cpu()
    if losses:  # the weights are others now
        narrowed = fit()
    if refined:
        images = data.train_images[:REFINEMENT_IMAGES]
        refine(network, images, progress=lambda done, total: stage("refining layers", done, total))
    align_scales(network)
    stage("exporting", 0, 0)
    graph = export(network)
    stage("measuring", 0, 0)
    measures = not parallel.rank()  # the others would only measure the same
    labels = data.test_labels if measures and len(graph.outputs) == 1 else None
    return QuantizationResult(
        graph=graph,
        network=network,
        formats=_formats(network),
        float_accuracy=None if labels is None else accuracy(model, data.test_images, labels),
        quantized_accuracy=None if labels is None else accuracy(network, data.test_images, labels),
        integer_accuracy=None if labels is None else integer_accuracy(graph, data.test_images, labels),
        losses=tuple(losses),
        agreement=agreement(network, graph, data.test_images[:AGREEMENT_IMAGES]) if measures else (),
        narrowed=narrowed,
    )


def prepare(
    model: nn.Module,
    images: Images,
    *,
    activation_bits: int = 5,
    tensor_bits: Mapping[str, int] | None = None,
    scale_method: str = "mse",
    stage: StageCallback = _untold,
    name: str | None = None,
) -> QuantizedNetwork:
    """A calibrated quantized network of a float model, every filter Fixed-8; see `quantize`.

    Raises
    ------
    QuantizationError: weights that are not finite; names their layer.
    """
    channels, height, width = images.shape[1:]
    graph = fold(capture(model, (channels, height, width), name=name))
    for layer in graph.convolutions:
        for what, values in (("weights", layer.weight), ("biases", layer.bias)):
            if bad := int((~torch.isfinite(values)).sum()):
                raise QuantizationError(
                    f"layer {layer.name!r}: {bad} of its {values.numel()} {what} (with batch norm folded in) are not "
                    "finite; load other weights, or train with a lower learning rate"
                )
    network = QuantizedNetwork(
        graph, activation_bits=activation_bits, tensor_bits=tensor_bits, scale_method=scale_method
    )
    images = images[:CALIBRATION_IMAGES]
    network.calibrate(images, progress=lambda done, total: stage("calibrating, batches", done, total))
    return network.eval()


def _formats(network: QuantizedNetwork) -> dict[str, Formats]:
    return {name: module.formats for name, module in network.convolutions.items()}


def _share_changed(before: Mapping[str, Formats], after: Mapping[str, Formats]) -> float:
    """Of all filters."""
    pairs = [pair for name, kinds in after.items() for pair in zip(before[name], kinds)]
    return sum(old != new for old, new in pairs) / len(pairs)
