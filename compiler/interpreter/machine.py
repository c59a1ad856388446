"""The interpreter's machine: executes one instruction at a time on inspectable memories (docs/architecture.md)."""

import dataclasses
import struct
import zlib
from collections.abc import Callable, Collection, Mapping

import numpy as np

from ...hdl.geometry import Geometry
from ...hdl.isa import ENGINE_OF, Engine, Mode, Opcode, Region
from .compute import Computed, check_compute, convolve, maximum, released_weights
from .depthwise import KernelMemory, check_depthwise, depthwise
from .state import ConstantRing, Instruction, LaneMemory, Tokens, WeightRing

LOG = "LOG"
"""Name of the log of CRC records among a machine's regions."""
LOG_RECORD_BYTES = 16
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
    index, opcode, fields: the instruction.
    writes: words written to lane memories ("activation", "residual" or "output"), in order within a lane.
    stores: bytes written to DDR: region name (or "LOG"), address in it, bytes.
    reads: bytes read from DDR, alike, without the bytes: region name, address, size.
    steps: steps of the array or the pool.
    weight_words, constant_tiles: appended to the rings.
    released_weight_words, released_constant_tiles: freed in them.
    computed: sums and output words of a COMPUTE.
    """

    index: int
    opcode: Opcode
    fields: Mapping[str, int]
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
    def engine(self) -> Engine:
        return ENGINE_OF[self.opcode]

    @property
    def read_bytes(self) -> int:
        return sum(size for _, _, size in self.reads)

    @property
    def write_bytes(self) -> int:
        return sum(len(data) for _, _, data in self.stores)


class Machine:
    """An accelerator of a geometry that executes instructions one at a time.

    Parameters
    ----------
    regions: bytes of each region by `isa.Region` name, and of "LOG"; written in place. A region not given has no bytes.
    initialised: regions that hold data from the start; elsewhere only what a STORE wrote may be read.

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
    ) -> None:
        lanes, channels = geometry.pixel_lanes, geometry.word_channels
        self.geometry = geometry
        self.regions = {
            name: np.frombuffer(regions.get(name, bytearray()), np.uint8)
            for name in (*(region.name for region in Region), LOG)
        }
        self.initialised = {
            region.name: np.full(self.regions[region.name].size, region in initialised) for region in Region
        }
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
        instruction = Instruction.decode(self.executed, code)
        instruction.need(not self.finished, "opcode", "an instruction follows FINISH")
        self.tokens.check(instruction)
        self.tokens.take(instruction)
        effect = _EXECUTE[instruction.opcode](self, instruction)
        self.tokens.give(instruction)
        self.executed += 1
        return effect

    # Weights engine ---------------------------------------------------------------------------------------------------

    def _load_weights(self, i: Instruction) -> Effect:
        geometry, ring = self.geometry, self.weights
        i.need_counts("words")
        unit = geometry.weights_bus_bits // 8
        for field in ("address", "port_stride"):
            i.need(i[field] % unit == 0, field, f"must be a multiple of the bus's {unit} bytes, not {i[field]}")
        room = ring.depth - (ring.written - ring.released)
        i.need(
            i["words"] <= room or room == ring.depth,
            "words",
            f"{i['words']} words do not fit the ring in program order: {room} are free",
        )
        size = geometry.weight_slice_bits // 8
        addresses = [i["address"] + port * i["port_stride"] for port in range(geometry.weight_ports)]
        slices = [self._read(i, address, i["words"] * size).reshape(-1, size) for address in addresses]
        ring.append(np.concatenate(slices, axis=1))
        reads = tuple((Region(i["region"]).name, address, i["words"] * size) for address in addresses)
        return _effect(i, reads=reads, weight_words=i["words"])

    def _load_constants(self, i: Instruction) -> Effect:
        ring = self.constants
        i.need_counts("tiles")
        i.need(i["address"] % CONSTANTS_ALIGNMENT == 0, "address", f"must be a multiple of {CONSTANTS_ALIGNMENT}")
        room = ring.depth - (ring.written - ring.released)
        i.need(i["tiles"] <= room, "tiles", f"{i['tiles']} tiles do not fit the ring in program order: {room} are free")
        data = self._read(i, i["address"], i["tiles"] * ring.tile_bytes).reshape(-1, ring.tile_bytes)
        for tile in data:
            ring.append(i, tile.tobytes())
        reads = ((Region(i["region"]).name, i["address"], data.size),)
        return _effect(i, reads=reads, constant_tiles=i["tiles"])

    # Maps engine ------------------------------------------------------------------------------------------------------

    def _load_map(self, i: Instruction) -> Effect:
        geometry = self.geometry
        i.need_counts("planes", "chunks", "chunk_words", "row_words", "lane_rows", "lane_mask")
        words = i["chunks"] * i["chunk_words"]
        group, first_lane = self._lane_group(i)
        if i["kernels"]:
            return self._load_kernels(i, group)
        row_field = "source_words" if i["depthwise"] else "row_words"
        if i["depthwise"]:
            check_depthwise(i, geometry)
        i.need(
            words % i[row_field] == 0, row_field, f"must divide the {words} words of a plane, not {i[row_field]}"
        )
        memory = self.residual if i["residual"] else self.activation
        writes, reads = [], []
        for plane in range(i["planes"]):
            chunks = []
            for chunk in range(i["chunks"]):
                address = i["address"] + plane * i["plane_stride"] + chunk * i["chunk_stride"]
                chunks.append(self._read(i, address, i["chunk_words"] * geometry.word_bytes))
                reads.append((Region(i["region"]).name, address, chunks[-1].size))
            rows = self._slots(np.concatenate(chunks)).reshape(-1, i[row_field], geometry.word_channels)
            if i["depthwise"]:
                rows = depthwise(i, rows, self.kernels[group].of_plane(i, plane))
            rows = np.pad(rows, ((i["pad_top"], i["pad_bottom"]), (0, 0), (0, 0)))
            start = i["base"] + plane * i["plane_pitch"]
            for lane in range(geometry.pixel_lanes):
                if not i["lane_mask"] >> lane & 1:
                    continue
                first = (lane - first_lane) * i["lane_step"]
                taken = rows[first : first + i["lane_rows"]].reshape(-1, geometry.word_channels)
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

    def _lane_group(self, i: Instruction) -> tuple[int, int]:
        """The group that all lanes of a LOAD_MAP belong to, and its first lane."""
        lanes, size = self.geometry.pixel_lanes, self.geometry.group_lanes
        mask = i["lane_mask"]
        i.need(mask >> lanes == 0, "lane_mask", f"{mask:#x} names a lane beyond the {lanes} of the geometry")
        group = ((mask & -mask).bit_length() - 1) // size
        i.need(
            mask >> (group + 1) * size == 0,
            "lane_mask",
            f"{mask:#x} names lanes of two groups, each of {size} lanes: a LOAD_MAP is for those of one",
        )
        return group, group * size

    def _load_kernels(self, i: Instruction, group: int) -> Effect:
        for field, value in (("planes", 1), ("chunks", 1), ("depthwise", 0), ("residual", 0), ("signal", 0)):
            i.need(i[field] == value, field, f"must be {value} where kernels are loaded, not {i[field]}")
        size = i["chunk_words"] * self.geometry.word_bytes
        self.kernels[group].write(i, self._slots(self._read(i, i["address"], size)))
        return _effect(i, reads=((Region(i["region"]).name, i["address"], size),))

    # Compute engine ---------------------------------------------------------------------------------------------------

    def _compute(self, i: Instruction) -> Effect:
        geometry = self.geometry
        check_compute(i, geometry)
        freed = 0
        if i["mode"] == Mode.MAXIMUM:
            computed = maximum(i, geometry, self.activation)
        else:
            freed = released_weights(i)
            computed = convolve(i, geometry, self.activation, self.residual, self.weights, self.constants)
        planes, _, groups, _ = computed.outputs.shape
        last = i["output_base"] + (planes - 1) * i["output_pitch"] + groups - 1
        i.need(
            last < self.output.depth,
            "output_base",
            f"the last word goes to output address {last} of {self.output.depth}",
        )
        i.need(planes == 1 or i["output_pitch"] >= groups, "output_pitch", f"planes of {groups} words overlap")
        writes = []
        for plane in range(planes):
            address = i["output_base"] + plane * i["output_pitch"]
            for lane in range(geometry.pixel_lanes):
                words, valid = computed.outputs[plane, lane], computed.valid[plane, lane]
                self.output.write(i.index, lane, address, words, valid)
                writes.append(Write(self.output.name, lane, address, words, valid))
        self.weights.released += freed
        self.constants.released += i["release_constants"]
        window = i["passes"] * i["kernel_y"] * i["kernel_x"] * i["channels"]
        return _effect(
            i,
            writes=tuple(writes),
            steps=groups * window,
            released_weight_words=freed,
            released_constant_tiles=i["release_constants"],
            computed=computed,
        )

    # Store engine -----------------------------------------------------------------------------------------------------

    def _store(self, i: Instruction) -> Effect:
        geometry, memory = self.geometry, self.output
        i.need_counts("planes", "chunks", "chunk_words")
        i.need(i["lane"] < geometry.pixel_lanes, "lane", f"must be below {geometry.pixel_lanes}, not {i['lane']}")
        size = i["chunks"] * i["chunk_words"]
        last = i["base"] + (i["planes"] - 1) * i["plane_pitch"] + size - 1
        i.need(last < memory.depth, "base", f"the last word is read from output address {last} of {memory.depth}")
        register = i["lane"] // geometry.group_lanes, i["crc_register"]
        i.need(
            not i["crc_emit"] or bool(i["crc_start"]) or register in self.crcs, "crc_emit",
            f"CRC register {i['crc_register']} was never started in the group of lane {i['lane']}",
        )
        if i["crc_start"]:
            self.crcs[register] = 0, 0
        crc, words_counted = self.crcs.get(register, (0, 0))
        stores = []
        name = Region(i["region"]).name
        for plane in range(i["planes"]):
            start = i["base"] + plane * i["plane_pitch"]
            bad = np.flatnonzero(~memory.valid[i["lane"], start : start + size])
            if len(bad):
                i.fail("base", memory.describe(i["lane"], start + int(bad[0])))
            words = memory.words[i["lane"], start : start + size].reshape(i["chunks"], -1, geometry.word_channels)
            for chunk, content in enumerate(words):
                address = i["address"] + plane * i["plane_stride"] + chunk * i["chunk_stride"]
                data = self._bytes(content)
                self._span(i, name, address, len(data))[:] = np.frombuffer(data, np.uint8)
                self.initialised[name][address : address + len(data)] = True
                crc, words_counted = zlib.crc32(data, crc), words_counted + len(content)
                stores.append((name, address, data))
        self.crcs[register] = crc, words_counted
        if i["crc_emit"]:
            record = struct.pack("<4I", crc, i["layer"], words_counted, 0)
            address = LOG_RECORD_BYTES * i["crc_slot"]
            self._span(i, LOG, address, len(record), "crc_slot")[:] = np.frombuffer(record, np.uint8)
            stores.append((LOG, address, record))
        return _effect(i, stores=tuple(stores))

    def _finish(self, i: Instruction) -> Effect:
        self.finished = True
        return _effect(i)

    # DDR --------------------------------------------------------------------------------------------------------------

    def _span(self, i: Instruction, name: str, address: int, size: int, field: str = "address") -> np.ndarray:
        region = self.regions[name]
        i.need(
            address + size <= region.size,
            field,
            f"bytes {address} … {address + size - 1} of {name}, which has {region.size}",
        )
        return region[address : address + size]

    def _read(self, i: Instruction, address: int, size: int) -> np.ndarray:
        name = Region(i["region"]).name
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


def _effect(instruction: Instruction, **others) -> Effect:
    return Effect(index=instruction.index, opcode=instruction.opcode, fields=instruction.fields, **others)


_EXECUTE: dict[Opcode, Callable[[Machine, Instruction], Effect]] = {
    Opcode.LOAD_WEIGHTS: Machine._load_weights,
    Opcode.LOAD_CONSTANTS: Machine._load_constants,
    Opcode.LOAD_MAP: Machine._load_map,
    Opcode.COMPUTE: Machine._compute,
    Opcode.STORE: Machine._store,
    Opcode.FINISH: Machine._finish,
}
