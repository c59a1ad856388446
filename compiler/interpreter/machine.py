"""The interpreter's machine: executes one instruction at a time on inspectable memories (docs/architecture.md)."""

import dataclasses
import struct
import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from ...hdl.geometry import Geometry
from ...hdl.instructions import (
    Compute,
    Finish,
    Instruction,
    LoadConstants,
    LoadMap,
    LoadWeights,
    Store,
)  # fmt: skip
from ...hdl.isa import LOG_RECORD_BYTES, Mode, Region
from .compute import Computed, check_compute, convolve, maximum, released_weights
from .depthwise import KernelMemory, check_depthwise, depthwise
from .map_memory import MAP_MEMORY, check_ring, chip_chunks
from .state import ConstantRing, LaneMemory, Numbered, Tokens, WeightRing

LOG = "LOG"
"""Name of the log of CRC records among a machine's regions."""
CONSTANTS_ALIGNMENT = 64


@dataclasses.dataclass(frozen=True, eq=False)
class Write:
    """Consecutive words written to a lane's memory: `words` (n × Ti, uint8) from `address` on.

    `valid` (n, bool) is false where a word was made of words that were never written: its value means nothing.
    """

    memory: str
    lane: int
    address: int
    words: np.ndarray
    valid: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Effect:
    """What one instruction did.

    Members
    -------
    index, instruction: the instruction and its place in the program.
    writes: words written to lane memories ("activation", "residual" or "output"), in order within a lane.
    stores: bytes written to DDR or to the map memory: region name (or "LOG", or "MAP_MEMORY"), address in it, bytes.
    reads: bytes read from either, alike, without the bytes: region name, address, size.
    steps: steps of the array or the pool.
    weight_words, constant_tiles: appended to the rings.
    released_weight_words, released_constant_tiles: freed in them.
    computed: sums and output words of a COMPUTE.
    """

    index: int
    instruction: Instruction
    writes: tuple[Write, ...] = ()
    stores: tuple[tuple[str, int, bytes], ...] = ()
    reads: tuple[tuple[str, int, int], ...] = ()
    steps: int = 0
    weight_words: int = 0
    constant_tiles: int = 0
    released_weight_words: int = 0
    released_constant_tiles: int = 0
    computed: Computed | None = None

    @property
    def read_bytes(self) -> int:
        """Of DDR."""
        return sum(size for name, _, size in self.reads if name != MAP_MEMORY)

    @property
    def write_bytes(self) -> int:
        """Of DDR."""
        return sum(len(data) for name, _, data in self.stores if name != MAP_MEMORY)


