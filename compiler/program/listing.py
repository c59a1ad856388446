"""A program as text that a person can read: a heading per layer, a line per instruction."""

from collections.abc import Iterator

from ...hdl.geometry import Geometry
from ...hdl.instructions import (
    Compute,
    Finish,
    Instruction,
    LoadConstants,
    LoadMap,
    LoadWeights,
    Store,
    Tokens,
)  # fmt: skip
from ...hdl.isa import INSTRUCTION_BYTES, Mode
from .program import LayerRecord, Program
from .rings import Rings
from .tensor_places import TensorPlaces


def listing(program: Program) -> str:
    """The listing.

    A line has the instruction's number, its layer, its opcode, what it does with which tensor, its tokens, and where
    it loads or frees a ring how full the rings are after it in program order.

    Raises
    ------
    ValueError: an instruction cannot be decoded.
    """
    return "\n".join(_lines(program)) + "\n"


def _lines(program: Program) -> Iterator[str]:
    geometry = program.geometry
    yield f"program {program.name}: {len(program.instructions) // INSTRUCTION_BYTES} instructions, " + ", ".join(
        f"{name} {size} bytes" for name, size in program.sizes.items()
    )
    if program.batch > 1:
        yield f"batch of {program.batch} images: maps are [plane, image, row, column]"
    yield (
        f"geometry {geometry.word_channels} channels × {geometry.tile_filters} filters × {geometry.pixel_lanes} pixel "
        f"lanes, A{geometry.activation_bits}, signature {geometry.signature:#010x}"
    )
    for fill in program.fills:
        around = fill.border
        yield (
            f"border of {fill.tensor} {fill.planes} planes of {fill.rows} × {fill.columns}: "
            f"{around.top}+{around.bottom} rows, {around.left}+{around.right} columns of {fill.word.hex()} from "
            f"{fill.region}+{fill.offset:#x}, {fill.bytes} bytes"
        )
    tensors = TensorPlaces(program)
    rings = Rings(geometry)
    records = {record.number: record for record in program.layers}
    shown = -1
    for number, instruction in enumerate(program.decoded()):
        if isinstance(instruction, Compute) and instruction.layer != shown:
            shown = instruction.layer
            yield from _heading(records[shown])
        what = _describe(instruction, tensors, geometry)
        parts = [f"{number:6d} {instruction.layer:4d} {instruction.opcode.name:14s} {what}"]
        tokens = {"wait": instruction.wait, "signal": instruction.signal}
        parts += [f"{word} {_tokens(named)}" for word, named in tokens.items() if named]
        parts += _fill(rings, instruction)
        yield "  ".join(parts)


def _heading(record: LayerRecord) -> Iterator[str]:
    mix = ", ".join(f"{count} {name}" for name, count in record.lane_mix.items()) or "no filters"
    before = f"{record.on_load} on load, then " if record.on_load else ""
    yield ""
    yield (
        f"layer {record.number} {before}{record.name} ({record.kind}) → {record.output}: {record.steps} steps, ideal "
        f"{record.ideal_cycles:.0f}; lanes {mix}; reads {record.read_bytes} bytes, writes {record.write_bytes}"
    )


def _tokens(tokens: Tokens) -> str:
    return "+".join(token.name for token in sorted(tokens))


def _fill(rings: Rings, instruction: Instruction) -> list[str]:
    """How full the rings are after an instruction that changes it."""
    before = rings.words, rings.tiles
    rings.execute(instruction)
    if before == (rings.words, rings.tiles):
        return []
    return [f"ring {rings.words}/{rings.depth}", f"{rings.tiles}/{rings.constant_tiles} tiles"]


def _describe(instruction: Instruction, tensors: TensorPlaces, geometry: Geometry) -> str:
    match instruction:
        case LoadWeights():
            return f"{instruction.words} words from PARAMETERS+{instruction.address:#x}"
        case LoadConstants():
            return f"{instruction.tiles} tiles from PARAMETERS+{instruction.address:#x}"
        case LoadMap():
            return _load_map(instruction, tensors, geometry)
        case Compute():
            return _compute(instruction)
        case Store():
            return _store(instruction, tensors)
    assert isinstance(instruction, Finish)
    return "when every write is acknowledged"


def _load_map(load: LoadMap, tensors: TensorPlaces, geometry: Geometry) -> str:
    if load.kernels:
        lane = load.lane_mask.bit_length() - 1
        return (
            f"{load.chunk_words} words from PARAMETERS+{load.address:#x} → kernels@{load.base} of lane "
            f"{lane}'s group"
        )
    rows = load.chunks * load.chunk_words // (load.source_words if load.depthwise else load.row_words)
    memory = "residual" if load.residual else "input"
    source = tensors.of(load) + (f" on chip@{load.chip_address}" if load.on_chip else "")
    lanes = [lane for lane in range(geometry.pixel_lanes) if load.lane_mask >> lane & 1]
    across = str(load.row_words)
    if load.depthwise:
        stride, top, bottom = load.source_stride, load.source_top, load.source_bottom
        across = f"{load.source_words}, 3×3/{stride} with {top}+{bottom} rows of zeros to rows of {across}"
    return (
        f"{source} {load.planes} planes × {load.pad_top}+{rows}+{load.pad_bottom} rows × "
        f"{across} → {memory}@{load.base}, {load.lane_rows} rows a lane, lanes "
        f"{lanes[0]} … {lanes[-1]}"
    )


def _compute(compute: Compute) -> str:
    window = f"{compute.kernel_y}×{compute.kernel_x}×{compute.channels}"
    text = f"{compute.mode.name.lower()} {compute.outputs_y}×{compute.outputs_x} pixels, window {window}, "
    text += f"{compute.passes} passes, input@{compute.base} → output@{compute.output_base}"
    if compute.mode == Mode.CONVOLVE:
        text += f", {compute.weight_words} words at ring+{compute.weight_offset}"
    if compute.residual:
        text += f", residual@{compute.residual_base}"
    return text


def _store(store: Store, tensors: TensorPlaces) -> str:
    where = f" on chip@{store.chip_address}" + ("" if store.chip_only else " and in DDR") if store.on_chip else ""
    text = (
        f"lane {store.lane} output@{store.base} → {tensors.of(store)}{where} {store.planes} planes × "
        f"{store.chunks * store.chunk_words} words"
    )
    return text + (f", CRC to slot {store.crc_slot}" if store.crc_emit else "")
