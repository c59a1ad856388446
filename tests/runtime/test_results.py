"""The log as the host sees it: one entry a layer, whatever groups of pixel lanes left records."""

import dataclasses

import numpy as np
import pytest

from intramix.compiler.compile import compile_graph
from intramix.quant.graph.random_graph import random_graph
from intramix.runtime.errors import DeviceError
from intramix.runtime.results import decode_log
from tests.support.small import SMALL


@pytest.fixture(scope="module")
def program():
    return compile_graph(random_graph(31, activation_bits=5, blocks=2, size=(9, 8)), SMALL)


def log_of(program, records):
    log = np.zeros(program.sizes["LOG"] // 4, "<u4").reshape(-1, 4)
    for slot, record in records.items():
        log[slot] = record
    return log.view(np.uint8).reshape(-1)


def test_records_of_two_groups_are_one_entry(program):
    assert program.sizes["LOG"] == 2 * 16 * len(program.layers)
    log = log_of(program, {0: (0xF0F0F0F0, 0, 30, 500), 1: (0x0FF00FF0, 0, 12, 700), 2: (5, 1, 7, 900)})
    entries = decode_log(log, program)
    assert [(entry.number, entry.crc, entry.words) for entry in entries] == [(0, 0xFF00FF00, 42), (1, 5, 7)]
    assert [(entry.finished, entry.cycles) for entry in entries] == [(700, 700), (900, 200)]
    assert [entry.name for entry in entries] == [layer.name for layer in program.layers[:2]]


def test_record_of_another_layer(program):
    with pytest.raises(DeviceError, match="log record 3 is that of layer 0, not 1: the log was overwritten"):
        decode_log(log_of(program, {2: (5, 1, 7, 900), 3: (5, 0, 7, 900)}), program)


def test_one_group_has_one_record(program):
    alone = dataclasses.replace(program, geometry=dataclasses.replace(SMALL, maps_ports=1))
    (entry,) = decode_log(log_of(alone, {1: (9, 1, 4, 100)}), alone)
    assert (entry.number, entry.crc, entry.words, entry.finished) == (1, 9, 4, 100)
