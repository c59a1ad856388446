"""An explained value for the terminal."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from ...compiler.explain.evaluate import filter_weights
from ...compiler.explain.explanation import Explanation, FilterPlace, StoredDigit, WindowStep
from ...compiler.explain.places import Convolved, DdrWord, Loaded, Source, Zero, ZeroKind
from ...compiler.explain.words import MissingWord, WordReader
from ...compiler.program.program import Program
from ...compiler.program.tensor_places import TensorPlaces
from ...runtime.device import DeviceKind
from ...runtime.inspection import Inspection
from ...runtime.verification import VerificationReport
from ...runtime.waves import Watch
from .console import console, table

_ZEROS = {ZeroKind.COLUMN: "zero: beside the row", ZeroKind.ROW: "zero row"}


def show_explanation(
    program: Program, explanation: Explanation, inspection: Inspection | None, watch: Watch | None, *, steps: int
) -> None:
    """Prints an explanation; `steps`: of its window, at most."""
    title = f"{explanation.layer.name}: {explanation.position}"
    table(title, [("what", "left"), ("where", "left")], list(_rows(program, explanation, watch)))
    columns, rows = _window(program, explanation, inspection, steps)
    count = len(explanation.steps)
    table(f"Its window: {len(rows)} of {count} steps", columns, rows)
    for finding in explanation.findings:
        console.print(f"[bold red]not as in a healthy program:[/] {finding}")
    if inspection is not None:
        _show_inspection(program, explanation, inspection)


def show_explain_command(source: Path, report: VerificationReport, *, data: str) -> None:
    """Prints the command that explains the first wrong value of a report, with the options of the command that runs.

    Parameters
    ----------
    source: what was run, a model or a program.
    data: where its images came from.
    """
    failure = report.first_failure
    if failure is None or failure.first is None:
        return
    options = click.get_current_context().params
    words = ["intramix", "explain", str(source)]
    for option in ("board_name", "activation_bits", "lut_scheme", "batch"):
        if options.get(option) is not None:
            words += [f"--{option.removesuffix('_name').replace('_', '-')}", str(options[option])]
    at = failure.first
    words += ["--data", data, "--layer", failure.layer]
    for name in ("image", "channel", "row", "column"):
        words += [f"--{name}", str(getattr(at, name))]
    console.print("To see how it is made, and what of it is wrong:", soft_wrap=True)
    console.print(f"  {shlex.join([*words, '--device', DeviceKind.SIMULATED.value])}", markup=False, soft_wrap=True)


# Where ----------------------------------------------------------------------------------------------------------------


def _rows(program: Program, e: Explanation, watch: Watch | None) -> Iterable[list[str]]:
    geometry, compute, standing = program.geometry, e.compute, e.standing
    yield ["value", f"tensor {e.tensor}, {e.bits} bits; channel word {e.channel_word}, slot {e.slot}"]
    for digit in e.stored:
        yield ["stored", _stored(digit)]
    passes = "1 pass" if compute.passes == 1 else f"{compute.passes} passes"
    window = f"{compute.kernel_y} × {compute.kernel_x} × {compute.channels} words, {passes}"
    positions = f"{compute.outputs_y} × {compute.outputs_x} positions"
    yield ["computed by", f"COMPUTE {e.compute_number}, layer {compute.layer}: {positions}, window of {window}"]
    yield ["", f"position {e.group} of it: row {e.output_y}, column {e.output_x}"]
    yield ["in the layer", f"COMPUTE {standing.number + 1} of {standing.of}; block {standing.block}, its COMPUTE "
           f"{standing.in_block + 1}"]  # fmt: skip
    yield ["pixel lane", f"{e.pixel_lane} of {geometry.pixel_lanes}, lane group {e.lane_group}"]
    if e.filter is not None:
        yield ["filter lane", f"{e.filter.lane} of {geometry.tile_filters}, {e.filter.lane_class.value}; tile "
               f"{e.filter.tile}, its output word {e.filter.word}"]  # fmt: skip
    yield ["array", f"{len(e.steps)} steps, after {standing.steps_before:,} others of the run"]
    if watch is not None and watch.first_cycle is not None:
        yield ["cycles", f"{watch.first_cycle:,} … {watch.end_cycle:,} of the run, to within {watch.UNCERTAINTY}"]
        if watch.path is not None:
            yield ["waves", f"{watch.path}; cycle c of the run is at time 10 · (c + {watch.time_offset})"]
    yield ["maps loaded by", _numbers("LOAD_MAP", e.loads)]
    if e.filter is not None:
        yield from _filter_rows(program, e, e.filter)
    for place, word in enumerate(e.residual):
        yield [f"residual digit {place}" if len(e.residual) > 1 else "residual",
               f"address {word.address} of the lane's residual memory, from {_source(program, e, word.source)} by "
               f"{_numbers('LOAD_MAP', word.source.loads)}; R = {compute.residual_scale}"]  # fmt: skip


def _stored(digit: StoredDigit) -> str:
    last = digit.bits.first + digit.bits.width - 1
    log = "no log record" if digit.slot is None else f"log slot {digit.slot} by STORE {digit.emitter}"
    return (
        f"{digit.word}, bits {digit.bits.first} … {last} of {digit.word.size} bytes; STORE {digit.store} from address "
        f"{digit.address} of the lane's output memory; CRC register {digit.crc_register}, {log}"
    )


def _filter_rows(program: Program, e: Explanation, place: FilterPlace) -> Iterable[list[str]]:
    words = [step.weights for step in e.steps if step.weights is not None]
    numbers = sorted({word.number for word in words})
    bits = place.weight_bits
    yield ["weights", f"{_numbers('LOAD_WEIGHTS', e.weight_loads)}: words {numbers[0]:,} … {numbers[-1]:,} of the run, "
           f"bits {bits.first} … {bits.first + bits.width - 1} of each"]  # fmt: skip
    constants = place.constants
    if constants.source is None:
        return
    try:
        values = WordReader(program.geometry, {"PARAMETERS": program.parameters}).constants(constants)
        text = f"M = {values.multiplier}, B = {values.bias}, {values.owed} · Σq owed"
    except MissingWord as error:
        text = str(error)
    source = f"LOAD_CONSTANTS {constants.source.load}: {constants.source.word}"
    yield ["constants", f"{source}, tile {constants.tile} of the run: {text}"]
    yield ["requantized", f"S = {e.compute.shift}, at most {e.compute.maximum}"]


def _numbers(what: str, numbers: Sequence[int]) -> str:
    return f"{what} {', '.join(map(str, numbers))}" if numbers else "nothing"


def _source(program: Program, e: Explanation, source: Source) -> str:
    places = TensorPlaces(program)
    match source:
        case Loaded():
            tensor = places.place(source.word.region, source.word.address, e.layer.number)
            return f"{source.word} = {tensor}"
        case Convolved():
            inner = [str(tap) for tap in source.taps if tap is not None]
            return f"3×3 of {inner[0]} … {inner[-1]}" if inner else "3×3 of zeros"
        case Zero():
            return _ZEROS[source.kind]
    return "nothing: never written"


# Window ---------------------------------------------------------------------------------------------------------------


def _window(
    program: Program, e: Explanation, inspection: Inspection | None, limit: int
) -> tuple[list[tuple[str, str]], list[list[str]]]:
    columns = [("pass", "right"), ("ky", "right"), ("kx", "right"), ("word", "right"), ("address", "right"),
               ("codes from", "left"), ("by", "right")]  # fmt: skip
    found = inspection.evaluation if inspection is not None else None
    if found is not None:
        columns.append(("codes", "left"))
    weights: tuple[tuple[int, ...], ...] = ()
    if e.filter is not None:
        columns += [("weight word", "right"), ("from", "left"), ("multiplied by", "left")]
        try:
            weights = filter_weights(e, WordReader(program.geometry, {"PARAMETERS": program.parameters}))
        except MissingWord:
            weights = ((),) * len(e.steps)
    rows = []
    for index, step in enumerate(e.steps[:limit]):
        row = [str(step.digit_pass), str(step.kernel_y), str(step.kernel_x), str(step.channel), str(step.address),
               _source(program, e, step.source), ", ".join(map(str, step.source.loads[-1:]))]  # fmt: skip
        if found is not None:
            row.append(" ".join(map(str, found.codes[index])))
        if step.weights is not None:
            row += [f"{step.weights.number:,}", _slices(step, e.filter), " ".join(map(str, weights[index]))]
        rows.append(row)
    return columns, rows


def _slices(step: WindowStep, place: FilterPlace | None) -> str:
    """The slices that hold the filter's weights: usually one."""
    if step.weights is None or place is None or not step.weights.slices:
        return "nothing: never loaded"
    size = 8 * step.weights.slices[0].size
    first, last = place.weight_bits.first // size, (place.weight_bits.first + place.weight_bits.width - 1) // size
    return ", ".join(str(part) for part in step.weights.slices[first : last + 1])


