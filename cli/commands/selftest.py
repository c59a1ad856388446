"""`intramix selftest`: does the device compute what the integer model computes, layer by layer?"""

from collections.abc import Callable
from pathlib import Path

import click

from ...program import CompiledProgram
from ...runtime.figures.selftest import selftest_figures
from ...runtime.selftest import selftest as run_selftest
from ..shared.console import console, step, table
from ..shared.device import device_options
from ..shared.errors import EXIT_MISMATCH
from ..shared.output import write_figures


@click.command()
@device_options
def selftest(program: CompiledProgram, opened: Callable, json_path: Path | None) -> None:
    """Run a known image through PROGRAM and compare the CRC-32 of every layer with the integer model's.

    `intramix compile` computed what each layer must store for that image, or for the batch that PROGRAM computes at
    once, and wrote it into PROGRAM. The first layer that differs is where to look: its weights in memory, the map it
    reads, or its arithmetic.

    \b
    On a board:     intramix selftest --device pynq --overlay intramix.bit net.imp
    In simulation:  intramix selftest net.imp
    In software:    intramix selftest --device interpreted net.imp

    Exit code 3: a layer differs.
    """
    with opened() as driver, step("Self-test"):
        report = run_selftest(driver)
        kind = driver.device.kind
    rows = [
        [str(layer.number), layer.name, f"{layer.expected[1]:,}", f"{layer.expected[0]:08x}",
         "–" if layer.found is None else f"{layer.found[0]:08x}",
         "[green]equal[/]" if layer.passed else "[bold red]differs[/]"]
        for layer in report.layers
    ]  # fmt: skip
    columns = [("#", "right"), ("layer", "left"), ("words", "right"), ("expected", "right"), ("found", "right"),
               ("CRC-32", "left")]  # fmt: skip
    table(f"Self-test of {report.network}", columns, rows)
    if report.passed:
        cycles = f"{report.cycles:,} cycles" if kind.measures_cycles else "cycles not measured"
        right = "The layer is right" if len(report.layers) == 1 else f"All {len(report.layers)} layers are right"
        console.print(f"[bold green]{right}[/], {cycles}.")
    else:
        console.print(f"[bold red]The device is wrong:[/] {report}")
        console.print("Which value is wrong first, and what it is made of, with the model that PROGRAM comes from: "
                      "intramix explain PROGRAM --model MODEL.imx --device …")
    write_figures(json_path, selftest_figures(report, kind))
    if not report.passed:
        raise click.exceptions.Exit(EXIT_MISMATCH)

