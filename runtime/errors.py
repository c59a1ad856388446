"""Errors of devices and of the driver, and what the error register means."""

import dataclasses
from collections.abc import Sequence

from ..compiler.program.program import LayerRecord
from ..hdl.isa import Engine, Error, unpack
from ..hdl.registers import ERROR_LAYOUT


class DeviceError(RuntimeError):
    """A device cannot do what was asked, or did something else."""


class NoAcceleratorError(DeviceError):
    """No Intramix accelerator answers on the device."""


class SignatureMismatch(DeviceError):
    """The program was compiled for another geometry, or another version of the instruction set, than the hardware's."""


class ProgramError(DeviceError):
    """A program that is not whole."""


class RejectedError(DeviceError):
    """The accelerator rejected a register write."""


class RunTimeout(DeviceError, TimeoutError):
    """A run did not end in time."""


class NotLoadedError(DeviceError):
    """No program is loaded."""


class ImageError(ValueError):
    """Images that do not fit the network's input; the message names what does."""


class ImageTypeError(TypeError):
    """Images that are no array of numbers."""


_EXPLANATIONS: dict[Error, tuple[str, str]] = {
    Error.READ_RESPONSE: (
        "a read of memory was answered with an error",
        "the program's addresses do not lie in memory that the accelerator can reach: load the program again, and "
        "check that the buffers were allocated by this device",
    ),
    Error.WRITE_RESPONSE: (
        "a write to memory was answered with an error",
        "the program's addresses do not lie in memory that the accelerator can write: load the program again, and "
        "check that the buffers were allocated by this device",
    ),
    Error.OPCODE: ("an instruction's opcode is unknown", "the program in memory is damaged: load it again"),
    Error.FIELD: (
        "an instruction's field is out of range",
        "the program in memory is damaged, or was compiled for another geometry: compile and load it again",
    ),
    Error.STOPPED: ("the host asked for a stop", "start the run again"),
    Error.DEADLOCK: (
        "no engine made progress for as many cycles as the watchdog allows",
        "memory does not answer, or the program's tokens do not add up: load the program again; where memory is shared "
        "with other masters, raise the watchdog",
    ),
    Error.TOKENS: ("a token counter passed 255", "the program in memory is damaged: load it again"),
    Error.PROGRAM: (
        "the program ended without FINISH, or went on after it",
        "the program in memory is damaged: load it again",
    ),
}


@dataclasses.dataclass(frozen=True)
class ErrorReport:
    """The error register, decoded.

    Members
    -------
    code, engine: what happened, and where; `None` where the register holds no known number.
    layer: number of the layer whose instruction was running.
    layer_name: its name in the network, where the program knows it.
    cause, remedy: in words.
    instructions: fetched when the error was latched.
    """

    code: Error | None
    engine: Engine | None
    layer: int
    layer_name: str | None
    cause: str
    remedy: str
    instructions: int

    def __str__(self) -> str:
        where = f"layer {self.layer}" + (f" ({self.layer_name})" if self.layer_name else "")
        engine = self.engine.name if self.engine is not None else "unknown"
        return f"{self.cause} (engine {engine}, {where}, {self.instructions} instructions fetched); {self.remedy}"


def decode_error(register: int, instructions: int, layers: Sequence[LayerRecord] = ()) -> ErrorReport:
    """The ERROR register in words; `instructions` is ERROR_INSTRUCTION, `layers` those of the program that ran."""
    fields = unpack(ERROR_LAYOUT, register)
    number, engine, layer = fields["code"], fields["engine"], fields["layer"]
    code = Error(number) if number in Error._value2member_map_ else None
    cause, remedy = _EXPLANATIONS.get(
        code or Error.NONE, (f"error code {number} is unknown", "the driver is older than the hardware: update it")
    )
    names = {record.number: record.name for record in layers}
    unit = Engine(engine) if engine in Engine._value2member_map_ else None
    # FETCH and CONTROL run no layer's instruction.
    name = None if unit in (Engine.CONTROL, Engine.FETCH) else names.get(layer)
    return ErrorReport(code, unit, layer, name, cause, remedy, instructions)


class AcceleratorError(DeviceError):
    """A run ended with an error; `report` is the decoded error register."""

    def __init__(self, report: ErrorReport) -> None:
        super().__init__(f"the accelerator stopped: {report}")
        self.report = report
