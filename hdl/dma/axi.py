"""AXI4 and AXI4-Lite signatures. Member names are the bus's own, so that ports flatten to `m_axi_maps__araddr`."""

import enum as plain_enum

from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

BURST_INCR = 0b01


class Response(enum.Enum, shape=2):
    OKAY = 0
    EXOKAY = 1
    SLVERR = 2
    DECERR = 3


class Direction(plain_enum.Flag):
    """Which channels a master has."""

    READ = plain_enum.auto()
    WRITE = plain_enum.auto()


def axi4_master(*, data_bits: int, address_bits: int, direction: Direction) -> wiring.Signature:
    """An AXI4 master without IDs, locks, regions or QoS.

    Members carry AXI's names in lower case; `cache` is 0b0011 and `prot` 0 in all of Intramix's masters.
    """
    members: dict[str, wiring.Member] = {}
    if Direction.READ in direction:
        members |= {
            "araddr": Out(address_bits), "arlen": Out(8), "arsize": Out(3), "arburst": Out(2),
            "arcache": Out(4), "arprot": Out(3), "arvalid": Out(1), "arready": In(1),
            "rdata": In(data_bits), "rresp": In(2), "rlast": In(1), "rvalid": In(1), "rready": Out(1),
        }
    if Direction.WRITE in direction:
        members |= {
            "awaddr": Out(address_bits), "awlen": Out(8), "awsize": Out(3), "awburst": Out(2),
            "awcache": Out(4), "awprot": Out(3), "awvalid": Out(1), "awready": In(1),
            "wdata": Out(data_bits), "wstrb": Out(data_bits // 8), "wlast": Out(1), "wvalid": Out(1), "wready": In(1),
            "bresp": In(2), "bvalid": In(1), "bready": Out(1),
        }
    return wiring.Signature(members)


def axi4_lite_slave(*, address_bits: int) -> wiring.Signature:
    """A 32-bit AXI4-Lite slave, as the slave sees it."""
    return wiring.Signature({
        "awaddr": In(address_bits), "awprot": In(3), "awvalid": In(1), "awready": Out(1),
        "wdata": In(32), "wstrb": In(4), "wvalid": In(1), "wready": Out(1),
        "bresp": Out(2), "bvalid": Out(1), "bready": In(1),
        "araddr": In(address_bits), "arprot": In(3), "arvalid": In(1), "arready": Out(1),
        "rdata": Out(32), "rresp": Out(2), "rvalid": Out(1), "rready": In(1),
    })
