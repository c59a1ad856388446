"""Program files: round trip, and a clear refusal of anything that is not whole."""

import dataclasses
import json
import os
import zipfile

import numpy as np
import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.interpreter.interpret import run_codes
from intramix.compiler.program import fileformat
from intramix.compiler.program.fileformat import ProgramFileError, load, save
from intramix.quant.graph.graph import Padding
from intramix.quant.graph.random_graph import random_codes, random_graph, single_convolution
from tests.support.signed_maps import signed_network

GRAPH = random_graph(3, blocks=2)


@pytest.fixture
def saved(geometries, tmp_path):
    program = compile_graph(GRAPH, geometries["plain"])
    path = tmp_path / "network.program"
    save(program, path)
    return program, path


def rewrite(path, change):
    """The file with its manifest changed."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(content["manifest.json"])
    change(manifest)
    content["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


@pytest.mark.parametrize("batch", [1, 2])
def test_round_trip(geometries, tmp_path, batch):
    program, path = compile_graph(GRAPH, geometries["plain"], batch=batch), tmp_path / "network.program"
    save(program, path)
    found = load(path, geometry=program.geometry)
    for field in dataclasses.fields(program):
        if field.name not in ("input", "outputs", "maps"):
            assert getattr(found, field.name) == getattr(program, field.name), field.name
    assert [layout.name for layout in found.outputs] == [layout.name for layout in program.outputs]
    codes = random_codes(GRAPH, 1, images=batch).reshape(program.input.shape)
    assert found.batch == batch
    expected = run_codes(program, codes)
    for name, values in run_codes(found, codes).items():
        np.testing.assert_array_equal(values, expected[name])


def test_equal_programs_make_equal_files(saved, tmp_path):
    program, path = saved
    save(program, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["again", path.name]


def test_failed_save_leaves_the_old_file(saved, monkeypatch):
    program, path = saved
    before = path.read_bytes()

    def full(*_args, **_others):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        save(program, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_truncated(saved, share):
    _, path = saved
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ProgramFileError, match="truncated or damaged"):
        load(path)


def test_every_damaged_byte_is_found_or_harmless(saved):
    """Damage in 400 places: refused, or outside what is read."""
    program, path = saved
    data = path.read_bytes()
    refused = 0
    for place in range(0, len(data), max(1, len(data) // 400)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :])
        try:
            found = load(path)
        except ProgramFileError:
            refused += 1
        else:
            assert (found.instructions, found.parameters) == (program.instructions, program.parameters)
            assert found.layers == program.layers
    assert refused > 300


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: manifest.update(format="intramix integer graph"), "is not a program file"),
        (lambda manifest: manifest.update(version=99), "version 99 .* compile the network again"),
        (lambda manifest: manifest.update(isa_version=7), "version 7 of the instruction set"),
        (lambda manifest: manifest.pop("sizes"), "manifest lacks or misuses an entry .*sizes"),
        (lambda manifest: manifest["geometry"].update(pixel_lanes=3), "pixel_lanes = 3"),
        (lambda manifest: manifest["geometry"].update(pixel_lanes=4), "signature"),
        (lambda manifest: manifest["binaries"]["parameters.bin"].update(crc32=1), r"parameters.bin does not have"),
    ],
)
def test_manifest_that_does_not_fit(saved, change, message):
    _, path = saved
    rewrite(path, change)
    with pytest.raises(ProgramFileError, match=message):
        load(path)


def test_other_geometry(saved, geometries):
    _, path = saved
    with pytest.raises(ProgramFileError, match=r"for another geometry: its word_channels is 8, the accelerator's 4"):
        load(path, geometry=geometries["narrow"])


def test_binary_that_is_no_zip(tmp_path):
    path = tmp_path / "x"
    path.write_text("hello")
    with pytest.raises(ProgramFileError, match="not a program file"):
        load(path)
    assert (fileformat.WITHOUT_BORDERS, fileformat.VERSION) == (3, 4)


def version_of(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("manifest.json"))["version"]


def test_only_a_program_with_borders_is_of_the_new_version(geometries, saved, tmp_path):
    """And the borders come back, also the input's alone."""
    _, plain = saved
    assert version_of(plain) == fileformat.WITHOUT_BORDERS
    assert b'"border": {' not in zipfile.ZipFile(plain).read("manifest.json")
    image = single_convolution(1, depthwise=True, padding=Padding(1, 1, 1, 1), zero_point=11)
    for number, graph in enumerate((signed_network(5), image)):
        program, path = compile_graph(graph, geometries["plain"]), tmp_path / str(number)
        save(program, path)
        assert version_of(path) == fileformat.VERSION
        found = load(path)
        assert found.fills == program.fills
        assert found.input.border == program.input.border
        codes = random_codes(graph, 1)
        for name, values in run_codes(found, codes).items():
            np.testing.assert_array_equal(values, run_codes(program, codes)[name])


def map_of(manifest, name):
    return next(entry for entry in manifest["maps"] if entry["name"] == name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: map_of(manifest, "map0")["border"].update(top=-1), "a border's top must be an integer of"),
        (lambda manifest: map_of(manifest, "map0")["border"].pop("left"), "must have the sides top, left, bottom"),
        (lambda manifest: map_of(manifest, "map0").update(zero_point=32), "map 'map0' has code 32; the map"),
        (lambda manifest: map_of(manifest, "map0").update(zero_point=1.5), "map 'map0' has code 1.5"),
        (lambda manifest: map_of(manifest, "map0").update(offset=1 << 20), "'map0' reaches to byte .* of OUTPUT"),
        (lambda manifest: map_of(manifest, "map8")["border"].update(bottom=999), "'map8' reaches to byte .* of WORKSP"),
        (lambda manifest: map_of(manifest, "map0")["border"].update(bottom=9), "'map0' lies in the memory of map '"),
        (lambda manifest: manifest["input"].update(border={"top": 1, "left": 1, "bottom": 1, "right": 1}),
         "'image' lies around a folded map"),
    ],
)  # fmt: skip
def test_damaged_border(geometries, tmp_path, change, message):
    path = tmp_path / "network.program"
    save(compile_graph(signed_network(5), geometries["plain"]), path)
    rewrite(path, change)
    with pytest.raises(ProgramFileError, match=message):
        load(path)
