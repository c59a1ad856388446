"""Formats that reach a target: what is held out to judge by, and the choice among the candidates."""

import dataclasses
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from .assignment.cost import CostOf
from .assignment.raising import Variants, raised
from .assignment.search import Candidate, cheapest, nearest, search
from .assignment.target import TargetError
from .data.data import Dataset
from .network.fidelity import Fidelity, fidelity
from .network.model import QuantizedNetwork
from .network.quantizers import Formats
from .plan import QuantizationPlan
from .training.predict import scores
from .training.progress import StageCallback

IMAGES = 640
"""Of the training images that are looked at, at most; every fourth is held out."""
HELD_OUT = 4
NOISE_IMAGES = 16
"""That the layers' noise is measured on."""
MOST_BITS = 8
"""Of an activation."""


class TargetMissedError(TargetError):
    """No assignment reaches the target.

    Members
    -------
    candidates: those that were tried.
    """

    def __init__(self, message: str, candidates: tuple[Candidate, ...]) -> None:
        super().__init__(message)
        self.candidates = candidates


def hold_out(data: Dataset) -> tuple[Dataset, Tensor]:
    """The data without every fourth training image, and these; of the first 640.

    Raises
    ------
    TargetError: a single image.
    """
    images = data.train_images[:IMAGES]
    if len(images) < 2:
        raise TargetError(f"data {data.name!r}: a target needs at least two images, one of them to judge by")
    judged = torch.arange(len(images)) % HELD_OUT == 0
    labels = None if data.train_labels is None else data.train_labels[: len(images)][~judged]
    return dataclasses.replace(data, train_images=images[~judged], train_labels=labels), images[judged]


class Aim:
    """A target on the way to it.

    Members
    -------
    data: without the images that are held out to judge by.
    candidates: the assignments that were tried, as they are by themselves.
    chosen: the one that was taken.
    learned: what that one became where its rounding was refined or reconstructed, on the same images; None where
        nothing followed.

    Parameters
    ----------
    model: in float.
    plan: with a target.
    cost_of: what a graph costs on the accelerator.
    stage: is told how the search goes.

    Raises
    ------
    TargetError: a single image.
    ValueError: there is no `cost_of`.
    """

    def __init__(
        self, model: nn.Module, data: Dataset, plan: QuantizationPlan, cost_of: CostOf | None, stage: StageCallback
    ) -> None:
        if cost_of is None:
            raise ValueError("a plan with a target needs cost_of, by which assignments are compared")
        assert plan.target is not None
        self.target, self._plan, self._cost_of, self._stage = plan.target, plan, cost_of, stage
        self.data, self._judged = hold_out(data)
        self._model, self._exact = model, torch.empty(0)
        self.candidates: tuple[Candidate, ...] = ()
        self.chosen: Candidate | None = None
        self.learned: Fidelity | None = None

    def choose(self, network: QuantizedNetwork, formats: Mapping[str, Formats], images: Tensor) -> dict[str, Formats]:
        """The formats to take. If none reach the target they are the nearest where the plan has something that follows
        and may do: rounding that is refined or reconstructed.

        Parameters
        ----------
        network: calibrated; it is left alone.
        formats: of the plan's method.
        images: to see where the noise comes from.

        Raises
        ------
        TargetMissedError: none does, and nothing follows.
        TargetError: the network has several outputs.
        """
        if len(outputs := network.graph.outputs) > 1:
            raise TargetError(
                f"target: {network.graph.name} has {len(outputs)} outputs, {', '.join(outputs)}; it takes a network of "
                "one, of scores"
            )
        self._exact = scores(self._model, self._judged, singly=True)
        what = f"looking for {self.target}, assignments tried"
        self._stage(what, 0, 0)
        variants = Variants(network, self._cost_of, self._plan.accumulator_bits)
        order = list(variants.order(images[:NOISE_IMAGES], formats))
        self.candidates = search(
            variants, formats, order, self.target, self._judge, lambda done: self._stage(what, done, 0)
        )
        self.chosen = cheapest(self.candidates)
        if self.chosen is None:
            self.chosen = nearest(self.candidates, self.target)
            if not self._learns:
                raise self._missed(self.chosen.fidelity, f"the nearest of {len(self.candidates)} assignments")
        return raised(formats, self.chosen.layers)

    def confirm(self, network: QuantizedNetwork) -> None:
        """Judges what became of the choice, if its rounding was refined or reconstructed.

        Raises
        ------
        TargetMissedError: it misses the target, still or now.
        """
        assert self.chosen is not None
        if not self._learns:
            return
        self.learned = self._judge(network)
        if self.target.reached(self.learned):
            return
        how, option = ("refined", "--refine") if self._plan.refined else ("reconstructed", "--reconstruct")
        if self.chosen.reached:
            raise self._missed(
                self.learned, f"the assignment that reached it by itself, {how},", [f"{option} can be left out"]
            )
        raise self._missed(self.learned, f"the nearest of {len(self.candidates)} assignments, {how},")

    @property
    def _learns(self) -> bool:
        """Whether something follows the choice of formats."""
        return self._plan.refined or self._plan.reconstruction is not None

    def _judge(self, network: QuantizedNetwork) -> Fidelity:
        return fidelity(self._exact, scores(network, self._judged).double().numpy())

    def _missed(self, found: Fidelity, what: str, first: Sequence[str] = ()) -> TargetMissedError:
        """What is said, and what would help: `first`, then what follows from the plan."""
        plan, agreement = self._plan, "" if found.top1_agreement is None else f"{100 * found.top1_agreement:.1f} % and "
        helping = list(first)
        if plan.reconstruction is None:
            helping.append("--reconstruct learns the rounding")
        if plan.activation_bits < MOST_BITS:
            more = f"--bits {plan.activation_bits + 1} … {MOST_BITS}"
            helping.append(f"{more} gives activations more bits, in two passes beyond a slot of the accelerator")
        helping.append("more images, of what the model will see, calibrate better")
        message = (
            f"target: {self.target} is not reached: {what} has {agreement}{found.sqnr:.1f} dB on {len(self._judged)} "
            f"images held out, {self.target.shortfall(found)} short. {'; '.join(helping)}; or lower the target"
        )
        return TargetMissedError(message, self.candidates)
