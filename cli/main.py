"""The `intramix` command."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import ClassVar

import click

from .shared import errors


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is asked for: the others cost nothing."""

    COMMANDS: ClassVar = {
        "demo": "The whole way: train, quantize, compile, generate, simulate, compare.",
        "quantize": "A PyTorch model into an integer model.",
        "compile": "An integer model into a program for a geometry.",
        "elaborate": "The accelerator of a geometry as Verilog.",
        "synthesize": "What a geometry occupies, per block, by yosys.",
        "timing": "The clock that a geometry allows, and the longest path of every block.",
        "build": "A bitstream for a board, or the project that makes it.",
        "reports": "Utilisation, slack and power of a bitstream, from the tool's reports.",
        "export-qonnx": "An integer model as QONNX, which other tools read.",
        "simulate": "An integer model on the simulated RTL, every value compared.",
        "run": "A program in simulation, interpreted, or on a board: predictions, frames/s.",
        "selftest": "Every layer's CRC on the device against the integer model's.",
        "explain": "A value of a layer: the instructions, words and cycles that make it; waves of them.",
        "profile": "Cycles of every layer, and what the engines waited for.",
        "hls": "The Vivado HLS reference kernels as a project, C-simulated.",
        "cache": "The simulators that are kept: how much they take, and how to clear them.",
        "boards": "Boards, their parts and geometries.",
    }

    def list_commands(self, context: click.Context) -> list[str]:
        return [name for name in self.COMMANDS if find_spec(_module(name), __package__)]  # a board has a few of them

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(context):
            return None
        module = _module(name)
        return getattr(import_module(module, __package__), module.rpartition(".")[2])

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.COMMANDS[name]) for name in self.list_commands(context)])


def _version() -> str:
    """The version of the package that is installed: the whole, or what a board installs (`runtime/wheel.py`)."""
    try:
        return version("intramix")
    except PackageNotFoundError:
        return version("intramix-runtime")


def _module(name: str) -> str:
    """The module of a command, in this package."""
    return ".commands." + name.replace("-", "_")


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
@click.version_option(_version(), prog_name="intramix")
def intramix(debug: bool) -> None:
    """Mixed-precision CNN accelerators for Zynq FPGAs, from a PyTorch model to bit-exact RTL.

    \b
    A first look:        intramix demo
    Your own model:      intramix quantize package.module:callable --data data.npz --board pynq-z2 -o model.imx
                         intramix compile model.imx --board pynq-z2 -o program.imp --listing
                         intramix simulate model.imx --board pynq-z2 --data data.npz
    A program:           intramix run program.imp --data data.npz        (on a board: --device pynq)
                         intramix profile program.imp --board pynq-z2
    The hardware:        intramix elaborate --board pynq-z2 -o build/
                         intramix synthesize --board pynq-z2
                         intramix build --board pynq-z2 -o build/pynq-z2        (the bitstream; boards: intramix boards)
    """


def main() -> None:
    """Entry point."""
    errors.main(intramix)


if __name__ == "__main__":
    main()
