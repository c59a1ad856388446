"""A run that is stopped and resumed equals one that was not, bit for bit; checkpoints that cannot be gone on from."""

import os
import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from intramix.quant.assignment.lane_mix import LaneMix
from intramix.quant.data.data import Dataset
from intramix.quant.graph.formats import POT_4
from intramix.quant.plan import QuantizationPlan
from intramix.quant.quantize import QuantizationCallbacks, quantize
from intramix.quant.training.checkpoint import Checkpoint, TrainingStopped
from intramix.quant.training.progress import Epoch, TrainingProgress
from intramix.quant.training.recipe import TrainingError, TrainingOptions
from intramix.quant.training.train import train

pytestmark = pytest.mark.slow

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randint(0, 256, (50, 2, 6, 6), generator=GENERATOR, dtype=torch.uint8)
LABELS = torch.randint(0, 3, (50,), generator=GENERATOR)
DATA = Dataset("noise", IMAGES, IMAGES[:20], LABELS, LABELS[:20])


def float_model() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU(),
        nn.Dropout(0.3), nn.Flatten(), nn.Linear(8 * 16, 3),
    )  # fmt: skip


def options(**fields: object) -> TrainingOptions:
    return TrainingOptions(**{"epochs": 3, "batch_size": 16, "learning_rate": 5e-3, "seed": 3, **fields})


def stop_after(epoch: int, step: int):
    """Ctrl-C while a step is in progress, that is after the one before, as a callback."""

    def callback(progress: TrainingProgress) -> None:
        if (progress.epoch - epoch) * progress.steps + progress.step == step - 1:
            os.kill(os.getpid(), signal.SIGINT)

    return callback


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(
        torch.equal(value, second[key]) if isinstance(value, Tensor) else value == second[key]
        for key, value in first.items()
    )


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize(("epoch", "step"), [(1, 2), (2, 4)], ids=["inside an epoch", "after an epoch"])
def test_float_training(tmp_path: Path, optimizer: str, epoch: int, step: int) -> None:
    chosen = options(optimizer=optimizer, augmentation="standard")
    whole, parts = float_model(), float_model()
    logs: list[list[Epoch]] = [[], []]
    losses = train(whole, IMAGES, LABELS, chosen, test=(IMAGES, LABELS), after_epoch=lambda e: logs[0].extend(e[-1:]))
    path = tmp_path / "folder" / "float.pt"
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(TrainingStopped, match=rf"stopped in epoch {epoch} of 3, after step {step} of 4; .*--resume"):
        train(parts, IMAGES, LABELS, chosen, checkpoint=Checkpoint(path), progress=stop_after(epoch, step),
              test=(IMAGES, LABELS))  # fmt: skip
    assert signal.getsignal(signal.SIGINT) is handler
    resumed = float_model()  # a new process has new weights
    checkpoint = Checkpoint(path, resume=True)
    again = train(resumed, IMAGES, LABELS, chosen, checkpoint=checkpoint, test=(IMAGES, LABELS),
                  after_epoch=lambda entries: logs[1].__setitem__(slice(None), entries))  # fmt: skip
    assert again == losses
    assert same(whole.state_dict(), resumed.state_dict())
    figures = [[(e.loss, e.train_accuracy, e.accuracy, e.learning_rate) for e in log] for log in logs]
    assert figures[0] == figures[1]
    assert os.listdir(path.parent) == ["float.pt"]
    # Finished: nothing is left to do.
    third = float_model()
    assert train(third, IMAGES, LABELS, chosen, checkpoint=checkpoint) == losses
    assert same(whole.state_dict(), third.state_dict())


@pytest.mark.parametrize(("epoch", "step"), [(1, 4), (2, 1)], ids=["after an epoch", "inside an epoch"])
def test_fine_tuning_with_assignments_that_change(tmp_path: Path, epoch: int, step: int) -> None:
    model = float_model().eval()
    plan = QuantizationPlan(
        lane_mix=LaneMix(1, 3, 4, POT_4), method="output-error", training=options(learning_rate=0.05)
    )
    logs: list[tuple[Epoch, ...]] = []
    logging = QuantizationCallbacks(after_epoch=lambda entries: logs.append(tuple(entries)))
    whole = quantize(model, DATA, plan, callbacks=logging)
    assert logs[-1][1].formats_changed > 0, "the test needs formats that change"
    checkpoint = Checkpoint(tmp_path / "quantized.pt")
    stopping = QuantizationCallbacks(progress=stop_after(epoch, step))
    with pytest.raises(TrainingStopped):
        quantize(model, DATA, plan, checkpoint=checkpoint, callbacks=stopping)
    resumed = quantize(model, DATA, plan, checkpoint=Checkpoint(checkpoint.path, resume=True), callbacks=logging)
    assert resumed.losses == whole.losses
    assert resumed.formats == whole.formats
    assert same(whole.network.state_dict(), resumed.network.state_dict())
    assert [e.formats_changed for e in logs[2]] == [e.formats_changed for e in logs[-1]]


def test_checkpoints_that_cannot_be_gone_on_from(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    train(float_model(), IMAGES, LABELS, options(epochs=1), checkpoint=Checkpoint(path, conditions={"method": "msq"}))

    def go_on(chosen: TrainingOptions, model: nn.Module | None = None, **fields: object) -> None:
        checkpoint = Checkpoint(path, **{"resume": True, "conditions": {"method": "msq"}, **fields})
        train(model or float_model(), IMAGES, LABELS, chosen, checkpoint=checkpoint)

    with pytest.raises(TrainingError, match=r"run\.pt has a training run already; go on with it \(--resume\)"):
        go_on(options(epochs=1), resume=False)
    with pytest.raises(TrainingError, match=r"was made with learning_rate = 0\.005, not 0\.1; go on with the options"):
        go_on(options(epochs=1, learning_rate=0.1))
    with pytest.raises(TrainingError, match="was made with method = 'msq', not 'ilmpq'"):
        go_on(options(epochs=1), conditions={"method": "ilmpq"})
    with pytest.raises(TrainingError, match="is of another model"):
        go_on(options(epochs=1), nn.Sequential(nn.Flatten(), nn.Linear(72, 3)))
    for damaged in (path.read_bytes()[:-200], b"hello", b"."):
        path.write_bytes(damaged)
        with pytest.raises(TrainingError, match="is damaged or no checkpoint; remove it"):
            go_on(options(epochs=1))


def test_a_failed_write_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.pt"
    train(float_model(), IMAGES, LABELS, options(epochs=1), checkpoint=Checkpoint(path))
    before = path.read_bytes()

    def full(*arguments: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        Checkpoint(path).save({}, {"x": 1})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.pt"]
