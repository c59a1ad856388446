"""The self-test: a run of known images, and every layer's CRC compared with the one that the compiler stored."""

import dataclasses

import numpy as np

from ..compiler.program.log_records import selftest_codes
from .driver import Driver
from .errors import ProgramError


@dataclasses.dataclass(frozen=True)
class LayerResult:
    """One layer of a self-test.

    Members
    -------
    number, name, output: of the layer, and its tensor.
    expected, found: CRC-32 and activation words of its record; `found` is None where the layer left none.
    """

    number: int
    name: str
    output: str
    expected: tuple[int, int]
    found: tuple[int, int] | None

    @property
    def passed(self) -> bool:
        return self.found == self.expected


@dataclasses.dataclass(frozen=True)
class SelfTestReport:
    """What a self-test found.

    Members
    -------
    network: name of the program.
    layers: in order of execution.
    cycles: of the run.
    damage: what differs between the program in the device's memory and the program loaded, in words; None: nothing.
    """

    network: str
    layers: tuple[LayerResult, ...]
    cycles: int
    damage: str | None

    @property
    def passed(self) -> bool:
        return self.damage is None and bool(self.layers) and all(layer.passed for layer in self.layers)

    @property
    def first_failure(self) -> LayerResult | None:
        """The first layer in order of execution whose CRC is wrong: its weights, its inputs or its arithmetic are."""
        return next((layer for layer in self.layers if not layer.passed), None)

    def __str__(self) -> str:
        wrong = sum(not layer.passed for layer in self.layers)
        text = f"{self.network}: {len(self.layers)} layers, {wrong} CRCs differ"
        if failure := self.first_failure:
            found = "none" if failure.found is None else f"{failure.found[0]:#010x} over {failure.found[1]:,} words"
            text += (
                f"; first in layer {failure.number} ({failure.name}): CRC-32 {found}, expected "
                f"{failure.expected[0]:#010x} over {failure.expected[1]:,} words"
            )
        return text + (f"; {self.damage}" if self.damage else "")


def selftest(driver: Driver, *, timeout: float | None = None) -> SelfTestReport:
    """Runs the program loaded once, on the images that its expected CRCs were computed for, and compares.

    A layer whose CRC differs while all before it are right has wrong weights, read a wrong map, or computed wrongly.

    Raises
    ------
    ProgramError: the program has no expected CRCs.
    AcceleratorError, RunTimeout: as `Driver.run`.
    """
    program = driver.program
    if not program.selftest:
        raise ProgramError(
            f"program {program.name} has no CRCs for a self-test: compile it again without --no-selftest"
        )
    run = driver.run(selftest_codes(program.input), timeout=timeout).runs[0]
    found = {entry.number: (entry.crc, entry.words) for entry in run.log}
    layers = tuple(
        LayerResult(layer.number, layer.name, layer.output, program.selftest[layer.number], found.get(layer.number))
        for layer in program.layers
    )
    return SelfTestReport(program.name, layers, run.cycles, _damage(driver))


def _damage(driver: Driver) -> str | None:
    program, memory = driver.program, driver.memory
    for name, contents in (("PROGRAM", program.instructions), ("PARAMETERS", program.parameters)):
        buffer = memory.shared[name]
        buffer.from_device()
        if text := _different(name, buffer.view[: len(contents)], np.frombuffer(contents, np.uint8)):
            return text
    fills = program.fills
    buffers = {name: memory.buffers(name) for name in {fill.region for fill in fills}}
    for buffer in (buffer for those in buffers.values() for buffer in those):
        buffer.from_device()
    expected = {name: [buffer.view.copy() for buffer in those] for name, those in buffers.items()}
    for fill in fills:
        for buffer, laid in zip(buffers[fill.region], expected[fill.region], strict=True):
            fill.lay(laid)
            if text := _different(f"{fill.region}, the border of {fill.tensor},", buffer.view, laid):
                return text
    return None


def _different(what: str, found: np.ndarray, expected: np.ndarray) -> str | None:
    different = found != expected
    if not different.any():
        return None
    return (
        f"{int(different.sum())} bytes of {what} in memory are not the program's, the first at "
        f"{int(different.argmax()):#x}: memory is damaged, or was overwritten; load the program again"
    )
