"""docs/json.md is what the classes of the figures say, and the JSON has the keys that it documents."""

import dataclasses
from typing import Annotated

import pytest

from intramix.cli.figures.document import COMMANDS, PATH, document
from intramix.runtime.figures.fields import Means, keys, table_rows, to_json


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    size: Annotated[int, Means("of it", "bytes")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Whole:
    name: Annotated[str, Means("its name")]
    parts: Annotated[tuple[Part, ...], Means("all of it")]
    by_name: Annotated[dict[str, Part], Means("by name")]
    other: Annotated[Part | None, Means("another one")] = None
    timed: Annotated[float | None, Means("time", "s", "with `--time`")] = None


def test_page_is_up_to_date():
    assert PATH.read_text() == document(), "run python -m intramix.cli.figures.document"


@pytest.mark.parametrize("figures", COMMANDS.values())
def test_every_key_is_documented(figures):
    assert all(key.means.text for key in keys(figures))


def test_rows_and_json_have_the_same_keys():
    assert list(table_rows(Whole)) == [
        ("name", "", "its name"), ("parts[]", "", "all of it"), ("parts[].size", "bytes", "of it"),
        ("by_name.*", "", "by name"), ("by_name.*.size", "bytes", "of it"), ("other", "", "another one"),
        ("other.size", "bytes", "of it"), ("timed", "s", "time (only with `--time`)"),
    ]  # fmt: skip
    whole = Whole(name="x", parts=(Part(size=1),), by_name={"a": Part(size=2)})
    assert to_json(whole) == {"name": "x", "parts": [{"size": 1}], "by_name": {"a": {"size": 2}}, "other": None}
    assert to_json(dataclasses.replace(whole, timed=0.5))["timed"] == 0.5


def test_a_figure_without_a_meaning_is_refused():
    @dataclasses.dataclass
    class Bare:
        cycles: int

    with pytest.raises(TypeError, match=r"Bare\.cycles must be Annotated"):
        list(keys(Bare))