# Values ---------------------------------------------------------------------------------------------------------------


def _show_inspection(program: Program, e: Explanation, inspection: Inspection) -> None:
    found = inspection.evaluation
    if found is None:
        console.print(f"[bold red]no value:[/] {inspection.missing}")
        return
    if found.constants is not None:
        constants = found.constants
        total = f"({found.accumulator} − {constants.owed} · {found.activation_sum}) · {constants.multiplier}"
        residual = f" + {found.residual} · {e.compute.residual_scale}" if e.residual else ""
        console.print(f"from these words: ({total}{residual} + {constants.bias}) >> {e.compute.shift}, at most "
                      f"{e.compute.maximum}: [bold]{found.code}[/]")  # fmt: skip
    else:
        console.print(f"from these words: their maximum, [bold]{found.code}[/]")
    expected = "" if inspection.expected is None else f"; the integer model has [bold]{inspection.expected}[/]"
    console.print(f"stored: [bold]{found.stored}[/]{expected}")
    for word in inspection.wrong:
        console.print(f"[bold red]not as it should be in memory:[/] {word}, {_part(program, e, word)}")
    console.print(_verdict(inspection, found.stored, found.code))


def _part(program: Program, e: Explanation, word: DdrWord) -> str:
    """What a word is to the value."""
    for step in e.steps:
        if step.weights is not None and word in step.weights.slices:
            return f"weight word {step.weights.number}"
    if word.region == "PARAMETERS":
        return "constants"
    return TensorPlaces(program).place(word.region, word.address, e.layer.number)


def _verdict(inspection: Inspection, stored: int, code: int) -> str:
    if inspection.passed:
        return "[bold green]The value is right[/], for all that is known."
    if stored != code:
        return (
            "[bold red]The device did not make what these words make:[/] its arithmetic is wrong, or what its memories "
            "on the chip held, or the order of events; or memory was written again since."
        )
    if inspection.wrong:
        return "[bold red]The device computed rightly from wrong words:[/] look at who writes them."
    return (
        "[bold red]The device computed rightly from right words, and the model has another value:[/] program and "
        "model do not belong together, or the program is wrong."
    )
