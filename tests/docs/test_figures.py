"""Figures that stand in several places are the same: those of README.md are those of docs/figures.md, and those of
syntheses that take minutes are the ones on record, which `intramix boards` shows and long tests hold against yosys."""

import re
from itertools import takewhile
from pathlib import Path

from intramix.hdl.geometry import LaneClass
from intramix.platforms.boards import board as find_board
from intramix.platforms.estimate import SYNTHESISED

ROOT = Path(__file__).parents[2]


def rows(page):
    """The rows of a page's table of networks, as lists of cells."""
    lines = (ROOT / page).read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| board, clock | network |"))
    table = takewhile(lambda line: line.startswith("|"), lines[start:])
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return cells[0], cells[2:]


def test_results_of_the_readme():
    _, short = rows("README.md")
    _, whole = rows("docs/figures.md")
    known = {(board, network): rest for board, network, *rest in whole}
    assert len(short) >= 5
    for board, network, rate, array, batch, published in short:
        _, full_rate, full_array, full_batch, full_published = known[board, network]
        assert (rate, array, published) == (full_rate, full_array, full_published)
        assert batch == (full_batch.split(";")[0] + ")" if full_batch else "")


def test_frames_a_second_are_those_of_the_cycles():
    _, whole = rows("docs/figures.md")
    for target, network, cycles, rate, _, batch, _ in whole:
        clock = 1e6 * int(re.search(r", (\d+) MHz", target)[1])
        assert rate == f"{clock / int(cycles.replace(',', '')):,.1f}", (target, network)
        if batch:
            shown, of_batch = re.fullmatch(r"([\d,.]+) \(\d+; ([\d,]+)\)", batch).groups()
            assert shown == f"{clock / int(of_batch.replace(',', '')):,.1f}", (target, network)


_SYNTHESIS = re.compile(r"\| `(?:intramix synthesize --board (\S+?)|…)(?: --(activation-bits|lut-scheme) (\S+))?` \|$")
VARIANTS = {"4": 4, "sp2-4": LaneClass.LUT_SP2}


def syntheses():
    """The value of each synthesis in the page, its board, and its variant of the geometry."""
    name = ""
    for line in (ROOT / "docs" / "figures.md").read_text().splitlines():
        command = _SYNTHESIS.search(line)
        if command:
            name = command[1] or name
            variant = {command[2].replace("-", "_"): VARIANTS[command[3]]} if command[2] else {}
            yield line.split("|")[2], find_board(name), variant


def test_resources_are_those_on_record():
    found = list(syntheses())
    assert len(found) >= 9
    for value, target, variant in found:
        record = SYNTHESISED[target.geometry_for(**variant).signature]
        part = target.part
        pairs = ((record.lut, part.lut), (record.ff, part.ff), (record.dsp, part.dsp), (record.bram36, part.bram36))
        expected = " / ".join(f"{count:,.10g} ({100 * count / of:.1f} %)" for count, of in pairs)
        assert value.split(":")[0].strip() == expected, (target.name, variant)
