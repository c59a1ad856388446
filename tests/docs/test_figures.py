"""Figures that stand in several places are the same: those of README.md are those of docs/figures.md, and those of
syntheses that take minutes are the ones on record, which `intramix boards` shows and long tests hold against yosys."""

import re
from itertools import takewhile
from pathlib import Path

from intramix.hdl.geometry import LaneClass
from intramix.hls_reference.builds import build_for
from intramix.hls_reference.performance import network_cycles
from intramix.hls_reference.shapes import NETWORKS
from intramix.platforms.boards import board as find_board
from intramix.platforms.estimate import SYNTHESISED
from intramix.platforms.timing.records import analysed_clock

ROOT = Path(__file__).parents[2]

HLS = "Cycles by the paper's model"
MEASURED = {
    ("docs/figures.md", "Whole networks", "benchmarks.networks"): "hours of simulation; rates against cycles: below",
    ("docs/figures.md", "A lane", "benchmarks.lane_cost"): "a quarter of an hour of yosys",
    ("docs/accuracy.md", "Accuracy of the methods", "benchmarks.accuracy"): "half an hour, and a GPU",
    ("docs/accuracy.md", "A trained network, not trained again", "benchmarks.trained_network"): "hours, and an extra",
    ("docs/timing.md", "What is found today", "intramix timing"): "minutes of yosys: tests/platforms/timing",
    ("docs/running.md", "What the driver costs", "benchmarks.driver"): "milliseconds of a machine, after minutes",
    ("docs/boards.md", "Figures", "intramix build"): "seconds of a machine",
    ("docs/quantization.md", "Training", "benchmarks.training_step"): "milliseconds of a machine and of a GPU",
}
"""Tables that are not printed anew by a test: page, section, the command in it that prints them, and why."""
CHECKED = {("docs/figures.md", "Resources and speed"), ("docs/hls.md", HLS)}
"""Those whose figures are computed below, or are on record; speeds beside them are a machine's."""
EXPLANATIONS = {("docs/quantization.md", "Methods"), ("docs/extending.md", "A number scheme")}
"""Tables that no command prints."""


def sections():
    """Page, heading and text of every section."""
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        parts = re.split(r"^#+ (.+)$", path.read_text(), flags=re.MULTILINE)
        for heading, text in zip(parts[1::2], parts[2::2]):
            yield path.relative_to(ROOT).as_posix(), heading, text


def test_tables_of_benchmarks_are_listed():
    found = {(page, heading): text for page, heading, text in sections() if "\n|" in text}
    assert all(command in found[page, heading] for page, heading, command in MEASURED)
    of_benchmarks = {where for where, text in found.items() if "python -m benchmarks" in text}
    assert of_benchmarks <= {(page, heading) for page, heading, _ in MEASURED} | CHECKED | EXPLANATIONS


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
    for board, network, rate, array, batch, expected, published in short:
        _, full_rate, full_array, full_batch, full_expected, full_published = known[board, network]
        assert (rate, array, expected, published) == (full_rate, full_array, full_expected, full_published)
        assert batch == (full_batch.split(";")[0] + ")" if full_batch else "")


def test_frames_a_second_are_those_of_the_cycles():
    _, whole = rows("docs/figures.md")
    for target, network, cycles, rate, _, batch, _, _ in whole:
        clock = 1e6 * int(re.search(r", (\d+) MHz", target)[1])
        assert rate == f"{clock / int(cycles.replace(',', '')):,.1f}", (target, network)
        if batch:
            shown, of_batch = re.fullmatch(r"([\d,.]+) \(\d+; ([\d,]+)\)", batch).groups()
            assert shown == f"{clock / int(of_batch.replace(',', '')):,.1f}", (target, network)


def test_rates_are_expected_at_the_clocks_on_record():
    _, whole = rows("docs/figures.md")
    for target, network, _, rate, _, _, expected, _ in whole:
        board = find_board({"XCZU15EG": "zu15eg"}.get(name := target.split(",")[0], name.lower()))
        analysed = analysed_clock(board.geometry, board.part)
        assert bool(expected) == (analysed is not None), (target, network)
        if analysed is not None:
            faster, clock = re.fullmatch(r"([\d,.]+) \((\d+)\)", expected).groups()
            assert clock == f"{analysed.clock_hz / 1e6:.0f}", (target, network)
            share = float(faster.replace(",", "")) / float(rate.replace(",", ""))
            low, high = sorted((1.0, analysed.clock_hz / board.clock_hz))
            assert low <= share <= high, "a clock gives at most its own share"


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


def test_cycles_of_the_hls_kernels():
    """Of the kernels as built, by the equations, as `intramix hls` prints them; and of the RTL as in figures.md."""
    _, whole = rows("docs/figures.md")
    rate_of = {(target, network): rate for target, network, _, rate, *_ in whole}
    cycles_of = {(target, network): cycles for target, network, cycles, *_ in whole}
    (text,) = (text for _, heading, text in sections() if heading == HLS)
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    for name in ("PYNQ-Z2", "ZCU102"):
        build = build_for(name.lower())
        found = {}
        for network in ("resnet18", "resnet50", "mobilenet_v2"):
            layers = network_cycles(NETWORKS[network](), build.tile_model, depthwise_lanes=build.channels)
            found[network] = sum(layer.cycles for layer in layers)
        (built,) = (cells for cells in lines if cells[0].startswith(name) and "as built" in cells[0])
        assert built[1:3] == [f"{build.macs_per_cycle:,}", f"{found['resnet18']:,.0f}"]
        assert built[3:] == [f"{build.clock_hz / cycles:.1f}" for cycles in found.values()]
        (rtl,) = (cells for cells in lines if cells[0] == f"{name}, the RTL, simulated")
        where = f"{name}, {build.clock_hz / 1e6:.0f} MHz"
        assert rtl[2] == cycles_of[where, "ResNet-18"]
        assert rtl[3:] == [rate_of[where, network] for network in ("ResNet-18", "ResNet-50", "MobileNet-V2")]
