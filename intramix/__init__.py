"""Intramix from Python: quantize a model for a board, compile it, simulate it, run it.

    import intramix

    model = intramix.quantize(network, images, board="pynq-z2")    # any nn.Module; N × C × H × W, uint8 or 0 … 1
    print(model.simulate(images[:2]))                              # on the RTL, every value compared
    program = model.compile()
    print(program.estimate())                                      # frames a second, without a simulation
    program.save("network.imp")

On the board, where `pip install intramix_runtime-….whl` is enough:

    program = intramix.load("network.imp")
    result = program.run(images, device=intramix.PynqDevice("intramix.bit"))

Names are imported when they are first used: `import intramix` alone loads neither PyTorch nor a simulator. What stands
behind them is in the folders: `intramix.quant`, `intramix.compiler`, `intramix.runtime` and so on.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .loading import load
    from .model import QuantizedModel, quantize
    from .platforms.boards import BOARDS as boards
    from .program import CompiledProgram
    from .runtime.interpreted import InterpretedDevice
    from .runtime.pynq import PynqDevice
    from .runtime.simulated import SimulatedDevice

__all__ = [
    "CompiledProgram",
    "InterpretedDevice",
    "PynqDevice",
    "QuantizedModel",
    "SimulatedDevice",
    "boards",
    "load",
    "quantize",
]

_HOMES = {
    "CompiledProgram": (".program", "CompiledProgram"),
    "InterpretedDevice": (".runtime.interpreted", "InterpretedDevice"),
    "PynqDevice": (".runtime.pynq", "PynqDevice"),
    "QuantizedModel": (".model", "QuantizedModel"),
    "SimulatedDevice": (".runtime.simulated", "SimulatedDevice"),
    "boards": (".platforms.boards", "BOARDS"),
    "load": (".loading", "load"),
    "quantize": (".model", "quantize"),
}
"""Module and name there, by name here."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'intramix' has no attribute {name!r}; it has {', '.join(__all__)}")
    module, attribute = _HOMES[name]
    try:
        value = globals()[name] = getattr(import_module(module, __name__), attribute)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(f"{__name__}."):
            message = f"intramix.{name} needs the whole of Intramix, not only what a board installs ({error})"
            raise ImportError(message) from error
        raise
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
