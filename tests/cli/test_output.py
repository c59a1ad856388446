"""How the commands word numbers and errors."""

import subprocess
import sys

import pytest

from intramix.cli.shared.tables import counted


def intramix(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "intramix.cli.main", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("number", "text"), [(1, "1 image"), (0, "0 images"), (1200, "1,200 images")])
def test_a_number_and_its_noun(number, text):
    assert counted(number, "image") == text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["boards", "--foo"], 2, "error: No such option"),
        (["nosuch"], 2, "error: No such command 'nosuch'"),
        (["elaborate", "--board", "zybo", "-o", "x"], 1, "error: board 'zybo' is unknown"),
        (["compile", "none.imx"], 2, "error: Invalid value for 'MODEL'"),
    ],
)
def test_errors_are_spelled_one_way(arguments, code, message):
    run = intramix(*arguments)
    assert run.returncode == code
    assert message in run.stderr
    assert "Error:" not in run.stderr
    assert ("--help" in run.stderr) == (code == 2)


def test_no_command_is_help():
    run = intramix()
    assert "Commands:" in run.stdout + run.stderr
    assert "error:" not in run.stdout + run.stderr


def test_no_heading_of_help_is_other():
    assert "Other:" not in intramix("quantize", "--help").stdout
