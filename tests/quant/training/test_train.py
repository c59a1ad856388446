"""Training: deterministic, scheduled, and loud about a loss that is not a number."""

import math

import pytest
import torch
from torch import nn

from intramix.quant.training.predict import accuracy, predict
from intramix.quant.training.progress import Epoch, TrainingProgress
from intramix.quant.training.recipe import TrainingError, TrainingOptions
from intramix.quant.training.train import train

pytestmark = pytest.mark.slow

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randint(0, 256, (96, 1, 4, 4), generator=GENERATOR, dtype=torch.uint8)
LABELS = torch.arange(96) % 2
IMAGES[LABELS == 1, :, :2] //= 2  # darker above


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))


@pytest.mark.parametrize(("optimizer", "rate"), [("adam", 0.02), ("sgd", 0.1)])
def test_learns(optimizer: str, rate: float) -> None:
    model = small()
    before = accuracy(model, IMAGES, LABELS)
    options = TrainingOptions(epochs=40, optimizer=optimizer, learning_rate=rate, batch_size=32)
    losses = train(model, IMAGES, LABELS, options)
    assert len(losses) == 40
    assert losses[-1] < 0.6 * losses[0]
    assert accuracy(model, IMAGES, LABELS) > max(before, 0.85)
    assert not model.training


def test_same_seed_same_weights_and_callers_random_numbers_untouched() -> None:
    results = []
    for _ in range(2):
        model = small()
        state = torch.get_rng_state()
        train(model, IMAGES, LABELS, TrainingOptions(epochs=2, seed=7, label_smoothing=0.1))
        assert torch.equal(state, torch.get_rng_state())
        results.append(predict(model, IMAGES))
    assert torch.equal(*results)
    other = small()
    train(other, IMAGES, LABELS, TrainingOptions(epochs=2, seed=8, label_smoothing=0.1))
    assert not torch.equal(predict(other, IMAGES), results[0])


def test_progress_and_hooks() -> None:
    seen: list[TrainingProgress] = []
    started: list[int] = []
    options = TrainingOptions(epochs=3, batch_size=40)
    losses = train(small(), IMAGES, LABELS, options, progress=seen.append, before_epoch=started.append)
    assert started == [1, 2, 3]
    assert [(entry.epoch, entry.step) for entry in seen] == [(e, s) for e in (1, 2, 3) for s in (1, 2, 3)]
    assert {(entry.epochs, entry.steps) for entry in seen} == {(3, 3)}
    sizes = (40, 40, 16)
    mean = sum(entry.loss * size for entry, size in zip(seen[:3], sizes)) / 96
    assert losses[0] == pytest.approx(mean)


def test_rate_rises_then_falls_as_a_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []
    step = torch.optim.AdamW.step

    def spy(self: torch.optim.AdamW, *arguments: object) -> object:
        rates.append(self.param_groups[0]["lr"])
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    train(small(), IMAGES, LABELS, TrainingOptions(epochs=5, batch_size=24, learning_rate=1.0, warm_up=1))
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5:] == pytest.approx([0.5 * (1 + math.cos(math.pi * k / 16)) for k in range(1, 16)])


def test_no_epochs_changes_nothing() -> None:
    model = small()
    before = predict(model, IMAGES)
    assert train(model, IMAGES, LABELS, TrainingOptions(epochs=0)) == []
    assert torch.equal(before, predict(model, IMAGES))


def test_loss_that_is_not_finite_names_epoch_and_step() -> None:
    model = small()

    def poison(epoch: int) -> None:
        if epoch == 2:
            model[1].weight.data.fill_(float("nan"))

    message = r"loss is nan in epoch 2, step 1: weight of '1' has 128 of 128 values .*use a learning rate below 0\.5"
    with pytest.raises(TrainingError, match=message):
        train(model, IMAGES, LABELS, TrainingOptions(epochs=3, learning_rate=0.5), before_epoch=poison)


def test_weights_that_are_not_finite_before_training() -> None:
    model = small()
    model[4].bias.data[1] = float("inf")
    with pytest.raises(TrainingError, match="bias of '4' has 1 of 2 values that are not finite before training"):
        train(model, IMAGES, LABELS, TrainingOptions(epochs=1))


