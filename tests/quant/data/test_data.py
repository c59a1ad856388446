"""Data sets: the built-in digits, and files whose faults are named."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from intramix.image_file import read_test
from intramix.quant.data.data import DataError, load_data


def test_digits() -> None:
    data = load_data("digits")
    assert data.image_shape == (1, 16, 16)
    assert len(data.test_images) >= 350
    assert len(data.train_images) + len(data.test_images) == 1797
    assert data.train_images.dtype == torch.uint8
    # Every class in about its share, no image lost: the multiset of labels is scikit-learn's.
    labels = torch.cat([data.train_labels, data.test_labels])
    assert labels.bincount().tolist() == np.bincount(load_digits().target).tolist()
    assert data.test_labels.bincount(minlength=10).min() > 20
    # Enlarged without offset or change of contrast.
    images = torch.cat([data.train_images, data.test_images]).float()
    assert images.mean().item() == pytest.approx(load_digits().images.mean() * 255 / 16, rel=0.01)
    assert images.max() == 255


def test_digits_are_split_alike_each_time() -> None:
    assert torch.equal(load_data("digits").test_images, load_data("digits").test_images)


def save(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)
    return path


def test_float_images_become_codes(tmp_path: Path) -> None:
    images = np.linspace(0, 1, 20 * 12).reshape(20, 3, 2, 2)
    data = load_data(save(tmp_path / "set.npz", images=images, labels=np.arange(20)))
    assert data.name == "set"
    assert (len(data.train_images), len(data.test_images)) == (16, 4)
    for part, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        assert np.array_equal(part.numpy(), np.floor(images[labels.numpy()] * 255 + 0.5))


def test_images_without_labels(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (10, 1, 4, 4), np.uint8)
    data = load_data(str(save(tmp_path / "plain.npz", images=images)))
    assert data.train_labels is None
    together = np.concatenate([data.train_images.numpy(), data.test_images.numpy()])
    assert sorted(image.tobytes() for image in together) == sorted(image.tobytes() for image in images)


def test_a_split_of_one_s_own(tmp_path: Path) -> None:
    images = np.arange(7, dtype=np.uint8).reshape(7, 1, 1, 1)
    path = save(tmp_path / "own.npz", train_images=images[:4], train_labels=np.arange(4), test_images=images[4:] / 255)
    data = load_data(path)
    assert data.train_images.flatten().tolist() == data.train_labels.tolist() == [0, 1, 2, 3]
    assert data.test_images.flatten().tolist() == [4, 5, 6]
    assert data.test_labels is None
    assert read_test(path).images.shape == (3, 1, 1, 1)
    with pytest.raises(DataError, match="has no array 'test_images'; it has train_images"):
        load_data(save(path, train_images=images))
    with pytest.raises(DataError, match="has test_images but no train_images"):
        load_data(save(path, test_images=images))
    with pytest.raises(DataError, match="must be of one shape"):
        load_data(save(path, train_images=images, test_images=images.reshape(1, 7, 1, 1)))


GOOD = np.zeros((4, 1, 2, 2), np.uint8)
BAD = [
    ({"pictures": GOOD}, "has no array 'images'; it has pictures"),
    ({"images": GOOD[0]}, r"images must be N × C × H × W, none of them 0, not of shape \(1, 2, 2\)"),
    ({"images": GOOD[:1]}, "at least 2"),
    ({"images": GOOD[:, :, :0]}, r"not of shape \(4, 1, 0, 2\)"),
    ({"images": GOOD.astype(np.int32)}, r"must be uint8, or floating point in 0 … 1, not int32"),
    ({"images": GOOD + 1.5}, "must be in 0 … 1, not 1.5 … 1.5; give them as they are before any normalisation"),
    ({"images": GOOD + np.nan}, "must be in 0 … 1"),
    ({"images": GOOD, "labels": np.zeros(3, int)}, r"labels must be one number per image, 4, not of shape \(3,\)"),
    ({"images": GOOD, "labels": np.zeros(4)}, "labels must be integers from 0, not float64"),
    ({"images": GOOD, "labels": np.full(4, -1)}, "labels must be integers from 0, not int64 from -1"),
    ({"images": np.array([None, 1], object)}, "damaged or no .npz archive of plain arrays"),
]


@pytest.mark.parametrize(("arrays", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_arrays(tmp_path: Path, arrays: dict, message: str) -> None:
    path = save(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataError, match=message) as error:
        load_data(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99])
def test_truncated_file(tmp_path: Path, share: float) -> None:
    path = save(tmp_path / "cut.npz", images=np.zeros((9, 1, 8, 8), np.uint8), labels=np.zeros(9, int))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"cut\.npz is damaged"):
        load_data(path)


def test_damaged_content(tmp_path: Path) -> None:
    path = save(tmp_path / "flip.npz", images=np.zeros((9, 1, 8, 8), np.uint8))
    content = bytearray(path.read_bytes())
    content[300] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"flip\.npz is damaged.*CRC"):
        load_data(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load_data(tmp_path / "none.npz")


def test_unknown_name() -> None:
    with pytest.raises(DataError, match="'cifar' is neither 'digits' nor 'procedural' nor a folder"):
        load_data("cifar")
