"""Folders of images, one folder per class, with the transforms that ImageNet is tested with.

`ROOT/CLASS/*.jpg`, or `ROOT/train/CLASS/…` and `ROOT/val/CLASS/…` (or `test`). Classes are numbered in the order of
their names. The shorter side is resized to 256/224 of the size (bilinear, antialiased), then the centre is cut out.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Union

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm")
LARGEST_BYTES = 8 << 30
"""Images that are held in memory; more than this is refused (tests) or read when it is needed (training)."""
_MARGIN = 256 / 224
CROP_AREA, CROP_ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)
"""Of the random crops for training: share of the image's area, width over height."""
_CROP_TRIALS = 10


class FolderImages:
    """Images that are read when they are indexed; in shape and use like a uint8 tensor N × 3 × size × size.

    Parameters
    ----------
    paths: of the image files.
    size: rows and columns, after resizing and cropping.
    """

    dtype = torch.uint8

    def __init__(self, paths: Sequence[Path], size: int) -> None:
        self.paths, self.size = list(paths), size
        self.shape = torch.Size((len(self.paths), 3, size, size))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, chosen: Union[slice, "Tensor"]) -> Tensor:
        """The centres of the images of a slice or of a tensor of indices."""
        images = [read_image(path, self.size) for path in self._paths(chosen)]
        return torch.from_numpy(np.stack(images)) if images else torch.empty(0, *self.shape[1:], dtype=self.dtype)

    def cropped(self, chosen: Tensor, generators: Iterable[np.random.Generator]) -> Tensor:
        """Random crops of images, flipped or not, each by its own random numbers."""
        images = [read_crop(path, self.size, random) for path, random in zip(self._paths(chosen), generators)]
        return torch.from_numpy(np.stack(images))

    def _paths(self, chosen: Union[slice, "Tensor"]) -> list[Path]:
        return self.paths[chosen] if isinstance(chosen, slice) else [self.paths[int(index)] for index in chosen]


def class_folders(root: Path) -> list[Path]:
    """The folders of a root that hold images, in the order of their names."""
    return [entry for entry in sorted(root.iterdir()) if entry.is_dir() and _files(entry)]


def list_folder(root: Path, *, per_class: int | None, classes: list[str]) -> tuple[list[Path], np.ndarray]:
    """The image files of a root whose folders are classes, and their labels (int64).

    Parameters
    ----------
    per_class: the first so many of each class, by name; None takes all.
    classes: names of the classes, in the order of their numbers; the root may lack some of them.

    Raises
    ------
    ValueError: a class is not in `classes`.
    """
    paths, labels = [], []
    for folder in class_folders(root):
        if folder.name not in classes:
            raise ValueError(f"class {folder.name!r} of {root} is not one of the training classes")
        files = _files(folder)[:per_class]
        paths += files
        labels += [classes.index(folder.name)] * len(files)
    return paths, np.array(labels, np.int64)


def read_images(paths: Sequence[Path], size: int) -> np.ndarray:
    """The centres of images: uint8, N × 3 × size × size.

    Raises
    ------
    ValueError: one cannot be read.
    """
    images = np.empty((len(paths), 3, size, size), np.uint8)
    for index, path in enumerate(paths):
        images[index] = read_image(path, size)
    return images


def bytes_of(count: int, size: int) -> int:
    """Bytes of so many images in memory."""
    return count * 3 * size * size


def read_image(path: Path, size: int) -> np.ndarray:
    """One image, uint8 3 × size × size: resized, the centre cut out.

    Raises
    ------
    ValueError: Pillow is not installed, or the file cannot be read.
    """
    image = _open(path)
    scale = round(size * _MARGIN) / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    resized = _resize(image, (width, height))
    return np.asarray(resized.crop((left, top, left + size, top + size))).transpose(2, 0, 1)


def read_crop(path: Path, size: int, random: np.random.Generator) -> np.ndarray:
    """A random crop of an image, resized and maybe flipped: uint8, 3 × size × size.

    Raises
    ------
    ValueError: as `read_image`.
    """
    image = _open(path)
    crop = np.asarray(_resize(image.crop(crop_box(*image.size, random)), (size, size)))
    return (crop[:, ::-1] if random.integers(2) else crop).transpose(2, 0, 1).copy()


def crop_box(width: int, height: int, random: np.random.Generator) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a random crop (`CROP_AREA`, `CROP_ASPECT`), or the largest centre that has one."""
    for _ in range(_CROP_TRIALS):
        area = width * height * random.uniform(*CROP_AREA)
        aspect = math.exp(random.uniform(math.log(CROP_ASPECT[0]), math.log(CROP_ASPECT[1])))
        columns, rows = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < columns <= width and 0 < rows <= height:
            left, top = int(random.integers(width - columns + 1)), int(random.integers(height - rows + 1))
            return left, top, left + columns, top + rows
    columns, rows = min(width, round(height * CROP_ASPECT[1])), min(height, round(width / CROP_ASPECT[0]))
    left, top = (width - columns) // 2, (height - rows) // 2
    return left, top, left + columns, top + rows


def _open(path: Path) -> "Image":
    try:
        from PIL import Image
    except ImportError as error:
        raise ValueError("reading image files needs Pillow; install it with: pip install pillow") from error
    try:
        with Image.open(path) as file:
            return file.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"image {path} cannot be read ({error}); remove or replace it") from error


def _resize(image: "Image", size: tuple[int, int]) -> "Image":
    from PIL.Image import Resampling

    return image.resize(size, Resampling.BILINEAR)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
