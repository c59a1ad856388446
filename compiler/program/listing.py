"""A program as text that a person can read: a heading per layer, a line per instruction."""

from collections.abc import Iterator

from ...hdl.geometry import Geometry
from ...hdl.isa import INSTRUCTION_BYTES, Mode, Opcode, Region, Token
from .map_layout import MapLayout
from .program import LayerRecord, Program


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
    tensors = _Tensors(program)
    rings = _Rings(geometry)
    records = {record.number: record for record in program.layers}
    shown = -1
    for number, (opcode, fields) in enumerate(program.decoded()):
        if opcode is Opcode.COMPUTE and fields["layer"] != shown:
            shown = fields["layer"]
            yield from _heading(records[shown])
        parts = [f"{number:6d} {fields['layer']:4d} {opcode.name:14s} {_DESCRIBE[opcode](fields, tensors, geometry)}"]
        parts += [f"{word} {_tokens(fields[word])}" for word in ("wait", "signal") if fields[word]]
        parts += rings.after(opcode, fields)
        yield "  ".join(parts)


def _heading(record: LayerRecord) -> Iterator[str]:
    mix = ", ".join(f"{count} {name}" for name, count in record.lane_mix.items()) or "no filters"
    before = f"{record.on_load} on load, then " if record.on_load else ""
    yield ""
    yield (
        f"layer {record.number} {before}{record.name} ({record.kind}) → {record.output}: {record.steps} steps, ideal "
        f"{record.ideal_cycles:.0f}; lanes {mix}; reads {record.read_bytes} bytes, writes {record.write_bytes}"
    )


def _tokens(mask: int) -> str:
    return "+".join(token.name for token in Token if mask >> token & 1)


class _Tensors:
    """Names the tensor and the place in it that an address means; of concatenated ones, the operand."""

    def __init__(self, program: Program) -> None:
        layouts = [program.input, *(program.maps[record.output] for record in program.layers)]
        self._layouts = sorted(layouts, key=lambda layout: (layout.region, layout.offset))
        self._written = {record.output: record.number for record in program.layers}

    def place(self, fields: dict[str, int]) -> str:
        """`tensor[plane, row, column]`; of tensors that share memory, the one written last before the layer."""
        region, address, layer = Region(fields["region"]).name, fields["address"], fields["layer"]
        found: MapLayout | None = None
        for layout in self._layouts:
            inside = layout.region == region and layout.holds(address)
            born = self._written.get(layout.name, -1)
            if inside and born <= layer and (found is None or born > self._written.get(found.name, -1)):
                found = layout
        if found is None:
            return f"{region}+{address:#x}"
        plane, rest = divmod(address - found.offset, found.plane_bytes)
        row, column = divmod(rest // found.word_bytes, found.columns)
        image, row = divmod(row, found.image_rows)
        place = (plane, row, column) if found.images == 1 else (plane, image, row, column)
        return f"{found.name}{list(place)}"


class _Rings:
    """How full the rings are, in program order."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self.words = self.tiles = 0

    def after(self, opcode: Opcode, fields: dict[str, int]) -> list[str]:
        if opcode is Opcode.LOAD_WEIGHTS:
            self.words += fields["words"]
        elif opcode is Opcode.LOAD_CONSTANTS:
            self.tiles += fields["tiles"]
        elif opcode is Opcode.COMPUTE and (fields["release"] or fields["release_constants"]):
            runs = bin(fields["final_mask"]).count("1") if fields["release"] else 0
            self.words -= runs * fields["weight_words"]
            self.tiles -= fields["release_constants"]
        else:
            return []
        return [f"ring {self.words}/{self.geometry.weight_depth}", f"{self.tiles}/{self.geometry.constant_tiles} tiles"]


def _load_weights(fields: dict[str, int], tensors: _Tensors, geometry: Geometry) -> str:
    return f"{fields['words']} words from PARAMETERS+{fields['address']:#x}"


def _load_constants(fields: dict[str, int], tensors: _Tensors, geometry: Geometry) -> str:
    return f"{fields['tiles']} tiles from PARAMETERS+{fields['address']:#x}"


def _load_map(fields: dict[str, int], tensors: _Tensors, geometry: Geometry) -> str:
    if fields["kernels"]:
        lane = fields["lane_mask"].bit_length() - 1
        return (
            f"{fields['chunk_words']} words from PARAMETERS+{fields['address']:#x} → kernels@{fields['base']} of lane "
            f"{lane}'s group"
        )
    rows = fields["chunks"] * fields["chunk_words"] // fields["source_words" if fields["depthwise"] else "row_words"]
    memory = "residual" if fields["residual"] else "input"
    lanes = [lane for lane in range(geometry.pixel_lanes) if fields["lane_mask"] >> lane & 1]
    across = str(fields["row_words"])
    if fields["depthwise"]:
        stride, top, bottom = fields["source_stride"], fields["source_top"], fields["source_bottom"]
        across = f"{fields['source_words']}, 3×3/{stride} with {top}+{bottom} rows of zeros to rows of {across}"
    return (
        f"{tensors.place(fields)} {fields['planes']} planes × {fields['pad_top']}+{rows}+{fields['pad_bottom']} rows × "
        f"{across} → {memory}@{fields['base']}, {fields['lane_rows']} rows a lane, lanes "
        f"{lanes[0]} … {lanes[-1]}"
    )


def _compute(fields: dict[str, int], tensors: _Tensors, geometry: Geometry) -> str:
    window = f"{fields['kernel_y']}×{fields['kernel_x']}×{fields['channels']}"
    text = f"{Mode(fields['mode']).name.lower()} {fields['outputs_y']}×{fields['outputs_x']} pixels, window {window}, "
    text += f"{fields['passes']} passes, input@{fields['base']} → output@{fields['output_base']}"
    if fields["mode"] == Mode.CONVOLVE:
        text += f", {fields['weight_words']} words at ring+{fields['weight_offset']}"
    if fields["residual"]:
        text += f", residual@{fields['residual_base']}"
    return text


def _store(fields: dict[str, int], tensors: _Tensors, geometry: Geometry) -> str:
    text = (
        f"lane {fields['lane']} output@{fields['base']} → {tensors.place(fields)} {fields['planes']} planes × "
        f"{fields['chunks'] * fields['chunk_words']} words"
    )
    return text + (f", CRC to slot {fields['crc_slot']}" if fields["crc_emit"] else "")


def _finish(fields: dict[str, int], tensors: _Tensors, geometry: Geometry) -> str:
    return "when every write is acknowledged"


_DESCRIBE = {
    Opcode.LOAD_WEIGHTS: _load_weights,
    Opcode.LOAD_CONSTANTS: _load_constants,
    Opcode.LOAD_MAP: _load_map,
    Opcode.COMPUTE: _compute,
    Opcode.STORE: _store,
    Opcode.FINISH: _finish,
}
