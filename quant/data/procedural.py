"""A procedural data set: shapes in front of clutter, drawn on the fly, the same for the same seed on every machine.

Twelve classes of outlines (`CLASSES`) at any place, size, angle and aspect, in any colour that differs a little from
the background; backgrounds are smooth random colour fields with strokes across them, and everything is noisy. Several
classes are alike at 32 × 32 on purpose (pentagon and hexagon, ring and disc, star and flower).
"""

import math
from collections.abc import Callable

import numpy as np

NOISE = 0.05
CONTRAST = 0.25
"""Least distance of the shape's colour from the background's, of the RGB cube's side."""
STROKES = 3
_BATCH_PIXELS = 1 << 20

Outline = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Of x and y (any shape, the outline's outer radius is 1): how far inside (positive) a point is, about in radii."""


def generate(count: int, size: int = 32, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels, the classes in turn.

    Returns
    -------
    uint8, count × 3 × size × size; int64, count.

    Raises
    ------
    ValueError: `count` or `size` is too small.
    """
    if count < 1 or size < 16:
        raise ValueError(f"procedural images: there must be at least 1, of at least 16 × 16, not {count} of {size}")
    labels = np.arange(count) % len(CLASSES)
    images = np.empty((count, 3, size, size), np.uint8)
    step = max(1, _BATCH_PIXELS // (size * size))
    for start in range(0, count, step):
        random = np.random.default_rng([seed, start])
        images[start : start + step] = _draw(labels[start : start + step], size, random)
    return images, labels.astype(np.int64)


def _draw(labels: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    count = len(labels)
    grid = (np.arange(size, dtype=np.float32) + 0.5) / size
    y, x = (axis[None] for axis in np.meshgrid(grid, grid, indexing="ij"))
    background = _field(count, size, random)
    for _ in range(STROKES):
        _stroke(background, x, y, size, random)
    cover = _cover(labels, x, y, size, random)[:, None]
    base = background.mean(axis=(2, 3), keepdims=True)
    colour = _apart(base, random) + 0.5 * (_field(count, size, random) - 0.5) * 0.3
    image = background * (1 - cover) + colour * cover
    image += random.normal(0, NOISE, image.shape)
    return np.floor(np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _cover(labels: np.ndarray, x: np.ndarray, y: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """How much of each pixel the shape covers, 0 … 1: count × size × size."""
    count = len(labels)

    def uniform(low: float, high: float) -> np.ndarray:
        return random.uniform(low, high, (count, 1, 1)).astype(np.float32)

    radius, angle, aspect = uniform(0.22, 0.39), uniform(0, 2 * math.pi), uniform(0.8, 1.25)
    left, top = x - uniform(0.38, 0.62), y - uniform(0.38, 0.62)
    cosine, sine = np.cos(angle), np.sin(angle)
    u = (left * cosine + top * sine) / radius * np.sqrt(aspect)
    v = (top * cosine - left * sine) / radius / np.sqrt(aspect)
    inside = np.empty((count, *u.shape[1:]), np.float32)
    for label, outline in enumerate(CLASSES.values()):
        chosen = labels == label
        inside[chosen] = outline(u[chosen], v[chosen])
    return np.clip(inside * radius * size + 0.5, 0, 1)


def _field(count: int, size: int, random: np.random.Generator) -> np.ndarray:
    """Smooth random colours: count × 3 × size × size, by bilinear interpolation of 4 × 4 values."""
    coarse = random.uniform(0.1, 0.9, (count, 3, 1, 1)) + random.uniform(-0.25, 0.25, (count, 3, 4, 4))
    place = np.linspace(0, 3, size)
    low = np.minimum(place.astype(int), 2)
    part = (place - low)[None, None, None, :]
    rows = coarse[:, :, low] * (1 - part[0, 0, 0, :, None]) + coarse[:, :, low + 1] * part[0, 0, 0, :, None]
    field = rows[..., low] * (1 - part) + rows[..., low + 1] * part
    return field.astype(np.float32)


def _stroke(image: np.ndarray, x: np.ndarray, y: np.ndarray, size: int, random: np.random.Generator) -> None:
    """A straight line across each image, in a colour of its own."""
    count = len(image)
    angle = random.uniform(0, math.pi, (count, 1, 1))
    offset = random.uniform(-0.4, 0.4, (count, 1, 1))
    width = random.uniform(0.01, 0.04, (count, 1, 1))
    distance = np.abs((x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) - offset)
    cover = np.clip((width - distance) * size + 0.5, 0, 1)[:, None]
    image += (random.uniform(0, 1, (count, 3, 1, 1)) - image) * cover


def _apart(base: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Colours at least `CONTRAST` from the base."""
    offset = random.normal(0, 1, base.shape)
    length = np.sqrt((offset**2).sum(axis=1, keepdims=True))
    offset *= random.uniform(CONTRAST, 3 * CONTRAST, length.shape) / length
    flip = np.where((base + offset < 0) | (base + offset > 1), -1.0, 1.0)
    return base + offset * flip


# Outlines -------------------------------------------------------------------------------------------------------------


def _polygon(sides: int) -> Outline:
    apothem = math.cos(math.pi / sides)

    def inside(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        angles = [2 * math.pi * (k + 0.5) / sides for k in range(sides)]
        return apothem - np.max([x * math.cos(a) + y * math.sin(a) for a in angles], axis=0)

    return inside


def _star(points: int, inner: float) -> Outline:
    half = math.pi / points
    tip, notch = np.array([1.0, 0.0]), inner * np.array([math.cos(half), math.sin(half)])
    edge = notch - tip
    normal = np.array([-edge[1], edge[0]]) / np.hypot(*edge)

    def inside(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        radius, angle = np.hypot(x, y), np.abs((np.arctan2(y, x) + half) % (2 * half) - half)
        across = (radius * np.cos(angle) - tip[0]) * normal[0] + radius * np.sin(angle) * normal[1]
        return across * np.sign(-(tip @ normal))

    return inside


def _flower(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.75 + 0.25 * np.cos(5 * np.arctan2(y, x)) - np.hypot(x, y)


def _disc(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 1 - np.hypot(x, y)


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.25 - np.abs(np.hypot(x, y) - 0.75)


def _box(x: np.ndarray, y: np.ndarray, width: float, height: float) -> np.ndarray:
    return np.minimum(width - np.abs(x), height - np.abs(y))


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(_box(x, y, 1, 0.3), _box(x, y, 0.3, 1))


def _letter(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """An L."""
    return np.maximum(_box(x + 0.5, y, 0.28, 0.9), _box(x, y - 0.62, 0.78, 0.28))


def _half(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.minimum(_disc(x, y), y + 0.1)


def _crescent(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.minimum(_disc(x, y), np.hypot(x - 0.5, y) - 0.75)


CLASSES: dict[str, Outline] = {
    "disc": _disc, "ring": _ring, "triangle": _polygon(3), "square": _polygon(4), "pentagon": _polygon(5),
    "hexagon": _polygon(6), "star": _star(5, 0.45), "flower": _flower, "cross": _cross, "letter": _letter,
    "half": _half, "crescent": _crescent,
}  # fmt: skip
"""The outline of each class, in the order of their numbers."""
