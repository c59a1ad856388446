"""Accuracy of every method and baseline, mean and spread over seeds: calibrated, refined, reconstructed, fine-tuned.

    python -m benchmarks.accuracy --json build/accuracy.json [--plot FILE.svg] [--model resnet-tiny …] [--seeds 3]
                                  [--device cuda --jobs 14]

Each seed trains its own float model (weights and order of images); all methods start from it. Every method has the lane
mix of the board's tile with the LUT lanes of its own scheme, and the same activation bits; `hbp` and `hawq-v3` have the
budget of that mix. What is measured is the integer graph, by the exact executor. With --json the sweep goes on
where it was stopped: results are in the file, float models beside it. Seeds are the outer loop, so that a sweep that is
cut short has all methods with fewer seeds.
"""

import argparse
import copy
import dataclasses
import json
import math
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import nn

from intramix.files import write_json, write_whole
from intramix.lanes import lane_mix, scheme_of
from intramix.platforms.boards import board as find_board
from intramix.quant.assignment.lane_mix import LaneMix
from intramix.quant.assignment.methods import METHODS
from intramix.quant.data.data import Dataset, load_data
from intramix.quant.models import load_model
from intramix.quant.plan import QuantizationPlan
from intramix.quant.quantize import quantize
from intramix.quant.reconstruction.options import ReconstructionOptions
from intramix.quant.training.checkpoint import Checkpoint
from intramix.quant.training.device import TrainingDevice
from intramix.quant.training.predict import accuracy
from intramix.quant.training.train import TrainingOptions, train
from intramix.svg import svg

WAYS = ("calibrated", "refined", "reconstructed", "fine-tuned")
FLOAT_EPOCHS = {"resnet-tiny": 3}
BASELINES = ("fixed-8", "fixed-4", "sp2-4", "pot-4")


def measure(model: nn.Module, data: Dataset, method: str, way: str, *, lanes: LaneMix, bits: int,
            epochs: int, seed: int, device: str) -> dict[str, Any]:  # fmt: skip
    """Accuracy of the integer graph and of the fake quantization, share of codes that differ, size, seconds."""
    started = time.process_time()
    options = METHODS[method].options(epochs=epochs if way == "fine-tuned" else 0, batch_size=64, seed=seed)
    plan = QuantizationPlan(
        lane_mix=lanes, method=method, activation_bits=bits, training=options, refined=way == "refined",
        reconstruction=ReconstructionOptions(seed=seed) if way == "reconstructed" else None,
    )  # fmt: skip
    result = quantize(copy.deepcopy(model), data, plan, device=TrainingDevice(name=device))
    weights = [(kind.bits, module.weight[0].numel()) for module in result.network.convolutions.values()
               for kind in module.formats if not module.layer.exact]  # fmt: skip
    sizes = [math.prod(result.graph.tensors[entry.tensor].shape) for entry in result.agreement]
    differing = sum(size * entry.differing for size, entry in zip(sizes, result.agreement)) / sum(sizes)
    return {
        "accuracy": result.integer_accuracy,
        "fake_accuracy": result.quantized_accuracy,
        "codes_differing": differing,
        "weight_bytes": sum(width * size for width, size in weights) / 8,
        "seconds": round(time.process_time() - started, 1),
    }


def float_model(name: str, data: Dataset, *, epochs: int, seed: int, checkpoint: Checkpoint | None) -> nn.Module:
    """A float model trained from a seed."""
    torch.manual_seed(seed)
    assert data.train_labels is not None
    model = load_model(name, channels=data.image_shape[0], classes=int(data.train_labels.max()) + 1)
    options = TrainingOptions(epochs=epochs, batch_size=32, learning_rate=4e-3, seed=seed, warm_up=0.5)
    model = model.to(memory_format=torch.channels_last)  # 1.2 … 1.6 times as fast on a CPU
    train(model, data.train_images, data.train_labels, options, checkpoint=checkpoint)
    return model.to(memory_format=torch.contiguous_format)


def table(results: dict[str, Any]) -> str:
    """A Markdown table for each model: methods by ways, mean ± standard deviation over the seeds, in percent."""
    lines = []
    for model in dict.fromkeys(key.split(", ")[0] for key in results):
        scores = _scores(results, f"{model}, float")
        lines += ["", f"**{model}**, float {_spread(scores)} % ({len(scores)} seeds)", ""]
        lines += [f"| method | weight bytes | {' | '.join(WAYS)} |", "|---" * (2 + len(WAYS)) + "|"]
        for method in METHODS:
            sizes = [entry["weight_bytes"] for key, entry in results.items() if key.startswith(f"{model}, {method},")]
            if sizes:
                cells = [_spread(_scores(results, f"{model}, {method}, {way}")) for way in WAYS]
                lines.append(f"| `{method}` | {sizes[0]:,.0f} | {' | '.join(cells)} |")
    return "\n".join(lines).strip()


def plot(results: dict[str, Any]) -> str:
    """Every method's mean and spread, calibrated and fine-tuned, SVG."""
    from matplotlib.figure import Figure

    models = list(dict.fromkeys(key.split(", ")[0] for key in results))
    methods = [*BASELINES, *(name for name in METHODS if name not in BASELINES)]
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    for axes, model in zip(figure.subplots(1, len(models), sharey=True, squeeze=False)[0], models):
        reference = statistics.mean(_scores(results, f"{model}, float"))
        axes.axvline(reference, color="#7b8794", linewidth=1, linestyle="--", label="float")
        for way, colour, offset in zip(WAYS, ("#3bc9db", "#0b7285", "#2f9e44", "#f08c00"), (-0.24, -0.08, 0.08, 0.24)):
            for row, method in enumerate(methods):
                if scores := _scores(results, f"{model}, {method}, {way}"):
                    spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
                    axes.errorbar(statistics.mean(scores), row + offset, xerr=spread, fmt="o", markersize=4,
                                  color=colour, label=way if row == 0 else None)  # fmt: skip
        axes.set_yticks(range(len(methods)), methods)
        axes.set_title(model, fontsize=10)
        axes.set_xlabel("accuracy of the integer model, %")
        axes.grid(color="#e4e7eb", linewidth=0.6)
    figure.axes[0].invert_yaxis()
    figure.axes[-1].legend(frameon=False, fontsize=8)
    return svg(figure)


