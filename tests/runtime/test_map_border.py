"""The host lays the borders of maps when it loads a program, and they stay: on every kind of device, run after run."""

import pytest

from intramix.compiler.compile import compile_graph
from intramix.compiler.program.map_border import MapBorder
from intramix.compiler.selftest import with_selftest
from intramix.hdl.geometry import Geometry
from intramix.quant.graph.graph import IntegerGraph, Padding
from intramix.quant.graph.random_graph import random_codes, random_graph, single_convolution
from intramix.runtime.driver import Driver
from intramix.runtime.interpreted import InterpretedDevice
from intramix.runtime.selftest import selftest
from intramix.runtime.simulated import SimulatedDevice
from intramix.runtime.verification import verify
from intramix.sim.conditions import DdrConditions
from tests.support.faulty_device import FaultyDevice
from tests.support.signed_maps import signed_network
from tests.support.small import FAST, SMALL, check_outputs

STALLED = DdrConditions(peak_bytes_per_second=1e12, latency_cycles=7, stall_probability=0.3, seed=1)


@pytest.mark.parametrize("device", [InterpretedDevice, FaultyDevice])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("keep_maps", [True, False])
def test_images_that_take_turns(device, batch, keep_maps):
    """Five of them in both frames of a device whose memory is seen only once it is synchronized."""
    graph = signed_network(5)
    driver = Driver(device(SMALL))
    driver.load(compile_graph(graph, SMALL, batch=batch, keep_maps=keep_maps))
    assert {fill.region for fill in driver.program.fills} == {"OUTPUT", "WORKSPACE"}
    images = random_codes(graph, 1, images=5)
    check_outputs(graph, images, driver.run(images))
    assert verify(driver, graph, images[:2]).passed


@pytest.mark.parametrize("region", ["OUTPUT", "WORKSPACE"])
def test_selftest_names_a_damaged_border(region):
    graph = signed_network(5)
    driver = Driver(FaultyDevice(SMALL))
    driver.load(with_selftest(compile_graph(graph, SMALL), graph))
    assert selftest(driver).passed
    fill = next(fill for fill in driver.program.fills if fill.region == region)
    for buffer in driver.memory.buffers(region):
        buffer.view[fill.offset] ^= 1
        buffer.to_device()
        damage = selftest(driver).damage
        assert damage is not None
        assert damage.startswith(f"1 bytes of {region}, the border of {fill.tensor}, in memory are not the program's, ")
        assert f"the first at {fill.offset:#x}" in damage
        buffer.view[fill.offset] ^= 1
        buffer.to_device()
    assert selftest(driver).passed


def test_memory_is_laid_again_with_every_load():
    """A device that gives memory of the program before, full of its maps."""

    class Recycling(FaultyDevice):
        def new_buffer(self, address: int, size: int):  # type: ignore[no-untyped-def]
            buffer = super().new_buffer(address, size)
            buffer.view[:] = 0xA5
            buffer.memory[:] = b"\xa5" * size
            return buffer

    graph, driver = signed_network(5), Driver(Recycling(SMALL))
    images = random_codes(graph, 1, images=2)
    for batch in (1, 2):
        driver.load(compile_graph(graph, SMALL, batch=batch))
        check_outputs(graph, images, driver.run(images))


# In RTL ---------------------------------------------------------------------------------------------------------------


def verified(driver: Driver, graph: IntegerGraph, geometry: Geometry, *, batch: int = 1) -> None:
    driver.load(compile_graph(graph, geometry, batch=batch))
    report = verify(driver, graph, random_codes(graph, 3, images=batch + 1))
    assert report.passed, report
    assert report.compared > 1000


@pytest.mark.simulator
@pytest.mark.parametrize("bits", [5, 8])
@pytest.mark.parametrize("conditions", [FAST, STALLED], ids=["fast", "stalls"])
def test_every_kind_of_reader_in_rtl(bits, conditions):
    """Padded by convolutions and by the depthwise unit, of one digit and of two; the second program gets the memory
    that the first one has used."""
    graph = signed_network(bits, pool=bits == 5)
    with SimulatedDevice(SMALL, conditions) as device:
        driver = Driver(device)
        for batch in (1, 2, 1):
            verified(driver, graph, SMALL, batch=batch)


@pytest.mark.simulator
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_random_networks_in_rtl(seed):
    graph = random_graph(seed, blocks=5, size=(9, 8), channels=(4, 20), activation_bits=5, wide_share=0.2 * (seed % 2),
                         kinds=("stem", "convolution3", "asymmetric", "depthwise", "projection", "inverted", "add",
                                "concatenation"), signed_share=0.7)  # fmt: skip
    with SimulatedDevice(SMALL, STALLED) as device:
        driver = Driver(device)
        verified(driver, graph, SMALL)
        assert driver.program.fills


@pytest.mark.simulator
@pytest.mark.parametrize("input_bits", [5, 8])
def test_image_with_a_border_of_its_own_in_rtl(input_bits):
    """A depthwise layer pads a signed image, which no input rewrite takes."""
    graph = single_convolution(
        2, channels=11, filters=11, size=(12, 13), stride=(2, 1), padding=Padding(1, 1, 1, 1), depthwise=True,
        zero_point=13, input_bits=input_bits,
    )  # fmt: skip
    with SimulatedDevice(SMALL, STALLED) as device:
        driver = Driver(device)
        verified(driver, graph, SMALL)
        assert driver.program.input.border == MapBorder(1, 1, 0, 1)
