"""Bad tables: a status code from `top`, a message from Python, and nothing computed."""

import pytest

from intramix.hls_reference.csim import run_bench
from intramix.hls_reference.records import FIELDS, LAYER_WORDS, REMEDIES, TABLE_HEADER, Status, status_message
from intramix.hls_reference.tables import make_tables
from intramix.quant.graph.random_graph import random_graph, single_convolution

pytestmark = pytest.mark.slow

NUMBERS = {name: index for index, (name, _) in enumerate(FIELDS)}


def word(field, layer=0):
    return TABLE_HEADER + layer * LAYER_WORDS + NUMBERS[field]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({0: 7}, Status.BAD_TABLE),
        ({1: 7}, Status.BAD_TABLE),
        ({2: 1}, Status.BAD_TABLE),  # fewer layers than are asked for
        ({2: 1000}, Status.BAD_TABLE),  # more layers than the table has
        ({word("operation", 1): 0}, Status.UNKNOWN_OPERATOR),
        ({word("operation", 1): 5}, Status.UNKNOWN_OPERATOR),
        ({word("operation", 1): -1}, Status.UNKNOWN_OPERATOR),
        ({word("input", 1): 4}, Status.MISALIGNED),
        ({word("output", 1): 1}, Status.MISALIGNED),
        ({word("residual", 1): 12}, Status.MISALIGNED),
        ({word("weights", 1): 2}, Status.MISALIGNED),
        ({word("constants", 1): 8}, Status.MISALIGNED),
        ({word("kernel_rows", 1): 0}, Status.BAD_FIELD),
        ({word("stride_columns", 1): 0}, Status.BAD_FIELD),
        ({word("pad_top", 1): -1}, Status.BAD_FIELD),
        ({word("input_digits", 1): 3}, Status.BAD_FIELD),
        ({word("output_beats", 1): 0}, Status.BAD_FIELD),
        ({word("output_rows", 1): 1 << 20}, Status.BAD_FIELD),
        ({word("filter_tiles", 1): 1}, Status.BAD_FIELD),
        ({word("shift", 1): 48}, Status.BAD_FIELD),
        ({word("maximum", 1): 63}, Status.BAD_FIELD),  # more than a slot of 5 bits holds
        ({word("residual_digits", 1): 0}, Status.BAD_FIELD),
        ({word("tile_rows", 1): 0}, Status.BAD_FIELD),
        ({word("tile_rows", 1): 5}, Status.TILE_TOO_LARGE),
        ({word("tile_columns", 1): 2000}, Status.TILE_TOO_LARGE),
        ({word("kernel_rows", 1): 9, word("kernel_columns", 1): 9}, Status.TILE_TOO_LARGE),
        ({word("stride_rows", 1): 60}, Status.TILE_TOO_LARGE),
        ({word("input", 1): 1 << 20}, Status.OUT_OF_RANGE),
        ({word("output", 1): -8}, Status.OUT_OF_RANGE),
        ({word("residual", 1): 1 << 20}, Status.OUT_OF_RANGE),
        ({word("weights", 1): 1 << 20}, Status.OUT_OF_RANGE),
        ({word("constants", 1): 1 << 20}, Status.OUT_OF_RANGE),
        ({word("output_rows", 1): 1 << 14, word("output_columns", 1): 1 << 14}, Status.OUT_OF_RANGE),
    ],
)
def test_bad_table(benches, vectors, table_words, changes, status):
    folder, tables = vectors(single_convolution(1, channels=9, filters=20, size=(7, 9), residual_bits=8))
    table_words(folder, changes)
    run = run_bench(benches["network_tb"], folder, layers=tables.names)
    assert not run.passed
    where = "" if status is Status.BAD_TABLE else "layer 'convolution': "
    assert run.text == f"top returned {status.name}: {where}{REMEDIES[status]}"


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("linear", "kernel_rows", 9),
        ("linear", "output_rows", 2),
        ("linear", "residual_beats", 1),
        ("depthwise", "output_beats", 3),
        ("max_pool", "residual_beats", 1),
        ("max_pool", "output_digits", 2),
    ],
)
def test_operators_have_fields_of_their_own(benches, vectors, table_words, kind, field, value):
    graph = random_graph(2, kinds=("stem", kind), blocks=2, channels=(9, 16))
    folder, tables = vectors(graph)
    operations = {"linear": 3, "depthwise": 2, "max_pool": 4}
    layer = next(i for i, record in enumerate(tables.records) if record["operation"] == operations[kind])
    table_words(folder, {word(field, layer): value})
    run = run_bench(benches["network_tb"], folder, layers=tables.names)
    assert run.text.startswith(f"top returned BAD_FIELD: layer {tables.names[layer]!r}")


def test_truncated_table(benches, vectors):
    folder, _ = vectors(single_convolution(1))
    path = folder / "table.bin"
    path.write_bytes(path.read_bytes()[:-4])
    assert "BAD_TABLE" in run_bench(benches["network_tb"], folder).text


def test_table_of_another_build(benches, build, vectors, table_words):
    from intramix.hls_reference.builds import build_for

    graph = single_convolution(1)
    folder, _ = vectors(graph)
    other = make_tables(graph, build_for("small", activation_bits=6))
    assert other.build.signature != build.signature
    table_words(folder, {1: other.build.signature})
    assert "of another build" in run_bench(benches["network_tb"], folder).text


def test_messages():
    assert status_message(0) == "all layers ran"
    assert "layer 7" in status_message(7 << 8 | Status.MISALIGNED)
    assert "is no status" in status_message(99)
    assert set(REMEDIES) == set(Status) - {Status.OK}
