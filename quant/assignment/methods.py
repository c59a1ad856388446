"""Methods: which filter gets which format, as published, and the baselines they are compared with.

A method is a function from a `Request` to formats, and a training recipe. All of them use one quantizer, one trainer
and the same sensitivities; ratios between formats come from the lanes of the board's tiles (`LaneMix`), or are given.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..graph.formats import FIXED4, FIXED8, POT_4, SP2_4, WeightFormat
from ..network.model import QuantizedNetwork
from ..network.quantizers import Formats
from ..training.recipe import TrainingOptions
from .allocation import Budget
from .channel_bits import bits_per_channel, bits_per_layer, lane_mix_budget
from .lane_mix import LaneMix, assign_lanes, relative
from .sensitivity import (
    DRAWS,
    EXACT_CLASSES,
    hessian_eigenvalues,
    hessian_traces,
    output_errors,
    weight_errors,
    weight_variances,
)

HESSIAN_IMAGES = 64
HESSIAN_VALUES = 1 << 27
"""Gradients held at once, at most (512 MiB); large maps get fewer images."""
DEFAULT_RECIPE = TrainingOptions(epochs=8, learning_rate=1e-3)
FILM_QNN_RECIPE = TrainingOptions(
    epochs=150, batch_size=512, learning_rate=0.0512, optimizer="sgd", momentum=0.875, weight_decay=1 / 32768,
    warm_up=8.0, label_smoothing=0.1,
)  # fmt: skip
"""FILM-QNN's, but for a tenth of its learning rate (0.512): batch norms are folded before fine-tuning here, and without
them the demo on the digits (12 epochs) ends at 11.7 % with the paper's rate, at 98.9 % with a tenth of it."""


class MethodError(ValueError):
    """A method that is unknown, or that the lanes or the data do not allow; the message says what would work."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What formats are chosen from.

    Members
    -------
    network: calibrated.
    mix: filters of a tile by what its lanes take.
    images: a batch, or None.
    budget: for methods with an integer program; None is the size that `mix` itself gives.
    """

    network: QuantizedNetwork
    mix: LaneMix
    images: Tensor | None = None
    budget: Budget | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """A preset.

    Members
    -------
    assign: see the function's docstring for the paper.
    lut_format: what the LUT lanes must hold; None where it may be anything.
    needs_images, takes_budget: whether it looks at images; whether it works under a budget.
    recipe: of its training.
    period: epochs between assignments; 0 assigns once, before training.
    assigned_share: share of the epochs in which formats may change; then they stay.
    """

    assign: Callable[[Request], dict[str, Formats]]
    lut_format: WeightFormat | None = None
    needs_images: bool = False
    takes_budget: bool = False
    recipe: TrainingOptions = DEFAULT_RECIPE
    period: int = 0
    assigned_share: float = 1.0

    def options(self, **chosen: Any) -> TrainingOptions:
        """The recipe with what is chosen otherwise; a value of None leaves the recipe's.

        SGD's learning rate follows another batch size in proportion (as FILM-QNN's: 0.512 at 512, 1.024 at 1,024), and
        the warm-up is no larger a share of fewer epochs.
        """
        fields = {key: value for key, value in chosen.items() if value is not None}
        if self.recipe.optimizer == "sgd" and "batch_size" in fields:
            scaled = self.recipe.learning_rate * fields["batch_size"] / self.recipe.batch_size
            fields = {"learning_rate": scaled} | fields
        if 0 < fields.get("epochs", 0) < self.recipe.epochs:
            fields = {"warm_up": self.recipe.warm_up * fields["epochs"] / self.recipe.epochs} | fields
        return dataclasses.replace(self.recipe, **fields)

    def assigns_before(self, epoch: int, epochs: int) -> bool:
        """Whether formats are chosen anew before this epoch (counted from 1)."""
        return bool(self.period) and (epoch - 1) % self.period == 0 and epoch <= round(epochs * self.assigned_share)


