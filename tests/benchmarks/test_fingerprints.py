"""Fingerprints: what differs is named, and the same code gives the same ones."""

import json

import pytest

from benchmarks import fingerprints
from benchmarks.fingerprints import Selection, differences, main, sha256

TINY = Selection(networks=(("resnet-tiny", 16),), boards=("zcu102",), batches=(1,), verilog=())


def test_differences_are_named():
    before = {"a": "1", "b": "2", "gone": "3"}
    assert differences(before, {"a": "1", "b": "4", "new": "5"}) == ["b: differs", "new: only now", "gone: only before"]
    assert differences(before, dict(before)) == []


def test_texts_are_hashed_in_utf_8():
    assert sha256("Σ") == sha256("Σ".encode()) != sha256("S")


@pytest.mark.slow
def test_written_compared_and_a_difference_found(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fingerprints, "QUICK", TINY)
    path = tmp_path / "before.json"
    assert main(["-o", str(path)]) == 0
    found = json.loads(path.read_text())
    name = "resnet-tiny zcu102 batch 1"
    kinds = ("instructions", "parameters", "file", "listing", "estimate")
    assert list(found) == ["resnet-tiny graph", *(f"{name} {kind}" for kind in kinds)]
    assert main(["--compare", str(path)]) == 0
    assert "6 fingerprints, 0 differ" in capsys.readouterr().out
    path.write_text(json.dumps(found | {f"{name} listing": sha256("another")}))
    assert main(["--compare", str(path)]) == 1
    assert f"{name} listing: differs\n6 fingerprints, 1 differ" in capsys.readouterr().out
