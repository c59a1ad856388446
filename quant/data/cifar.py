"""CIFAR-10 from its "python version" files, without executing what is in them."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

TRAIN_FILES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_FILE = "test_batch"
SHAPE = (3, 32, 32)
CLASSES = 10


def is_cifar(folder: Path) -> bool:
    """Whether a folder holds (some of) the files."""
    return any((folder / name).is_file() for name in (*TRAIN_FILES, TEST_FILE))


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (uint8, N × 3 × 32 × 32) and labels (int64) of one file.

    Raises
    ------
    ValueError: the file is missing, damaged, holds anything but arrays, numbers and strings, or other shapes.
    """
    if not path.is_file():
        raise ValueError("the file is missing; extract all of cifar-10-python.tar.gz")
    try:
        with path.open("rb") as file:
            content = _Arrays(file, encoding="bytes").load()
        images, labels = content[b"data"], np.asarray(content[b"labels"])
    except Exception as error:  # a damaged pickle raises almost anything
        raise ValueError(f"it is no batch of CIFAR-10's python version ({type(error).__name__}: {error})") from error
    size = int(np.prod(SHAPE))
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape != (len(labels), size):
        raise ValueError(f"its data must be uint8 of shape N × {size}, and there must be N labels")
    if labels.dtype.kind not in "iu" or not len(labels) or labels.min() < 0 or labels.max() >= CLASSES:
        raise ValueError(f"its labels must be 0 … {CLASSES - 1}")
    return images.reshape(-1, *SHAPE), labels.astype(np.int64)


class _Arrays(pickle.Unpickler):
    """Unpickles NumPy arrays and plain values, and nothing that could run."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _reconstruct
        if (module, name) == ("_codecs", "encode"):  # how protocol 2 of Python 3 writes bytes
            return _encode
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a data file")


def _reconstruct(kind: type, shape: tuple[int, ...], code: bytes | str) -> np.ndarray:
    if kind is not np.ndarray:
        raise pickle.UnpicklingError("only plain arrays are allowed in a data file")
    return np.ndarray.__new__(np.ndarray, shape, dtype=code.decode() if isinstance(code, bytes) else code)


def _encode(text: str, encoding: str) -> bytes:
    return text.encode(encoding if isinstance(encoding, str) else "latin1")
