"""How fast a program will be, without a simulation."""

import dataclasses
from collections.abc import Mapping

from .compiler.program.program import Program
from .explore.cycles import estimate
from .sim.conditions import DdrConditions


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeedEstimate:
    """What the cycle model says of a program.

    Members
    -------
    cycles_per_frame: of a run, by the images that it computes at once.
    layer_cycles: by layer of the program, from the end of the layer that ended before it to its own end; of a run, by
        the images too.
    frames_per_second: of the accelerator alone, at the clock of `conditions`.
    conditions: of the memory, and the clock.
    """

    cycles_per_frame: float
    layer_cycles: Mapping[str, float]
    conditions: DdrConditions

    @property
    def frames_per_second(self) -> float:
        return self.conditions.clock_hz / self.cycles_per_frame

    def __str__(self) -> str:
        conditions = self.conditions
        return (
            f"the cycle model says {self.cycles_per_frame:,.0f} cycles a frame: {self.frames_per_second:,.1f} frames/s "
            f"at {conditions.clock_hz / 1e6:g} MHz with {conditions.efficiency:.0%} of "
            f"{conditions.peak_bytes_per_second / 1e9:.1f} GB/s"
        )


def estimate_speed(program: Program, conditions: DdrConditions) -> SpeedEstimate:
    """What the cycle model says of a program under these conditions."""
    modelled = estimate(program, bytes_per_cycle=conditions.bytes_per_cycle, latency_cycles=conditions.latency_cycles)
    names = {layer.number: layer.name for layer in program.layers}
    return SpeedEstimate(
        cycles_per_frame=modelled.cycles / program.batch,
        layer_cycles={names[number]: cycles / program.batch for number, cycles in modelled.layers.items()},
        conditions=conditions,
    )
