"""The file of a program: a zip archive of `manifest.json`, `instructions.bin` and `parameters.bin`.

The manifest names the format and its version, the geometry with its signature, layouts and layer records, and carries
size and CRC-32 of the two binaries. Equal programs make equal files. A program whose maps have no borders is written
in the oldest version that says all of it, so that older software reads it, too.
"""

import dataclasses
import io
import json
import os
import pathlib
import struct
import zipfile
import zlib
from typing import Any

from ...files import write_whole
from ...hdl.geometry import ISA_VERSION, Geometry, GeometryError
from ...hdl.isa import INSTRUCTION_BYTES
from .border_check import border_fault
from .map_layout import MapLayout
from .program import LayerRecord, Program

FORMAT = "intramix program"
VERSION = 4
"""Maps may have borders, which the host lays when it loads the program."""
WITHOUT_BORDERS = 3
"""The version in which no map has one."""
MANIFEST, INSTRUCTIONS, PARAMETERS = "manifest.json", "instructions.bin", "parameters.bin"

_EPOCH = (1980, 1, 1, 0, 0, 0)


_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,  # damage that zipfile takes for encryption or an unknown compression
    json.JSONDecodeError,
    UnicodeDecodeError,
)


class ProgramFileError(ValueError):
    """A file that cannot be read as a program; the message names the file, the reason and the remedy."""


def save(program: Program, path: "str | os.PathLike[str]") -> None:
    """Writes a program to a file, whole or not at all.

    Raises
    ------
    OSError: the file cannot be written; a file that was there before is unchanged.
    """
    binaries = {INSTRUCTIONS: program.instructions, PARAMETERS: program.parameters}
    manifest = {
        "format": FORMAT,
        "version": VERSION if program.fills or program.input.border else WITHOUT_BORDERS,
        "isa_version": ISA_VERSION,
        "signature": program.geometry.signature,
        "binaries": {name: {"bytes": len(data), "crc32": zlib.crc32(data)} for name, data in binaries.items()},
        "name": program.name,
        "geometry": program.geometry.to_dict(),
        "input": program.input.to_dict(),
        "outputs": [layout.name for layout in program.outputs],
        "maps": [layout.to_dict() for layout in program.maps.values()],
        "sizes": program.sizes,
        "layers": [dataclasses.asdict(record) for record in program.layers],
        "keeps_maps": program.keeps_maps,
        "selftest": [[slot, *record] for slot, record in program.selftest.items()],
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in {MANIFEST: json.dumps(manifest, indent=1).encode(), **binaries}.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data, compresslevel=1)
    write_whole(path, content.getbuffer())


def load(path: "str | os.PathLike[str]", *, geometry: Geometry | None = None) -> Program:
    """Reads a program.

    Parameters
    ----------
    geometry: of the accelerator it is to run on; None: any.

    Raises
    ------
    ProgramFileError: the file is no program, is damaged, or is of another version or for another geometry.
    OSError: the file cannot be read.
    """
    path = pathlib.Path(path)
    data = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            manifest = json.loads(archive.read(MANIFEST)) if MANIFEST in archive.namelist() else None
            if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
                raise ProgramFileError(f"{path} is not a program file; compile a network to get one")
            if manifest.get("version") not in (WITHOUT_BORDERS, VERSION):
                raise ProgramFileError(
                    f"{path} has version {manifest.get('version')!r} of the program format, and this software reads "
                    f"versions {WITHOUT_BORDERS} and {VERSION}; compile the network again"
                )
            binaries = {name: _binary(path, archive, name, manifest) for name in (INSTRUCTIONS, PARAMETERS)}
            return _program(path, manifest, binaries, geometry)
    except ProgramFileError:
        raise
    except _UNREADABLE as error:
        raise ProgramFileError(f"{path} is not a program file, or it is truncated or damaged ({error})") from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ProgramFileError(f"{path} is damaged: its manifest lacks or misuses an entry ({error})") from None


def _binary(path: pathlib.Path, archive: zipfile.ZipFile, name: str, manifest: dict[str, Any]) -> bytes:
    data, expected = archive.read(name), manifest["binaries"][name]
    if len(data) != expected["bytes"] or zlib.crc32(data) != expected["crc32"]:
        raise ProgramFileError(f"{path} is damaged: {name} does not have the size and checksum its manifest gives")
    return data


def _program(
    path: pathlib.Path, manifest: dict[str, Any], binaries: dict[str, bytes], geometry: Geometry | None
) -> Program:
    if manifest["isa_version"] != ISA_VERSION:
        raise ProgramFileError(
            f"{path} is for version {manifest['isa_version']} of the instruction set, and this software is for version "
            f"{ISA_VERSION}; compile the network again"
        )
    try:
        own = Geometry.from_dict(manifest["geometry"])
    except GeometryError as error:
        raise ProgramFileError(f"{path} is damaged: {error}") from None
    if own.signature != manifest["signature"]:
        raise ProgramFileError(f"{path} is damaged: its geometry does not have the signature its manifest gives")
    if geometry is not None and geometry != own:
        mine, other = own.to_dict(), geometry.to_dict()
        field = next(name for name in mine if mine[name] != other[name])
        raise ProgramFileError(
            f"{path} is for another geometry: its {field} is {mine[field]}, the accelerator's {other[field]}; compile "
            "the network for the accelerator"
        )
    if len(binaries[INSTRUCTIONS]) % INSTRUCTION_BYTES:
        raise ProgramFileError(f"{path} is damaged: {INSTRUCTIONS} is not a whole number of instructions")
    maps = {layout["name"]: MapLayout.from_dict(layout) for layout in manifest["maps"]}
    program = Program(
        name=manifest["name"],
        geometry=own,
        instructions=binaries[INSTRUCTIONS],
        parameters=binaries[PARAMETERS],
        input=MapLayout.from_dict(manifest["input"]),
        outputs=tuple(maps[name] for name in manifest["outputs"]),
        maps=maps,
        sizes=manifest["sizes"],
        layers=tuple(LayerRecord(**record) for record in manifest["layers"]),
        keeps_maps=manifest["keeps_maps"],
        selftest={slot: (crc, words) for slot, crc, words in manifest.get("selftest", [])},
    )
    if fault := border_fault(program):
        raise ProgramFileError(f"{path} is damaged: {fault}")
    return program
