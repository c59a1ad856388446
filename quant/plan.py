"""What is to be made of a model: the choices of a quantization, checked before anything is computed."""

import dataclasses
from collections.abc import Mapping
from typing import NoReturn

from .assignment.budget import Budget
from .assignment.kept import KeptLayers
from .assignment.lane_mix import LaneMix
from .assignment.methods import Method, check_budgets, find_method
from .assignment.target import Target
from .graph.tensors import TENSOR_BITS, is_integer
from .network.quantizers import SCALE_METHODS
from .reconstruction.options import ReconstructionOptions
from .training.recipe import TrainingOptions


class PlanError(ValueError):
    """A plan that cannot be carried out; the message names the field and what would be legal."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantizationPlan:
    """The choices of a quantization.

    Members
    -------
    lane_mix: of the accelerator's tiles, or the ratio of formats instead.
    method: of the assignment, a name in `methods.METHODS`; it says when formats are assigned anew.
    budgets: for methods with an integer program, each of another kind; none: what `lane_mix` costs.
    kept: layers whose filters get their own bits, whatever the method gives them; None: none.
    target: how near to the float model the network must be: layers get 8 bits until it is, at the smallest cost. None:
        the method's formats stay.
    activation_bits: of hidden maps, 2 … 8.
    tensor_bits: of single tensors, 2 … 8, by name; see `QuantizedNetwork`.
    pooled_bits: of what a max pool reads, at most: those of the accelerator's slots, 2 … 8.
    scale_method: of the filters' scales, `mse` or `maximum`; see `quantizers.weight_scale`.
    accumulator_bits: of the accelerator; filters whose sums could exceed them get fewer bits (`accumulators.py`). None:
        any sum is taken.
    training: of the fine-tuning, for instance by the method's recipe, `find_method(method).options(epochs=8)`. None, or
        0 epochs: only calibrated.
    refined: without fine-tuning, round the weights by the layers' outputs and correct the biases (`refine.py`).
    reconstruction: without fine-tuning, learn weights, biases and ranges block by block (`reconstruction/`);
        None: do not.
    name: of the integer graph; None: the model's class.

    Raises
    ------
    MethodError: `method` is unknown, or takes no budget.
    PlanError: another field is outside its range, or contradicts one.
    """

    lane_mix: LaneMix
    method: str = "variance"
    budgets: tuple[Budget, ...] = ()
    kept: KeptLayers | None = None
    target: Target | None = None
    activation_bits: int = 5
    tensor_bits: Mapping[str, int] = dataclasses.field(default_factory=dict)
    pooled_bits: int = 8
    scale_method: str = "mse"
    accumulator_bits: int | None = None
    training: TrainingOptions | None = None
    refined: bool = False
    reconstruction: ReconstructionOptions | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.lane_mix, LaneMix):
            self._refuse("lane_mix", "a LaneMix", self.lane_mix)
        find_method(self.method)
        check_budgets(self.method, self.budgets)
        low, high = TENSOR_BITS[0], TENSOR_BITS[-1]
        for field, bits in (
            ("activation_bits", self.activation_bits),
            ("pooled_bits", self.pooled_bits),
            *((f"tensor_bits[{name!r}]", bits) for name, bits in self.tensor_bits.items()),
        ):
            if not is_integer(bits) or bits not in TENSOR_BITS:
                self._refuse(field, f"{low} … {high}", bits)
        if self.scale_method not in SCALE_METHODS:
            self._refuse("scale_method", " or ".join(map(repr, SCALE_METHODS)), self.scale_method)
        if self.accumulator_bits is not None and (not is_integer(self.accumulator_bits) or self.accumulator_bits < 2):
            self._refuse("accumulator_bits", "None or an integer of at least 2", self.accumulator_bits)
        if self.training is not None and not isinstance(self.training, TrainingOptions):
            self._refuse("training", "None or TrainingOptions", self.training)
        chosen = {"refined": self.refined, "reconstruction": self.reconstruction is not None,
                  "training": bool(self.epochs)}  # fmt: skip
        if sum(chosen.values()) > 1:
            several = " and ".join(field for field, given in chosen.items() if given)
            raise PlanError(f"plan: {several} exclude each other; leave out all but one")

        if self.target is not None and self.epochs:
            raise PlanError("plan: a target needs training with 0 epochs (--epochs 0): training assigns formats itself")

    @property
    def preset(self) -> Method:
        """The method itself."""
        return find_method(self.method)

    @property
    def epochs(self) -> int:
        """Of fine-tuning; 0: the network is only calibrated."""
        return 0 if self.training is None else self.training.epochs

    def _refuse(self, field: str, legal: str, value: object) -> NoReturn:
        raise PlanError(f"plan: {field} must be {legal}, not {value!r}")
