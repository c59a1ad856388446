"""Looks for faults of the compiler: random networks on random geometries, interpreted and compared with the executor.

    python -m benchmarks.fuzz_compiler [--seconds 60 | --cases 100] [--seed 0] [--first 0]

A case is a network (layers of every kind, single convolutions of windows up to the whole map, pools, linear layers), a
geometry and a batch of 1 … 8 images. It is compiled; the program is interpreted, which checks every rule of the machine
and every order of accesses; every value is compared. A case that fails is made smaller and printed as a test. The end
of the run is 1 where any failed. Equal seeds draw equal cases: `--first N --cases 1` repeats case N.
"""

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .fuzz_cases import Case, Outcome, outcome
from .fuzz_draws import draw_case
from .fuzz_shrink import shrink

IMPORTS = """from benchmarks.fuzz_cases import check, single_pool
from intramix.hdl.geometry import Dsp, Geometry, LaneClass
from intramix.quant.graph.formats import Scheme, WeightFormat
from intramix.quant.graph.graph import Padding
from intramix.quant.graph.random_graph import FormatMix, random_graph, single_convolution
"""
"""What the test of a find may need."""
SHRINK_SECONDS = 60.0
"""At most for each find."""


class Tally:
    """What became of the cases so far.

    Members
    -------
    cases, compared: how many, and how many values of theirs were compared.
    refused: how often the compiler gave each reason.
    finds: cases that failed, made small, with what went wrong.
    """

    def __init__(self) -> None:
        self.cases = self.compared = 0
        self.refused: Counter[str] = Counter()
        self.finds: list[tuple[Case, Exception]] = []

    def table(self) -> Table:
        table = Table("what", "how many")
        table.add_row("cases", f"{self.cases:,}")
        table.add_row("… compiled and equal", f"{self.cases - self.refused.total() - len(self.finds):,}")
        table.add_row("values compared", f"{self.compared:,}")
        for reason, count in self.refused.most_common():
            table.add_row(f"refused: {reason}", f"{count:,}")
        table.add_row("faults found", f"{len(self.finds):,}")
        return table


def fuzz(
    seed: int,
    numbers: Iterator[int],
    *,
    run: Callable[[Case], Outcome] = outcome,
    shrink_seconds: float = SHRINK_SECONDS,
    progress: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Runs the cases of a seed that `numbers` names.

    Parameters
    ----------
    run: what becomes of a case.
    progress: is told after every case.
    """
    tally = Tally()
    for number in numbers:
        case = draw_case(seed, number)
        found = run(case)
        tally.cases += 1
        tally.compared += found.compared
        if found.refused is not None:
            tally.refused[kind_of(found.refused.reason)] += 1
        if found.fault is not None:
            small = shrink(case, run, shrink_seconds)
            tally.finds.append((small, run(small).fault or found.fault))
        progress(tally)
    return tally


def kind_of(reason: str) -> str:
    """A reason without its names and numbers, so that equal ones can be counted."""
    text = re.sub(r"'[^']*'", "…", reason)
    return re.sub(r"[\d.,×]*\d", "n", text).split("(")[0].split(", and ")[0].strip()


def as_test(case: Case, fault: Exception, name: str) -> str:
    """A test of a find, for tests/compiler/test_finds.py."""
    message = " ".join(f"{type(fault).__name__}: {fault}".split()).replace("\\", "")
    return f'def test_{name}():\n    """{message[:110]}"""\n    {case}\n'


def main() -> int:
    """The command; the end of the run: 1 where a fault was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long cases are begun (default 60)")
    parser.add_argument("--cases", type=int, help="a number of cases instead, however long they take")
    parser.add_argument("--seed", type=int, default=0, help="of all cases (default 0)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case (default 0)")
    arguments = parser.parse_args()
    console = Console()
    began = time.monotonic()

    def numbers() -> Iterator[int]:
        number = arguments.first
        while (
            number - arguments.first < arguments.cases
            if arguments.cases is not None
            else time.monotonic() - began < arguments.seconds
        ):
            yield number
            number += 1

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("cases", total=arguments.cases or arguments.seconds, note="")

        def advance(tally: Tally) -> None:
            done = tally.cases if arguments.cases is not None else min(arguments.seconds, time.monotonic() - began)
            bar.update(task, completed=done, note=f"{tally.cases} cases, {len(tally.finds)} faults")

        tally = fuzz(arguments.seed, numbers(), progress=advance)
    console.print(tally.table())
    if tally.finds:
        print(IMPORTS)
    for number, (case, fault) in enumerate(tally.finds):
        print(as_test(case, fault, f"find_{arguments.seed}_{number}"))
    return 1 if tally.finds else 0


if __name__ == "__main__":
    sys.exit(main())
