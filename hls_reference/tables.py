"""An integer graph as the HLS kernels take it: layer table, weights, constants, places of the maps."""

import dataclasses

import numpy as np

from ..compiler.lower.accumulator_bounds import signed_bits
from ..compiler.place.lanes import natural
from ..quant.graph.graph import Concatenation, Convolution, IntegerGraph, MaxPool
from ..quant.graph.layers.sums import accumulator_interval
from .builds import HlsBuild
from .errors import HlsError
from .headers import constant_offsets
from .layout import HlsMap, pack_depthwise, pack_weights, place_filters, stored_order
from .records import ADDRESSES, FIELDS, LAYER_WORDS, TABLE_HEADER, TABLE_MAGIC, Operation

MEMORY_LIMIT = 1 << 31
"""Bytes behind a port: byte addresses of the table are signed 32-bit numbers."""


@dataclasses.dataclass(frozen=True, eq=False)
class Tables:
    """What the kernels need to run a network.

    Members
    -------
    names: of the layers.
    records: fields of every layer by name; addresses in bytes.
    maps: by tensor.
    weights, constants: as they lie in memory.
    map_beats: memory behind the map ports.
    """

    graph: IntegerGraph
    build: HlsBuild
    names: tuple[str, ...]
    records: tuple[dict[str, int], ...]
    maps: dict[str, HlsMap]
    weights: bytes
    constants: bytes
    map_beats: int

    @property
    def table(self) -> np.ndarray:
        """The layer table, int32."""
        words = np.zeros(TABLE_HEADER + LAYER_WORDS * len(self.records), np.int32)
        words[:3] = TABLE_MAGIC, self.build.signature, len(self.records)
        for index, record in enumerate(self.records):
            base = TABLE_HEADER + LAYER_WORDS * index
            words[base : base + len(FIELDS)] = [record[name] for name, _ in FIELDS]
        return words


def make_tables(graph: IntegerGraph, build: HlsBuild) -> Tables:
    """The tables of a network for a build.

    Raises
    ------
    HlsError: a layer does not fit the build; the message names the layer, the reason and a remedy.
    """
    writer = _Writer(graph, build)
    for layer in graph.layers:
        if isinstance(layer, Concatenation):
            raise HlsError(
                f"layer {layer.name!r}: the HLS kernels do not concatenate; run it on the generated RTL, which does"
            )
        _check_padding(graph, layer)
        writer.add(layer)
    return writer.tables()


def _check_padding(graph: IntegerGraph, layer: Convolution | MaxPool) -> None:
    source = graph.tensors[layer.input]
    if isinstance(layer, Convolution) and layer.padding and any(source.padding_codes):
        raise HlsError(
            f"layer {layer.name!r}: the HLS kernels pad with code 0, not with {source.padding_codes[0]} as "
            f"{source.name!r} is padded; lay the border of an image around it (quant/graph/border.py), and run a "
            "network that pads other maps so on the generated RTL, which does"
        )


