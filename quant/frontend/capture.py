"""Capture: an ordinary `nn.Module` as a graph of the operators that the machine has, by `torch.export`.

The model is not rewritten: it is exported in eval mode for one image of a fixed size, and made functional (in-place
operators become plain ones). `operators/` reads the operators.
"""

import contextlib
import io
import logging
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from ..models.normalised import own_model
from .operations import CapturedGraph, Operation, Problem, Unsupported, Value
from .operators import plain_name, read

SHAPES_LOGGER = "torch.fx.experimental.symbolic_shapes"
"""Of torch.export, about sizes that depend on values: these are errors here, with a message of their own."""


class CaptureError(ValueError):
    """A model that cannot be captured; the message lists every kind of operator that stands in the way, and where the
    first of each is.

    Members
    -------
    entries: the model's operators in order, as far as they were read: operations, and problems of those that cannot be.
    """

    def __init__(self, message: str, entries: "Sequence[Operation | Problem]" = ()) -> None:
        super().__init__(message)
        self.entries = tuple(entries)


def capture(model: nn.Module, input_shape: tuple[int, int, int], *, name: str | None = None) -> CapturedGraph:
    """Captures a model.

    Parameters
    ----------
    model: maps a float tensor N × C × H × W to a tensor (or a tuple of tensors). It is left as it is.
    input_shape: C, H, W of the images it will run on.
    name: of the graph; the model's class unless given.

    Raises
    ------
    TypeError: `model` is no nn.Module.
    CaptureError: the model cannot be exported, or has operators that the machine lacks (every kind is listed).
    """
    own = own_model(model)
    if not isinstance(own, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, not {type(model).__name__}")
    if len(input_shape) != 3 or any(not isinstance(size, int) or size < 1 for size in input_shape):
        raise CaptureError(f"input_shape must be three integers (channels, height, width) above 0, not {input_shape!r}")
    program = _export(model, input_shape)
    parameters = _parameters(program)
    input_name = next(spec.arg.name for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT")
    values: dict[fx.Node, Any] = {}
    entries: list[Operation | Problem] = []
    names = _Names()
    graph_input = names.unique("input")
    for node in program.graph.nodes:
        if node.op == "placeholder":
            values[node] = Value(graph_input, input_shape) if node.name == input_name else parameters.get(node.name)
        elif node.op == "call_function":
            layer = _layer_name(node, "" if own is model else "model.")
            try:
                if _is_constant(node, values):
                    values[node] = _computed(node, values)
                    continue
                result = read(node, values, names.proposed(layer))
            except Unsupported as problem:
                entries.append(Problem(layer, str(node.target), problem.reason, problem.remedy))
                result = _unknown(node)
            if isinstance(result, Operation):
                names.unique(layer)
                entries.append(result)
                result = Value(result.name, result.shape, flat=_is_vector(node))
            values[node] = result
    if problems := [entry for entry in entries if isinstance(entry, Problem)]:
        raise CaptureError(_listed(type(own).__name__, problems), entries)
    return CapturedGraph(
        name=name or type(own).__name__,
        input=graph_input,
        input_shape=input_shape,
        operations=tuple(entry for entry in entries if isinstance(entry, Operation)),
        outputs=_outputs(program, values, graph_input),
    )


def _listed(model: str, problems: Sequence[Problem]) -> str:
    """A line for each kind of operator and what would work instead: how many there are, and the first."""
    kinds: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        kinds.setdefault((problem.operator, problem.remedy), []).append(problem)
    counts: Counter[str] = Counter()
    for (operator, _), members in kinds.items():
        counts[plain_name(operator)] += len(members)
    lines = [f"{model} has operators that the accelerator cannot run: "
             f"{', '.join(f'{count} × {operator}' for operator, count in counts.items())}"]  # fmt: skip
    for (operator, remedy), (first, *others) in kinds.items():
        more = f" and {len(others)} more" if others else ""
        lines.append(f"  {first.name}{more}: {operator}: {first.reason}; {remedy}")
    return "\n".join(lines)


def _is_constant(node: fx.Node, values: Mapping[fx.Node, Any]) -> bool:
    """Whether an operator reads the model's own tensors only, as those of weight norm, pruning and the like do."""
    if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
        return False
    return all(isinstance(values.get(it), Tensor) for it in node.all_input_nodes)


@torch.no_grad()
def _computed(node: fx.Node, values: Mapping[fx.Node, Any]) -> Any:
    arguments, options = fx.node.map_arg((node.args, node.kwargs), lambda it: values[it])
    return node.target(*arguments, **options)  # type: ignore[operator]


def _export(model: nn.Module, input_shape: tuple[int, int, int]) -> Any:
    modes = {module: module.training for module in model.modules()}
    parameter = next(model.parameters(), torch.zeros(()))
    example = torch.zeros(1, *input_shape, dtype=parameter.dtype, device=parameter.device)
    with contextlib.suppress(NotImplementedError):  # of torch.export's own modules, which keep the mode they had
        model.eval()
    printed = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(printed), _without_warnings(SHAPES_LOGGER):
            warnings.simplefilter("ignore", FutureWarning)  # of torch.export about its own pytrees (torch 2.13)
            warnings.filterwarnings("ignore", "The tensor attribute .* was assigned during export")  # by pruning
            program = torch.export.export(model, (example,), strict=False).run_decompositions({})
        sys.stderr.write(printed.getvalue())
        return program
    except Exception as error:  # torch.export raises whatever the model's own code raises
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise CaptureError(
            f"torch.export could not trace {type(model).__name__} with one image of {input_shape}: "
            f"{type(error).__name__}: {lines[0] if lines else 'no message'}{_last_line(printed.getvalue())}; the model "
            "must take one float tensor N × C × H × W of this shape, and neither branches nor shapes may depend on its "
            "values"
        ) from error
    finally:
        for module, mode in modes.items():
            module.training = mode


def _last_line(printed: str) -> str:
    """Where in the model's own code a trace broke off, from the partial graph that torch.export prints."""
    places = re.findall(r"# File: (.+?):(\d+) in \w+, code: (.+)", printed)
    own = [place for place in places if "/torch/" not in place[0]]
    return f" (at {own[-1][0]}:{own[-1][1]}: {own[-1][2].strip()})" if own else ""


@contextlib.contextmanager
def _without_warnings(name: str) -> Iterator[None]:
    """While it lasts, a logger writes errors only."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _parameters(program: Any) -> dict[str, Tensor]:
    """Parameters, buffers and constants by the name of their placeholder."""
    found = {}
    for spec in program.graph_signature.input_specs:
        if spec.kind.name in ("PARAMETER", "BUFFER", "CONSTANT_TENSOR"):
            source = program.state_dict if spec.target in program.state_dict else program.constants
            found[spec.arg.name] = source[spec.target].detach().cpu().clone()
    return found


def _outputs(program: Any, values: dict[fx.Node, Any], graph_input: str) -> tuple[str, ...]:
    nodes = {node.name: node for node in program.graph.nodes}
    names = []
    for spec in program.graph_signature.output_specs:
        if spec.kind.name != "USER_OUTPUT":
            raise CaptureError(f"the model changes its own state ({spec.target}) when it runs; it must only compute")
        value = values.get(nodes.get(getattr(spec.arg, "name", "")))  # type: ignore[arg-type]
        if not isinstance(value, Value) or value.name == graph_input or value.name in names:
            raise CaptureError("the model must return tensors that it computes, each once")
        names.append(value.name)
    return tuple(names)


def _is_vector(node: fx.Node) -> bool:
    value = node.meta["val"]
    return len((value[0] if isinstance(value, tuple) else value).shape) != 4


def _unknown(node: fx.Node) -> Value | None:
    """A stand-in for the result of an unsupported operator, so that the rest of the model is checked too."""
    shape = tuple(getattr(node.meta.get("val"), "shape", ()))
    if len(shape) == 4:
        return Value("?", shape[1:])
    return Value("?", (shape[1], 1, 1)) if len(shape) == 2 else None


def _layer_name(node: fx.Node, prefix: str) -> str:
    """The path of the module that runs the operator, without a prefix; for a function, the caller's path and the
    function's name."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", "")
    path = f"{path}.".removeprefix(prefix).removesuffix(".")
    kind = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    if path and kind.startswith("torch.nn.modules.") and not kind.startswith("torch.nn.modules.container"):
        return path
    function = getattr(node.target, "__name__", str(node.target)).split(".")[0].lstrip("_")
    return f"{path}.{function}" if path else function


class _Names:
    """Unique names for operations: the second use of `conv` is `conv_2`."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def _candidates(self, name: str) -> Iterator[str]:
        yield name
        number = 2
        while True:
            yield f"{name}_{number}"
            number += 1

    def proposed(self, name: str) -> str:
        return next(candidate for candidate in self._candidates(name) if candidate not in self._used)

    def unique(self, name: str) -> str:
        chosen = self.proposed(name)
        self._used.add(chosen)
        return chosen
