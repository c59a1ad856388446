"""What every layer type of the integer graph does. NumPy only."""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn, Self

import numpy as np

from ..tensors import GraphError, TensorType


class GraphLayer(abc.ABC):
    """A layer type: it checks itself, computes on codes, and turns into an entry of a file and back.

    Members
    -------
    OPERATOR: the type's name in files.
    ARRAYS: fields that files keep beside the entry, as arrays.
    name, output: of the layer; of the tensor that it makes.
    inputs: names of the tensors that it reads.
    kind: what it was in the model, for reports.
    """

    OPERATOR: ClassVar[str]
    ARRAYS: ClassVar[tuple[str, ...]] = ()

    name: str
    output: str
    kind: str

    @abc.abstractmethod
    def reads(self) -> list[tuple[str, str]]:
        """The tensors that it reads, each with the field that names it.

        Raises
        ------
        GraphError: the field does not name tensors.
        """

    @abc.abstractmethod
    def check(self, tensors: Mapping[str, TensorType]) -> None:
        """Checks the layer against the types of its tensors, all of which are in `tensors`.

        Raises
        ------
        GraphError: it breaks the contract; the message names the layer, the field, the reason and what would be legal.
        """

    @abc.abstractmethod
    def execute(self, tensors: Mapping[str, TensorType], codes: Mapping[str, np.ndarray]) -> np.ndarray:
        """The output codes, N × C × H × W uint8, all bits exact.

        Parameters
        ----------
        codes: of the tensors that it reads, N × C × H × W uint8, by name.
        """

    @abc.abstractmethod
    def entry(self) -> dict[str, Any]:
        """What a file says of it, arrays left out: names, numbers, lists and dictionaries."""

    @classmethod
    @abc.abstractmethod
    def from_entry(cls, entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """The inverse of `entry`.

        Parameters
        ----------
        arrays: int64, those of `ARRAYS` by field.

        Raises
        ------
        KeyError, TypeError, ValueError: the entry is malformed.
        """

    def refuse(self, field: str, reason: str) -> NoReturn:
        """Raises the GraphError that names this layer, a field, and what is wrong with it."""
        raise GraphError(f"layer {self.name!r}: {field} {reason}")
