"""Normalisations: by name or numbers, refused where they do not fit; a model with one is that model of its images."""

import pytest
import torch
from torch import nn

from intramix.quant.models import ModelError, Normalisation, Normalised, load_model


@pytest.mark.parametrize(
    ("text", "mean", "deviation"),
    [
        ("imagenet", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("0.5/0.25", (0.5,), (0.25,)),
        ("0.1,0.2,0.3/0.5", (0.1, 0.2, 0.3), (0.5,)),
    ],
)
def test_it_is_done_to_the_images(text, mean, deviation):
    own = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    model = Normalised(own, Normalisation.parse(text), 3)
    images = torch.rand(2, 3, 6, 6)
    shift, scale = torch.tensor(mean).reshape(-1, 1, 1), torch.tensor(deviation).reshape(-1, 1, 1)
    torch.testing.assert_close(model(images), own((images - shift) / scale))
    assert {name.removeprefix("model.") for name in model.state_dict()} == set(own.state_dict())


def test_none():
    assert Normalisation.parse("none") is None


@pytest.mark.parametrize("text", ["", "cifar", "0.5", "0.5/", "0.5/0.5/0.5", "a/b"])
def test_texts_that_are_none(text):
    with pytest.raises(ModelError, match=r"must be none, imagenet or MEANS/DEVIATIONS, for instance 0\.5/0\.5"):
        Normalisation.parse(text)


@pytest.mark.parametrize("text", ["0.5/0", "0.5/-1"])
def test_deviations_are_above_zero(text):
    with pytest.raises(ModelError, match="deviations must be above 0"):
        Normalisation.parse(text)


@pytest.mark.parametrize("text", ["nan/1", "0.5/inf", "0.5,0.5/1,1,1"])
def test_numbers_that_do_not_fit_each_other(text):
    with pytest.raises(ModelError, match="there must be finite numbers, as many deviations as means or one for all"):
        Normalisation.parse(text)


def test_another_number_of_channels():
    with pytest.raises(ModelError, match="normalisation of 3 channels: the images have 1"):
        Normalised(load_model("demo"), Normalisation.parse("imagenet"), 1)
