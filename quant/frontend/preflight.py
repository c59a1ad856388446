"""Before anything runs: what becomes of each of a model's operators."""

import dataclasses

from torch import nn

from .capture import CaptureError, capture
from .fold import fold
from .folded import FoldedGraph
from .operations import CapturedGraph, Clamp, Conv, Operation, Pool, Problem

SUPPORTED, FOLDED, REJECTED = "supported", "folded", "rejected"


@dataclasses.dataclass(frozen=True)
class Finding:
    """What becomes of an operator.

    Members
    -------
    name, operator: of the model's layer.
    status: `supported` (a layer of the accelerator), `folded` (part of another layer), `rejected`.
    note: which layer it is folded into; or why it is rejected.
    remedy: the rewrite that would work, where it is rejected.
    """

    name: str
    operator: str
    status: str
    note: str = ""
    remedy: str = ""


def inspect_model(model: nn.Module, input_shape: tuple[int, int, int]) -> tuple[Finding, ...]:
    """What becomes of every operator, in the model's order; the model is not run and stays as it is.

    Where some operators are rejected it is not known yet what the others would be folded into: they are `supported`.

    Raises
    ------
    TypeError, CaptureError: as `capture`, where the model cannot be traced at all.
    """
    try:
        captured = capture(model, input_shape)
    except CaptureError as error:
        if not error.entries:
            raise
        return tuple(
            Finding(entry.name, entry.operator, REJECTED, entry.reason, entry.remedy)
            if isinstance(entry, Problem)
            else Finding(entry.name, _operator(entry), SUPPORTED)
            for entry in error.entries
        )
    return _findings(captured, fold(captured))


def _findings(captured: CapturedGraph, graph: FoldedGraph) -> tuple[Finding, ...]:
    layers = {layer.name: layer for layer in graph.layers}
    findings = []
    for operation in captured.operations:
        name, kind = operation.name, _operator(operation)
        if name in layers:
            note = "" if layers[name].kind == kind else f"as {layers[name].kind}"
            findings.append(Finding(name, kind, SUPPORTED, note))
        else:
            holder = graph.tensor_of.get(name)
            note = f"into {holder}" if holder in graph.shapes else "nothing reads its result"
            findings.append(Finding(name, kind, FOLDED, note))
    return tuple(findings)


def _operator(operation: Operation) -> str:
    if isinstance(operation, Conv):
        return operation.kind
    if isinstance(operation, Pool):
        return "max_pool" if operation.maximum else "average_pool"
    if isinstance(operation, Clamp):
        return "relu" if operation.ceiling == float("inf") else "clamp"
    return {"Affine": "batch_norm", "Add": "add", "Concatenate": "concatenation"}[type(operation).__name__]
