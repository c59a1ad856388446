"""The notebook that needs no board, from its first cell to its last; the board's is in tests/runtime/test_pynq.py."""

import json
import pathlib

import pytest

import intramix

NOTEBOOK = pathlib.Path(__file__).parents[2] / "examples" / "first_network.ipynb"
SHORTER = (("EPOCHS = 8", "EPOCHS = 1"), ("epochs=2", "epochs=0"), ("[:4]", "[:2]"))


def cells():
    """The code, trained less and with fewer images."""
    text = "\0".join(
        "".join(cell["source"])
        for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"
    )  # fmt: skip
    for old, new in SHORTER:
        assert old in text
        text = text.replace(old, new)
    return text.split("\0")


@pytest.mark.simulator
def test_every_cell(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)
    names = {}
    for number, cell in enumerate(cells()):
        exec(compile(cell, f"cell {number}", "exec"), names)
    simulation = names["simulation"]
    assert simulation.passed
    assert simulation.report.images == 2
    assert f"{simulation.figures.frames_per_second:,.0f} frames/s at 100 MHz" in capsys.readouterr().out
    drawn = sorted(round(bar.get_width()) for bar in names["cycles"].patches)
    layers = simulation.figures.layers
    assert drawn == sorted(round(value) for layer in layers for value in (layer.cycles, layer.ideal_cycles))
    assert sum(bar.get_width() for bar in names["filters"].patches) == sum(
        sum(each.formats.values()) for each in layers
    )
    assert intramix.load("net.imp").program.geometry == names["model"].geometry


def test_it_is_kept_without_outputs():
    for path in NOTEBOOK.parent.glob("*.ipynb"):
        for cell in json.loads(path.read_text())["cells"]:
            assert not cell.get("outputs"), path
            assert cell.get("execution_count") is None, path
