"""`intramix selftest`: does the device compute what the integer model computes, layer by layer?"""

from collections.abc import Callable
from pathlib import Path

import click

from ...compiler.program.program import Program
from ...runtime.selftest import SelfTestReport
from ...runtime.selftest import selftest as run_selftest
from ..shared.console import console, step, table
from ..shared.device import device_options
from ..shared.errors import EXIT_MISMATCH
from ..shared.output import write_json


@click.command()
@device_options
def selftest(program: Program, opened: Callable, json_path: Path | None) -> None:
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
        measured = driver.device.kind.measures_cycles
    rows = [
        [str(layer.number), layer.name, f"{layer.expected[1]:,}", f"{layer.expected[0]:08x}",
         "–" if layer.found is None else f"{layer.found[0]:08x}",
         "[green]equal[/]" if layer.passed else "[bold red]differs[/]"]
        for layer in report.layers
    ]  # fmt: skip
    columns = [("#", "right"), ("layer", "left"), ("words", "right"), ("expected", "right"), ("found", "right"),
               ("CRC-32", "left")]  # fmt: skip
    table(f"Self-test of {program.name}", columns, rows)
    if report.passed:
        cycles = f"{report.cycles:,} cycles" if measured else "cycles not measured"
        console.print(f"[bold green]All {len(report.layers)} layers are right[/], {cycles}.")
    else:
        console.print(f"[bold red]The device is wrong:[/] {report}")
        console.print("Which value is wrong first, and what it is made of, with the model that PROGRAM comes from: "
                      "intramix explain PROGRAM --model MODEL.imx --device …")
    if json_path:
        write_json(json_path, _figures(report) | ({} if measured else {"cycles": None}))
    if not report.passed:
        raise click.exceptions.Exit(EXIT_MISMATCH)


def _figures(report: SelfTestReport) -> dict:
    failure = report.first_failure
    return {
        "network": report.network,
        "passed": report.passed,
        "cycles": report.cycles,
        "first_failure": None if failure is None else failure.name,
        "damage": report.damage,
        "layers": [
            {"number": layer.number, "name": layer.name, "expected_crc": layer.expected[0],
             "found_crc": None if layer.found is None else layer.found[0], "words": layer.expected[1],
             "passed": layer.passed}
            for layer in report.layers
        ],
    }  # fmt: skip
