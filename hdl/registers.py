"""The AXI4-Lite register map: the one source of it, for the RTL, the driver and the docs. Plain Python."""

import dataclasses
import enum

from .isa import ENGINE_BITS, ERROR_BITS, LAYER_BITS, Field, Layout

MAGIC = 0x58494D49
"""ASCII "IMIX", little-endian."""


class Access(enum.Enum):
    READ = "read"
    WRITE = "read and write, while idle"
    COMMAND = "write 1 to act, reads as described"


@dataclasses.dataclass(frozen=True)
class Register:
    """A 32-bit register at a byte offset."""

    name: str
    offset: int
    access: Access
    doc: str


class Control(enum.IntFlag):
    """Bits of CONTROL."""

    START = 1
    """Write 1: run the program; ignored (and flagged REJECTED) while BUSY or DRAINING, and with ERROR set unless CLEAR
    is written too."""
    STOP = 2
    """Write 1: stop: no further transaction begins, those under way end, then DONE with error STOPPED."""
    CLEAR = 4
    """Write 1 while not BUSY: clears DONE, ERROR, REJECTED and the interrupt."""
    INTERRUPT_ENABLE = 8
    """Held: the interrupt output is high while DONE and this bit are set."""


class Status(enum.IntFlag):
    """Bits of STATUS."""

    BUSY = 1
    DONE = 2
    """The run ended, well or with ERROR; nothing is in flight."""
    ERROR = 4
    """The error registers hold the first cause."""
    DRAINING = 8
    """Stopping: waiting for transactions under way."""
    REJECTED = 16
    """A register write came at the wrong time, to no register, with strobes off or to address bits that do not exist,
    and had no effect."""


COUNTERS = (
    ("CYCLES", "cycles from start to done"),
    ("WEIGHTS_BUSY", "cycles in which the weights engine had an instruction"),
    ("WEIGHTS_STALL", "… and waited for space in a ring"),
    ("MAPS_BUSY", "cycles in which the maps engine had an instruction past its tokens"),
    ("MAPS_WAIT", "cycles in which it had only one that waited for tokens"),
    ("COMPUTE_STEPS", "steps: cycles in which the array multiplied, or the pool compared"),
    ("COMPUTE_WAIT", "cycles without a step in which COMPUTE's instruction waited for tokens or constants"),
    ("COMPUTE_WEIGHTS", "cycles in which a step waited for weights"),
    ("COMPUTE_DRAIN", "cycles in which a step waited for the drain of the group before"),
    ("STORE_BUSY", "cycles in which the store engine had an instruction past its tokens"),
    ("STORE_WAIT", "cycles in which it had only one that waited for tokens"),
    ("READ_BYTES", "bytes read on all masters"),
    ("WRITE_BYTES", "bytes written: strobes of accepted beats"),
)
"""Counters of one run, 32 bits each, in register order; `CYCLES` keeps its value until the next start."""

ERROR_LAYOUT: Layout = (
    Field("code", ERROR_BITS, "an Error"),
    Field("engine", ENGINE_BITS, "an Engine"),
    Field("reserved", 4, "0"),
    Field("layer", LAYER_BITS, "the layer of the instruction"),
)
"""The ERROR register."""

_FIXED = (
    ("ID", 0x00, Access.READ, "MAGIC"),
    ("VERSION", 0x04, Access.READ, "ISA_VERSION"),
    ("SIGNATURE", 0x08, Access.READ, "Geometry.signature"),
    ("CONTROL", 0x0C, Access.COMMAND, "see Control; reads INTERRUPT_ENABLE"),
    ("STATUS", 0x10, Access.READ, "see Status"),
    ("ERROR", 0x14, Access.READ, "code 7:0 (isa.Error), engine 11:8 (isa.Engine), layer 27:16"),
    ("ERROR_INSTRUCTION", 0x18, Access.READ, "instructions fetched when the error was latched"),
    ("WATCHDOG", 0x1C, Access.WRITE, "cycles without progress that count as a deadlock; 0: never"),
    ("PROGRAM_LOW", 0x20, Access.WRITE, "address of the first instruction, 64-byte aligned"),
    ("PROGRAM_HIGH", 0x24, Access.WRITE, "… its upper half"),
    ("INSTRUCTIONS", 0x28, Access.WRITE, "number of instructions"),
    ("LOG_LOW", 0x30, Access.WRITE, "address of the log of CRC records, 16-byte aligned"),
    ("LOG_HIGH", 0x34, Access.WRITE, "… its upper half"),
    ("PARAMETERS_LOW", 0x40, Access.WRITE, "base of Region.PARAMETERS, 64-byte aligned like those below"),
    ("PARAMETERS_HIGH", 0x44, Access.WRITE, "… its upper half"),
    ("INPUT_LOW", 0x48, Access.WRITE, "base of Region.INPUT"),
    ("INPUT_HIGH", 0x4C, Access.WRITE, "… its upper half"),
    ("OUTPUT_LOW", 0x50, Access.WRITE, "base of Region.OUTPUT"),
    ("OUTPUT_HIGH", 0x54, Access.WRITE, "… its upper half"),
    ("WORKSPACE_LOW", 0x58, Access.WRITE, "base of Region.WORKSPACE"),
    ("WORKSPACE_HIGH", 0x5C, Access.WRITE, "… its upper half"),
)

REGISTERS = tuple(Register(*entry) for entry in _FIXED) + tuple(
    Register(name, 0x80 + 4 * index, Access.READ, doc) for index, (name, doc) in enumerate(COUNTERS)
)

OFFSET = {register.name: register.offset for register in REGISTERS}
"""Byte offset by name."""

WATCHDOG_DEFAULT = 1 << 20
SPACE_BYTES = 0x100
"""Size of the register space."""
