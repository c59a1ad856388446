"""Files of images (.npz): what they may hold, and which of their images are kept for tests.

It needs NumPy alone, so that a board reads them as the quantizer does.
"""

import dataclasses
import zipfile
from pathlib import Path

import numpy as np

TEST_SHARE = 0.2
SEED = 2025
"""Of every shuffle that splits data."""

_KEYS = ("images", "labels", "train_images", "train_labels", "test_images", "test_labels")


class DataError(ValueError):
    """A data set that cannot be used; the message names the file, the field, the reason and a remedy."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ImageArrays:
    """Images and, where there are any, labels.

    Members
    -------
    images: uint8, or floating point in 0 … 1, N × C × H × W.
    labels: N integers from 0, or None.
    """

    images: np.ndarray
    labels: np.ndarray | None = None

    def take(self, indices: np.ndarray) -> "ImageArrays":
        """The images of some indices."""
        return ImageArrays(images=self.images[indices], labels=None if self.labels is None else self.labels[indices])


def read_train_and_test(path: Path) -> tuple[ImageArrays, ImageArrays]:
    """The images of a file to train and calibrate with, and those to test with.

    The file has `train_images` and `test_images`, maybe with `train_labels` and `test_labels`; or `images`, maybe with
    `labels`, which `split` splits.

    Raises
    ------
    DataError: the file is missing or damaged, or its arrays are of the wrong key, shape, type or range.
    """
    arrays = _arrays(path)
    if "train_images" not in arrays and "test_images" in arrays:
        raise DataError(f"data file {path} has test_images but no train_images, which a model is made with")
    if "train_images" in arrays:
        return _part(path, arrays, "train_"), read_test(path)
    return split(_part(path, arrays, ""))


def read_test(path: Path) -> ImageArrays:
    """The images of a file to test with: its `test_images`, else the part of its `images` that `split` keeps for tests.

    Raises
    ------
    DataError: see `read_train_and_test`.
    """
    arrays = _arrays(path)
    if "test_images" in arrays or "train_images" in arrays:
        return _part(path, arrays, "test_")
    return split(_part(path, arrays, ""))[1]


def split(whole: ImageArrays) -> tuple[ImageArrays, ImageArrays]:
    """Images to train with and to test with: a fifth, by a shuffle that is always the same, is kept for tests."""
    count = len(whole.images)
    order = np.random.default_rng(SEED).permutation(count)
    tests = max(1, int(count * TEST_SHARE))
    return whole.take(order[tests:]), whole.take(order[:tests])


def checked(where: str, images: np.ndarray, labels: np.ndarray | None = None, *, least: int = 1) -> ImageArrays:
    """Arrays as what they must be.

    Parameters
    ----------
    where: begins the messages.
    least: so many images there must be.

    Raises
    ------
    DataError: another shape, type or range.
    """
    if images.ndim != 4 or 0 in images.shape:
        raise DataError(f"{where}: images must be N × C × H × W, none of them 0, not of shape {images.shape}")
    if len(images) < least:
        raise DataError(f"{where}: images must be at least {least} (one to train or calibrate, one to test)")
    if images.dtype.kind == "f":
        if not np.isfinite(images).all() or images.min() < 0 or images.max() > 1:
            raise DataError(
                f"{where}: floating-point images must be in 0 … 1, not {images.min()} … {images.max()}; "
                "give them as they are before any normalisation, which `quantize --normalisation` is told of, and "
                "divide pixels of 0 … 255 by 255"
            )
    elif images.dtype != np.uint8:
        raise DataError(f"{where}: images must be uint8, or floating point in 0 … 1, not {images.dtype}")
    if labels is not None:
        if labels.shape != (len(images),):
            raise DataError(
                f"{where}: labels must be one number per image, {len(images)}, not of shape {labels.shape}"
            )
        if labels.dtype.kind not in "iu" or labels.min() < 0:
            raise DataError(f"{where}: labels must be integers from 0, not {labels.dtype} from {labels.min()}")
    return ImageArrays(images=images, labels=labels)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise DataError(f"data file {path} does not exist")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files if key in _KEYS}
            keys = archive.files
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise DataError(f"data file {path} is damaged or no .npz archive of plain arrays ({error})") from error
    if not {"images", "train_images", "test_images"} & set(arrays):
        raise DataError(f"data file {path} has no array 'images'; it has {', '.join(keys) or 'none'}")
    return arrays


def _part(path: Path, arrays: dict[str, np.ndarray], prefix: str) -> ImageArrays:
    name = f"{prefix}images"
    if name not in arrays:
        raise DataError(f"data file {path} has no array {name!r}; it has {', '.join(arrays)}")
    least = 1 if prefix else 2
    return checked(f"data file {path}", arrays[name], arrays.get(f"{prefix}labels"), least=least)
