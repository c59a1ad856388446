"""Folders of images, one folder per class, with the transforms that ImageNet is tested with.

`ROOT/CLASS/*.jpg`, or `ROOT/train/CLASS/…` and `ROOT/val/CLASS/…` (or `test`). Classes are numbered in the order of
their names. The shorter side is resized to 256/224 of the size (bilinear, antialiased), then the centre is cut out.
"""

from pathlib import Path

import numpy as np

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm")
LARGEST_BYTES = 8 << 30
"""Images are held in memory; more than this is refused."""
_MARGIN = 256 / 224


def class_folders(root: Path) -> list[Path]:
    """The folders of a root that hold images, in the order of their names."""
    return [entry for entry in sorted(root.iterdir()) if entry.is_dir() and _files(entry)]


def read_folder(root: Path, *, size: int, per_class: int | None, classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Images (uint8, N × 3 × size × size) and labels (int64) of a root whose folders are classes.

    Parameters
    ----------
    per_class: the first so many of each class, by name; None takes all.
    classes: names of the classes, in the order of their numbers; the root may lack some of them.

    Raises
    ------
    ValueError: a class is not in `classes`, the images do not fit in memory, or one cannot be read.
    """
    paths, labels = [], []
    for folder in class_folders(root):
        if folder.name not in classes:
            raise ValueError(f"class {folder.name!r} of {root} is not one of the training classes")
        files = _files(folder)[:per_class]
        paths += files
        labels += [classes.index(folder.name)] * len(files)
    needed = len(paths) * 3 * size * size
    if needed > LARGEST_BYTES:
        most = LARGEST_BYTES // (3 * size * size * max(1, len(set(labels))))
        raise ValueError(
            f"{len(paths):,} images of {root} at {size} × {size} take {needed / 2**30:.1f} GiB of memory, above "
            f"{LARGEST_BYTES >> 30}; take at most {most} images of each class"
        )
    images = np.empty((len(paths), 3, size, size), np.uint8)
    for index, path in enumerate(paths):
        images[index] = read_image(path, size)
    return images, np.array(labels, np.int64)


def read_image(path: Path, size: int) -> np.ndarray:
    """One image, uint8 3 × size × size: resized, the centre cut out.

    Raises
    ------
    ValueError: Pillow is not installed, or the file cannot be read.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ValueError("reading image files needs Pillow; install it with: pip install intramix[images]") from error
    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"image {path} cannot be read ({error}); remove or replace it") from error
    scale = round(size * _MARGIN) / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized.crop((left, top, left + size, top + size))).transpose(2, 0, 1)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
