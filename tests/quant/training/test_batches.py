"""The order of training: every image once, the same however many workers; and augmentation by image."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from intramix.quant.data.data import load_data
from intramix.quant.data.image_folder import CROP_AREA, CROP_ASPECT, FolderImages, crop_box, read_crop
from intramix.quant.training.batches import epoch_batches, shifted, step_seed
from intramix.quant.training.recipe import TrainingOptions

pytestmark = pytest.mark.slow

IMAGES = torch.arange(23, dtype=torch.uint8)[:, None, None, None].expand(23, 3, 16, 16).contiguous()
LABELS = torch.arange(23)


def options(**fields: object) -> TrainingOptions:
    return TrainingOptions(**{"epochs": 1, "batch_size": 5, "seed": 2, **fields})


def test_every_image_once_and_another_order_in_every_epoch() -> None:
    orders = []
    for epoch in (1, 2):
        batches = list(epoch_batches(IMAGES, LABELS, options(), epoch))
        assert [count for _, _, count in batches] == [5, 5, 5, 5, 3]
        for images, labels, _ in batches:
            assert torch.equal(images[:, 0, 0, 0].long(), labels)
        orders.append(torch.cat([labels for _, labels, _ in batches]).tolist())
        assert sorted(orders[-1]) == LABELS.tolist()
    assert orders[0] != orders[1]
    rest = torch.cat([labels for _, labels, _ in epoch_batches(IMAGES, LABELS, options(), 2, first=3)])
    assert rest.tolist() == orders[1][15:]
    assert len({step_seed(seed, epoch, step) for seed in (0, 1) for epoch in (1, 2) for step in (0, 1, 2)}) == 12


def test_shift_and_flip() -> None:
    ramp = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    seen = set()
    for seed in range(60):
        image = shifted(ramp, [np.random.default_rng(seed)])[0, 0].numpy()
        flipped = image[:, ::-1] if image[8, 8] > image[8, 9] else image
        row, column = divmod(int(flipped[8, 8]), 16)
        assert flipped[8, 9] == flipped[8, 8] + 1
        seen.add((row - 8, column - 8, flipped is image))
    assert {row for row, _, _ in seen} == {column for _, column, _ in seen} == {-2, -1, 0, 1, 2}
    assert {kept for *_, kept in seen} == {True, False}


def test_crops_have_the_areas_and_aspects_of_imagenets_recipe() -> None:
    random = np.random.default_rng(0)
    boxes = np.array([crop_box(300, 200, random) for _ in range(2000)])
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2] <= 300).all()
    assert (boxes[:, 3] <= 200).all()
    area, aspect = width * height / 60000, width / height
    assert CROP_AREA[0] - 0.01 < area.min() < 0.1
    assert area.max() > 0.8
    assert CROP_ASPECT[0] - 0.02 < aspect.min() < 0.77
    assert 1.3 < aspect.max() < CROP_ASPECT[1] + 0.02
    assert crop_box(1000, 10, random)[1::2] == (0, 10)  # none fits: the whole height, 4 : 3
    assert crop_box(1000, 10, random)[2] - crop_box(1000, 10, random)[0] == 13


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("ape", "bee"):
        (tmp_path / name).mkdir()
        for index in range(6):
            pixels = np.random.default_rng(index).integers(0, 256, (30, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    return tmp_path


def test_images_from_files_are_those_in_memory(folder: Path) -> None:
    whole, lazy = (load_data(folder, image_size=16, from_files=files) for files in (False, True))
    assert isinstance(lazy.train_images, FolderImages)
    assert lazy.train_images.shape == whole.train_images.shape == (10, 3, 16, 16)
    assert lazy.image_shape == (3, 16, 16)
    assert torch.equal(lazy.train_images[:], whole.train_images)
    chosen = torch.tensor([3, 0])
    assert torch.equal(lazy.train_images[chosen], whole.train_images[chosen])
    assert torch.equal(lazy.train_labels, whole.train_labels)
    assert lazy.train_images[:0].shape == (0, 3, 16, 16)


def test_workers_change_nothing(folder: Path) -> None:
    data = load_data(folder, image_size=16, from_files=True)
    runs = [
        list(epoch_batches(data.train_images, data.train_labels, options(augmentation="standard"), 1, workers=workers))
        for workers in (0, 2)
    ]
    for alone, helped in zip(*runs, strict=True):
        assert torch.equal(alone[0], helped[0])
        assert torch.equal(alone[1], helped[1])


def test_crop_is_the_box_resized(folder: Path) -> None:
    path = folder / "ape" / "0.png"
    found = read_crop(path, 16, np.random.default_rng(5))
    random = np.random.default_rng(5)
    box = crop_box(40, 30, random)
    expected = np.asarray(Image.open(path).crop(box).resize((16, 16), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    expected = expected[:, :, ::-1] if random.integers(2) else expected
    assert np.array_equal(found, expected)


def test_a_share_of_the_test_images() -> None:
    some, all_images = load_data("digits", test_images=50), load_data("digits")
    assert some.test_images.shape[0] == some.test_labels.shape[0] == 50
    assert torch.equal(some.train_images, all_images.train_images)
    assert len(set(some.test_labels.tolist())) == 10
