"""The registers of `registers.py`, in hardware."""

from amaranth.hdl import Cat, Const, Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .. import isa, registers
from ..geometry import ISA_VERSION, Geometry
from ..interfaces import bases_layout, field_shape
from ..registers import Access, Control, Status
from .axi_lite import RegisterWrite

ADDRESSES = ("PROGRAM", "LOG", *(region.name for region in isa.Region))
"""Names of the 64-bit addresses, each a _LOW and a _HIGH register."""


class ErrorRecord(data.Struct):
    """The first cause of an error, in the places that it has in the ERROR register."""

    code: unsigned(isa.ERROR_BITS)
    engine: unsigned(isa.ENGINE_BITS)
    reserved: field_shape(registers.ERROR_LAYOUT, "reserved")
    layer: unsigned(isa.LAYER_BITS)


class RunStatus(data.Struct):
    """What the supervisor tells of the run."""

    busy: unsigned(1)
    done: unsigned(1)
    draining: unsigned(1)
    error: ErrorRecord
    """Code `isa.Error.NONE` when there is none."""
    error_instruction: unsigned(32)


class RegisterFile(wiring.Component):
    """Configuration, commands, status and counters.

    A write has no effect and sets REJECTED when

    - it does not strobe all four bytes,
    - its address is no register, or one that cannot be written,
    - it configures while a run is under way or its bus transactions are,
    - it writes 1 to address bits beyond `address_bits` (these bits read as 0), or
    - it is a START while busy or draining, or with ERROR set (CLEAR first, or in the same write), or a CLEAR while
      busy.

    In a write to CONTROL every bit stands for itself: INTERRUPT_ENABLE is taken even if the START beside it is
    rejected. STOP without a run does nothing, since a host cannot know whether the run has just ended. Reads of unknown
    addresses give 0.

    Members
    -------
    write, read_word, read_data: the register bus.
    status, counters: what is read.
    start, stop, clear: commands that were accepted, for one cycle, the one after the write; registers.
    interrupt: high while DONE and INTERRUPT_ENABLE are set; a register, low with the command that clears DONE.
    watchdog, program, instructions, log, bases: the configuration. It holds still from START until nothing is in
        flight.
    """

    def __init__(self, geometry: Geometry):
        self.geometry = geometry
        address = unsigned(geometry.address_bits)
        super().__init__({
            "write": In(RegisterWrite),
            "read_word": In(6),
            "read_data": Out(32),
            "status": In(RunStatus),
            "counters": In(data.ArrayLayout(32, len(registers.COUNTERS))),
            "start": Out(1),
            "stop": Out(1),
            "clear": Out(1),
            "interrupt": Out(1),
            "watchdog": Out(32, init=registers.WATCHDOG_DEFAULT),
            "program": Out(address),
            "instructions": Out(32),
            "log": Out(address),
            "bases": Out(bases_layout(geometry)),
        })

    def elaborate(self, platform):
        m = Module()
        status, write = self.status, self.write
        has_error = Signal()
        rejected = Signal()
        interrupt_enable = Signal()
        m.d.comb += has_error.eq(status.error.code != isa.Error.NONE)
        m.d.sync += [
            self.interrupt.eq(status.done & interrupt_enable & ~self.start & ~self.clear),
            self.start.eq(0), self.stop.eq(0), self.clear.eq(0),
        ]

        # What can be written: a signal of at most 32 bits by register name.
        held = {"WATCHDOG": self.watchdog, "INSTRUCTIONS": self.instructions}
        addresses = {"PROGRAM": self.program, "LOG": self.log}
        addresses |= {region.name: self.bases[region] for region in isa.Region}
        for name in ADDRESSES:
            held[f"{name}_LOW"] = addresses[name][:32]
            held[f"{name}_HIGH"] = addresses[name][32:]

        # What is read.
        status_word = {
            Status.BUSY: status.busy,
            Status.DONE: status.done,
            Status.ERROR: has_error,
            Status.DRAINING: status.draining,
            Status.REJECTED: rejected,
        }
        contents = held | {
            "ID": Const(registers.MAGIC, 32),
            "VERSION": Const(ISA_VERSION, 32),
            "SIGNATURE": Const(self.geometry.signature, 32),
            "CONTROL": _word({Control.INTERRUPT_ENABLE: interrupt_enable}),
            "STATUS": _word(status_word),
            "ERROR": status.error,
            "ERROR_INSTRUCTION": status.error_instruction,
        }
        contents |= {name: self.counters[index] for index, (name, _) in enumerate(registers.COUNTERS)}
        with m.Switch(self.read_word):
            for register in registers.REGISTERS:
                with m.Case(register.offset // 4):
                    m.d.comb += self.read_data.eq(contents[register.name])

        # Writes are refused unless a case below accepts them.
        refused = Signal()
        with m.If(write.valid):
            m.d.comb += refused.eq(1)
        with m.If(write.valid & (write.strobes == 0b1111)), m.Switch(write.word):
            for register in registers.REGISTERS:
                if register.access is Access.READ:
                    continue
                with m.Case(register.offset // 4):
                    if register.access is Access.COMMAND:
                        self._command(m, write.data, has_error, interrupt_enable, rejected, refused)
                    else:
                        target = held[register.name]
                        with m.If(~status.busy & ~status.draining & ~write.data[len(target) :].any()):
                            m.d.sync += target.eq(write.data[: len(target)])
                            m.d.comb += refused.eq(0)
        with m.If(refused):
            m.d.sync += rejected.eq(1)
        return m

    def _command(self, m: Module, word, has_error, interrupt_enable, rejected, refused) -> None:
        """The effect of a complete write of `word` to CONTROL.

        A command shows in `status` two cycles later, when the next write may come (`AxiLiteSlave`).
        """
        status = self.status
        start, clear = (word[bit.bit_length() - 1] for bit in (Control.START, Control.CLEAR))
        may_start = Signal()
        m.d.comb += [
            may_start.eq(~status.busy & ~status.draining & (~has_error | clear)),
            refused.eq((start & ~may_start) | (clear & status.busy)),
        ]
        m.d.sync += [
            self.start.eq(start & may_start),
            self.stop.eq(word[Control.STOP.bit_length() - 1] & status.busy),
            self.clear.eq(clear & ~status.busy),
            interrupt_enable.eq(word[Control.INTERRUPT_ENABLE.bit_length() - 1]),
        ]
        with m.If(clear & ~status.busy):
            m.d.sync += rejected.eq(0)


def _word(flags):
    """A word with signals at the places of flags."""
    bits = [Const(0, 1)] * max(flag.bit_length() for flag in flags)
    for flag, value in flags.items():
        bits[flag.bit_length() - 1] = value
    return Cat(*bits)
