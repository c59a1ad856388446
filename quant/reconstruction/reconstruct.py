"""Block-wise reconstruction (BRECQ, Li et al., 2021): weights, biases and activation ranges learned so that a block of
the quantized network gives what the float model's gives, with no labels and few images.

Blocks are learned one after the other, each with the codes that the blocks before it now make, against the float
model's maps: a block also makes up for errors that come in. Gradients go straight through the rounding, so every format
keeps its grid, and a weight may go to any of its levels. Two blocks of EfficientNet-Lite0 were tried otherwise, with
the same 200 steps: AdaRound's sigmoids between two levels (Nagel et al., 2020) left errors on other photographs that
were 43 … 46 % larger, QDrop's random dropping of activation quantization (Wei et al., 2022) 16 … 17 %.

What was learned is kept only where it lowers the block's error on images held out from it.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..frontend.folded_execution import run_layers
from ..network.model import QuantizedNetwork, image_values
from ..network.quantized_convolution import QuantizedConvolution
from ..network.quantizers import QuantizationError, fake_quantize_weight
from ..training.checkpoint import Checkpoint, Interruption, TrainingStopped, interruption
from .adam import Adam
from .blocks import Block, blocks
from .options import ReconstructedBlock, ReconstructionOptions

Progress = Callable[[int, int], None]
"""Called with (steps done, steps of all blocks)."""
_BATCH = 16
_SMALLEST_POWER = 1e-30


def reconstruct(
    network: QuantizedNetwork,
    images: Tensor,
    options: ReconstructionOptions | None = None,
    *,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> tuple[ReconstructedBlock, ...]:
    """Reconstructs a calibrated network with formats, in place; what became of every block.

    The weights become levels times scales, so that their codes stay as long as the scales do (until `update_scales`).

    Parameters
    ----------
    images: as for the network; some hundreds, of what it will see.
    checkpoint: saved after every block; with `resume` the run goes on behind the last one that was saved, and ends
        like a run that was never stopped.

    Raises
    ------
    QuantizationError: fewer than two images, or a block's output is not finite.
    TrainingStopped: interrupted, and saved.
    TrainingError: the checkpoint is of another run.
    """
    options = options or ReconstructionOptions()
    if len(images) < 2:
        raise QuantizationError("reconstruction needs at least two images: one to learn from, one to judge by")
    run = _Run(network, image_values(images[: options.images]), options)
    conditions: Mapping[str, Any] = {"reconstruction": str(options), "images": len(run.exact)}
    saved = checkpoint.load(conditions) if checkpoint else None
    if saved:
        network.load_state_dict(saved["network"])
        run.reports = [ReconstructedBlock(**{**it, "layers": tuple(it["layers"])}) for it in saved["reports"]]
    parts = blocks(network.graph)
    with interruption(checkpoint is not None) as asked:
        for number, block in enumerate(parts):
            targets = _in_batches(block, run.exact, functools.partial(run_layers, block.layers))
            if number >= len(run.reports):
                told = functools.partial(_tell, progress, number * options.steps, len(parts) * options.steps)
                run.reports.append(run.learn(number, block, targets, asked, told))
                if checkpoint:
                    reports = [dataclasses.asdict(it) for it in run.reports]
                    checkpoint.save(conditions, {"network": network.state_dict(), "reports": reports})
            run.go_behind(block, targets)
    with torch.no_grad():
        for module in network.convolutions.values():
            module.weight.copy_(fake_quantize_weight(module.weight, module.scale, module.formats))
    return tuple(run.reports)


def _tell(progress: Progress | None, before: int, total: int, steps: int) -> None:
    if progress is not None:
        progress(before + steps, total)


class _Run:
    """A reconstruction as far as it has come.

    Members
    -------
    exact, rounded: what leads into the next block, of the float model and of the quantized network; N × C × H × W.
    reports: of the blocks that are done.
    """

    def __init__(self, network: QuantizedNetwork, values: Tensor, options: ReconstructionOptions) -> None:
        self.network, self.options = network, options
        self.reports: list[ReconstructedBlock] = []
        self.exact = values
        with torch.no_grad():
            self.rounded = network.quantizer(network.graph.input)(values)
        self._settled = {network.source[network.graph.input]}
        """Owners of quantizers of what is behind: codes are made with their ranges."""
        numbers = torch.arange(len(values))
        held_out = numbers % min(options.held_out, len(values)) == 0
        self._learned_from, self._held_out = numbers[~held_out], numbers[held_out]

    def learn(
        self, number: int, block: Block, targets: Mapping[str, Tensor], asked: Interruption,
        told: Callable[[int], None],
    ) -> ReconstructedBlock:  # fmt: skip
        """Learns a block, and undoes it unless that helped.

        Parameters
        ----------
        targets: the float model's outputs of the block.
        told: the steps that are done, after each.
        """
        for name, target in targets.items():
            if not bool(torch.isfinite(target).all()):
                raise QuantizationError(f"tensor {name!r} is not finite; check the weights and the images")
        modules = [self.network.convolutions[layer.name] for layer in block.convolutions if not layer.exact]
        ranges = self._ranges(block)
        learned = [value for module in modules for value in (module.weight, module.bias)] + ranges
        old = [value.detach().clone() for value in learned]
        before, power = self._error(block, targets), {name: _power(target) for name, target in targets.items()}
        optimizer = Adam(self._rated(modules, ranges))
        generator = torch.Generator().manual_seed(self.options.seed * 1_000_003 + number)
        for step in range(self.options.steps):
            if asked.requested:
                raise TrainingStopped(f"reconstruction stopped, {number} blocks are done; go on with --resume")
            self._loss(block, targets, power, generator).backward()  # type: ignore[no-untyped-call]
            optimizer.step(0.5 * (1 + math.cos(math.pi * step / self.options.steps)))
            told(step + 1)
        after = self._error(block, targets)
        kept = after < before  # not if it is NaN
        with torch.no_grad():
            if not kept:
                for value, was in zip(learned, old):
                    value.copy_(was)
        names = tuple(layer.name for layer in block.convolutions)
        return ReconstructedBlock(layers=names, before=before, after=after, kept=kept)

    def go_behind(self, block: Block, targets: Mapping[str, Tensor]) -> None:
        """Moves on to what leads out of a block."""
        onward = block.layers[-1].output
        if block.layers[-1] is self.network.graph.layers[-1]:
            return
        self.exact, self.rounded = targets[onward], self._run(block, self.rounded)[onward]
        self._settled |= {self.network.source[layer.output] for layer in block.layers}

    def _run(self, block: Block, value: Tensor) -> dict[str, Tensor]:
        return _in_batches(block, value, functools.partial(self.network.run, block.layers))

    def _loss(
        self, block: Block, targets: Mapping[str, Tensor], power: Mapping[str, float], generator: torch.Generator
    ) -> Tensor:
        """Of a batch of the images that are learned from: squared error over the power of all images' outputs."""
        _, height, width = self.network.graph.shapes[block.layers[-1].output]
        images, most = self._learned_from, self.options.positions // (height * width)
        batch = max(1, min(self.options.batch, len(images), most))
        some = images[torch.randint(len(images), (batch,), generator=generator)]
        tensors = {block.input: self.rounded[some]}
        self.network.run(block.layers, tensors)
        return torch.stack([(tensors[it] - targets[it][some]).square().mean() / power[it] for it in targets]).sum()

    def _error(self, block: Block, targets: Mapping[str, Tensor]) -> float:
        """The loss on the images held out."""
        found = self._run(block, self.rounded[self._held_out])
        exact = {name: target[self._held_out] for name, target in targets.items()}
        return sum((found[it] - exact[it]).square().mean().item() / _power(exact[it]) for it in targets)

    def _ranges(self, block: Block) -> list[Tensor]:
        """The ends of the ranges of activations that are made in the block, and nowhere before."""
        owners = dict.fromkeys(self.network.source[layer.output] for layer in block.layers)
        quantizers = [self.network.quantizer(owner) for owner in owners if owner not in self._settled]
        return [value for quantizer in quantizers for value in quantizer.parameters() if value.requires_grad]

    def _rated(
        self, modules: list[QuantizedConvolution], ranges: list[Tensor]
    ) -> list[tuple[Tensor, Tensor | float]]:
        """What is learned, with its rates."""
        rated: list[tuple[Tensor, Tensor | float]] = [(value, self.options.range_rate) for value in ranges]
        for module in modules:
            units = torch.tensor([kind.levels[-1] / 2 ** ((kind.bits + 2) / 2) for kind in module.formats])
            step = self.network.quantizer(module.layer.output).scale
            rated += [
                (module.weight, self.options.learning_rate * (module.scale * units)[:, None, None, None]),
                (module.bias, self.options.bias_rate * step),
            ]
        return rated


def _power(value: Tensor) -> float:
    return max(value.square().mean().item(), _SMALLEST_POWER)


@torch.no_grad()
def _in_batches(block: Block, value: Tensor, run: Callable[[dict[str, Tensor]], None]) -> dict[str, Tensor]:
    """The block's outputs, by name."""
    found: dict[str, list[Tensor]] = {name: [] for name in block.outputs}
    for part in value.split(_BATCH):
        tensors = {block.input: part}
        run(tensors)
        for name, parts in found.items():
            parts.append(tensors[name])
    return {name: torch.cat(parts) for name, parts in found.items()}
