"""Seconds to choose the bits per channel of a whole network: the integer program, and the weights' errors before it.

    python -m benchmarks.integer_program [--network resnet50] [--json FILE]

Every filter's error in 2 … 8 bits is that of the network's own weights (untrained); the Hessian traces, which only
multiply them, are random. Seconds of processor time, one thread.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from intramix.files import write_json
from intramix.lanes import lane_mix
from intramix.platforms.boards import board as find_board
from intramix.quant.assignment import channel_bits
from intramix.quant.assignment.allocation import allocate
from intramix.quant.assignment.budget import Budget
from intramix.quant.assignment.problem import AllocationProblem
from intramix.quant.assignment.sensitivity import trained
from intramix.quant.frontend.capture import capture
from intramix.quant.frontend.fold import fold
from intramix.quant.graph.formats import FIXED4
from intramix.quant.models import load_model
from intramix.quant.network.model import QuantizedNetwork

BUDGETS = ("size=50%", "bit-operations=50%", "latency=60%", "size=53% latency=50%")


def measure(name: str, *, size: int, board: str) -> list[dict[str, Any]]:
    """A row for each budget."""
    torch.manual_seed(0)
    graph = fold(capture(load_model(name, channels=3, classes=1000).eval(), (3, size, size)))
    network = QuantizedNetwork(graph)
    random = np.random.default_rng(0)
    filters = {key: len(module.weight) for key, module in trained(network).items()}
    traces = {key: torch.from_numpy(random.lognormal(0, 2, count)).float() for key, count in filters.items()}
    mix = dataclasses.replace(lane_mix(find_board(board).geometry), lut_format=FIXED4)
    problems: list[AllocationProblem] = []

    def solve(problem: AllocationProblem, *budgets: Budget) -> np.ndarray:
        problems.append(problem)
        return allocate(problem, *budgets)

    with mock.patch.object(channel_bits, "allocate", solve):
        whole = seconds(lambda: channel_bits.bits_per_channel(network, traces, [Budget.parse(BUDGETS[0])], mix))
    (problem,) = problems
    rows = []
    for text in BUDGETS:
        budgets = [Budget.parse(each) for each in text.split()]
        rows.append({
            "network": name, "budget": text, "channels": int(problem.channels.sum()), "choices": problem.loss.size,
            "seconds": seconds(lambda budgets=budgets: allocate(problem, *budgets)),
        })  # fmt: skip
    rows[0]["with_weight_errors_seconds"] = whole
    return rows


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return round(time.process_time() - started, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--network", default="resnet50")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure(arguments.network, size=arguments.image_size, board=arguments.board)
    print("| network | budget | channels | choices | seconds | with the weights' errors |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        cells = [row["network"], row["budget"], f"{row['channels']:,}", f"{row['choices']:,}", f"{row['seconds']:.1f}"]
        print(f"| {' | '.join(cells)} | {row.get('with_weight_errors_seconds', '')} |")
    if arguments.json:
        write_json(arguments.json, {"rows": rows})


if __name__ == "__main__":
    main()
