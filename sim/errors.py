"""Errors of the simulator's tool chain."""


class SimulationToolError(RuntimeError):
    """The tool chain of the simulator could not do its work; the message says what is to be done."""


class MissingToolError(SimulationToolError):
    """A program that the simulator needs is not installed; the message names the package that has it."""


class SimulatorBuildError(SimulationToolError):
    """Verilator or the C++ compiler refused its input; the message ends with what it said last."""


class SimulationError(RuntimeError):
    """A simulated run broke a rule: of AXI4, of the memory's map, or a $fatal of the model."""
