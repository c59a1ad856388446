"""Files of integer graphs: round trips, and every way a file can be wrong."""

import io
import json
import os
import zipfile
import zlib

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intramix.quant.graph.executor import execute
from intramix.quant.graph.fileformat import MANIFEST, TENSORS, FileFormatError, load, made_for, save
from intramix.quant.graph.formats import FIXED4, POT_4, SP2_4, Scheme, WeightFormat
from intramix.quant.graph.graph import Convolution, IntegerGraph, MaxPool, Padding, TensorType
from intramix.quant.graph.random_graph import FormatMix, random_codes, random_graph


def assert_same(first, second):
    assert (first.name, first.tensors, first.input, first.outputs) == (
        second.name,
        second.tensors,
        second.input,
        second.outputs,
    )
    assert list(first.tensors) == list(second.tensors)
    for one, other in zip(first.layers, second.layers, strict=True):
        assert type(one) is type(other)
        for field in vars(one):
            left, right = getattr(one, field), getattr(other, field)
            if isinstance(left, np.ndarray):
                assert right.dtype == left.dtype == np.int64
                np.testing.assert_array_equal(left, right)
            else:
                assert left == right


def test_what_a_model_was_made_for_is_remembered(tmp_path):
    graph, path = random_graph(1), tmp_path / "net.imx"
    save(graph, path)
    assert made_for(path) == {}
    save(graph, path, made_for={"board": "some board"})
    assert made_for(path) == {"board": "some board"}
    assert_same(load(path), graph)
    save(graph, path, made_for={"board": 3})
    with pytest.raises(FileFormatError, match="made_for is no mapping of strings"):
        made_for(path)


names = st.text(min_size=1, max_size=8)
formats = st.sampled_from(
    [WeightFormat(Scheme.FIXED, bits) for bits in range(2, 9)] + [WeightFormat(Scheme.SP2, 8), SP2_4, POT_4, FIXED4]
)


@st.composite
def graphs(draw):
    """Two-layer graphs with everything the contract allows in a field."""
    size = st.integers(1, 4)
    pads = Padding(*(draw(st.integers(0, 3)) for _ in range(4)))
    kernel, stride = (draw(size), draw(size)), (draw(size), draw(size))
    height, width = draw(st.integers(kernel[0], 7)), draw(st.integers(kernel[1], 7))
    shape = (
        (height + pads.top + pads.bottom - kernel[0]) // stride[0] + 1,
        (width + pads.left + pads.right - kernel[1]) // stride[1] + 1,
    )
    kinds = tuple(draw(st.lists(formats, min_size=1, max_size=4)))
    channels = draw(size)
    weight = np.array(
        [
            draw(st.lists(st.sampled_from(kind.levels.tolist()), min_size=1, max_size=1))
            * (channels * kernel[0] * kernel[1])
            for kind in kinds
        ],
        np.int64,
    ).reshape(len(kinds), channels, *kernel)
    shift = draw(st.integers(0, 30))
    many = {"min_size": len(kinds), "max_size": len(kinds)}
    names_drawn = draw(st.lists(names, min_size=3, max_size=3, unique=True))
    scale = draw(st.floats(1e-30, 1e30))
    bits, zero_point = draw(st.integers(2, 8)), draw(st.integers(-300, 300))
    border = tuple(draw(st.lists(st.integers(0, 3), min_size=channels, max_size=channels)))
    x = TensorType(
        names_drawn[0], channels, height, width, draw(st.integers(2, 8)), scale, 0 if pads else zero_point,
        draw(st.sampled_from([(), border])),
    )  # fmt: skip
    y = TensorType(names_drawn[1], len(kinds), *shape, bits, scale, zero_point)
    z = TensorType(names_drawn[2], len(kinds), *shape, bits, scale, zero_point)
    convolution = Convolution(
        draw(names),
        x.name,
        y.name,
        weight,
        kinds,
        np.array(draw(st.lists(st.integers(-(1 << 17), (1 << 17) - 1), **many)), np.int64),
        np.array(draw(st.lists(st.integers(-(1 << 43), (1 << 43) - 1 - (1 << 29)), **many)), np.int64),
        shift,
        stride,
        pads,
        kind=draw(names),
    )
    pool = MaxPool(convolution.name + "!", y.name, z.name, (1, 1), (1, 1))
    outputs = draw(st.permutations([y.name, z.name]))
    return IntegerGraph(
        draw(st.text(max_size=5)), {t.name: t for t in (z, x, y)}, (convolution, pool), x.name, tuple(outputs)
    )


@given(graphs())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(tmp_path, graph):
    path = tmp_path / "graph.imx"
    save(graph, path)
    assert_same(load(path), graph)


def test_round_trip_of_a_network_executes_alike(tmp_path):
    graph = random_graph(1, blocks=12, mix=FormatMix(1, 1, 1, POT_4, narrow=True))
    save(graph, tmp_path / "graph.imx")
    loaded = load(tmp_path / "graph.imx")
    assert_same(loaded, graph)
    codes = random_codes(graph, 2)
    expected = execute(graph, codes)
    for name, values in execute(loaded, codes).items():
        np.testing.assert_array_equal(values, expected[name])


