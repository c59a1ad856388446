"""The AXI4 masters of an accelerator, as a memory sees them."""

import dataclasses

from ..hdl.geometry import Geometry

INSTRUCTION_BUS_BITS = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class MasterPort:
    """An AXI4 master of a simulated design: its signals are `{name}__araddr` and so on.

    Members
    -------
    data_bits: 32, 64 or 128.
    read, write: the channels that it has.
    maximum_burst: beats of the longest burst it may issue.
    """

    name: str
    data_bits: int
    read: bool = True
    write: bool = False
    maximum_burst: int = 16

    def __post_init__(self) -> None:
        if self.data_bits not in (32, 64, 128):
            raise ValueError(f"master {self.name} must have 32, 64 or 128 data bits, not {self.data_bits}")
        if not (self.read or self.write):
            raise ValueError(f"master {self.name} has neither read nor write channels")


def master_ports(geometry: Geometry) -> tuple[MasterPort, ...]:
    """The masters of the top level for a geometry, in the order of docs/architecture.md."""
    burst = geometry.maximum_burst
    return (
        MasterPort(name="m_axi_instructions", data_bits=INSTRUCTION_BUS_BITS, maximum_burst=burst),
        *(
            MasterPort(name=f"m_axi_weights_{port}", data_bits=geometry.weights_bus_bits, maximum_burst=burst)
            for port in range(geometry.weight_ports)
        ),
        *(
            MasterPort(name=name, data_bits=geometry.maps_bus_bits, write=True, maximum_burst=burst)
            for name in ("m_axi_maps", "m_axi_maps_1")[: geometry.maps_ports]
        ),
    )
