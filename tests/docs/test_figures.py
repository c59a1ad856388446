"""Figures that stand in two places are the same: those of README.md are those of docs/figures.md."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def rows(page):
    """The rows of a page's table of networks, as lists of cells."""
    lines = (ROOT / page).read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| board, clock | network |"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:] if line.startswith("|")]
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