def assign(
    network: QuantizedNetwork,
    mix: LaneMix,
    *,
    method: str = "variance",
    images: Tensor | None = None,
    budget: Budget | None = None,
) -> dict[str, Formats]:
    """A format for every filter of every convolution, by layer name; `QuantizedNetwork.set_formats` takes it.

    Parameters
    ----------
    method: a name in `METHODS`.
    images: a batch, for methods that look at images.
    budget: for `hbp` and `hawq-v3`.

    Raises
    ------
    MethodError: `method` is unknown, needs images or lanes that are not there, or takes no budget.
    BudgetError: the budget cannot be met.
    """
    preset = find_method(method)
    kind = preset.lut_format
    if kind is not None and mix.lut and mix.lut_format != kind:
        raise MethodError(
            f"method {method!r} needs LUT lanes for {kind.name}, but the board's are for {mix.lut_format.name}; "
            f"choose LUT lanes for {kind.name} (--lut-scheme {kind.name}), or another method"
        )
    if preset.needs_images and images is None:
        raise MethodError(f"method {method!r} needs images; use variance where there are none")
    if budget is not None and not preset.takes_budget:
        able = ", ".join(name for name, entry in METHODS.items() if entry.takes_budget)
        raise MethodError(f"method {method!r} takes no budget (its ratio is the lanes'); {able} do")
    return preset.assign(Request(network=network, mix=mix, images=images, budget=budget))


def find_method(name: str) -> Method:
    """A method by name.

    Raises
    ------
    MethodError: there is none; the message lists them.
    """
    if name not in METHODS:
        raise MethodError(f"method must be one of {', '.join(METHODS)}, not {name!r}")
    return METHODS[name]


# The board's own mix --------------------------------------------------------------------------------------------------


def by_variance(request: Request) -> dict[str, Formats]:
    """Every lane class of the board, without data.

    8 bits for the filters with the largest ‖w − Q4(w)‖² (a stand-in, free of data, for ILMPQ's Hessian eigenvalue); of
    the rest, those of small variance get the LUT lanes' scheme (Mix and Match).
    """
    network, mix = request.network, request.mix
    wide = relative(weight_errors(network, _four_bits(mix)))
    return assign_lanes(network, mix, wide, relative(weight_variances(network)))


def by_output_error(request: Request) -> dict[str, Formats]:
    """Every lane class of the board, by the error of the output map.

    8 bits for the filters with the largest ‖W·Â − Q4(W)·Â‖₂ (FILM-QNN, Algorithm 1); of the rest, those that lose least
    by the LUT lanes' scheme instead of Fixed-4 get it.
    """
    network, mix = request.network, request.mix
    assert request.images is not None
    errors = output_errors(network, request.images, [_four_bits(mix), FIXED4, mix.lut_format])
    narrow = {name: errors[mix.lut_format][name] - errors[FIXED4][name] for name in errors[FIXED4]}
    return assign_lanes(network, mix, errors[_four_bits(mix)], narrow)


# Papers ---------------------------------------------------------------------------------------------------------------


def msq(request: Request) -> dict[str, Formats]:
    """Mix and Match (Chang et al., HPCA 2021, arXiv 2012.04240, section IV): SP2-4 and Fixed-4 by row variance.

    In every layer the rows (filters) of the smallest variance get SP2, in the share of the LUT lanes; the others
    Fixed-4, on DSP lanes (a Fixed-8 lane holds a Fixed-4 filter too, and counts as one). Chosen where the paper is
    ambiguous or this tool differs: the variance is that of the raw weights of the row; the share is the same in every
    layer, the first and the last included; the straight-through estimator trains, without the paper's ADMM term; the
    partition follows the weights before each epoch.
    """
    mix = dataclasses.replace(request.mix, fixed8=0, fixed4=request.mix.fixed8 + request.mix.fixed4)
    if not mix.lut:
        raise MethodError("method 'msq' needs LUT lanes for sp2-4, and the tile has none; use method fixed-4")
    variances = relative(weight_variances(request.network))
    return assign_lanes(request.network, mix, variances, variances)


def ilmpq(request: Request) -> dict[str, Formats]:
    """ILMPQ (Sun et al., arXiv 2111.00155; the method of RMSMP, ICCV 2021, arXiv 2111.00153): PoT-4, Fixed-4, Fixed-8.

    The rows with the largest Hessian eigenvalue get 8 bits (5 % in the paper); of the rest, those of small variance get
    PoT, the others Fixed-4. The same ratio in every layer, first and last included, that of the tile's lanes (the
    paper's are 60:35:5 and 65:30:5). Chosen where the paper is ambiguous: the eigenvalue is that of the row's own block
    of the float network's loss, exactly, by power iteration; the assignment is renewed every 10 epochs to the end.
    """
    network = request.network
    eigenvalues = hessian_eigenvalues(network, hessian_images(request))
    return assign_lanes(network, request.mix, relative(eigenvalues), relative(weight_variances(network)))


