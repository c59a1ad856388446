"""AXI3 and AXI4 with IDs, as the processing systems speak them, and how a master without IDs reaches such a slave."""

import enum
from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...hdl.dma.axi import Direction, axi4_master


class AxiVersion(enum.Enum):
    AXI3 = "axi3"
    """Bursts of 16 beats at most, two bits of lock, an ID with every word written."""
    AXI4 = "axi4"

    @property
    def longest_burst(self) -> int:
        """Beats of the longest burst."""
        return 16 if self is AxiVersion.AXI3 else 256


def axi_master(*, version: AxiVersion, data_bits: int, address_bits: int, id_bits: int) -> wiring.Signature:
    """A master with IDs, lock and QoS, reading and writing; member names are the bus's, in lower case."""
    plain = axi4_master(data_bits=data_bits, address_bits=address_bits, direction=Direction.READ | Direction.WRITE)
    members = dict(plain.members.items())
    lock_bits = 2 if version is AxiVersion.AXI3 else 1
    length_bits = (version.longest_burst - 1).bit_length()
    for channel in ("ar", "aw"):
        members[f"{channel}len"] = Out(length_bits)
        members[f"{channel}lock"] = Out(lock_bits)
        members[f"{channel}qos"] = Out(4)
        members[f"{channel}id"] = Out(id_bits)
    members["rid"] = members["bid"] = In(id_bits)
    if version is AxiVersion.AXI3:
        members["wid"] = Out(id_bits)
    return wiring.Signature(members)


def attach(
    m: Module, master: Any, slave: Any, directions: Direction = Direction.READ | Direction.WRITE
) -> None:
    """Drives `slave` (a flipped interface, possibly with IDs) from a master that may lack IDs or a direction.

    Addresses are extended with zeros; IDs, lock, QoS and a direction that the master lacks are 0. The master's bursts
    must be short enough for the slave.

    Parameters
    ----------
    directions: channels that are connected; the others are left alone.

    Raises
    ------
    ValueError: the two differ in the width of data, or the master's addresses are wider.
    """
    ours = master.signature.members
    for name, member in slave.signature.members.items():
        if (Direction.READ if name.startswith(("ar", "r")) else Direction.WRITE) not in directions:
            continue
        target = getattr(slave, name)
        if name not in ours:
            if member.flow == In:
                m.d.comb += target.eq(0)
            continue
        source = getattr(master, name)
        if name.endswith(("data", "strb")) and len(source) != len(target):
            raise ValueError(f"{name} has {len(source)} bits at the master and {len(target)} at the slave")
        if name.endswith("addr") and len(source) > len(target):
            raise ValueError(f"the master's addresses have {len(source)} bits, the slave's {len(target)}")
        m.d.comb += target.eq(source) if member.flow == In else source.eq(target)
