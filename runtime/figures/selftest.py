"""The figures of a self-test."""

import dataclasses
from typing import Annotated

from ..device import DeviceKind
from ..selftest import SelfTestReport
from .fields import Means


@dataclasses.dataclass(frozen=True, kw_only=True)
class TestedLayerFigures:
    """A layer of a self-test."""

    number: Annotated[int, Means("number of the layer, in order of execution, from 0")]
    name: Annotated[str, Means("name of the layer")]
    expected_crc: Annotated[int, Means("CRC-32 of what it must store")]
    found_crc: Annotated[int | None, Means("that of what it stored; null where it stored nothing")]
    words: Annotated[int, Means("activation words that it must store")]
    passed: Annotated[bool, Means("whether CRC-32 and number of words are right")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelfTestFigures:
    """What `selftest` writes."""

    network: Annotated[str, Means("name of the program")]
    passed: Annotated[bool, Means("whether all layers are right and the program in memory is undamaged")]
    cycles: Annotated[int | None, Means("of the run; null where the device is `interpreted`: not measured", "cycles")]
    first_failure: Annotated[str | None, Means("name of the first layer that differs, or null")]
    damage: Annotated[str | None, Means("what differs between the program in memory and the file, in words, or null")]
    layers: Annotated[tuple[TestedLayerFigures, ...], Means("in order of execution")]


def selftest_figures(report: SelfTestReport, kind: DeviceKind) -> SelfTestFigures:
    """Figures of a self-test on a device of this kind."""
    failure = report.first_failure
    return SelfTestFigures(
        network=report.network,
        passed=report.passed,
        cycles=report.cycles if kind.measures_cycles else None,
        first_failure=None if failure is None else failure.name,
        damage=report.damage,
        layers=tuple(
            TestedLayerFigures(
                number=layer.number, name=layer.name, expected_crc=layer.expected[0],
                found_crc=None if layer.found is None else layer.found[0], words=layer.expected[1], passed=layer.passed,
            )
            for layer in report.layers
        ),
    )  # fmt: skip