def _scores(results: dict[str, Any], name: str) -> list[float]:
    return [100 * entry["accuracy"] for key, entry in results.items() if key.rsplit(" ", 1)[0] == name]


def _spread(scores: list[float]) -> str:
    if not scores:
        return ""
    return f"{statistics.mean(scores):.1f}" + (f" ± {statistics.stdev(scores):.1f}" if len(scores) > 1 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--model", nargs="+", default=["resnet-tiny", "mobilenet-tiny"])
    parser.add_argument("--method", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--way", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images-per-class", type=int, default=6000, help="of the float training")
    parser.add_argument("--fine-tuning-images", type=int, default=12800)
    parser.add_argument("--test-images", type=int, default=1000)
    parser.add_argument("--float-epochs", type=int, help="default: 3 for resnet-tiny, else 2")
    parser.add_argument("--epochs", type=int, default=10, help="of the fine-tuning")
    parser.add_argument("--device", default="cpu", help="of the training, for example cuda")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="SVG of the results")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, Any] = {}
    if arguments.json and arguments.json.exists():
        results = json.loads(arguments.json.read_text())
        for key, entry in results.items():
            if (found := entry.get("conditions")) != (wanted := conditions(arguments, key)):
                parser.error(f"{arguments.json}: {key} was measured with {found}, not {wanted}; name another file")
    cases = [(seed, model, method, way) for seed in range(arguments.seeds) for model in arguments.model
             for method in arguments.method for way in arguments.way]  # fmt: skip
    cases = [case for case in cases if "{1}, {2}, {3} {0}".format(*case) not in results]
    if cases:
        run(cases, results, arguments)
    print(table(results))
    if arguments.plot:
        write_whole(arguments.plot, plot(results))


def conditions(arguments: argparse.Namespace, key: str) -> dict[str, Any]:
    """What a result depends on beside its key: what was asked for of the data, and of the training if there is any."""
    names = ["board", "images_per_class", "test_images", "float_epochs"]
    if "fine-tuned" in key:
        names += ["fine_tuning_images", "epochs", "device"]
    return {name: getattr(arguments, name) for name in names}


def run(cases: list[tuple[int, str, str, str]], results: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Measures what is missing, into `results` and the file, in several processes."""
    data = load_data("procedural", images_per_class=arguments.images_per_class, test_images=arguments.test_images)
    floats = list(dict.fromkeys((seed, name) for seed, name, _, _ in cases))
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(data, arguments, arguments.json.with_suffix("") if arguments.json else Path(folder, "accuracy"))
        # Processes are forked, so that they have the images without a copy.
        with ProcessPoolExecutor(arguments.jobs, get_context("fork"), _join, (bench,)) as pool:
            for work in (floats, cases):
                for done in as_completed([pool.submit(_measure, case) for case in work]):
                    key, result = done.result()
                    results[key] = result | {"conditions": conditions(arguments, key)}
                    print(f"{key}: {result}", flush=True)
                    if arguments.json:
                        write_json(arguments.json, results)


@dataclasses.dataclass(frozen=True)
class Bench:
    """What every process measures with; float models are in files that begin with `path`."""

    data: Dataset
    arguments: argparse.Namespace
    path: Path

    def float_model(self, seed: int, name: str) -> nn.Module:
        """A float model trained from a seed, or the one that was."""
        path = self.path.with_name(f"{self.path.name}-{name}-{seed}.pt")
        checkpoint = Checkpoint(path, resume=True, conditions={"images": len(self.data.train_images)})
        epochs = self.arguments.float_epochs or FLOAT_EPOCHS.get(name, 2)
        return float_model(name, self.data, epochs=epochs, seed=seed, checkpoint=checkpoint)

    def measure_float(self, seed: int, name: str) -> tuple[str, dict[str, Any]]:
        """The key and the entry of a float model."""
        assert self.data.test_labels is not None
        model = self.float_model(seed, name)
        return f"{name}, float {seed}", {"accuracy": accuracy(model, self.data.test_images, self.data.test_labels)}

    def measure(self, seed: int, name: str, method: str, way: str) -> tuple[str, dict[str, Any]]:
        """The key and the entry of a method."""
        some, board = slice(self.arguments.fine_tuning_images), find_board(self.arguments.board)
        geometry = scheme_of(method, board, board.geometry)
        images, labels = self.data.train_images[some], self.data.train_labels[some]  # type: ignore[index]
        return f"{name}, {method}, {way} {seed}", measure(
            self.float_model(seed, name), dataclasses.replace(self.data, train_images=images, train_labels=labels),
            method, way, lanes=lane_mix(geometry), bits=geometry.activation_bits, epochs=self.arguments.epochs,
            seed=seed, device=self.arguments.device,
        )  # fmt: skip


_bench: Bench | None = None


def _join(bench: Bench) -> None:
    global _bench
    _bench = bench
    torch.set_num_threads(1)


def _measure(case: tuple) -> tuple[str, dict[str, Any]]:
    assert _bench is not None
    return _bench.measure(*case) if len(case) > 2 else _bench.measure_float(*case)


if __name__ == "__main__":
    main()
