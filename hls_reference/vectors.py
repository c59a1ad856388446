"""Vectors on disk: what the test bench of the network reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .tables import Tables

MANIFEST = "manifest.txt"


def write_vectors(folder: Path, tables: Tables, images: Sequence[Mapping[str, np.ndarray]]) -> dict[str, int]:
    """Writes a network with inputs and what every layer must store; returns the sizes behind the ports, in their units.

    Parameters
    ----------
    images: for each image the codes of every tensor, channels × height × width: the input and the expected values.
    """
    folder.mkdir(parents=True, exist_ok=True)
    graph, build = tables.graph, tables.build
    (folder / "table.bin").write_bytes(tables.table.astype("<i4").tobytes())
    (folder / "weights.bin").write_bytes(tables.weights)
    (folder / "constants.bin").write_bytes(tables.constants)
    sizes = {
        "maps": tables.map_beats,
        "weights": len(tables.weights) // build.beat_bytes,
        "constants": len(tables.constants) // 8,
        "table": len(tables.table),
    }
    outputs = [tables.maps[layer.output] for layer in graph.layers]
    lines = [f"{name} {size}" for name, size in sizes.items()]
    source = tables.maps[graph.input]
    lines += [f"images {len(images)}", f"layers {len(outputs)}", f"input {source.address} {source.length}"]
    lines += [f"check {entry.address} {entry.length} {entry.tensor.name}" for entry in outputs]
    (folder / MANIFEST).write_text("\n".join(lines) + "\n")
    for index, codes in enumerate(images):
        (folder / f"input_{index}.bin").write_bytes(source.pack(codes[graph.input]))
        expected = b"".join(entry.pack(codes[entry.tensor.name]) for entry in outputs)
        (folder / f"expected_{index}.bin").write_bytes(expected)
    return sizes


def reference_codes(tables: Tables, inputs: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Every tensor's codes of N × C × H × W input codes by PyTorch's operators on integers (`quant.reference`)."""
    import torch

    from ..quant.graph.reference import ReferenceNetwork

    results = ReferenceNetwork(tables.graph)(torch.from_numpy(inputs.astype(np.int64)))
    return [
        {name: value[index].numpy().astype(np.uint8) for name, value in results.items()} for index in range(len(inputs))
    ]
