"""`intramix cache`: shows what is kept, and clears it."""

import json

import pytest
from click.testing import CliRunner

from intramix.cli.main import intramix


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INTRAMIX_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


def run(*arguments):
    result = CliRunner().invoke(intramix, ["cache", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_an_empty_cache(cache):
    assert f"{cache}: empty" in run()


def test_it_is_shown_and_cleared(cache):
    cache.mkdir()
    library = cache / "simulator-0123.so"
    library.write_bytes(bytes(3_000_000))
    assert "simulators" in run("--json", "shown.json")
    assert library.exists()
    shown = json.loads((cache.parent / "shown.json").read_text())
    assert shown["folder"] == str(cache)
    assert not shown["cleared"]
    assert [(kind["kind"], kind["number"]) for kind in shown["kinds"]] == [("simulators", 1)]
    assert shown["bytes"] == shown["kinds"][0]["bytes"] >= 3_000_000
    assert "cleared" in run("--clear")
    assert not library.exists()
