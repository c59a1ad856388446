"""The figures of a run whose every value was compared with the integer model's."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from ...compiler.program.program import Program
from .fields import Means
from .layers import LayerFigures, layer_fields
from .run import RunFigures, run_fields

if TYPE_CHECKING:
    from ...sim.conditions import DdrConditions
    from ..verification import VerificationReport

Share = float
"""A number in 0 … 1."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemoryFigures:
    """The simulated memory."""

    peak_bytes_per_second: Annotated[float, Means("of its pins", "bytes/s")]
    efficiency: Annotated[float, Means("share of the peak that is granted, all ports together")]
    latency_cycles: Annotated[int, Means("from an accepted read address to its first beat", "cycles")]
    stall_probability: Annotated[float, Means("with which each channel of each port is held back in a cycle")]
    seed: Annotated[int, Means("of the random stalls")]
    shared_ports: Annotated[tuple[tuple[str, ...], ...], Means("groups of masters that read through one port")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AccuracyFigures:
    """Shares of images whose largest score is their label's."""

    float: Annotated[Share | None, Means("the float model, on the test images; null with `simulate`, which has none")]
    quantized: Annotated[Share | None, Means("the integer model, on the test images; null with `simulate`, which runs "
                                               "some of them only")]  # fmt: skip
    integer: Annotated[Share, Means("the integer model, on the images run (`images`)")]
    rtl: Annotated[Share, Means("the simulated accelerator, on the images run (`images`)")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparedLayerFigures(LayerFigures):
    """A layer whose stored values were compared."""

    values_compared: Annotated[int, Means("its stored values compared, of all images")]
    values_mismatched: Annotated[int, Means("those that differ from the integer model's")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SimulationFigures(RunFigures):
    """What `demo` and `simulate` write."""

    board: Annotated[str, Means("name of the board")]
    ddr: Annotated[MemoryFigures, Means("the simulated memory")]
    values_compared: Annotated[int, Means("stored values of all layers and images compared with the integer model's")]
    values_mismatched: Annotated[int, Means("those that differ")]
    crc_compared: Annotated[int, Means("CRC-32s compared, one a layer and run")]
    crc_mismatched: Annotated[int, Means("those that differ")]
    accuracy: Annotated[AccuracyFigures | None, Means("null without labels, or with several outputs")] = None
    counters: Annotated[Mapping[str, int], Means("hardware counters of the last run, by register (hdl/registers.py)")]
    simulated_cycles_per_second: Annotated[float, Means("speed of the simulation", "cycles/s")]
    seconds: Annotated[Mapping[str, float], Means("wall-clock time of each stage", "s")] = dataclasses.field(
        default_factory=dict
    )
    layers: Annotated[tuple[ComparedLayerFigures, ...], Means("in order of execution; of a whole run, all `batch` "
                                                              "images")]  # fmt: skip


def simulation_figures(
    program: Program, board: str, conditions: "DdrConditions", report: "VerificationReport", *,
    simulated_cycles: int, seconds: float,
) -> SimulationFigures:  # fmt: skip
    """Figures of a verified run, without accuracy and the seconds of stages.

    Parameters
    ----------
    board: its name.
    simulated_cycles, seconds: of the simulation, and the wall-clock time that it took.
    """
    compared = {check.tensor: (check.compared, check.mismatched) for check in report.layers}
    layers = tuple(
        ComparedLayerFigures(**fields, values_compared=compared[layer.output][0],
                             values_mismatched=compared[layer.output][1])
        for layer, fields in layer_fields(program, report.runs)
    )  # fmt: skip
    names = [field.name for field in dataclasses.fields(MemoryFigures)]
    return SimulationFigures(
        **run_fields(program, report.runs, images=report.images, clock_hz=conditions.clock_hz),
        layers=layers,
        values_compared=report.compared,
        values_mismatched=report.mismatched,
        board=board,
        ddr=MemoryFigures(**{name: getattr(conditions, name) for name in names}),
        crc_compared=sum(layer.crc_compared for layer in report.layers),
        crc_mismatched=sum(layer.crc_mismatched for layer in report.layers),
        counters=dict(report.runs[-1].counters),
        simulated_cycles_per_second=simulated_cycles / seconds,
    )
