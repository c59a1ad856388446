"""One compiled project of the small build serves all tests that simulate."""


import numpy as np
import pytest
import torch

from intramix.hls_reference.builds import build_for
from intramix.hls_reference.csim import compile_benches
from intramix.hls_reference.generate import write_project
from intramix.hls_reference.tables import make_tables
from intramix.hls_reference.vectors import reference_codes, write_vectors
from intramix.quant.graph.random_graph import random_codes, single_convolution

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def build():
    return build_for("small")


@pytest.fixture(scope="session")
def project(build, tmp_path_factory):
    """The project of a network with a residual and zero padding."""
    folder = tmp_path_factory.mktemp("hls") / "project"
    graph = single_convolution(1, channels=9, filters=20, size=(7, 9), residual_bits=8)
    tables = make_tables(graph, build)
    write_project(folder, build, tables, reference_codes(tables, random_codes(graph, 0, 1)))
    return folder


@pytest.fixture(scope="session")
def benches(project):
    return compile_benches(project)


@pytest.fixture
def vectors(build, tmp_path):
    """Writes vectors of a graph: expected values from PyTorch."""

    def write(graph, images=1, seed=0):
        tables = make_tables(graph, build)
        write_vectors(tmp_path, tables, reference_codes(tables, random_codes(graph, seed, images)))
        return tmp_path, tables

    return write


@pytest.fixture
def table_words():
    """Reads and changes the layer table of a folder of vectors."""

    def change(folder, changes):
        path = folder / "table.bin"
        words = np.frombuffer(path.read_bytes(), "<i4").copy()
        for index, value in changes.items():
            words[index] = value
        path.write_bytes(words.tobytes())

    return change
