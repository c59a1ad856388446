"""The conditions of a simulated DDR memory: what every figure measured in simulation must state beside it."""

import dataclasses


class ConditionsError(ValueError):
    """Conditions that no memory can have; the message names the field, its value and the legal range."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DdrConditions:
    """How a simulated memory answers.

    Parameters
    ----------
    peak_bytes_per_second: of the memory's pins.
    efficiency: share of the peak that is granted, all ports, reads and writes together.
    clock_hz: of the accelerator.
    latency_cycles: cycles from an accepted read address to its first beat.
    response_cycles: cycles from the last beat of a write burst to its response.
    stall_probability: with which each channel of each port is held back in a cycle, beyond what rate and latency do.
    seed: of the random stalls.
    outstanding: bursts that a port accepts before the first is finished, per direction.
    shared_ports: sets of masters, by name, that read through one port: in a cycle one of them is given a beat. A
        master in no set has a port of its own.

    Raises
    ------
    ConditionsError: a field is out of range.
    """

    peak_bytes_per_second: float = 2.1e9
    efficiency: float = 0.75
    clock_hz: float = 100e6
    latency_cycles: int = 40
    response_cycles: int = 40
    stall_probability: float = 0.0
    seed: int = 1
    outstanding: int = 16
    shared_ports: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        def require(condition: bool, field: str, legal: str) -> None:
            if not condition:
                raise ConditionsError(f"DDR condition {field} must be {legal}, not {getattr(self, field)!r}")

        require(self.peak_bytes_per_second > 0, "peak_bytes_per_second", "above 0")
        require(0 < self.efficiency <= 1, "efficiency", "above 0 and at most 1")
        require(self.clock_hz > 0, "clock_hz", "above 0")
        require(1 <= self.latency_cycles < 1 << 20, "latency_cycles", "1 … 1048575")
        require(1 <= self.response_cycles < 1 << 20, "response_cycles", "1 … 1048575")
        require(0 <= self.stall_probability < 1, "stall_probability", "at least 0 and below 1")
        require(0 <= self.seed < 1 << 63, "seed", "0 … 2^63 − 1")
        require(1 <= self.outstanding <= 256, "outstanding", "1 … 256")

    @property
    def bytes_per_cycle(self) -> float:
        """What all ports together may move in a cycle of the accelerator, in bytes."""
        return self.peak_bytes_per_second * self.efficiency / self.clock_hz

    def __str__(self) -> str:
        text = (
            f"{self.efficiency:.0%} of {self.peak_bytes_per_second / 1e9:g} GB/s, "
            f"{self.latency_cycles} cycles of read latency, {self.clock_hz / 1e6:g} MHz"
        )
        if self.shared_ports:
            text += ", " + " and ".join("+".join(names) for names in self.shared_ports) + " share ports"
        return text + (f", stalls {self.stall_probability:.0%} (seed {self.seed})" if self.stall_probability else "")
