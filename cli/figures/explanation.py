"""Figures of `explain`: how a value is made, and what became of it."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Annotated, Any

from ...compiler.explain.explanation import Explanation
from ...compiler.program.program import Program
from ...runtime.figures.fields import Means
from ...runtime.inspection import Inspection
from ...runtime.waves import Watch

Record = Mapping[str, Any]
"""The members of an object of `compiler/explain/` or `hdl/instructions.py`, by their names."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExplainFigures:
    """What `explain` writes: the members of an `Explanation`, and what was found on a device."""

    network: Annotated[str, Means("name of the program")]
    layer: Annotated[Record, Means("record of the layer whose value it is")]
    tensor: Annotated[str, Means("name of the tensor that holds it")]
    bits: Annotated[int, Means("of the tensor's codes", "bits")]
    position: Annotated[Record, Means("`image` (of those of a run), `channel`, `row` and `column`")]
    channel_word: Annotated[int, Means("the tensor's word of channels that holds its channel")]
    slot: Annotated[int, Means("its channel's place in that word")]
    stored: Annotated[tuple[Record, ...], Means(
        "by digit: `word` (`region`, `address`, `size`), `bits` (`first`, `width`), `store` (number of the "
        "instruction), `lane`, `address` (in the output memory), `crc_register`, `emitter` (number of the STORE that "
        "writes the log record) and its `slot`")]  # fmt: skip
    pixel_lane: Annotated[int, Means("the pixel lane that computes it")]
    lane_group: Annotated[int, Means("the lane group that it belongs to")]
    compute_number: Annotated[int, Means("number of the COMPUTE in the program")]
    compute: Annotated[Record, Means("fields of the COMPUTE")]
    group: Annotated[int, Means("number of the position among those that the COMPUTE computes")]
    output_y: Annotated[int, Means("row of the position among them")]
    output_x: Annotated[int, Means("column of the position among them")]
    filter: Annotated[Record | None, Means(
        "what computes it: `tile`, `word`, `lane`, `lane_class`, `weight_bits`, `constants` (`tile`, `source`); null "
        "in a max pool")]  # fmt: skip
    standing: Annotated[Record, Means(
        "`number`, `of`: of the layer's COMPUTEs; `block`, `in_block`: of the fillings of the activation memory; "
        "`steps_before`: of the run")]  # fmt: skip
    steps: Annotated[tuple[Record, ...], Means(
        "`digit_pass`, `kernel_y`, `kernel_x`, `channel`, `address`, `source` of the codes (`load` and `word`; `kind` "
        "and `load` of zeros; `load`, `taps`, `kernel`, `shift`, `maximum` of the depthwise unit), `weights` "
        "(`number`, `place`, `load`, `slices`)")]  # fmt: skip
    residual: Annotated[tuple[Record, ...], Means("words of the residual operand, by digit; empty without one")]
    findings: Annotated[tuple[str, ...], Means("what a healthy program has not, in words")]
    loads: Annotated[tuple[int, ...], Means("numbers of the LOAD_MAPs that bring the window")]
    weight_loads: Annotated[tuple[int, ...], Means("numbers of the LOAD_WEIGHTS that bring the weights")]
    inspection: Annotated[Record | None, Means(
        "with a device: `passed`, `evaluation` (`codes`, `weights`, `accumulator`, `activation_sum`, `constants`, "
        "`residual`, `code`, `stored`), `missing`, `expected`, `wrong` (words); else null")]  # fmt: skip
    cycles: Annotated[tuple[int, int | None] | None, Means(
        "first and last cycle of the run in which it is made, where it was simulated; else null", "cycles"
    )]  # fmt: skip


def explain_figures(
    program: Program, explanation: Explanation, inspection: Inspection | None, watch: Watch | None
) -> ExplainFigures:
    """The figures of an explained value; `inspection` and `watch` None: without a device, and without a simulation."""
    cycles = None if watch is None or watch.first_cycle is None else (watch.first_cycle, watch.end_cycle)
    return ExplainFigures(
        **_plain(explanation),
        network=program.name,
        loads=explanation.loads,
        weight_loads=explanation.weight_loads,
        inspection=None if inspection is None else _plain(inspection) | {"passed": inspection.passed},
        cycles=cycles,
    )


def _plain(value: Any) -> Any:
    """Dataclasses, enumerations and sets as JSON has them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.name.lower()
    if isinstance(value, frozenset):
        return sorted(_plain(each) for each in value)
    if isinstance(value, tuple | list):
        return tuple(_plain(each) for each in value)
    return {key: _plain(each) for key, each in value.items()} if isinstance(value, dict) else value
