"""Data-parallel training in several processes, as `torchrun` starts them, that computes what one process would.

Each process takes its share of every batch and sums its losses over the number of images of the whole batch; gradients
are then added up. Batch norms take their statistics over all shares. What is left is the order of floating-point sums:
the results agree to rounding, and an activation that lands on the other side of a step because of it is one step off.
Random numbers of a dropout differ by process, so networks with dropout agree in distribution only.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed.nn.functional as collective
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .recipe import TrainingError


def processes() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """This process's number, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def find_device(name: str) -> torch.device:
    """A device by PyTorch's name, or `auto`: a GPU if there is one. Plain `cuda` is the process's own GPU.

    Raises
    ------
    TrainingError: PyTorch does not know the device, or the machine has not got it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise TrainingError(f"device must be auto, cpu, cuda or cuda:N, not {name!r}") from error
    if device.type == "cuda":
        index = device.index if device.index is not None else int(os.environ.get("LOCAL_RANK", "0"))
        if not torch.cuda.is_available():
            raise TrainingError(f"device {name}: PyTorch {torch.__version__} finds no CUDA GPU; use device cpu")
        if index >= torch.cuda.device_count():
            raise TrainingError(
                f"device {name}: process {rank()} wants GPU {index}, but there are {torch.cuda.device_count()}; start "
                "as many processes as there are GPUs"
            )
        return torch.device("cuda", index)
    if device.type not in ("cpu", "meta"):
        raise TrainingError(f"device must be auto, cpu, cuda or cuda:N, not {name!r}")
    return device


@contextmanager
def reproducible(*, tf32: bool) -> Iterator[None]:
    """While it lasts, a GPU's convolutions give the same bits each time, of operands in TF32 (10 bits of fraction) or
    in float32."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=tf32):
        yield


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Joins the processes that torchrun started, if it did: by NCCL on GPUs, by gloo on CPUs."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def share(values: Tensor) -> Tensor:
    """This process's part: contiguous, the parts as equal as possible."""
    return values.tensor_split(processes())[rank()]


def add_up(parameters: Iterable[nn.Parameter], figures: Tensor) -> Tensor:
    """Adds up the gradients of all processes, in place, and the figures (one dimension), which are returned."""
    if processes() == 1:
        return figures
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([figures.to(torch.float32), *(gradient.flatten() for gradient in gradients)])
    distributed.all_reduce(flat)
    start = len(figures)
    for gradient in gradients:
        gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()
    return flat[: len(figures)]


def same_everywhere(value: Any) -> Any:
    """Process 0's value: plain data or tensors, in all processes."""
    if processes() == 1:
        return value
    values = [value]
    distributed.broadcast_object_list(values)
    return values[0]


@contextmanager
def synchronized_norms(model: nn.Module) -> Iterator[None]:
    """While it lasts, batch norms that train take mean and variance over all processes' images.

    torch.nn.SyncBatchNorm would do it on GPUs only.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)] if processes() > 1 else []
    for norm in norms:
        norm.forward = lambda value, norm=norm: _synchronized_norm(norm, value)  # type: ignore[method-assign,misc]
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def _synchronized_norm(norm: _BatchNorm, value: Tensor) -> Tensor:
    """What `norm` computes of all processes' values, for this process's."""
    if not norm.training:
        return type(norm).forward(norm, value)
    value = value.float()
    axes, shape = (0, *range(2, value.ndim)), (1, -1, *([1] * (value.ndim - 2)))
    count = value.new_tensor([value.numel() / value.shape[1]])
    sums = collective.all_reduce(torch.cat([value.sum(axes), count]))
    count = sums[-1].detach()
    mean = sums[:-1] / count
    centred = value - mean.reshape(shape)
    variance = collective.all_reduce(centred.square().sum(axes)) / count
    if norm.track_running_stats and norm.running_mean is not None and norm.running_var is not None:
        with torch.no_grad():
            assert norm.num_batches_tracked is not None
            norm.num_batches_tracked.add_(1)
            part = 1 / norm.num_batches_tracked.item() if norm.momentum is None else norm.momentum
            norm.running_mean.lerp_(mean, part)
            norm.running_var.lerp_(variance * count / (count - 1), part)
    result = centred * torch.rsqrt(variance + norm.eps).reshape(shape)
    return result if norm.weight is None else result * norm.weight.reshape(shape) + norm.bias.reshape(shape)
