"""What the cache holds, and which of it goes when it grows too large."""

import os
import time

import pytest

from intramix.sim.cache import CacheError
from intramix.sim.cache_contents import Kind, entries, limit_bytes, mark_used, remove, trim

HOUR = 3600


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INTRAMIX_CACHE", str(tmp_path))
    return tmp_path


def entry(path, size, hours):
    """A file of this size, used so many hours ago."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(size))
    os.utime(path, (time.time() - hours * HOUR,) * 2)
    return path


def test_locks_and_files_of_others_are_no_entries(cache):
    entry(cache / "simulator-a.so", 5000, 3)
    entry(cache / "simulator-a.lock", 0, 3)
    entry(cache / "thesis.tex", 5000, 3)
    entry(cache / "runtime-b" / "verilated.o", 9000, 1)
    found = entries()
    assert [(each.path.name, each.kind) for each in found] == [
        ("simulator-a.so", Kind.SIMULATOR), ("runtime-b", Kind.OBJECTS),
    ]  # fmt: skip
    assert found[0].size >= 5000
    assert found[1].size >= 9000


def test_a_build_under_way_is_no_entry_and_one_that_was_stopped_is(cache):
    entry(cache / ".build-new" / "top.v", 10, 0)
    entry(cache / ".build-old" / "top.v", 10, 0)
    os.utime(cache / ".build-old", (time.time() - 25 * HOUR,) * 2)
    assert [each.path.name for each in entries()] == [".build-old"]


def test_what_was_used_longest_ago_goes(cache, monkeypatch):
    monkeypatch.setenv("INTRAMIX_CACHE_GB", "0.0001")
    paths = [entry(cache / f"simulator-{name}.so", 40_960, hours) for name, hours in (("a", 5), ("b", 4), ("c", 3))]
    mark_used(paths[0])
    assert [each.path.name for each in trim()] == ["simulator-b.so"]
    assert [path.exists() for path in paths] == [True, False, True]
    assert trim() == []


def test_what_was_used_now_stays_whatever_its_size(cache, monkeypatch):
    monkeypatch.setenv("INTRAMIX_CACHE_GB", "0")
    new = entry(cache / "simulator-new.so", 10_000, 0)
    old = entry(cache / "accelerator-old.v", 10_000, 2)
    assert [each.path for each in trim()] == [old]
    assert new.exists()


def test_folders_are_removed_whole(cache):
    entry(cache / "cocotb-a" / "top.v", 10, 0)
    remove(entries())
    assert list(cache.iterdir()) == []
    remove(entries())


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf"])
def test_a_limit_that_is_none(text, monkeypatch):
    monkeypatch.setenv("INTRAMIX_CACHE_GB", text)
    with pytest.raises(CacheError, match=f"INTRAMIX_CACHE_GB must be a number of gigabytes, at least 0, not '{text}'"):
        limit_bytes()


def test_the_limit(monkeypatch):
    monkeypatch.delenv("INTRAMIX_CACHE_GB", raising=False)
    assert limit_bytes() == 10_000_000_000
    monkeypatch.setenv("INTRAMIX_CACHE_GB", "2.5")
    assert limit_bytes() == 2_500_000_000
