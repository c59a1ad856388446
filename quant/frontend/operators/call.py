"""A call of an operator in an exported graph, with its arguments by name."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, fx

from ...graph.graph import Padding
from ..operations import Operation, Unsupported, Value

Result = Operation | Value | None
"""What a node becomes: an operation, another view of a value, or nothing (an unknown operand of an unknown)."""


class Call:
    """A node's arguments by the names of its schema, with nodes replaced by what they stand for."""

    def __init__(self, node: fx.Node, values: Mapping[fx.Node, Any], name: str) -> None:
        self.node, self.name = node, name
        self.arguments: dict[str, Any] = {}
        schema = node.target._schema.arguments  # type: ignore[union-attr]
        for position, argument in enumerate(schema):
            value = node.kwargs.get(argument.name, _default(argument))
            value = node.args[position] if position < len(node.args) else value
            if isinstance(value, list | tuple):
                value = [values.get(item) if isinstance(item, fx.Node) else item for item in value]
            self.arguments[argument.name] = values.get(value) if isinstance(value, fx.Node) else value
        result = node.meta.get("val")
        self.shape = tuple(getattr(result[0] if isinstance(result, tuple) else result, "shape", ()))

    def __getitem__(self, key: str) -> Any:
        return self.arguments[key]

    def pair(self, key: str) -> tuple[int, int]:
        value = self[key]
        items = [value] if isinstance(value, int) else list(value)
        return (int(items[0]), int(items[-1]))

    def value(self, key: str) -> Value:
        """The operand, which must be a feature map without zeros around it."""
        value = self.padded(key)
        if value.padding:
            raise Unsupported("it reads a padded map", "only a convolution or an average pool may follow a pad")
        return value

    def padded(self, key: str) -> Value:
        """The operand, which must be a feature map; there may be zeros around it."""
        value = self[key]
        if not isinstance(value, Value):
            raise Unsupported(f"operand {key} is not a feature map", "only results of layers can be its operands")
        return value

    def seen(self, key: str) -> tuple[int, ...]:
        """The shape, batch included, in which the model sees the operand."""
        position = [argument.name for argument in self.node.target._schema.arguments].index(key)  # type: ignore[union-attr]
        return tuple(self.node.args[position].meta["val"].shape)  # type: ignore[union-attr]

    def map(self, key: str) -> Value:
        """The operand, which must not have been flattened (unless it is a vector anyway)."""
        return unflattened(self.value(key))

    def tensor(self, key: str) -> Tensor:
        value = self[key]
        if not isinstance(value, Tensor):
            raise Unsupported(f"its {key} is computed by the model", "it must be a parameter or a buffer")
        return value

    @property
    def operator(self) -> str:
        """The operator's plain name, for example `conv2d`."""
        return operator_name(self.node)

    @property
    def map_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of the result."""
        channels, rows, columns = (int(size) for size in self.shape[1:])
        return channels, rows, columns


def operator_name(node: fx.Node) -> str:
    """The plain name of the operator that a node calls, for example `conv2d`."""
    return plain_name(str(node.target))


def plain_name(operator: str) -> str:
    """`conv2d` of `aten.conv2d.default`."""
    return operator.removeprefix("aten.").split(".")[0].strip("_")


def unflattened(value: Value) -> Value:
    """The value, which must not have been flattened (unless it is a vector anyway)."""
    if value.flat and value.shape[1:] != (1, 1):
        raise Unsupported(f"it reads a {value.shape} map that was flattened", "only linear, ReLU and dropout may")
    return value


def add_padding(one: Padding, other: Padding) -> Padding:
    """Zeros around zeros."""
    return Padding(*(left + right for left, right in zip(dataclasses.astuple(one), dataclasses.astuple(other))))


def _default(argument: Any) -> Any:
    return argument.default_value if argument.has_default_value() else None


Readers = dict[Any, Callable[[Call], Result]]
"""Functions that read a call, by the operator that is called."""
