"""The README's example from Python, as printed but for the board, whose simulator would take a minute to build."""

import pathlib
import re

import pytest

README = pathlib.Path(__file__).parents[2] / "README.md"


@pytest.mark.simulator
def test_example_from_python(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert 'board="pynq-z2"' in code
    exec(code.replace('board="pynq-z2"', 'board="small"'), {})
    printed = capsys.readouterr().out
    assert "2 images, 2 layers" in printed
    assert "0 differ" in printed
    assert "the cycle model says" in printed
