"""The way from a float model to the integer graph in one call."""

import dataclasses
from collections.abc import Callable, Mapping

import torch
from torch import nn

from .assignment.cost import CostOf
from .assignment.methods import assign
from .assignment.search import Candidate
from .data.data import Dataset, Images
from .frontend.balance import balance_concatenations
from .frontend.capture import capture
from .frontend.fold import fold
from .frontend.folded import FoldedConcatenation
from .frontend.folded_execution import run_folded
from .graph.formats import FIXED4
from .graph.graph import IntegerGraph
from .network.accumulators import Narrowed, fit_accumulators
from .network.export import Agreement, agreement, align_scales, export, integer_scores
from .network.fidelity import Fidelity, fidelity
from .network.model import QuantizedNetwork, image_values
from .network.quantizers import Formats, QuantizationError
from .network.refine import refine
from .plan import QuantizationPlan
from .reconstruction.options import ReconstructedBlock
from .reconstruction.reconstruct import reconstruct
from .targeting import Aim
from .training import parallel
from .training.checkpoint import Checkpoint
from .training.device import CPU, TrainingDevice
from .training.predict import accuracy, predict, scores
from .training.progress import EpochCallback, ProgressCallback, StageCallback
from .training.train import train

CALIBRATION_IMAGES = 256
ASSIGNMENT_IMAGES = 64
AGREEMENT_IMAGES = 64
FIDELITY_IMAGES = 256
"""Without labels; with labels, all test images are compared."""
REFINEMENT_IMAGES = 64
BALANCE_IMAGES = 16
_REHEARSAL_IMAGES = 8


