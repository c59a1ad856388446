"""The file of an integer graph, `.imx`: a stored zip archive of `manifest.json` and `tensors.safetensors`.

The manifest names the format, its version and the CRC-32 of the tensors' file, and lists tensors and layers. Arrays are
kept in the narrowest integer type that holds them and are int64 again after loading. Equal graphs make equal files.
`made_for` is a mapping of strings in the manifest, what the model was made for, which nothing here reads.
"""

import io
import json
import os
import pathlib
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.numpy

from ...files import write_whole
from .graph import GraphError, IntegerGraph, Layer, TensorType
from .layers import OPERATORS

FORMAT = "intramix integer graph"
VERSION = 1
MANIFEST, TENSORS = "manifest.json", "tensors.safetensors"

_EPOCH = (1980, 1, 1, 0, 0, 0)


class FileFormatError(ValueError):
    """A file that cannot be read as an integer graph; the message names the file, the reason and the remedy."""


def save(
    graph: IntegerGraph, path: "str | os.PathLike[str]", *, made_for: Mapping[str, str] | None = None
) -> None:
    """Writes a graph to a file, whole or not at all.

    Parameters
    ----------
    made_for: strings that `made_for` gives back; None or empty: the file has none.

    Raises
    ------
    OSError: the file cannot be written; a file that was there before is unchanged.
    """
    arrays = {
        f"{layer.name}.{field}": _narrow(getattr(layer, field))
        for layer in graph.layers
        for field in layer.ARRAYS
    }
    tensors = safetensors.numpy.save(arrays)
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "crc32": zlib.crc32(tensors),
        "name": graph.name,
        **({"made_for": dict(made_for)} if made_for else {}),
        "input": graph.input,
        "outputs": list(graph.outputs),
        "tensors": [_tensor_entry(tensor) for tensor in graph.tensors.values()],
        "layers": [{"operator": layer.OPERATOR} | layer.entry() for layer in graph.layers],
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        text = json.dumps(manifest, indent=1)
        archive.writestr(zipfile.ZipInfo(MANIFEST, _EPOCH), text.encode())
        archive.writestr(zipfile.ZipInfo(TENSORS, _EPOCH), tensors)
    write_whole(path, content.getbuffer())


def load(path: "str | os.PathLike[str]") -> IntegerGraph:
    """Reads a graph that `save` wrote.

    Raises
    ------
    OSError: the file cannot be opened.
    FileFormatError: it is no Intramix file, is truncated or damaged, has another version, lacks a tensor, or its graph
        breaks the contract.
    """
    data = pathlib.Path(path).read_bytes()
    manifest, tensors = _open(str(path), data)
    if zlib.crc32(tensors) != manifest.get("crc32"):
        raise FileFormatError(
            f"{path}: checksum mismatch: {TENSORS} does not belong to {MANIFEST}, or changed; export the graph again"
        )
    try:
        arrays = safetensors.numpy.load(tensors)
    except Exception as error:  # safetensors' own exception type derives from Exception alone
        raise FileFormatError(f"{path}: {TENSORS} cannot be read ({error}); export the graph again") from error
    try:
        return _graph(str(path), manifest, arrays)
    except GraphError as error:
        raise FileFormatError(f"{path}: the graph breaks the contract: {error}") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, FileFormatError):
            raise
        detail = f"lacks {error.args[0]!r}" if isinstance(error, KeyError) else f"is malformed ({error})"
        raise FileFormatError(f"{path}: {MANIFEST} {detail}; export the graph again") from error


def made_for(path: "str | os.PathLike[str]") -> dict[str, str]:
    """The strings that `save` was given with a graph; none of a file that was written without.

    Raises
    ------
    OSError: the file cannot be opened.
    FileFormatError: it is no Intramix file, is truncated or damaged, or has another version.
    """
    manifest, _ = _open(str(path), pathlib.Path(path).read_bytes())
    found = manifest.get("made_for", {})
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise FileFormatError(f"{path}: {MANIFEST} is malformed (made_for is no mapping of strings); export it again")
    return found


# Writing --------------------------------------------------------------------------------------------------------------


def _narrow(values: np.ndarray) -> np.ndarray:
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    kinds = (np.int8, np.int16, np.int32, np.int64)
    kind = next(kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
    return np.ascontiguousarray(values, kind)


def _tensor_entry(tensor: TensorType) -> dict[str, Any]:
    numbers = ("channels", "height", "width", "bits", "zero_point")
    entry = {"name": tensor.name} | {field: int(getattr(tensor, field)) for field in numbers}
    border = {"border": [int(code) for code in tensor.border]} if tensor.border else {}
    return entry | {"scale": float(tensor.scale)} | border


# Reading --------------------------------------------------------------------------------------------------------------


def _open(path: str, data: bytes) -> tuple[dict[str, Any], bytes]:
    other = f"{path}: is not an Intramix file; expected an .imx file that `intramix` exported"
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        names = archive.namelist()
        if MANIFEST not in names:
            raise FileFormatError(other)
        manifest = json.loads(archive.read(MANIFEST))
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise FileFormatError(other)
        if manifest.get("version") != VERSION:
            raise FileFormatError(
                f"{path}: has version {manifest.get('version')!r} of the format; this Intramix reads version "
                f"{VERSION}: export the graph again, or use the Intramix that wrote it"
            )
        if TENSORS not in names:
            raise FileFormatError(f"{path}: lacks {TENSORS}; export the graph again")
        return manifest, archive.read(TENSORS)
    except zipfile.BadZipFile as error:
        if not data.startswith(b"PK\x03\x04"):
            raise FileFormatError(other) from error
        if "CRC" in str(error):
            raise FileFormatError(f"{path}: checksum mismatch: the file is damaged; copy or export it again") from error
        raise FileFormatError(f"{path}: is truncated or damaged ({error}); copy or export it again") from error
    except (EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise FileFormatError(f"{path}: is truncated or damaged ({error}); copy or export it again") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: {MANIFEST} is not JSON ({error}); export the graph again") from error


def _graph(path: str, manifest: dict[str, Any], arrays: dict[str, np.ndarray]) -> IntegerGraph:
    tensors = [_tensor(entry) for entry in manifest["tensors"]]
    return IntegerGraph(
        name=manifest["name"],
        tensors={tensor.name: tensor for tensor in tensors},
        layers=tuple(_layer(path, entry, arrays) for entry in manifest["layers"]),
        input=manifest["input"],
        outputs=tuple(manifest["outputs"]),
    )


def _tensor(entry: dict[str, Any]) -> TensorType:
    return TensorType(**(entry | {"border": tuple(entry.get("border", ()))}))


def _layer(path: str, entry: dict[str, Any], arrays: dict[str, np.ndarray]) -> Layer:
    kind = OPERATORS.get(entry["operator"])
    if kind is None:
        raise FileFormatError(f"{path}: layer {entry['name']!r} has operator {entry['operator']!r}, which is unknown")
    own: dict[str, np.ndarray] = {}
    for field in kind.ARRAYS:
        name = f"{entry['name']}.{field}"
        if name not in arrays:
            raise FileFormatError(f"{path}: lacks tensor {name!r}; export the graph again")
        own[field] = arrays[name].astype(np.int64)
    return kind.from_entry(entry, own)
