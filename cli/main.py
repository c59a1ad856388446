"""The `intramix` command."""

import click

from . import errors


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is asked for: `--help` and errors come at once."""

    COMMANDS = ("demo", "quantize", "compile", "elaborate", "synthesize", "simulate", "boards")

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.COMMANDS:
            return None
        from importlib import import_module

        module = import_module(f".{name}", __package__)
        return getattr(module, name)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
@click.version_option(package_name="intramix")
def intramix(debug: bool) -> None:
    """Mixed-precision CNN accelerators for Zynq FPGAs, from a PyTorch model to bit-exact RTL.

    \b
    A first look:        intramix demo
    Your own model:      intramix quantize package.module:callable --data data.npz --board pynq-z2 -o model.imx
                         intramix compile model.imx --board pynq-z2 -o program.imp --listing
                         intramix simulate program.imp --model model.imx --data data.npz
    The hardware:        intramix elaborate --board pynq-z2 -o build/
                         intramix synthesize --board pynq-z2
    """


def main() -> None:
    """Entry point."""
    errors.main(intramix)


if __name__ == "__main__":
    main()
