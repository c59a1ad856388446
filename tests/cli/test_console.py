"""Tables in a narrow terminal: fewer columns, never shorter numbers."""

import io
import time

import pytest
from rich.console import Console

from intramix.cli.shared import console as module

COLUMNS = [("#", "right"), ("layer", "left"), ("MACs", "right"), ("by lane", "left"), ("cycles", "right"),
           ("share", "right"), ("DDR bytes", "right"), ("RTL = model", "left")]  # fmt: skip
ROWS = [
    [str(index), f"stage{index}.block", "1,234,567,890", "4 fixed-8 + 12 fixed-4", "12,345,678", "12.5 %",
     "987,654,321", "[green]equal[/]"]
    for index in range(3)
]  # fmt: skip
FOOTER = ["", "frame", "9,234,567,890", "", "92,345,678", "13.5 %", "9,987,654,321", "[green]all equal[/]"]


def printed(monkeypatch, width, **arguments):
    stream = io.StringIO()
    monkeypatch.setattr(module, "console", Console(file=stream, width=width, highlight=False))
    module.table("A table", COLUMNS, ROWS, FOOTER, **arguments)
    text = stream.getvalue()
    assert all(len(line) <= width for line in text.splitlines())
    return text


def test_all_columns_where_there_is_room(monkeypatch):
    text = printed(monkeypatch, 150)
    assert "hidden" not in text
    assert "987,654,321" in text


@pytest.mark.parametrize("width", [100, 80, 72])
def test_no_digit_is_cut_in_a_narrow_terminal(monkeypatch, width):
    text = printed(monkeypatch, width, spare=("DDR bytes", "MACs", "by lane"))
    for number in ("12,345,678", "92,345,678", "12.5 %", "13.5 %"):
        assert number in text
    assert "all equal" in text or ("all" in text and "equal" in text)
    assert "…" not in text


def test_the_least_important_go_first_and_are_named(monkeypatch):
    text = printed(monkeypatch, 80, spare=("DDR bytes", "MACs", "by lane"))
    assert "1 column hidden, the terminal is narrow: DDR bytes" in text
    text = printed(monkeypatch, 66, spare=("DDR bytes", "MACs", "by lane"))
    assert "2 columns hidden, the terminal is narrow: MACs, DDR bytes" in text


def test_the_last_columns_go_where_none_is_marked(monkeypatch):
    text = printed(monkeypatch, 60)
    assert "1,234,567,890" in text
    assert "hidden, the terminal is narrow:" in text
    assert "RTL = model" in text.splitlines()[-1]


def shown(monkeypatch, seconds, *, terminal=False):
    """What a bar prints that is told of three things, `seconds` after it began."""
    stream = io.StringIO()
    monkeypatch.setattr(module, "console", Console(file=stream, width=150, highlight=False, force_terminal=terminal))
    monkeypatch.setattr(module, "_PLAIN_SECONDS", 0.0 if seconds else 1e9)
    with module.bar("Work") as advance:
        advance(0, 0, "beginning")
        advance(7, 2_000, "module [a]")
        advance(2_000, 2_000)
    return stream.getvalue()


def test_a_bar_says_now_and_then_in_a_file_how_far_it_is(monkeypatch):
    lines = shown(monkeypatch, 1).splitlines()
    assert lines[:3] == ["… Work: beginning", "… Work: 7 of 2,000, module [a]", "… Work: 2,000 of 2,000"]
    assert lines[3].startswith("✓ Work")


def test_a_bar_is_one_line_in_a_file_where_it_is_quick(monkeypatch):
    assert len(shown(monkeypatch, 0).splitlines()) == 1


def test_a_terminal_needs_no_lines(monkeypatch):
    assert "…" not in shown(monkeypatch, 1, terminal=True)


def test_what_is_not_counted_has_no_count(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(module, "console", Console(file=stream, width=150, highlight=False, force_terminal=True))
    with module.bar("Work") as advance:
        advance(0, 0, "assigning formats")
        time.sleep(0.3)  # until it is drawn anew
    assert "assigning formats" in stream.getvalue()
    assert "0/?" not in stream.getvalue()
