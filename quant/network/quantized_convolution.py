"""A convolution with fake quantization: its trained weights, and the format of each filter."""

import numpy as np
import torch
from torch import Tensor, nn

from ..frontend.folded import FoldedConvolution
from ..frontend.folded_execution import convolve
from ..graph.formats import FIXED8, WeightFormat
from .quantizers import Formats, fake_quantize_weight, weight_codes, weight_scale


class QuantizedConvolution(nn.Module):
    """The trained weights of a folded convolution, and their formats.

    Members
    -------
    layer: the folded layer (its own weights are the float model's and stay as they are).
    weight, bias: float32; parameters, or buffers where the layer is exact.
    formats: per filter; `assigned`: those that were asked for, where accumulators take fewer bits (`accumulators.py`).
    scale: per filter; the real weight of integer weight 1. Updated by `update_scale`, not by gradients.
    residual_factor: what a residual is multiplied by; 1 but for the rounding of its integer multiplier
        (`export.align_scales`).
    """

    weight: Tensor
    bias: Tensor
    scale: Tensor
    residual_factor: Tensor

    def __init__(self, layer: FoldedConvolution, scale_method: str = "maximum") -> None:
        super().__init__()
        self.layer = layer
        self.formats: Formats = (FIXED8,) * len(layer.weight)
        self.assigned = self.formats
        if layer.exact:
            self.register_buffer("weight", layer.weight.float())
            self.register_buffer("bias", layer.bias.float())
        else:
            self.weight, self.bias = nn.Parameter(layer.weight.float()), nn.Parameter(layer.bias.float())
        self.register_buffer("scale", torch.ones(len(layer.weight)))
        self.register_buffer("residual_factor", torch.ones(()), persistent=False)
        self.scale_method = scale_method
        self.update_scale()

    @property
    def name(self) -> str:
        return self.layer.name

    def get_extra_state(self) -> dict[str, list[str]]:
        """The formats' names: they belong to the state dict as the weights do."""
        return {field: [kind.name for kind in getattr(self, field)] for field in ("formats", "assigned")}

    def set_extra_state(self, state: dict[str, list[str]]) -> None:
        for field, names in state.items():
            setattr(self, field, tuple(WeightFormat.parse(name) for name in names))

    def update_scale(self, filters: Tensor | None = None) -> None:
        """Sets the scales that fit the weights and formats; of all filters, or of those (indices)."""
        self.residual_factor.fill_(1.0)
        if self.layer.exact:
            magnitude = self.weight.flatten(1).abs().amax(dim=1)
            self.scale.copy_(torch.where(magnitude > 0, magnitude, torch.ones_like(magnitude)))
        elif filters is None:
            self.scale.copy_(weight_scale(self.weight, self.formats, method=self.scale_method))
        else:
            kinds = self._formats(filters)
            self.scale[filters] = weight_scale(self.weight[filters], kinds, method=self.scale_method)

    def codes(self, filters: Tensor | None = None) -> np.ndarray:
        """Integer weights, int64; of all filters, or of those (indices)."""
        if filters is None:
            return weight_codes(self.weight, self.scale, self.formats).cpu().numpy()
        return weight_codes(self.weight[filters], self.scale[filters], self._formats(filters)).cpu().numpy()

    def _formats(self, filters: Tensor) -> Formats:
        return tuple(self.formats[index] for index in filters.tolist())

    def forward(self, value: Tensor, quantize: bool = True) -> Tensor:
        weight = fake_quantize_weight(self.weight, self.scale, self.formats) if quantize else self.weight
        return convolve(self.layer, value, weight, self.bias)
