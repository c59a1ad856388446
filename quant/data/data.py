"""Data sets: images as 8-bit codes, with labels where there are any."""

import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...image_file import SEED, TEST_SHARE, DataError, ImageArrays, checked, read_train_and_test, split
from . import cifar, image_folder, procedural
from .image_folder import FolderImages

DIGITS_SIZE = 16
"""Rows and columns of the built-in digits (8 × 8, enlarged)."""
PROCEDURAL_IMAGES = (6000, 1200)
"""Of the procedural data set: to train, to test."""

Images = Tensor | FolderImages
"""uint8 (or floats in 0 … 1), N × C × H × W: in memory, or read when they are indexed."""


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Images to train and calibrate with, and images to test with.

    Members
    -------
    train_images, test_images: uint8, N × C × H × W; to train, maybe files that are read when they are indexed.
    train_labels, test_labels: int64 class numbers, or None.
    """

    name: str
    train_images: Images
    test_images: Tensor
    train_labels: Tensor | None = None
    test_labels: Tensor | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width


def load_data(
    name_or_path: str | Path,
    *,
    image_size: int | None = None,
    images_per_class: int | None = None,
    test_images: int | None = None,
    from_files: bool = False,
) -> Dataset:
    """A built-in data set, a file, or a folder.

    `digits`: scikit-learn's 1,797 handwritten digits, enlarged to 16 × 16; 1,438 to train, 359 to test.
    `procedural`: coloured shapes in front of clutter, 12 classes, 6,000 to train, 1,200 to test (`procedural.py`).
    `….npz`: `images` (N × C × H × W, uint8, or float in 0 … 1) and, if there, `labels` (N integers from 0), of which a
    fifth, by a fixed shuffle, is kept for tests; or `train_images` and `test_images`, and labels likewise.
    A folder of CIFAR-10's python files (`data_batch_1` …), or of images in one folder per class (`image_folder.py`),
    maybe with `train` and `val` (or `test`) above; without them a fifth is kept for tests.

    Parameters
    ----------
    image_size: rows and columns of `procedural` (32) and of a folder's images (224); the others have their own.
    images_per_class: at most, of `procedural` and of a folder; None for all.
    test_images: at most, chosen by a fixed shuffle; None for all.
    from_files: read a folder's images to train when they are needed, as random crops need it; this is so anyway where
        they do not fit in memory (`image_folder.LARGEST_BYTES`).

    Raises
    ------
    DataError: unknown name, missing or damaged file, a folder without classes, or arrays of the wrong key, shape, type
        or range.
    """
    path = Path(name_or_path)
    if path.is_dir() and not cifar.is_cifar(path):
        return _folder(path, image_size or 224, images_per_class, test_images, from_files)
    data = _whole(name_or_path, image_size, images_per_class)
    if test_images is None:
        return data
    chosen = torch.from_numpy(_some(len(data.test_images), test_images))
    labels = None if data.test_labels is None else data.test_labels[chosen]
    return dataclasses.replace(data, test_images=data.test_images[chosen], test_labels=labels)


def dataset_of(images: "Tensor | np.ndarray", labels: "Tensor | np.ndarray | None" = None) -> Dataset:
    """Images and labels in memory as a data set: a fifth, by a fixed shuffle, is kept for tests.

    Parameters
    ----------
    images: N × C × H × W, uint8, or floating point in 0 … 1.
    labels: N class numbers from 0, or None.

    Raises
    ------
    DataError: another shape, type or range.
    """
    arrays = (None if each is None else np.asarray(each.cpu() if isinstance(each, Tensor) else each)
              for each in (images, labels))  # fmt: skip
    return _dataset("images", split(checked("data", *arrays, least=2)))  # type: ignore[arg-type]


def _whole(name_or_path: str | Path, image_size: int | None, images_per_class: int | None) -> Dataset:
    """A data set that is held in memory."""
    path = Path(name_or_path)
    if str(name_or_path) == "procedural":
        return _procedural(image_size or 32, images_per_class)
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
    return _dataset(path.stem, read_train_and_test(path))


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


def _some(count: int, most: int | None) -> np.ndarray:
    """Indices of at most so many of `count`, ascending, chosen by a fixed shuffle."""
    return np.sort(np.random.default_rng(SEED).permutation(count)[:most])


def _folder(root: Path, size: int, per_class: int | None, tests: int | None, from_files: bool) -> Dataset:
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
        paths, labels = image_folder.list_folder(train, per_class=per_class, classes=classes)
        order = np.random.default_rng(SEED).permutation(len(paths))
        paths, labels = [paths[index] for index in order], labels[order]
        if halves[0] is None or halves[1] is None:
            kept = max(1, int(len(paths) * TEST_SHARE))
            test_paths, truths = paths[:kept], labels[:kept]
            paths, labels = paths[kept:], labels[kept:]
        else:
            test_paths, truths = image_folder.list_folder(halves[1], per_class=per_class, classes=classes)
        if not test_paths:
            raise DataError(f"data folder {halves[1]} has no folders with images; it must have the classes of {train}")
        chosen = _some(len(test_paths), tests)
        test_paths, truths = [test_paths[index] for index in chosen], truths[chosen]
        _check_memory(halves[1] or root, test_paths, truths, size)
        images: Images = FolderImages(paths, size)
        if not from_files and image_folder.bytes_of(len(paths), size) <= image_folder.LARGEST_BYTES:
            images = images[:]
        test_images = torch.from_numpy(image_folder.read_images(test_paths, size))
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"data folder {root}: {error}") from error
    return Dataset(root.name, images, test_images, torch.from_numpy(labels), torch.from_numpy(truths))


def _check_memory(root: Path, paths: list[Path], labels: np.ndarray, size: int) -> None:
    needed, most = image_folder.bytes_of(len(paths), size), image_folder.LARGEST_BYTES
    if needed > most:
        each = most // (image_folder.bytes_of(1, size) * len(set(labels.tolist())))
        raise DataError(
            f"data folder {root}: {len(paths):,} images to test at {size} × {size} take {needed / 2**30:.1f} GiB of "
            f"memory, above {most / 2**30:g}; take at most {each} images of each class, or fewer test images"
        )


def _digits() -> Dataset:
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = torch.from_numpy(digits.images).float()[:, None] * (255 / 16)
    large = functional.interpolate(small, size=(DIGITS_SIZE, DIGITS_SIZE), mode="bilinear", align_corners=False)
    codes = large.round().clamp(0, 255).to(torch.uint8).numpy()
    return _dataset("digits", split(ImageArrays(images=codes, labels=digits.target)))


def _dataset(name: str, parts: tuple[ImageArrays, ImageArrays]) -> Dataset:
    """Arrays to train and to test with, as tensors."""
    train, test = parts
    if train.images.shape[1:] != test.images.shape[1:]:
        raise DataError(
            f"data {name}: images to train and to test must be of one shape, not {train.images.shape[1:]} and "
            f"{test.images.shape[1:]}"
        )
    return Dataset(name, _codes(train.images), _codes(test.images), _labels(train.labels), _labels(test.labels))


def _codes(images: np.ndarray) -> Tensor:
    if images.dtype == np.uint8:
        return torch.from_numpy(images)
    return torch.from_numpy(np.floor(images.astype(np.float64) * 255 + 0.5).astype(np.uint8))


def _labels(labels: np.ndarray | None) -> Tensor | None:
    return None if labels is None else torch.from_numpy(labels.astype(np.int64))
