"""The copy master of the tests, built as a simulator."""

import pathlib

import numpy as np

from intramix.sim.conditions import DdrConditions
from intramix.sim.ports import MasterPort
from intramix.sim.simulation import Simulation
from intramix.sim.verilator import build_library

SOURCE, DESTINATION, BYTES, CONTROL, STATUS, STREAM_START, STREAM_BURSTS, STREAM_SUM = (
    0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18, 0x1C,
)
TEXT = (pathlib.Path(__file__).parent / "copy_master.v").read_text()
MEMORY_BYTES = 1 << 16


def build(data_bits: int = 64, stream_bits: int = 32, **options):
    ports = (
        MasterPort(name="copy", data_bits=data_bits, write=True),
        MasterPort(name="stream", data_bits=stream_bits),
    )
    text = TEXT.replace("DATA = 64", f"DATA = {data_bits}").replace("STREAM = 32", f"STREAM = {stream_bits}")
    return build_library(text, ports, top="copy_master", **options), ports


def simulation(conditions: DdrConditions | None = None, *, data_bits: int = 64, stream_bits: int = 32) -> Simulation:
    """A simulation whose memory is full of seeded noise."""
    library, ports = build(data_bits, stream_bits)
    result = Simulation(library, ports, memory_bytes=MEMORY_BYTES, conditions=conditions)
    result.memory[:] = np.random.default_rng(7).integers(0, 256, MEMORY_BYTES, np.uint8)
    return result


def start_copy(sim: Simulation, source: int, destination: int, size: int, *, fault: int = 0) -> None:
    sim.write(SOURCE, source)
    sim.write(DESTINATION, destination)
    sim.write(BYTES, size)
    sim.write(CONTROL, 1 | fault << 8)
