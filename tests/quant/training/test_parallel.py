"""Two processes give what one gives: batch norms, uneven last batches, formats assigned anew.

Tolerance: float32 sums in another order. Weights of a float network agree to 1e-4 of their size after six steps; those
of a quantized one to 1e-3, since an activation within rounding of the middle between two codes may get the other one.
"""

import socket
from pathlib import Path

import pytest
import torch
from torch import multiprocessing, nn

from intramix.quant.assignment.lane_mix import LaneMix
from intramix.quant.data.data import Dataset
from intramix.quant.graph.formats import POT_4
from intramix.quant.plan import QuantizationPlan
from intramix.quant.quantize import quantize
from intramix.quant.training import parallel
from intramix.quant.training.recipe import TrainingError, TrainingOptions
from intramix.quant.training.train import train

pytestmark = pytest.mark.slow

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randint(0, 256, (41, 2, 6, 6), generator=GENERATOR, dtype=torch.uint8)
LABELS = torch.arange(41) % 3
DATA = Dataset("noise", IMAGES, IMAGES[:20], LABELS, LABELS[:20])


def work(folder: str) -> None:
    """A float training and a fine-tuning; the first process saves what came out."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3),
        nn.BatchNorm2d(8, momentum=None), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 3), nn.BatchNorm1d(3),
    )  # fmt: skip
    options = TrainingOptions(epochs=2, batch_size=16, optimizer="sgd", learning_rate=0.05, seed=3)
    log: list[float] = []
    losses = train(
        model, IMAGES, LABELS, options, test=(IMAGES, LABELS),
        after_epoch=lambda epochs: log.append(epochs[-1].accuracy),
    )  # fmt: skip
    assert "forward" not in vars(model[1])
    state = {key: value.clone() for key, value in model.state_dict().items()}
    plan = QuantizationPlan(
        lane_mix=LaneMix(1, 3, 4, POT_4), method="output-error",
        training=TrainingOptions(epochs=2, batch_size=16, learning_rate=1e-3),
    )  # fmt: skip
    result = quantize(model[:-1], DATA, plan)
    if not parallel.rank():
        torch.save(
            {
                "losses": losses, "accuracy": log, "float": state, "quantized losses": list(result.losses),
                "network": {key: value for key, value in result.network.named_parameters()},
                "formats": {name: [kind.name for kind in kinds] for name, kinds in result.formats.items()},
            },
            Path(folder) / f"{parallel.processes()}.pt",
        )  # fmt: skip
    else:
        assert result.integer_accuracy is None


def start(rank: int, folder: str, port: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}.items():
            patch.setenv(key, str(value))
        patch.setenv("MASTER_ADDR", "127.0.0.1")
        with parallel.process_group(torch.device("cpu")):
            assert (parallel.rank(), parallel.processes()) == (rank, 2)
            if rank == 0:
                with pytest.raises(TrainingError, match="has 1, fewer than the 2 processes; choose another batch size"):
                    train(nn.Linear(1, 1), IMAGES, LABELS, TrainingOptions(epochs=1, batch_size=20))
            work(folder)


def test_two_processes_and_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.start_processes(start, (str(tmp_path), port), nprocs=2, start_method="fork")
    work(str(tmp_path))
    two, one = (torch.load(tmp_path / f"{count}.pt", weights_only=True) for count in (2, 1))
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-5)
    assert two["accuracy"] == pytest.approx(one["accuracy"], abs=1.01 / 41)
    for key, value in one["float"].items():
        torch.testing.assert_close(two["float"][key], value, rtol=1e-4, atol=1e-5)
    assert two["formats"] == one["formats"]
    assert two["quantized losses"] == pytest.approx(one["quantized losses"], rel=1e-3)
    for key, value in one["network"].items():
        torch.testing.assert_close(two["network"][key], value, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "message"), [("gpu", "auto, cpu, cuda or cuda:N, not 'gpu'"), ("xpu", "auto, cpu, cuda or cuda:N")]
)
def test_unknown_device(name: str, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        parallel.find_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu() -> None:
    assert parallel.find_device("auto").type == "cpu"
    with pytest.raises(TrainingError, match=r"device cuda: PyTorch .* finds no CUDA GPU; use device cpu"):
        parallel.find_device("cuda")
