"""Time and memory of a training step, with quantization against float: forward, backward and update.

    python -m benchmarks.training_step [--model resnet-small …] [--batch-size 64] [--device cuda --precision bf16]

The float model trains as it is, with its batch norms; the quantized network has them folded, the lane mix of the board
in every layer and learned ranges. Steps of both take turns, so that a busy machine slows both; the time is the fastest.
Memory is what autograd keeps for the backward pass (every tensor once, parameters left out), and on a GPU the peak.
"""

import argparse
import copy
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from intramix.files import write_json
from intramix.lanes import lane_mix
from intramix.platforms.boards import board as find_board
from intramix.quant.assignment.methods import assign
from intramix.quant.models import load_model
from intramix.quant.quantize import prepare
from intramix.quant.training.parallel import find_device
from intramix.quant.training.recipe import PRECISIONS

CLASSES = 12


def kept_bytes(model: nn.Module, loss: Callable[[], Tensor]) -> int:
    """Bytes of the tensors that are kept between forward and backward pass, parameters and buffers left out."""
    own = {entry.untyped_storage().data_ptr() for entry in (*model.parameters(), *model.buffers())}
    sizes: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = loss()
    del result
    return sum(sizes.values())


def measure(
    name: str, *, size: int, batch_size: int, steps: int, board: str, device: torch.device, precision: str
) -> dict[str, Any]:  # fmt: skip
    """Seconds of a step and bytes, of the float model and of the quantized network."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch_size, 3, size, size), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, CLASSES, (batch_size,), generator=generator).to(device)
    torch.manual_seed(0)
    model = load_model(name, channels=3, classes=CLASSES)
    network = prepare(copy.deepcopy(model), images[:8])
    network.set_formats(assign(network, lane_mix(find_board(board).geometry)))
    values = images.to(device).float() / 255
    entries = {"float": model.to(device).train(), "quantized": network.to(device).train()}
    figures: dict[str, Any] = {"model": name, "size": size, "batch_size": batch_size, "precision": precision}

    def loss_of(it: nn.Module) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            scores = it(values)
        return functional.cross_entropy(scores.float(), labels)

    optimizers = {
        key: torch.optim.SGD([entry for entry in it.parameters() if entry.requires_grad], lr=1e-4)
        for key, it in entries.items()
    }
    seconds: dict[str, list[float]] = {key: [] for key in entries}
    for _ in range(steps + 1):
        for key, it in entries.items():
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            started = time.perf_counter()
            optimizers[key].zero_grad(set_to_none=True)
            loss_of(it).backward()
            optimizers[key].step()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
                figures[f"{key}_peak_bytes"] = torch.cuda.max_memory_allocated(device)
            seconds[key].append(time.perf_counter() - started)
    for key, it in entries.items():
        figures[f"{key}_seconds"] = min(seconds[key][1:])
        figures[f"{key}_kept_bytes"] = kept_bytes(it, functools.partial(loss_of, it))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--model", nargs="+", default=["resnet-small", "mobilenet-small"])
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = find_device(arguments.device)
    print("| model | size, batch | float ms | quantized ms | times | float MiB | quantized MiB | times |")
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    for name in arguments.model:
        row = measure(name, size=arguments.image_size, batch_size=arguments.batch_size, steps=arguments.steps,
                      board=arguments.board, device=device, precision=arguments.precision)  # fmt: skip
        times, sizes = ([row[f"{key}_{unit}"] for key in ("float", "quantized")] for unit in ("seconds", "kept_bytes"))
        cells = [name, f"{row['size']}, {row['batch_size']}"]
        cells += [f"{1e3 * times[0]:.0f}", f"{1e3 * times[1]:.0f}", f"{times[1] / times[0]:.2f}"]
        cells += [f"{sizes[0] / 2**20:.1f}", f"{sizes[1] / 2**20:.1f}", f"{sizes[1] / sizes[0]:.2f}"]
        print(f"| {' | '.join(cells)} |", flush=True)
        rows.append(row)
    if arguments.json:
        write_json(arguments.json, {"device": str(device), "threads": arguments.threads, "models": rows})


if __name__ == "__main__":
    main()