def test_equal_graphs_make_equal_files(tmp_path):
    for name in ("one", "two"):
        save(random_graph(1), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_file_is_a_stored_zip_that_others_can_read(tmp_path):
    graph = random_graph(1)
    save(graph, tmp_path / "graph.imx")
    with zipfile.ZipFile(tmp_path / "graph.imx") as archive:
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        tensors = safetensors.numpy.load(archive.read(TENSORS))
    first = next(layer for layer in graph.layers if isinstance(layer, Convolution))
    np.testing.assert_array_equal(tensors[f"{first.name}.weight"], first.weight)
    assert tensors[f"{first.name}.weight"].dtype == np.int8


# Wrong files ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    save(random_graph(1, blocks=2), tmp_path / "graph.imx")
    return tmp_path / "graph.imx"


def rewrite(path, change=None, tensors=None, drop=()):
    """The file again, its manifest changed, the checksum right."""
    with zipfile.ZipFile(path) as archive:
        manifest, data = json.loads(archive.read(MANIFEST)), archive.read(TENSORS)
    if tensors is not None:
        arrays = safetensors.numpy.load(data)
        tensors(arrays)
        data = safetensors.numpy.save(arrays)
        manifest["crc32"] = zlib.crc32(data)
    if change:
        change(manifest)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in ((MANIFEST, json.dumps(manifest)), (TENSORS, data)):
            if name not in drop:
                archive.writestr(name, content)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG" * 99])
def test_another_kind_of_file(tmp_path, content):
    (tmp_path / "x.imx").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"x\.imx: is not an Intramix file"):
        load(tmp_path / "x.imx")


def test_another_zip_archive(tmp_path, path):
    with zipfile.ZipFile(tmp_path / "x.imx", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(FileFormatError, match=r"x\.imx: is not an Intramix file"):
        load(tmp_path / "x.imx")
    rewrite(path, lambda manifest: manifest.update(format="another"))
    with pytest.raises(FileFormatError, match=r"graph\.imx: is not an Intramix file"):
        load(path)


def test_every_truncation_is_noticed(path):
    data = path.read_bytes()
    for size in [*range(4, 200, 7), *range(200, len(data), 997), len(data) - 1]:
        path.write_bytes(data[:size])
        with pytest.raises(FileFormatError, match="is truncated or damaged"):
            load(path)


def test_every_changed_byte_of_the_contents_is_noticed(path):
    data = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        spans = [(info.header_offset + 30 + len(info.filename), info.file_size) for info in archive.infolist()]
    for start, size in spans:
        for place in range(start, start + size, max(1, size // 40)):
            path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            with pytest.raises(FileFormatError, match="checksum mismatch"):
                load(path)


def test_tensors_of_another_file(path):
    rewrite(path, lambda manifest: manifest.update(crc32=manifest["crc32"] ^ 1))
    with pytest.raises(FileFormatError, match=r"checksum mismatch: tensors\.safetensors does not belong"):
        load(path)


def test_another_version_is_named(path):
    rewrite(path, lambda manifest: manifest.update(version=7))
    with pytest.raises(FileFormatError, match=r"has version 7 of the format; this Intramix reads version 1"):
        load(path)


def test_missing_tensor(path):
    def drop(arrays):
        del arrays["convolution1.bias"]

    rewrite(path, tensors=drop)
    with pytest.raises(FileFormatError, match=r"lacks tensor 'convolution1\.bias'"):
        load(path)


def test_missing_member(path):
    rewrite(path, drop=(TENSORS,))
    with pytest.raises(FileFormatError, match=r"lacks tensors\.safetensors"):
        load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: manifest.pop("layers"), "lacks 'layers'"),
        (lambda manifest: manifest["layers"][0].pop("shift"), "lacks 'shift'"),
        (lambda manifest: manifest["layers"][0].update(operator="attention"), "has operator 'attention'"),
        (lambda manifest: manifest["layers"][0].update(formats=["float-4"]), "malformed .*'float-4' is not one of"),
        (lambda manifest: manifest["tensors"][0].update(colour=1), "manifest.json is malformed .*colour"),
        (lambda manifest: manifest.update(input=["x"]), "manifest.json is malformed"),
        (lambda manifest: manifest["layers"][0].update(shift=99), "breaks the contract: layer .* shift must be 0 … 47"),
        (lambda manifest: manifest["layers"][0].update(stride="2"), "breaks the contract: layer .* stride"),
    ],
)
def test_wrong_manifest(path, change, message):
    rewrite(path, change)
    with pytest.raises(FileFormatError, match=message):
        load(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing.imx")


def test_a_failed_save_leaves_the_old_file_and_no_other(path, monkeypatch):
    before = path.read_bytes()

    def fail(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        save(random_graph(2), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["graph.imx"]