class _Writer:
    def __init__(self, graph: IntegerGraph, build: HlsBuild) -> None:
        self.graph, self.build = graph, build
        self.maps: dict[str, HlsMap] = {}
        self.map_beats = 0
        self.weights, self.constants = bytearray(), bytearray()
        self.records: list[dict[str, int]] = []
        self._allocate(graph.input, natural(graph.tensors[graph.input].channels, build.channels))

    def tables(self) -> Tables:
        for port, size in (("maps", self.map_beats * self.build.beat_bytes), ("weights", len(self.weights))):
            if size >= MEMORY_LIMIT:
                raise HlsError(
                    f"network {self.graph.name!r}: its {port} take {size:,} bytes; a port reaches {MEMORY_LIMIT:,}: "
                    "run it in parts"
                )
        return Tables(
            self.graph, self.build, tuple(layer.name for layer in self.graph.layers), tuple(self.records), self.maps,
            bytes(self.weights), bytes(self.constants), self.map_beats,
        )  # fmt: skip

    def add(self, layer: Convolution | MaxPool) -> None:
        build, source = self.build, self.maps[layer.input]
        record = dict.fromkeys((name for name, _ in FIELDS), 0)
        if isinstance(layer, MaxPool):
            operation, order = Operation.MAXIMUM_POOL, source.order
            record["maximum"] = self.graph.tensors[layer.output].maximum
        else:
            self._check_bounds(layer)
            operation = self._operation(layer, source)
            record["weights"], record["constants"] = len(self.weights), len(self.constants)
            if layer.depthwise:
                per_channel = len(layer.weight) // layer.groups
                order = np.concatenate(
                    [np.where(source.order < 0, -1, source.order * per_channel + j) for j in range(per_channel)]
                )
                self.weights += pack_depthwise(layer, order, build)
            else:
                lanes = place_filters(layer, build)
                order = stored_order(lanes, build)
                self.weights += pack_weights(layer, lanes, source.order, build)
                record["filter_tiles"] = len(lanes)
            self.constants += self._constants(layer, order)
            record["shift"] = layer.shift
            record["maximum"] = self.graph.tensors[layer.output].maximum
            if layer.residual is not None:
                identity = self.maps[layer.residual]
                record["residual"] = identity.address * build.beat_bytes
                record["residual_beats"], record["residual_digits"] = identity.beats, identity.digits
                record["residual_multiplier"] = layer.residual_multiplier
        target = self._allocate(layer.output, order)
        record["operation"] = operation
        for side, view in (("input", source), ("output", target)):
            record[side] = view.address * build.beat_bytes
            record[f"{side}_beats"], record[f"{side}_digits"] = view.beats, view.digits
            record[f"{side}_rows"], record[f"{side}_columns"] = view.tensor.height, view.tensor.width
        record["kernel_rows"], record["kernel_columns"] = layer.kernel
        record["stride_rows"], record["stride_columns"] = layer.stride
        record["pad_top"], record["pad_left"] = layer.padding.top, layer.padding.left
        size = target.tensor.height, target.tensor.width
        tile = (1, 1) if operation is Operation.LINEAR else choose_tile(layer, size, build)
        record["tile_rows"], record["tile_columns"] = tile
        assert all(record[name] % (build.beat_bytes if unit == "beat" else 8) == 0 for name, unit in ADDRESSES.items())
        self.records.append(record)

    def _operation(self, layer: Convolution, source: HlsMap) -> Operation:
        if layer.depthwise:
            return Operation.DEPTHWISE
        target = self.graph.tensors[layer.output]
        words = source.beats * layer.kernel[0] * layer.kernel[1]
        vector = target.height == target.width == 1 and not layer.padding and layer.residual is None
        return Operation.LINEAR if vector and words <= self.build.vector_words else Operation.CONVOLUTION

    def _constants(self, layer: Convolution, order: np.ndarray) -> bytes:
        """Per stored position M and B + half in 64 bits, then the identity's channel plus 1 (0: none)."""
        offsets = constant_offsets()
        half = (1 << layer.shift) >> 1
        identity = np.zeros(len(layer.weight), np.int64)
        if layer.residual is not None:
            positions = self.maps[layer.residual].order
            used = np.flatnonzero(positions >= 0)
            identity[positions[used]] = used + 1
        words = []
        for channel in order.tolist():
            if channel < 0:
                words += [0, 0]
                continue
            multiplier, bias = int(layer.multiplier[channel]), int(layer.bias[channel]) + half
            word = (multiplier & (1 << 18) - 1) << offsets["multiplier"] | (bias & (1 << 44) - 1) << offsets["bias"]
            words += [word, int(identity[channel])]
        return np.array(words, np.uint64).astype("<u8").tobytes()

    def _allocate(self, name: str, order: np.ndarray) -> HlsMap:
        entry = HlsMap(self.graph.tensors[name], self.build, self.map_beats, order)
        self.maps[name] = entry
        unit = max(1, 64 // self.build.beat_bytes)
        self.map_beats += -(-entry.length // unit) * unit
        return entry

    def _check_bounds(self, layer: Convolution) -> None:
        """Proves that sums fit the accumulators, from the layer's actual weights; then the requantizer holds them."""
        low, high = accumulator_interval(layer.weight, self.graph.tensors[layer.input].maximum)
        for index, (least, greatest) in enumerate(zip(low.tolist(), high.tolist())):
            needed = max(signed_bits(least), signed_bits(greatest))
            if needed > self.build.accumulator_bits:
                raise HlsError(
                    f"layer {layer.name!r}, filter {index}: its sums reach {least} … {greatest}, which needs {needed} "
                    f"bits; accumulator_bits = {self.build.accumulator_bits}: use fewer bits"
                )


def choose_tile(layer: Convolution | MaxPool, size: tuple[int, int], build: HlsBuild) -> tuple[int, int]:
    """Output rows and columns of a tile: the fewest tiles that the buffers allow, then the widest (longest bursts).

    Raises
    ------
    HlsError: not even one output fits, or the kernel has more positions than the weight buffer.
    """
    taps = layer.kernel[0] * layer.kernel[1]
    if isinstance(layer, Convolution) and taps > build.taps:
        raise HlsError(
            f"layer {layer.name!r}: its kernel has {taps} positions; {build.name} buffers weights of {build.taps}: "
            "raise taps, or pool in two steps"
        )
    best: tuple[tuple[int, int], tuple[int, int]] | None = None
    for columns in range(min(size[1], build.output_depth), 0, -1):
        width = (columns - 1) * layer.stride[1] + layer.kernel[1]
        by_input = (build.input_depth // width - layer.kernel[0]) // layer.stride[0] + 1
        by_output = build.output_depth // 2 // -(-columns // 2)
        rows = min(size[0], by_input, by_output)
        if rows < 1:
            continue
        tiles = -(-size[0] // rows) * -(-size[1] // columns)
        if best is None or (tiles, -columns) < best[0]:
            best = (tiles, -columns), (rows, columns)
    if best is None:
        raise HlsError(
            f"layer {layer.name!r}: its window of {layer.kernel[0]}×{layer.kernel[1]} does not fit the "
            f"{build.input_depth} pixels of the input buffer of {build.name}: raise input_depth"
        )
    return best[1]