def test_loss_that_overflows_with_finite_weights() -> None:
    model = small()
    model[1].weight.data.fill_(1e37)
    model[4].weight.data.fill_(1e37)
    with pytest.raises(TrainingError, match="epoch 1, step 1: all weights are finite, but the scores are not"):
        train(model, IMAGES, LABELS, TrainingOptions(epochs=1))


def test_distillation_minimises_the_divergence_from_the_teacher() -> None:
    teacher, model = small(), small()
    train(teacher, IMAGES, LABELS, TrainingOptions(epochs=20, learning_rate=0.02))
    wrong = 1 - LABELS  # with ALPHA = 1 labels do not count
    options = TrainingOptions(epochs=1, batch_size=96, learning_rate=1e-9, warm_up=0, distill=1.0, temperature=3.0)
    model[3].p = 0.0
    (loss,) = train(model, IMAGES, wrong, options, teacher=teacher)
    found, target = ((predict(entry, IMAGES).double() / 3).softmax(dim=1) for entry in (model, teacher))
    divergence = 9 * (target * (target / found).log()).sum(dim=1).mean().item()
    assert loss == pytest.approx(divergence, rel=1e-4)
    train(model, IMAGES, wrong, TrainingOptions(epochs=30, learning_rate=0.02, distill=1.0), teacher=teacher)
    agree = predict(model, IMAGES).argmax(dim=1) == predict(teacher, IMAGES).argmax(dim=1)
    assert agree.double().mean() > 0.9
    with pytest.raises(TrainingError, match="distillation needs a teacher's scores"):
        train(model, IMAGES, LABELS, TrainingOptions(epochs=1, distill=0.5))


def test_bfloat16_learns_and_keeps_weights_in_float32() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))
    seen = []
    model[0].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    options = TrainingOptions(epochs=10, batch_size=32, learning_rate=0.02, precision="bf16")
    losses = train(model, IMAGES, LABELS, options)
    assert set(seen) == {torch.bfloat16}
    assert losses[-1] < 0.8 * losses[0]
    assert {entry.dtype for entry in model.parameters()} == {torch.float32}
    assert predict(model, IMAGES).dtype == torch.float32


def test_figures_of_every_epoch() -> None:
    seen: list[int] = []
    epochs: list[Epoch] = []

    def record(entries: list[Epoch]) -> None:
        seen.append(len(entries))
        epochs[:] = entries

    model = small()
    options = TrainingOptions(epochs=3, batch_size=32, learning_rate=0.01)
    losses = train(model, IMAGES, LABELS, options, test=(IMAGES[:48], LABELS[:48]),
                   before_epoch=lambda epoch: epoch / 4, after_epoch=record)  # fmt: skip
    assert seen == [1, 2, 3]
    assert [entry.loss for entry in epochs] == losses
    assert [entry.formats_changed for entry in epochs] == [0.25, 0.5, 0.75]
    assert epochs[-1].accuracy == accuracy(model, IMAGES[:48], LABELS[:48])
    assert epochs[-1].learning_rate == options.rate(8, 3) < epochs[0].learning_rate
    assert all(0 <= entry.train_accuracy <= 1 and entry.seconds >= 0 for entry in epochs)


def test_labels_beyond_the_scores() -> None:
    with pytest.raises(TrainingError, match="labels go up to 9, but the model gives 2 scores"):
        train(small(), IMAGES, LABELS + 8, TrainingOptions(epochs=1))


def test_labels_of_other_number() -> None:
    with pytest.raises(TrainingError, match="96 images and 95 labels"):
        train(small(), IMAGES, LABELS[1:], TrainingOptions(epochs=1))


def test_model_without_scores() -> None:
    with pytest.raises(TrainingError, match=r"must give scores N × classes to be trained, not \(64, 1, 4, 4\)"):
        train(nn.Sequential(nn.Conv2d(1, 1, 1)), IMAGES, LABELS, TrainingOptions(epochs=1))


@pytest.mark.parametrize(
    ("field", "value"),
    [("epochs", -1), ("batch_size", 0), ("learning_rate", 0.0), ("optimizer", "lamb"), ("label_smoothing", 1.0),
     ("distill", 1.1), ("temperature", 0.0), ("precision", "float16"), ("augmentation", "mixup")],
)
def test_options_out_of_range(field: str, value: object) -> None:
    with pytest.raises(TrainingError, match=f"training option {field} is out of range"):
        TrainingOptions(**{"epochs": 1, field: value})  # type: ignore[arg-type]