def film_qnn(request: Request) -> dict[str, Formats]:
    """FILM-QNN (Sun et al., FPGA 2022, doi 10.1145/3490422.3502364, Algorithm 1): Fixed-8 and Fixed-4.

    In every layer, the first and the last included, the filters with the largest ‖W_k·Â − Q4(W_k)·Â‖₂ get 8 bits: R =
    5 % in the paper, here the share of the tile's Fixed-8 lanes. Every other lane, DSP or LUT, is Fixed-4. Assigned
    before each epoch, and frozen for the last third (50 of 150). Chosen where the paper contradicts itself or this tool
    differs: levels as in its equation 1 (equation 2 has 2^m levels and no zero); the scale α per filter, not per layer;
    activation ranges are learned, not constant; the batch is the same each epoch, so that the order is reproducible;
    batch norms are folded before fine-tuning, and the learning rate is a tenth of the paper's.
    """
    assert request.images is not None
    mix = dataclasses.replace(request.mix, fixed4=request.mix.fixed4 + request.mix.lut, lut=0, lut_format=FIXED4)
    errors = output_errors(request.network, request.images, [FIXED4])[FIXED4]
    return assign_lanes(request.network, mix, errors, errors)


def hbp(request: Request) -> dict[str, Formats]:
    """Hierarchical Bit Programming (Wang, He, Zhao, IEEE TETCI 2024, doi 10.1109/tetci.2024.3510295): 2 … 8 bits.

    Bits per channel by an integer program over groups of channels, refined inside the groups. The paper's equations
    were not available: this is built from its abstract and HAWQ-V2/V3's sensitivity, see `bits_per_channel`. Chosen:
    groups of 8 channels, sorted by sensitivity; the assignment is made once, before training.
    """
    budget = request.budget or lane_mix_budget(request.network, request.mix)
    traces = hessian_traces(request.network, hessian_images(request))
    return bits_per_channel(request.network, traces, budget, request.mix)


def hawq_v3(request: Request) -> dict[str, Formats]:
    """One precision per layer, 4 or 8 bits, by Hessian trace (HAWQ-V3, Yao et al., ICML 2021, section 3.3).

    The integer program minimises Σ tr(H_l)/n_l · ‖Q_b(W_l) − W_l‖² under the budget. Differs from the paper: layers
    that meet in an add get one precision; the first and the last layer are not kept at 8 bits; weights alone vary.
    """
    budget = request.budget or lane_mix_budget(request.network, request.mix)
    traces = hessian_traces(request.network, hessian_images(request))
    return bits_per_layer(request.network, traces, budget, request.mix)


def uniform(kind: WeightFormat) -> Callable[[Request], dict[str, Formats]]:
    """A baseline: one format for every filter of the network."""

    def assign_one(request: Request) -> dict[str, Formats]:
        return {name: (kind,) * len(module.weight) for name, module in request.network.convolutions.items()}

    return assign_one


def hessian_images(request: Request) -> Tensor:
    """So many of the images that the gradients at all maps fit in memory: 64 at most, 4 at least."""
    assert request.images is not None
    graph = request.network.graph
    classes = math.prod(graph.shapes[graph.outputs[0]])
    vectors = classes if classes <= EXACT_CLASSES else DRAWS
    values = (1 + vectors) * sum(math.prod(layer.shape) for layer in graph.layers)
    return request.images[: min(HESSIAN_IMAGES, max(4, HESSIAN_VALUES // values))]


def _four_bits(mix: LaneMix) -> WeightFormat:
    """The 4-bit format against which the need for 8 bits is measured."""
    return FIXED4 if mix.fixed4 else mix.lut_format


METHODS: dict[str, Method] = {
    "variance": Method(assign=by_variance, period=1, assigned_share=2 / 3),
    "output-error": Method(assign=by_output_error, needs_images=True, period=1, assigned_share=2 / 3),
    "msq": Method(assign=msq, lut_format=SP2_4, period=1),
    "ilmpq": Method(assign=ilmpq, lut_format=POT_4, needs_images=True, period=10),
    "film-qnn": Method(
        assign=film_qnn, lut_format=FIXED4, needs_images=True, recipe=FILM_QNN_RECIPE, period=1, assigned_share=2 / 3
    ),
    "hbp": Method(assign=hbp, lut_format=FIXED4, needs_images=True, takes_budget=True),
    "hawq-v3": Method(assign=hawq_v3, lut_format=FIXED4, needs_images=True, takes_budget=True),
    "fixed-4": Method(assign=uniform(FIXED4), lut_format=FIXED4),
    "fixed-8": Method(assign=uniform(FIXED8), lut_format=FIXED4),
    "sp2-4": Method(assign=uniform(SP2_4), lut_format=SP2_4),
    "pot-4": Method(assign=uniform(POT_4), lut_format=POT_4),
}
"""By name: the board's own mix, the papers, the baselines."""
