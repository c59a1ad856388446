"""Crops of the photographs that installed packages carry: what a trained network can be tried on without a download.

Nine photographs of things are in three thirds, each of which is held out once. The others, and nine more, calibrate:
of gravel, stars or tissue no class of ImageNet is right, so what a network decides there says little.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

THINGS = (
    "skimage/data/camera.png", "skimage/data/rocket.jpg", "sklearn/datasets/images/china.jpg",
    "skimage/data/chelsea.png", "skimage/data/coffee.png", "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
    "skimage/data/motorcycle_left.png", "sklearn/datasets/images/flower.jpg", "skimage/data/astronaut.png",
)  # fmt: skip
OTHERS = tuple(
    f"skimage/data/{name}"
    for name in (
        "brick.png", "clock_motion.png", "coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png",
        "moon.png", "retina.jpg",
    )
)  # fmt: skip
"""Paths below the folder of site packages: of scikit-image, scikit-learn and matplotlib, inside their wheels."""
SPLITS = 3
_AREAS = {False: (0.5, 1.0), True: (0.08, 1.0)}
_JITTER = (0.6, 1.4)


def split(number: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The photographs to calibrate on, and those that are held out, in one of the choices 0 … 2."""
    size = len(THINGS) // SPLITS
    held_out = THINGS[number * size : (number + 1) * size]
    return tuple(path for path in THINGS + OTHERS if path not in held_out), held_out


def crops(photographs: Sequence[str], *, each: int, size: int, varied: bool = False) -> Tensor:
    """Square crops, uint8, N × 3 × size × size, the same every time: the first of every photograph, the second …

    The first of a photograph is its centre, as large as it is; the others have half of that area to all of it,
    anywhere, half of them mirrored. `varied`: down to a twelfth, with brightness, contrast and colours changed, and
    in every second one a quarter to a half of the picture is from another photograph.
    """
    pictures = [Image.open(_located(path)).convert("RGB") for path in photographs]
    draws = [np.random.default_rng(sum(path.encode())) for path in photographs]
    found = []
    for number in range(each):
        row = [_crop(picture, number, draw, size, varied) for picture, draw in zip(pictures, draws)]
        if varied and number % 2:
            row = [_joined(one, other, draw) for one, other, draw in zip(row, row[number:] + row[:number], draws)]
        found += row
    return torch.from_numpy(np.stack(found).transpose(0, 3, 1, 2).copy())


def _crop(picture: Image.Image, number: int, draw: np.random.Generator, size: int, varied: bool) -> np.ndarray:
    """size × size × 3."""
    width, height = picture.size
    edge = float(min(width, height))
    left, top = (width - edge) / 2, (height - edge) / 2
    if number:
        edge *= float(draw.uniform(*_AREAS[varied])) ** 0.5
        left, top = draw.uniform(0, width - edge), draw.uniform(0, height - edge)
    cut = picture.resize((size, size), Image.Resampling.BICUBIC, (left, top, left + edge, top + edge))
    if number and varied:
        for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            cut = change(cut).enhance(float(draw.uniform(*_JITTER)))
    values = np.asarray(cut)
    if number and varied and draw.uniform() < 0.3:
        values = values[:, :, draw.permutation(3)]
    return values[:, ::-1] if number and draw.uniform() < 0.5 else values


def _joined(one: np.ndarray, other: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """The second picture over a part of the first."""
    size, result = len(one), one.copy()
    rows, columns = (int(size * draw.uniform(0.5, 0.75)) for _ in range(2))
    top, left = int(draw.integers(0, size - rows + 1)), int(draw.integers(0, size - columns + 1))
    result[top : top + rows, left : left + columns] = other[top : top + rows, left : left + columns]
    return result


def _located(path: str) -> Path:
    package, _, inside = path.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{path}: {package} is not installed; python -m pip install 'intramix[trained]'")
    return Path(spec.origin).parent / inside
