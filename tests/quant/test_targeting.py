"""Targets on networks: reached at the cost that is said, missed with what would help, judged on images held out."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import intramix
from intramix.lanes import plan_for, scheme_of
from intramix.model import QuantizedModel
from intramix.platforms.boards import board as find_board
from intramix.quant.assignment.kept import KeptLayers
from intramix.quant.assignment.target import Target, TargetError
from intramix.quant.data.data import Dataset, dataset_of
from intramix.quant.network.fidelity import fidelity
from intramix.quant.network.model import QuantizedNetwork
from intramix.quant.plan import PlanError
from intramix.quant.quantize import QuantizationCallbacks, quantize
from intramix.quant.reconstruction.options import ReconstructionOptions
from intramix.quant.targeting import TargetMissedError, hold_out
from intramix.quant.training.predict import predict
from intramix.quant.training.recipe import TrainingOptions

IMAGES = np.random.default_rng(0).integers(0, 256, (48, 2, 8, 8), dtype=np.uint8)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 48, 3, padding=1), nn.ReLU(), nn.Conv2d(48, 32, 1),
        nn.ReLU(), nn.Flatten(), nn.Linear(32 * 64, 6),
    ).eval()  # fmt: skip


def quantized(target: Target | None, **choices: object) -> QuantizedModel:
    board = find_board("small")
    geometry = scheme_of("fixed-4", board, board.geometry)
    plan = plan_for(geometry, method="fixed-4", target=target, activation_bits=8, **choices)  # type: ignore[arg-type]
    callbacks = choices.pop("callbacks", QuantizationCallbacks())
    return intramix.quantize(net(), IMAGES, board="small", plan=plan, geometry=geometry, callbacks=callbacks)


def test_every_fourth_image_is_held_out() -> None:
    data = Dataset("d", torch.arange(10)[:, None, None, None], torch.zeros(1, 1, 1, 1), torch.arange(10))
    rest, judged = hold_out(data)
    assert judged.flatten().tolist() == [0, 4, 8]
    assert rest.train_images[:].flatten().tolist() == [1, 2, 3, 5, 6, 7, 9]
    assert rest.train_labels is not None
    assert rest.train_labels.tolist() == [1, 2, 3, 5, 6, 7, 9]
    with pytest.raises(TargetError, match="at least two images"):
        hold_out(dataclasses.replace(data, train_images=torch.zeros(1, 1, 1, 1), train_labels=None))


def test_a_target_between_4_and_8_bits_is_reached_with_some_layers() -> None:
    """What is taken reaches the target on the images held out, costs what is said, and is what --keep gives."""
    ends = quantized(Target(sqnr=-50.0)).quantization, quantized(Target(sqnr=25.0)).quantization
    assert ends[0] is not None
    assert ends[1] is not None
    assert [len(it.layers) for it in ends[0].candidates] == [0], "the method's own formats do"
    low, high = ends[1].candidates[0].fidelity.sqnr, ends[1].candidates[-1].fidelity.sqnr
    assert low + 6 < high
    model = quantized(Target(sqnr=low + 2))
    result = model.quantization
    assert result is not None
    assert result.chosen is not None
    assert 0 < len(result.chosen.layers) < 4
    assert not result.chosen.everything
    assert result.chosen.cost == model.cost()
    assert model.cost().frames_per_second > ends[1].candidates[-1].cost.frames_per_second
    _, judged = hold_out(dataset_of(IMAGES))
    found = fidelity(predict(net(), judged), predict(result.network, judged).double().numpy())
    assert found.sqnr == pytest.approx(result.chosen.fidelity.sqnr, abs=0.2)
    assert found.sqnr >= low + 2 - 0.2
    kept = quantized(None, kept=KeptLayers(bits=8, layers=result.chosen.layers)).quantization
    assert kept is not None
    assert kept.formats == result.formats


def test_a_missed_target_says_by_how_much_and_what_would_help() -> None:
    with pytest.raises(TargetMissedError, match=r"99 dB is not reached: the nearest of 2 assignments has") as caught:
        quantized(Target(sqnr=99.0))
    assert [it.reached for it in caught.value.candidates] == [False, False]
    text = str(caught.value)
    short = 99.0 - caught.value.candidates[-1].fidelity.sqnr
    assert f"{short:.1f} dB short" in text
    assert "--reconstruct" in text
    assert "--bits" not in text, "they are 8 already"


def test_reconstruction_goes_on_with_the_nearest_and_is_judged() -> None:
    options = ReconstructionOptions(steps=2)
    with pytest.raises(TargetMissedError, match="the nearest of 2 assignments, reconstructed, has") as caught:
        quantized(Target(sqnr=99.0), reconstruction=options)
    assert "--reconstruct" not in str(caught.value)
    assert caught.value.candidates


@pytest.mark.parametrize("choice", [{"reconstruction": ReconstructionOptions(steps=20)}, {"refined": True}])
def test_what_is_learned_is_judged_beside_what_was_chosen(choice: dict[str, object]) -> None:
    """Candidates are judged before the rounding is learned, the one that is taken afterwards too."""
    plain = quantized(Target(sqnr=-50.0)).quantization
    assert plain is not None
    assert plain.learned is None
    result = quantized(Target(sqnr=-50.0), **choice).quantization
    assert result is not None
    assert result.learned is not None
    assert result.chosen == plain.chosen
    assert result.candidates == plain.candidates
    assert result.chosen is not None
    assert result.learned.images == result.chosen.fidelity.images == 10
    assert result.learned.sqnr > result.chosen.fidelity.sqnr + 1
    _, judged = hold_out(dataset_of(IMAGES))
    found = fidelity(predict(net(), judged), predict(result.network, judged).double().numpy())
    assert found.sqnr == pytest.approx(result.learned.sqnr, abs=0.2)


def test_a_target_that_learning_loses_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It need not happen, but what is written must be what was asked for."""

    def spoilt(network: QuantizedNetwork, *_: object, **__: object) -> None:
        for module in network.convolutions.values():
            module.weight.data.zero_()

    monkeypatch.setattr("intramix.quant.quantize.refine", spoilt)
    with pytest.raises(TargetMissedError, match="reached it by itself, refined, has") as caught:
        quantized(Target(sqnr=1.0), refined=True)
    assert "short. --refine can be left out;" in str(caught.value)
    assert [it.reached for it in caught.value.candidates] == [True]


def test_contradictions_are_refused() -> None:
    with pytest.raises(PlanError, match=r"a target needs training with 0 epochs \(--epochs 0\)"):
        quantized(Target(sqnr=1.0), training=TrainingOptions(epochs=1))
    board = find_board("small")
    plan = plan_for(board.geometry, target=Target(sqnr=1.0))
    with pytest.raises(ValueError, match="needs cost_of"):
        quantize(net(), dataset_of(IMAGES), plan)

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(128, 3), nn.Linear(128, 4)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.one(x.flatten(1)), self.two(x.flatten(1))

    with pytest.raises(TargetError, match=r"has 2 outputs, .*; it takes a network of one, of scores"):
        intramix.quantize(Two().eval(), IMAGES, board="small", plan=plan, geometry=board.geometry)
