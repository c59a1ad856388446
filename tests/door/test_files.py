import json

import pytest

from intramix.files import write_json, write_whole


def test_json_is_written_whole_and_its_folder_made(tmp_path):
    path = tmp_path / "deep" / "figures.json"
    write_json(path, {"cycles": 3, "name": "3×3"})
    assert json.loads(path.read_text()) == {"cycles": 3, "name": "3×3"}
    assert list(path.parent.iterdir()) == [path]


def test_what_was_there_stays_when_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "out.txt"
    write_whole(path, "first")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, "second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]
