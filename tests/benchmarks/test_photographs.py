"""Crops of photographs: who is held out calibrates nothing, and the same every time."""

import importlib.util

import pytest
import torch

from benchmarks.photographs import OTHERS, SPLITS, THINGS, crops, split

needs_photographs = pytest.mark.skipif(importlib.util.find_spec("skimage") is None, reason="the extra `trained`")


def test_every_thing_is_held_out_once_and_never_calibrates_then() -> None:
    choices = [split(number) for number in range(SPLITS)]
    assert sorted(path for _, held_out in choices for path in held_out) == sorted(THINGS)
    for learned, held_out in choices:
        assert not set(learned) & set(held_out)
        assert set(learned) | set(held_out) == set(THINGS + OTHERS)


@needs_photographs
@pytest.mark.parametrize("varied", [False, True])
def test_crops_are_the_same_every_time_and_differ_from_each_other(varied: bool) -> None:
    paths = THINGS[:2]
    first, again = (crops(paths, each=3, size=32, varied=varied) for _ in range(2))
    assert first.shape == (6, 3, 32, 32)
    assert first.dtype == torch.uint8
    assert torch.equal(first, again)
    assert len({tuple(image.flatten().tolist()) for image in first}) == 6
    assert torch.equal(first[:2], crops(paths, each=1, size=32))  # the centres come first, as they are
