"""Figures as frozen dataclasses whose fields say what they mean: `cycles: Annotated[float, Means("…", "cycles")]`.

The JSON that commands write and docs/json.md both come from these classes, so that they cannot differ.
"""

import dataclasses
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints


@dataclasses.dataclass(frozen=True)
class Means:
    """What a figure means.

    Members
    -------
    text: a sentence, or the part of one that follows the key.
    unit: of its values, "" for a name, a share or a plain number.
    only: when the key is there at all; "": always. Such a figure is None when it is not there.
    """

    text: str
    unit: str = ""
    only: str = ""


@dataclasses.dataclass(frozen=True)
class Key:
    """A field of a class of figures: its name, its type without the annotation, and its meaning."""

    name: str
    kind: Any
    means: Means


def keys(figures: type) -> Iterator[Key]:
    """The fields of a class of figures, in order.

    Raises
    ------
    TypeError: a field has no `Means`.
    """
    hints = get_type_hints(figures, include_extras=True)
    for field in dataclasses.fields(figures):
        hint = hints[field.name]
        means = [entry for entry in get_args(hint)[1:] if isinstance(entry, Means)]
        if get_origin(hint) is not Annotated or not means:
            raise TypeError(f"{figures.__name__}.{field.name} must be Annotated[type, Means(…)], not {hint!r}")
        yield Key(field.name, get_args(hint)[0], means[0])


def to_json(figures: Any) -> dict[str, Any]:
    """The object that is written: a key a field, nested figures as objects, tuples as lists."""
    entries = ((key, getattr(figures, key.name)) for key in keys(type(figures)))
    return {key.name: _plain(value) for key, value in entries if value is not None or not key.means.only}


def table_rows(figures: type, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Key, unit and meaning of every figure, those of nested classes after their owner: `layers[].cycles`.

    `[]` follows a key whose value is a list of objects, `.*` one whose value is an object with names for keys.
    """
    for key in keys(figures):
        nested, suffix = _nested(key.kind)
        text = key.means.text + (f" (only {key.means.only})" if key.means.only else "")
        yield f"{prefix}{key.name}{suffix}", key.means.unit, text
        if nested is not None:
            yield from table_rows(nested, f"{prefix}{key.name}{suffix}.")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_json(value)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _nested(kind: Any) -> tuple[type | None, str]:
    """The class of figures inside a field's type, and what follows its key."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        (kind,) = (entry for entry in arguments if entry is not type(None))
        return _nested(kind)
    if origin is tuple:
        nested, _ = _nested(arguments[0])
        return nested, "[]" if nested else ""
    if origin is not None and issubclass(origin, Mapping):
        nested, _ = _nested(arguments[1])
        return nested, ".*" if nested else ""
    return (kind if isinstance(kind, type) and dataclasses.is_dataclass(kind) else None), ""
