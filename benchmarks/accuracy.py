"""Accuracy of every method and baseline, mean and spread over seeds, calibrated only, refined, and fine-tuned.

    python -m benchmarks.accuracy [--model resnet-small …] [--seeds 3] [--float-epochs 30] [--epochs 10] [--json FILE]

Each seed trains its own float model (weights and order of images); all methods start from it. Every method has the lane
mix of the board's tile with the LUT lanes of its own scheme, and the same activation bits; `hbp` and `hawq-v3` have the
budget of that mix's size. What is measured is the integer graph, by the exact executor. With --json the sweep goes on
where it was stopped.
"""

import argparse
import copy
import dataclasses
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from intramix.cli.lanes import lane_mix
from intramix.cli.output import write_json
from intramix.platforms.boards import board as find_board
from intramix.quant.assign import LaneMix
from intramix.quant.data import Dataset, load_data
from intramix.quant.methods import METHODS
from intramix.quant.models import load_model
from intramix.quant.quantize import quantize
from intramix.quant.train import TrainingOptions, accuracy, train

WAYS = ("calibrated", "refined", "fine-tuned")


def measure(model: nn.Module, data: Dataset, method: str, way: str, *, lanes: LaneMix, bits: int,
            epochs: int, seed: int) -> dict[str, Any]:  # fmt: skip
    """Accuracy of the integer graph, size of the weights and seconds, of one method on one float model."""
    preset = METHODS[method]
    mix = dataclasses.replace(lanes, lut_format=preset.lut_format or lanes.lut_format)
    started = time.monotonic()
    options = preset.options(epochs=epochs if way == "fine-tuned" else 0, batch_size=64, seed=seed)
    result = quantize(
        copy.deepcopy(model), data, lane_mix=mix, method=method, activation_bits=bits, options=options,
        refined=way == "refined",
    )  # fmt: skip
    weights = [(kind.bits, module.weight[0].numel()) for module in result.network.convolutions.values()
               for kind in module.formats if not module.layer.exact]  # fmt: skip
    return {
        "accuracy": result.integer_accuracy,
        "weight_bytes": sum(width * size for width, size in weights) / 8,
        "seconds": round(time.monotonic() - started, 1),
    }


def float_model(name: str, data: Dataset, *, epochs: int, seed: int) -> nn.Module:
    """A float model trained from a seed."""
    torch.manual_seed(seed)
    assert data.train_labels is not None
    model = load_model(name, channels=data.image_shape[0], classes=int(data.train_labels.max()) + 1)
    train(model, data.train_images, data.train_labels, TrainingOptions(epochs=epochs, learning_rate=4e-3, seed=seed))
    return model.eval()


def summary(results: dict[str, Any]) -> str:
    """A Markdown table of mean ± standard deviation in percent."""
    names = dict.fromkeys(key.rsplit(" ", 1)[0] for key in results)
    lines = ["| model, method, way | accuracy % | weight bytes |", "|---|---|---|"]
    for name in names:
        entries = [value for key, value in results.items() if key.rsplit(" ", 1)[0] == name]
        scores = [100 * entry["accuracy"] for entry in entries]
        spread = f" ± {statistics.stdev(scores):.2f}" if len(scores) > 1 else ""
        size = f"{entries[0]['weight_bytes']:,.0f}" if "weight_bytes" in entries[0] else ""
        lines.append(f"| {name} | {statistics.mean(scores):.2f}{spread} | {size} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--model", nargs="+", default=["resnet-small", "mobilenet-small"])
    parser.add_argument("--data", default="procedural")
    parser.add_argument("--method", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--way", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--float-epochs", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    if arguments.json and arguments.json.exists():
        results = json.loads(arguments.json.read_text())
    data, geometry = load_data(arguments.data), find_board(arguments.board).geometry
    for name in arguments.model:
        for seed in range(arguments.seeds):
            cases = [(method, way, f"{name}, {method}, {way} {seed}")
                     for method in arguments.method for way in arguments.way]  # fmt: skip
            if all(key in results for _, _, key in cases):
                continue
            model = float_model(name, data, epochs=arguments.float_epochs, seed=seed)
            assert data.test_labels is not None
            results[f"{name}, float {seed}"] = {"accuracy": accuracy(model, data.test_images, data.test_labels)}
            for method, way, key in cases:
                if key not in results:
                    results[key] = measure(
                        model, data, method, way, lanes=lane_mix(geometry), bits=geometry.activation_bits,
                        epochs=arguments.epochs, seed=seed,
                    )  # fmt: skip
                    print(f"{key}: {results[key]}", flush=True)
                    if arguments.json:
                        write_json(arguments.json, results)
    print(summary(results))


if __name__ == "__main__":
    main()
