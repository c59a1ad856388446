"""Between what a user has (images, scores) and what the accelerator has (codes)."""

from typing import Any, Protocol

import numpy as np

from ..compiler.program.map_layout import MapLayout
from .errors import ImageError, ImageTypeError


class ImageFormat(Protocol):
    """What codes mean: a map's layout (`MapLayout`) or a tensor of the integer graph (`TensorType`) says it.

    Members
    -------
    name: of the tensor.
    channels, height, width: of an image.
    bits, scale, zero_point: a code of so many bits stands for scale · (code − zero_point).
    """

    @property
    def name(self) -> str: ...
    @property
    def channels(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def bits(self) -> int: ...
    @property
    def scale(self) -> float: ...
    @property
    def zero_point(self) -> int: ...


def as_array(images: Any) -> Any:
    """NumPy's array of a PyTorch tensor, wherever that lies; anything else as it is."""
    return images.detach().cpu().numpy() if hasattr(images, "detach") else images


def to_codes(images: Any, layout: ImageFormat) -> np.ndarray:
    """Codes of a batch for a network's input: uint8, N × C × H × W; see `check` for what images may be."""
    batch = check(images, layout)
    codes = np.empty(batch.shape, np.uint8)
    for place, image in enumerate(batch):
        codes[place] = quantize(image, layout)
    return codes


def check(images: Any, layout: ImageFormat) -> np.ndarray:
    """A batch, N × C × H × W, of the numbers that were given, all of which have a code.

    Parameters
    ----------
    images: N × C × H × W, or one image C × H × W. Integers are codes already; floating-point numbers are real values
        (see `quantize`).

    Raises
    ------
    ImageTypeError: not an array of integers or floating-point numbers.
    ImageError: another shape, a code out of range, or a value that is not finite.
    """
    if not isinstance(images, np.ndarray):
        raise ImageTypeError(
            f"images must be a NumPy array, not {type(images).__name__}; "
            "of a torch.Tensor take .numpy(), of a list np.array()"
        )
    if images.dtype.kind not in "iuf":
        raise ImageTypeError(f"images must be integers (codes) or floating-point numbers, not {images.dtype}")
    expected = (layout.channels, layout.height, layout.width)
    if images.ndim not in (3, 4) or images.shape[-3:] != expected:
        raise ImageError(
            f"the network's input {layout.name} takes images of shape {expected} or "
            f"(N, {', '.join(map(str, expected))}), channels first, not {images.shape}"
        )
    batch = images.reshape(-1, *expected)
    maximum = (1 << layout.bits) - 1
    if images.dtype.kind == "f":
        if not np.isfinite(batch).all():
            raise ImageError(f"images for the input {layout.name} contain values that are not finite")
    elif batch.size and (batch.min() < 0 or batch.max() > maximum):
        raise ImageError(
            f"codes for the input {layout.name} must be 0 … {maximum}, not {batch.min()} … {batch.max()}; "
            "pass floating-point numbers to have them quantized"
        )
    return batch


def quantize(images: np.ndarray, layout: ImageFormat) -> np.ndarray:
    """The codes of images that were checked, uint8, of the same shape: integers as they are, real values as
    floor(x / scale + 1/2) + zero point, clipped to the codes that exist."""
    if images.dtype.kind != "f":
        return images.astype(np.uint8, copy=False)
    codes = np.floor(images.astype(np.float64) / layout.scale + 0.5) + layout.zero_point
    return np.clip(codes, 0, (1 << layout.bits) - 1).astype(np.uint8)


def fill(codes: np.ndarray, layout: MapLayout) -> np.ndarray:
    """Codes of `layout.shape` from those of as many images as a run computes, or fewer, N × C × H × W.

    Images of code 0, which every tensor has, make up the number; nobody asks what becomes of them.
    """
    if missing := layout.images - len(codes):
        codes = np.concatenate([codes, np.zeros((missing, *codes.shape[1:]), codes.dtype)])
    return codes.reshape(layout.shape)


def to_values(codes: np.ndarray, layout: ImageFormat) -> np.ndarray:
    """Real values of codes, float32."""
    return ((codes.astype(np.int32) - layout.zero_point) * layout.scale).astype(np.float32)
