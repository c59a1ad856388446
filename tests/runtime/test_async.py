"""Runs in an event loop: other tasks go on, runs queue up, a cancelled one is stopped, errors come out."""

import asyncio
import threading
import time

import pytest

from intramix.compiler.compile import compile_graph
from intramix.hdl.geometry import Geometry
from intramix.hdl.registers import Status
from intramix.quant.graph.random_graph import random_codes, random_graph
from intramix.runtime.driver import Driver
from intramix.runtime.errors import ImageError, RejectedError, RunTimeout
from tests.support.faulty_device import FaultyDevice
from tests.support.small import check_outputs

GEOMETRY = Geometry(word_channels=8, pixel_lanes=2, fixed8_lanes=2, fixed4_lanes=4, lut_lanes=2, address_bits=40)


class SlowDevice(FaultyDevice):
    """Its interrupt comes a little after the start, as that of hardware does."""

    delay = 0.02

    def __init__(self, geometry):
        super().__init__(geometry)
        self.waits = set()

    def wait_interrupt(self, seconds):
        self.waits.add(threading.get_ident())
        time.sleep(min(seconds, self.delay))
        return super().wait_interrupt(seconds)


@pytest.fixture(scope="module")
def graph():
    return random_graph(3, size=(8, 7), blocks=3)


@pytest.fixture(scope="module")
def program(graph):
    return compile_graph(graph, GEOMETRY)


@pytest.fixture
def device():
    return SlowDevice(GEOMETRY)


@pytest.fixture
def driver(device, program):
    driver = Driver(device)
    driver.load(program)
    return driver


def test_other_tasks_go_on(driver, device, graph):
    images, ticks = random_codes(graph, 1, images=3), []

    async def tick():
        while True:
            ticks.append(time.perf_counter())
            await asyncio.sleep(0.002)

    async def main():
        ticking = asyncio.create_task(tick())
        result = await driver.run_async(images)
        ticking.cancel()
        return result

    check_outputs(graph, images, asyncio.run(main()))
    assert len(ticks) > 5
    assert threading.get_ident() not in device.waits


def test_runs_queue_up(driver, graph):
    batches = [random_codes(graph, seed, images=2) for seed in range(3)]

    async def main():
        return await asyncio.gather(*(driver.run_async(images) for images in batches))

    for _ in range(2):  # in a second event loop, too
        for images, result in zip(batches, asyncio.run(main())):
            check_outputs(graph, images, result)


def test_blocking_run_beside_an_awaited_one(driver, graph):
    images = random_codes(graph, 1, images=2)

    async def main():
        awaited = asyncio.create_task(driver.run_async(images))
        await asyncio.sleep(0.005)
        with pytest.raises(RejectedError, match="await this one too"):
            driver.run(images)
        return await awaited

    check_outputs(graph, images, asyncio.run(main()))


def test_cancelled_run_is_stopped(driver, device, graph):
    images = random_codes(graph, 1, images=2)

    async def main():
        device.hang = True
        awaited = asyncio.create_task(driver.run_async(images))
        await asyncio.sleep(0.005)
        assert driver.status() & Status.BUSY
        awaited.cancel()
        with pytest.raises(asyncio.CancelledError):
            await awaited
        assert driver.status() == Status.DONE | Status.ERROR
        device.hang = False
        return await driver.run_async(images)

    check_outputs(graph, images, asyncio.run(main()))


def test_errors_come_out(driver, device, graph):
    images = random_codes(graph, 1)

    async def main():
        with pytest.raises(ImageError):
            await driver.run_async(images[None, None])
        device.hang = True
        with pytest.raises(RunTimeout, match="status BUSY"):
            await driver.run_async(images, timeout=0.01)
        device.hang = False
        return await driver.run_async(images)

    check_outputs(graph, images[None], asyncio.run(main()))