def _untold(what: str, done: int, total: int) -> None:
    """A stage that nobody wants to know."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantizationCallbacks:
    """Who is told what goes on.

    Members
    -------
    progress, after_epoch: called after every step and every epoch of fine-tuning.
    stage: called before and during what is done besides.
    """

    progress: ProgressCallback | None = None
    after_epoch: EpochCallback | None = None
    stage: StageCallback = _untold


_NOBODY = QuantizationCallbacks()


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
    reconstructed: what became of every block, if they were reconstructed.
    fidelity: how near the integer graph's scores are to the float model's, on test images; None with several outputs.
    candidates: the assignments that were tried to reach the plan's target.
    chosen: the one of them that was taken; None without a target.
    learned: what that one became on the same images, its rounding refined or reconstructed; None where it was neither.

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
    reconstructed: tuple[ReconstructedBlock, ...] = ()
    fidelity: Fidelity | None = None
    candidates: tuple[Candidate, ...] = ()
    chosen: Candidate | None = None
    learned: Fidelity | None = None


def quantize(
    model: nn.Module,
    data: Dataset,
    plan: QuantizationPlan,
    *,
    checkpoint: Checkpoint | None = None,
    device: TrainingDevice = CPU,
    callbacks: QuantizationCallbacks = _NOBODY,
    check: Callable[[IntegerGraph], object] | None = None,
    cost_of: CostOf | None = None,
) -> QuantizationResult:
    """Captures, folds, calibrates, assigns, fine-tunes and exports a trained float model (it is left in eval mode).

    Parameters
    ----------
    model: maps N × C × H × W floats in 0 … 1 to scores. It is the teacher of the fine-tuning.
    data: the training images calibrate and fine-tune, the test images measure.
    plan: all choices.
    checkpoint, device: of fine-tuning, see `train.train`.
    callbacks: who is told what goes on.
    check: is given the integer graph as it is before anything is trained or refined, with the formats of the first
        assignment; what it raises ends the quantization.
    cost_of: what a graph costs on the accelerator; a plan with a target needs it.

    Raises
    ------
    TargetMissedError: no assignment reaches the plan's target.
    CaptureError, QuantizationError, TrainingError, GraphError, ValueError: see the steps; every one is a ValueError.
    """
    if plan.epochs and data.train_labels is None:
        raise ValueError(f"data {data.name!r} has no labels to fine-tune with; add labels, or use epochs=0 (calibrate)")
    stage = callbacks.stage
    aim = None if plan.target is None else Aim(model, data, plan, cost_of, stage)
    data = data if aim is None else aim.data
    images = _calibration_images(data)
    network = _planned(model, images, plan, stage)
    if len(network.graph.outputs) == 1:
        _check_scores(model, data)
    assignment = _Assignment(network, plan, images[:ASSIGNMENT_IMAGES], device.find(), stage)
    assignment.renew()
    if check is not None:
        stage("asking whether the accelerator can run it", 0, 0)
        check(export(network))
    if aim is not None:
        assignment.take(aim.choose(network, _formats(network), images))
    losses = _fine_tune(model, network, data, plan, assignment, checkpoint, device, callbacks)
    network.cpu()
    if losses:  # the weights are others now
        assignment.fit()
    if plan.refined:
        images = images[:REFINEMENT_IMAGES]
        refine(network, images, progress=lambda done, total: stage("refining layers", done, total))
    reconstructed = _reconstruct(network, data, plan, checkpoint, stage)
    if aim is not None:
        aim.confirm(network)
    align_scales(network)
    stage("exporting", 0, 0)
    graph = export(network)
    stage("measuring", 0, 0)
    result = _measured(model, data, network, graph, losses, assignment.narrowed)
    if aim is not None:
        result = dataclasses.replace(result, candidates=aim.candidates, chosen=aim.chosen, learned=aim.learned)
    return dataclasses.replace(result, reconstructed=reconstructed)


def _reconstruct(
    network: QuantizedNetwork, data: Dataset, plan: QuantizationPlan, checkpoint: Checkpoint | None,
    stage: StageCallback,
) -> tuple[ReconstructedBlock, ...]:  # fmt: skip
    """Reconstructs the network by the plan, if it is to be; what became of its blocks."""
    if plan.reconstruction is None:
        return ()
    return reconstruct(
        network, data.train_images[: plan.reconstruction.images], plan.reconstruction,
        checkpoint=None if parallel.rank() else checkpoint,
        progress=lambda done, total: stage("reconstructing blocks, steps", done, total),
    )  # fmt: skip


def rehearse(
    model: nn.Module, data: Dataset, plan: QuantizationPlan, check: Callable[[IntegerGraph], object]
) -> None:
    """Finds out in seconds what would end a quantization, with a model that is still to be trained.

    Parameters
    ----------
    check: as of `quantize`; it is given the graph with every filter Fixed-4.

    Raises
    ------
    CaptureError, QuantizationError, GraphError, ValueError: as `quantize`, and what `check` raises.
    """
    network = _planned(model, _calibration_images(data)[:_REHEARSAL_IMAGES], plan)
    network.set_formats({name: (FIXED4,) * len(module.weight) for name, module in network.convolutions.items()})
    if len(network.graph.outputs) == 1:
        _check_scores(model, data)
    check(export(network))


def _planned(
    model: nn.Module, images: torch.Tensor, plan: QuantizationPlan, stage: StageCallback = _untold
) -> QuantizedNetwork:
    return prepare(
        model, images, activation_bits=plan.activation_bits, tensor_bits=plan.tensor_bits,
        pooled_bits=plan.pooled_bits, scale_method=plan.scale_method, stage=stage, name=plan.name,
    )  # fmt: skip


def _calibration_images(data: Dataset) -> torch.Tensor:
    """Read once: they may be files. Refused where they are all of one value."""
    images = data.train_images[:CALIBRATION_IMAGES]
    if len(images) > 1 and bool((images == images.reshape(-1)[0]).all()):
        raise ValueError(
            f"data {data.name!r}: all {len(images)} images to calibrate with have one value everywhere; give images "
            "like those that the network will see"
        )
    return images


def _check_scores(model: nn.Module, data: Dataset) -> None:
    """Finds out with two images what would only come to light after an afternoon."""
    labels = [int(labels.max()) for labels in (data.train_labels, data.test_labels) if labels is not None]
    if not labels or parallel.rank():
        return
    found = predict(model, data.test_images[:2])
    if found.ndim == 2 and max(labels) >= found.shape[1]:
        raise ValueError(
            f"data {data.name!r}: the labels go up to {max(labels)}, but the model gives {found.shape[1]} scores; "
            "give the model that has these classes, or images without labels to calibrate only"
        )


class _Assignment:
    """The formats of a network's filters: chosen by the plan's method, and chosen anew while it is fine-tuned.

    Members
    -------
    narrowed: filters that have fewer bits than the method gave them, since formats were last set.
    """

    def __init__(
        self, network: QuantizedNetwork, plan: QuantizationPlan, images: torch.Tensor, device: torch.device,
        stage: StageCallback,
    ) -> None:  # fmt: skip
        self.network, self.plan, self.images, self.device, self.stage = network, plan, images, device, stage
        self.narrowed: tuple[Narrowed, ...] = ()

    def fit(self) -> None:
        """Sets the assigned formats, or as many bits of them as the accumulators take."""
        network, bits = self.network, self.plan.accumulator_bits
        network.set_formats({name: module.assigned for name, module in network.convolutions.items()})
        self.narrowed = () if bits is None else fit_accumulators(network, bits)

    def renew(self) -> float:
        """Assigns formats; the share of the filters that have another one now."""
        self.stage("assigning formats", 0, 0)
        plan, network = self.plan, self.network
        before = _formats(network.to(self.device))
        with parallel.reproducible(tf32=False):
            formats = assign(
                network, plan.lane_mix, method=plan.method, images=self.images, budgets=plan.budgets,
                progress=lambda done, total: self.stage("assigning formats", done, total),
            )  # fmt: skip
        if plan.kept is not None:
            formats = plan.kept.apply(network.graph, formats)
        self.take(parallel.same_everywhere(formats))
        return _share_changed(before, _formats(network))

    def take(self, formats: Mapping[str, Formats]) -> None:
        """Assigns these formats."""
        for layer, kinds in formats.items():
            self.network.convolutions[layer].assigned = kinds
        self.fit()


def _fine_tune(
    model: nn.Module, network: QuantizedNetwork, data: Dataset, plan: QuantizationPlan, assignment: _Assignment,
    checkpoint: Checkpoint | None, device: TrainingDevice, callbacks: QuantizationCallbacks,
) -> list[float]:  # fmt: skip
    """Trains the network by the plan, if it has epochs; the mean loss of each."""
    if not plan.epochs or plan.training is None or data.train_labels is None:
        return []
    measured = data.test_labels is not None and len(network.graph.outputs) == 1

    def before_epoch(epoch: int) -> float:
        if epoch > 1 and plan.preset.assigns_before(epoch, plan.epochs):
            return assignment.renew()
        network.update_scales()
        return 0.0

    return train(
        network, data.train_images, data.train_labels, plan.training, before_epoch=before_epoch, teacher=model,
        test=(data.test_images, data.test_labels) if measured and data.test_labels is not None else None,
        checkpoint=checkpoint, device=device, progress=callbacks.progress, after_epoch=callbacks.after_epoch,
    )  # fmt: skip


def _measured(
    model: nn.Module, data: Dataset, network: QuantizedNetwork, graph: IntegerGraph, losses: list[float],
    narrowed: tuple[Narrowed, ...],
) -> QuantizationResult:  # fmt: skip
    """The result with its accuracies and its agreement, which the first of several processes alone measures."""
    result = QuantizationResult(
        graph=graph, network=network, formats=_formats(network), float_accuracy=None, quantized_accuracy=None,
        integer_accuracy=None, losses=tuple(losses), agreement=(), narrowed=narrowed,
    )  # fmt: skip
    if parallel.rank():  # it would only measure the same
        return result
    result = dataclasses.replace(result, agreement=agreement(network, graph, data.test_images[:AGREEMENT_IMAGES]))
    if len(graph.outputs) > 1:
        return result
    labels = data.test_labels
    images = data.test_images if labels is not None else data.test_images[:FIDELITY_IMAGES]
    exact, found = scores(model, images, singly=labels is None), integer_scores(graph, images)
    result = dataclasses.replace(result, fidelity=fidelity(exact, found))
    if labels is None:
        return result
    return dataclasses.replace(
        result,
        float_accuracy=float((exact.argmax(dim=1) == labels).double().mean()),
        quantized_accuracy=accuracy(network, images, labels),
        integer_accuracy=float((found.argmax(axis=1) == labels.numpy()).mean()),
    )


def prepare(
    model: nn.Module,
    images: Images,
    *,
    activation_bits: int = 5,
    tensor_bits: Mapping[str, int] | None = None,
    pooled_bits: int = 8,
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
    if any(isinstance(layer, FoldedConcatenation) for layer in graph.layers):
        ranges = run_folded(graph, image_values(images[:BALANCE_IMAGES]))
        balance_concatenations(graph, {tensor: float(values.abs().max()) for tensor, values in ranges.items()})
    network = QuantizedNetwork(
        graph, activation_bits=activation_bits, tensor_bits=tensor_bits, pooled_bits=pooled_bits,
        scale_method=scale_method,
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