class InterpretedMachine:
    """An accelerator of a geometry that executes instructions one at a time.

    Parameters
    ----------
    regions: bytes of each region by `isa.Region` name, and of "LOG"; written in place. A region not given has no bytes.
    initialised: regions that hold data from the start; elsewhere only what a STORE wrote, or is `laid`, may be read.
    laid: by region the bytes (bool, one for each) that the host laid for all runs: no STORE may change them.

    Members
    -------
    activation, residual, output: a LaneMemory each. kernels: by group of lanes, its depthwise unit's.
    weights, constants: the rings. tokens: the counters.
    crcs: by group of lanes and register, the running CRC-32 and its words.
    executed: instructions so far. finished: FINISH was executed.
    """

    def __init__(
        self,
        geometry: Geometry,
        regions: Mapping[str, bytearray],
        *,
        initialised: Collection[Region] = (Region.PARAMETERS, Region.INPUT),
        laid: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        lanes, channels = geometry.pixel_lanes, geometry.word_channels
        self.geometry = geometry
        self.regions = {
            name: np.frombuffer(regions.get(name, bytearray()), np.uint8)
            for name in (*(region.name for region in Region), LOG)
        }
        self.regions[MAP_MEMORY] = np.zeros(geometry.map_words * geometry.word_bytes, np.uint8)
        self.initialised = {
            region.name: np.full(self.regions[region.name].size, region in initialised) for region in Region
        }
        self.initialised[MAP_MEMORY] = np.zeros(self.regions[MAP_MEMORY].size, bool)
        self.laid = dict(laid or {})
        for name, known in self.laid.items():
            self.initialised[name] |= known
        self.activation = LaneMemory("activation", lanes, geometry.activation_depth, channels)
        self.residual = LaneMemory("residual", lanes, geometry.residual_depth, channels)
        self.kernels = [KernelMemory(geometry) for _ in range(geometry.maps_ports)]
        self.output = LaneMemory("output", lanes, geometry.output_depth, channels)
        self.weights, self.constants, self.tokens = WeightRing(geometry), ConstantRing(geometry), Tokens()
        self.executed = 0
        self.crcs: dict[tuple[int, int], tuple[int, int]] = {}
        self.finished = False

    def execute(self, code: bytes) -> Effect:
        """Executes one instruction of 64 bytes.

        Raises
        ------
        InterpreterError: it breaks a rule; it names the instruction's index, opcode and field.
        """
        i = Numbered.decode(self.executed, code)
        i.need(not self.finished, "opcode", "an instruction follows FINISH")
        self.tokens.check(i)
        self.tokens.take(i)
        effect = self._execute(i)
        self.tokens.give(i)
        self.executed += 1
        return effect

    def _execute(self, i: Numbered[Instruction]) -> Effect:
        match i.instruction:
            case LoadWeights() as load:
                return self._load_weights(Numbered(i.index, load))
            case LoadConstants() as load:
                return self._load_constants(Numbered(i.index, load))
            case LoadMap() as load:
                return self._load_map(Numbered(i.index, load))
            case Compute() as compute:
                return self._compute(Numbered(i.index, compute))
            case Store() as store:
                return self._store(Numbered(i.index, store))
        assert isinstance(i.instruction, Finish)
        self.finished = True
        return _effect(i)

    # Weights engine ---------------------------------------------------------------------------------------------------

    def _load_weights(self, i: Numbered[LoadWeights]) -> Effect:
        load = i.instruction
        geometry, ring = self.geometry, self.weights
        i.need_counts("words")
        unit = geometry.weights_bus_bits // 8
        for field, value in (("address", load.address), ("port_stride", load.port_stride)):
            i.need(value % unit == 0, field, f"must be a multiple of the bus's {unit} bytes, not {value}")
        room = ring.depth - (ring.written - ring.released)
        i.need(
            load.words <= room or room == ring.depth,
            "words",
            f"{load.words} words do not fit the ring in program order: {room} are free",
        )
        size = geometry.weight_slice_bits // 8
        addresses = [load.address + port * load.port_stride for port in range(geometry.weight_ports)]
        slices = [
            self._read(i, load.region.name, address, load.words * size).reshape(-1, size) for address in addresses
        ]
        ring.append(np.concatenate(slices, axis=1))
        reads = tuple((load.region.name, address, load.words * size) for address in addresses)
        return _effect(i, reads=reads, weight_words=load.words)

    def _load_constants(self, i: Numbered[LoadConstants]) -> Effect:
        load = i.instruction
        ring = self.constants
        i.need_counts("tiles")
        i.need(load.address % CONSTANTS_ALIGNMENT == 0, "address", f"must be a multiple of {CONSTANTS_ALIGNMENT}")
        room = ring.depth - (ring.written - ring.released)
        i.need(load.tiles <= room, "tiles", f"{load.tiles} tiles do not fit the ring in program order: {room} are free")
        data = self._read(i, load.region.name, load.address, load.tiles * ring.tile_bytes).reshape(-1, ring.tile_bytes)
        for tile in data:
            ring.append(i, tile.tobytes())
        reads = ((load.region.name, load.address, data.size),)
        return _effect(i, reads=reads, constant_tiles=load.tiles)

    # Maps engine ------------------------------------------------------------------------------------------------------

    def _load_map(self, i: Numbered[LoadMap]) -> Effect:
        load = i.instruction
        geometry = self.geometry
        i.need_counts("planes", "chunks", "chunk_words", "row_words", "lane_rows", "lane_mask")
        words = load.chunks * load.chunk_words
        group, first_lane = self._lane_group(i)
        check_ring(i, geometry)
        if load.kernels:
            return self._load_kernels(i, group)
        row_field = "source_words" if load.depthwise else "row_words"
        row_words = load.source_words if load.depthwise else load.row_words
        if load.depthwise:
            check_depthwise(i, geometry)
        i.need(
            words % row_words == 0, row_field, f"must divide the {words} words of a plane, not {row_words}"
        )
        memory = self.residual if load.residual else self.activation
        writes, reads = [], []
        for plane in range(load.planes):
            chunks = []
            for name, address in self._chunks_on_chip(i, plane) if load.on_chip else _chunks_in_ddr(load, plane):
                chunks.append(self._read(i, name, address, load.chunk_words * geometry.word_bytes))
                reads.append((name, address, chunks[-1].size))
            rows = self._slots(np.concatenate(chunks)).reshape(-1, row_words, geometry.word_channels)
            if load.depthwise:
                rows = depthwise(load, rows, self.kernels[group].of_plane(i, plane))
            rows = np.pad(rows, ((load.pad_top, load.pad_bottom), (0, 0), (0, 0)))
            start = load.base + plane * load.plane_pitch
            for lane in range(geometry.pixel_lanes):
                if not load.lane_mask >> lane & 1:
                    continue
                first = (lane - first_lane) * load.lane_step
                taken = rows[first : first + load.lane_rows].reshape(-1, geometry.word_channels)
                if not len(taken):
                    continue
                i.need(
                    start + len(taken) <= memory.depth,
                    "base",
                    f"plane {plane} of lane {lane} ends at {memory.name} address {start + len(taken) - 1} of "
                    f"{memory.depth}",
                )
                memory.write(i.index, lane, start, taken)
                writes.append(Write(memory.name, lane, start, taken, np.ones(len(taken), bool)))
        return _effect(i, writes=tuple(writes), reads=tuple(reads))

    def _lane_group(self, i: Numbered[LoadMap]) -> tuple[int, int]:
        """The group that all lanes of a LOAD_MAP belong to, and its first lane."""
        load = i.instruction
        lanes, size = self.geometry.pixel_lanes, self.geometry.group_lanes
        mask = load.lane_mask
        i.need(mask >> lanes == 0, "lane_mask", f"{mask:#x} names a lane beyond the {lanes} of the geometry")
        group = ((mask & -mask).bit_length() - 1) // size
        i.need(
            mask >> (group + 1) * size == 0,
            "lane_mask",
            f"{mask:#x} names lanes of two groups, each of {size} lanes: a LOAD_MAP is for those of one",
        )
        return group, group * size

    def _load_kernels(self, i: Numbered[LoadMap], group: int) -> Effect:
        load = i.instruction
        for field, value in (("planes", load.planes), ("chunks", load.chunks)):
            i.need(value == 1, field, f"must be 1 where kernels are loaded, not {value}")
        for field in ("depthwise", "residual", "on_chip", "signal"):
            i.need(not getattr(load, field), field, "must be 0 where kernels are loaded")
        size = load.chunk_words * self.geometry.word_bytes
        self.kernels[group].write(i, self._slots(self._read(i, load.region.name, load.address, size)))
        return _effect(i, reads=((load.region.name, load.address, size),))

    # Compute engine ---------------------------------------------------------------------------------------------------

    def _compute(self, i: Numbered[Compute]) -> Effect:
        compute = i.instruction
        geometry = self.geometry
        check_compute(i, geometry)
        freed = 0
        if compute.mode is Mode.MAXIMUM:
            computed = maximum(i, geometry, self.activation)
        else:
            freed = released_weights(i)
            computed = convolve(i, geometry, self.activation, self.residual, self.weights, self.constants)
        planes, _, groups, _ = computed.outputs.shape
        last = compute.output_base + (planes - 1) * compute.output_pitch + groups - 1
        i.need(
            last < self.output.depth,
            "output_base",
            f"the last word goes to output address {last} of {self.output.depth}",
        )
        i.need(planes == 1 or compute.output_pitch >= groups, "output_pitch", f"planes of {groups} words overlap")
        writes = []
        for plane in range(planes):
            address = compute.output_base + plane * compute.output_pitch
            for lane in range(geometry.pixel_lanes):
                words, valid = computed.outputs[plane, lane], computed.valid[plane, lane]
                self.output.write(i.index, lane, address, words, valid)
                writes.append(Write(self.output.name, lane, address, words, valid))
        self.weights.released += freed
        self.constants.released += compute.release_constants
        return _effect(
            i,
            writes=tuple(writes),
            steps=compute.steps,
            released_weight_words=freed,
            released_constant_tiles=int(compute.release_constants),
            computed=computed,
        )

    # Store engine -----------------------------------------------------------------------------------------------------

    def _store(self, i: Numbered[Store]) -> Effect:
        store = i.instruction
        geometry, memory = self.geometry, self.output
        i.need_counts("planes", "chunks", "chunk_words")
        i.need(store.lane < geometry.pixel_lanes, "lane", f"must be below {geometry.pixel_lanes}, not {store.lane}")
        check_ring(i, geometry)
        size = store.chunks * store.chunk_words
        last = store.base + (store.planes - 1) * store.plane_pitch + size - 1
        i.need(last < memory.depth, "base", f"the last word is read from output address {last} of {memory.depth}")
        register = store.lane // geometry.group_lanes, store.crc_register
        i.need(
            not store.crc_emit or store.crc_start or register in self.crcs, "crc_emit",
            f"CRC register {store.crc_register} was never started in the group of lane {store.lane}",
        )
        if store.crc_start:
            self.crcs[register] = 0, 0
        crc, words_counted = self.crcs.get(register, (0, 0))
        stores = []
        for plane in range(store.planes):
            start = store.base + plane * store.plane_pitch
            bad = np.flatnonzero(~memory.valid[store.lane, start : start + size])
            if len(bad):
                i.fail("base", memory.describe(store.lane, start + int(bad[0])))
            words = memory.words[store.lane, start : start + size].reshape(store.chunks, -1, geometry.word_channels)
            places = [self._chunks_on_chip(i, plane)] if store.on_chip else []
            if not store.chip_only:
                places.append(_chunks_in_ddr(store, plane))
            for content, *targets in zip(words, *places, strict=True):
                data = self._bytes(content)
                for name, address in targets:
                    self._write(i, name, address, data)
                    stores.append((name, address, data))
                crc, words_counted = zlib.crc32(data, crc), words_counted + len(content)
        self.crcs[register] = crc, words_counted
        if store.crc_emit:
            record = struct.pack("<4I", crc, store.layer, words_counted, 0)
            address = LOG_RECORD_BYTES * store.crc_slot
            self._span(i, LOG, address, len(record), "crc_slot")[:] = np.frombuffer(record, np.uint8)
            stores.append((LOG, address, record))
        return _effect(i, stores=tuple(stores))

    # DDR and map memory -----------------------------------------------------------------------------------------------

    def _chunks_on_chip(self, i: Numbered[LoadMap] | Numbered[Store], plane: int) -> Iterator[tuple[str, int]]:
        """Where a plane's chunks lie in the map memory: its name, and a byte in it."""
        return ((MAP_MEMORY, word * self.geometry.word_bytes) for word in chip_chunks(i, plane))

    def _write(self, i: Numbered[Store], name: str, address: int, data: bytes) -> None:
        span = self._span(i, name, address, len(data))
        if name in self.laid and (fixed := self.laid[name][address : address + len(data)]).any():
            where = f"byte {address + int(np.argmax(fixed))} of {name}"
            i.fail("address", f"{where} is of a border, which the host lays once and no STORE may change")
        span[:] = np.frombuffer(data, np.uint8)
        self.initialised[name][address : address + len(data)] = True

    def _span(self, i: Numbered[Instruction], name: str, address: int, size: int, field: str = "address") -> np.ndarray:
        region = self.regions[name]
        i.need(
            address + size <= region.size,
            field,
            f"bytes {address} … {address + size - 1} of {name}, which has {region.size}",
        )
        return region[address : address + size]

    def _read(self, i: Numbered[Instruction], name: str, address: int, size: int) -> np.ndarray:
        data = self._span(i, name, address, size)
        known = self.initialised[name][address : address + size]
        if not known.all():
            i.fail("address", f"byte {address + int(np.argmin(known))} of {name} is read, but no STORE has written it")
        return data

    def _slots(self, data: np.ndarray) -> np.ndarray:
        """Slots (uint8, words × Ti) of words' bytes."""
        bits = np.unpackbits(data, bitorder="little").reshape(-1, self.geometry.activation_bits)
        slots = np.packbits(bits, axis=1, bitorder="little")
        return slots.reshape(-1, self.geometry.word_channels)

    def _bytes(self, words: np.ndarray) -> bytes:
        """The inverse of `_slots`."""
        bits = np.unpackbits(words.reshape(-1, 1), axis=1, bitorder="little")[:, : self.geometry.activation_bits]
        return np.packbits(bits.reshape(-1), bitorder="little").tobytes()


def _chunks_in_ddr(transfer: LoadMap | Store, plane: int) -> Iterator[tuple[str, int]]:
    """Where a plane's chunks lie in DDR: region, and byte in it."""
    start = transfer.address + plane * transfer.plane_stride
    return ((transfer.region.name, start + chunk * transfer.chunk_stride) for chunk in range(transfer.chunks))


def _effect(i: Numbered[Instruction], **others: Any) -> Effect:
    return Effect(index=i.index, instruction=i.instruction, **others)
