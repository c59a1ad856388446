"""Readers of the operators that `torch.export` leaves: each checks its arguments and makes an `Operation`.

A new operator is a function in the file of its kind, and an entry in that file's table.
"""

import operator
from collections.abc import Mapping
from typing import Any

from torch import fx

from ..operations import Unsupported
from . import arithmetic, layers, pools, views
from .call import Call, Readers, Result, operator_name, plain_name
from .refusals import AT_THE_END, LAST, OTHERS, REFUSALS

__all__ = ["plain_name", "read"]

_READERS: Readers = {**layers.READERS, **arithmetic.READERS, **pools.READERS, **views.READERS}


def read(node: fx.Node, values: Mapping[fx.Node, Any], name: str) -> Result:
    """Reads one node of an exported graph.

    Parameters
    ----------
    values: what the nodes before stand for: Value, parameter tensor, or None.
    name: for the operation.

    Raises
    ------
    Unsupported: the accelerator has no such operator, or not with these arguments.
    """
    if node.target is operator.getitem:
        source, index = node.args
        value = values.get(source)  # type: ignore[arg-type]
        return value if index == 0 else None
    reader = _READERS.get(node.target)
    if reader is None:
        raise Unsupported(*_refusal(node))
    operands = [values.get(argument) for argument in node.args if isinstance(argument, fx.Node)]
    if operands and operands[0] is None:
        return None  # the result of an operator that has been refused already
    return reader(Call(node, values, name))


def _refusal(node: fx.Node) -> tuple[str, str]:
    """Why an operator has no counterpart, and what would work instead."""
    name = operator_name(node)
    if name in LAST and all(user.op == "output" for user in node.users):
        return AT_THE_END
    return REFUSALS.get(name, OTHERS)
