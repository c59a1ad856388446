"""Data sets: images as 8-bit codes, with labels where there are any."""

import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from . import cifar, image_folder, procedural

DIGITS_SIZE = 16
"""Rows and columns of the built-in digits (8 × 8, enlarged)."""
PROCEDURAL_IMAGES = (6000, 1200)
"""Of the procedural data set: to train, to test."""
TEST_SHARE = 0.2
SEED = 2025


class DataError(ValueError):
    """A data set that cannot be used; the message names the file, the field, the reason and a remedy."""


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Images to train and calibrate with, and images to test with.

    Members
    -------
    train_images, test_images: uint8, N × C × H × W.
    train_labels, test_labels: int64 class numbers, or None.
    """

    name: str
    train_images: Tensor
    test_images: Tensor
    train_labels: Tensor | None = None
    test_labels: Tensor | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width


def load_data(
    name_or_path: str | Path, *, image_size: int | None = None, images_per_class: int | None = None
) -> Dataset:
    """A built-in data set, a file, or a folder.

    `digits`: scikit-learn's 1,797 handwritten digits, enlarged to 16 × 16; 1,438 to train, 359 to test.
    `procedural`: coloured shapes in front of clutter, 12 classes, 6,000 to train, 1,200 to test (`procedural.py`).
    `….npz`: `images` (N × C × H × W, uint8, or float in 0 … 1) and, if there, `labels` (N integers from 0). A fifth,
    by a fixed shuffle, is kept for tests.
    A folder of CIFAR-10's python files (`data_batch_1` …), or of images in one folder per class (`image_folder.py`),
    maybe with `train` and `val` (or `test`) above; without them a fifth is kept for tests.

    Parameters
    ----------
    image_size: rows and columns of `procedural` (32) and of a folder's images (224); the others have their own.
    images_per_class: at most, of `procedural` and of a folder; None for all.

    Raises
    ------
    DataError: unknown name, missing or damaged file, a folder without classes, or arrays of the wrong key, shape, type
        or range.
    """
    path = Path(name_or_path)
    if str(name_or_path) == "procedural":
        return _procedural(image_size or 32, images_per_class)
    if path.is_dir() and not cifar.is_cifar(path):
        return _folder(path, image_size or 224, images_per_class)
    if image_size is not None or images_per_class is not None:
        raise DataError(f"data {str(name_or_path)!r} has its own size and number of images; leave both options out")
    if str(name_or_path) == "digits":
        return _digits()
    if path.is_dir():
        return _cifar(path)
    if path.suffix != ".npz":
        raise DataError(
            f"data {str(name_or_path)!r} is neither 'digits' nor 'procedural' nor a folder nor a file that ends in .npz"
        )
    images, labels = _read(path)
    return _split(path.stem, images, labels)


def _procedural(size: int, per_class: int | None) -> Dataset:
    train, test = PROCEDURAL_IMAGES
    if per_class is not None:
        train, test = per_class * len(procedural.CLASSES), max(1, per_class // 5) * len(procedural.CLASSES)
    try:
        parts = [procedural.generate(count, size, seed=SEED + part) for part, count in enumerate((train, test))]
    except ValueError as error:
        raise DataError(str(error)) from error
    (images, labels), (test_images, test_labels) = ((torch.from_numpy(a), torch.from_numpy(b)) for a, b in parts)
    order = torch.from_numpy(np.random.default_rng(SEED).permutation(train))
    return Dataset("procedural", images[order], test_images, labels[order], test_labels)


def _cifar(folder: Path) -> Dataset:
    parts = []
    for name in (*cifar.TRAIN_FILES, cifar.TEST_FILE):
        try:
            parts.append(cifar.read_batch(folder / name))
        except ValueError as error:
            raise DataError(f"data file {folder / name}: {error}") from error
    images = [torch.from_numpy(images) for images, _ in parts]
    labels = [torch.from_numpy(labels) for _, labels in parts]
    return Dataset("cifar10", torch.cat(images[:-1]), images[-1], torch.cat(labels[:-1]), labels[-1])


def _folder(root: Path, size: int, per_class: int | None) -> Dataset:
    halves = [next((root / name for name in names if (root / name).is_dir()), None)
              for names in (("train",), ("val", "test"))]  # fmt: skip
    train = halves[0] or root
    classes = [entry.name for entry in image_folder.class_folders(train)]
    if len(classes) < 2:
        raise DataError(
            f"data folder {train} has {len(classes)} folders with images; it must have one for each class, "
            f"with files that end in {', '.join(image_folder.SUFFIXES)}"
        )
    try:
        images, labels = image_folder.read_folder(train, size=size, per_class=per_class, classes=classes)
        if halves[0] is None or halves[1] is None:
            return _split(root.name, torch.from_numpy(images), torch.from_numpy(labels))
        tests, truths = image_folder.read_folder(halves[1], size=size, per_class=per_class, classes=classes)
    except ValueError as error:
        raise DataError(f"data folder {root}: {error}") from error
    if not len(tests):
        raise DataError(f"data folder {halves[1]} has no folders with images; it must have the classes of {train}")
    order = torch.from_numpy(np.random.default_rng(SEED).permutation(len(images)))
    shuffled = torch.from_numpy(images)[order], torch.from_numpy(labels)[order]
    return Dataset(root.name, shuffled[0], torch.from_numpy(tests), shuffled[1], torch.from_numpy(truths))


def _digits() -> Dataset:
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = torch.from_numpy(digits.images).float()[:, None] * (255 / 16)
    large = functional.interpolate(small, size=(DIGITS_SIZE, DIGITS_SIZE), mode="bilinear", align_corners=False)
    return _split("digits", large.round().clamp(0, 255).to(torch.uint8), torch.from_numpy(digits.target).long())


def _read(path: Path) -> tuple[Tensor, Tensor | None]:
    if not path.is_file():
        raise DataError(f"data file {path} does not exist")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files if key in ("images", "labels")}
            keys = archive.files
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise DataError(f"data file {path} is damaged or no .npz archive of plain arrays ({error})") from error
    if "images" not in arrays:
        raise DataError(f"data file {path} has no array 'images'; it has {', '.join(keys) or 'none'}")
    images = _images(path, arrays["images"])
    return images, _labels(path, arrays["labels"], len(images)) if "labels" in arrays else None


def _images(path: Path, images: np.ndarray) -> Tensor:
    if images.ndim != 4 or 0 in images.shape:
        raise DataError(f"data file {path}: images must be N × C × H × W, none of them 0, not of shape {images.shape}")
    if len(images) < 2:
        raise DataError(f"data file {path}: images must be at least 2 (one to train or calibrate, one to test)")
    if images.dtype == np.uint8:
        return torch.from_numpy(images)
    if images.dtype.kind != "f":
        raise DataError(f"data file {path}: images must be uint8, or floating point in 0 … 1, not {images.dtype}")
    if not np.isfinite(images).all() or images.min() < 0 or images.max() > 1:
        raise DataError(
            f"data file {path}: floating-point images must be in 0 … 1, not {images.min()} … {images.max()}; "
            "divide them by their largest value"
        )
    return torch.from_numpy(np.floor(images.astype(np.float64) * 255 + 0.5).astype(np.uint8))


def _labels(path: Path, labels: np.ndarray, images: int) -> Tensor:
    if labels.shape != (images,):
        raise DataError(f"data file {path}: labels must be one number per image, {images}, not of shape {labels.shape}")
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise DataError(f"data file {path}: labels must be integers from 0, not {labels.dtype} from {labels.min()}")
    return torch.from_numpy(labels.astype(np.int64))


def _split(name: str, images: Tensor, labels: Tensor | None) -> Dataset:
    count = len(images)
    order = torch.from_numpy(np.random.default_rng(SEED).permutation(count))
    tests = max(1, int(count * TEST_SHARE))
    test, train = order[:tests], order[tests:]
    if labels is None:
        return Dataset(name, images[train], images[test])
    return Dataset(name, images[train], images[test], labels[train], labels[test])
