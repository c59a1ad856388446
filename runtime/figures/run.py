"""The figures of runs of a program, whatever they were made for."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from ...compiler.program.program import Program
from ..device import DeviceKind
from ..results import ProgramRun, RunResult
from .fields import Means
from .layers import utilisation

_BATCH = Means("images that a run of the program computes at once")
_CLOCK = Means("clock of the accelerator", "Hz")
_RUN = Means(
    "from start to interrupt, mean of the runs: until the answers of all images of a batch are there", "cycles"
)
_FRAME = Means("`cycles_per_run` / `batch`", "cycles")
_RATE = Means("at `clock_hz`, of the accelerator alone", "frames/s")


def _where_measured(means: Means) -> Means:
    return dataclasses.replace(means, text=f"{means.text}; null where the device is `interpreted`: not measured")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeedFigures:
    """How fast the accelerator alone is, all runs full."""

    batch: Annotated[int, _BATCH]
    clock_hz: Annotated[float, _CLOCK]
    cycles_per_run: Annotated[float, _RUN]
    cycles_per_frame: Annotated[float, _FRAME]
    frames_per_second: Annotated[float, _RATE]


_UNMEASURED = dict.fromkeys(field.name for field in dataclasses.fields(SpeedFigures))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunFigures(SpeedFigures):
    """Totals of runs, of a frame where nothing else is said."""

    network: Annotated[str, Means("name of the network")]
    geometry: Annotated[Mapping[str, Any], Means("every parameter of the accelerator (hdl/geometry.py)")]
    macs_per_cycle: Annotated[int, Means("multiply-accumulates that the array can do in a cycle")]
    activation_bits: Annotated[int, Means("bits of an activation slot", "bits")]
    images: Annotated[int, Means("images run")]
    macs: Annotated[int, Means("multiply-accumulates of a frame")]
    gops: Annotated[float, Means("operations a second, two a multiply-accumulate", "10⁹/s")]
    array_utilisation: Annotated[float, Means("multiply-accumulates of the array (without those of depthwise layers on "
                                              "load) / (`cycles_per_frame` · `macs_per_cycle`)")]  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictionFigures:
    """What `run` writes: predictions and speed, of the accelerator and with the host."""

    batch: Annotated[int, _BATCH]
    clock_hz: Annotated[float | None, _where_measured(_CLOCK)]
    cycles_per_run: Annotated[float | None, _where_measured(_RUN)]
    cycles_per_frame: Annotated[float | None, _where_measured(_FRAME)]
    frames_per_second: Annotated[float | None, _where_measured(_RATE)]
    network: Annotated[str, Means("name of the program")]
    device: Annotated[str, Means("`sim`, `interpreted` or `pynq`")]
    images: Annotated[int, Means("images run")]
    host_frames_per_second: Annotated[float | None, Means("with the driver, from `host_seconds`; null unless on a "
                                                          "board", "frames/s")]  # fmt: skip
    host_seconds: Annotated[float, Means("wall-clock time of all images with the driver", "s")]
    predictions: Annotated[tuple[int, ...] | None, Means("class of the largest score of each image; null where the "
                                                         "program has not exactly one vector of scores")]  # fmt: skip
    accuracy: Annotated[float | None, Means("share of the predictions that equal the label; null without labels or "
                                            "predictions")]  # fmt: skip
    outputs: Annotated[Mapping[str, tuple[int, ...]], Means("shape of every output, by its name")]

    @property
    def speed(self) -> SpeedFigures | None:
        """How fast the accelerator alone is; None where the device measures no cycles."""
        if self.clock_hz is None:
            return None
        return SpeedFigures(**{field.name: getattr(self, field.name) for field in dataclasses.fields(SpeedFigures)})


def speed_fields(program: Program, runs: Sequence[ProgramRun], *, clock_hz: float) -> dict[str, Any]:
    """The fields of `SpeedFigures`."""
    cycles = sum(run.cycles for run in runs) / len(runs)
    frame = cycles / program.batch
    return {
        "batch": program.batch,
        "clock_hz": clock_hz,
        "cycles_per_run": cycles,
        "cycles_per_frame": frame,
        "frames_per_second": clock_hz / frame,
    }


def run_fields(program: Program, runs: Sequence[ProgramRun], *, images: int, clock_hz: float) -> dict[str, Any]:
    """The fields of `RunFigures`."""
    macs = sum(layer.macs + layer.on_load_macs for layer in program.layers) // program.batch
    speed = speed_fields(program, runs, clock_hz=clock_hz)
    return {
        **speed,
        "network": program.name,
        "geometry": program.geometry.to_dict(),
        "macs_per_cycle": program.geometry.macs_per_cycle,
        "activation_bits": program.geometry.activation_bits,
        "images": images,
        "macs": macs,
        "gops": 2 * macs * speed["frames_per_second"] / 1e9,
        "array_utilisation": utilisation(sum(layer.macs for layer in program.layers), speed["cycles_per_run"], program),
    }


def prediction_figures(
    program: Program, result: RunResult, labels: "Sequence[int] | Any | None", *, kind: DeviceKind
) -> PredictionFigures:
    """Figures of images that were run.

    Parameters
    ----------
    labels: one an image, or None.
    kind: of the device; one that measures no cycles has no speed, and of software the host's time says nothing.
    """
    predictions = result.predictions
    speed = speed_fields(program, result.runs, clock_hz=result.clock_hz) if kind.measures_cycles else _UNMEASURED
    return PredictionFigures(
        **{**speed, "batch": program.batch},
        network=program.name,
        device=kind.value,
        images=result.images,
        host_frames_per_second=None if kind.is_software else result.images / result.seconds,
        host_seconds=result.seconds,
        predictions=None if predictions is None else tuple(predictions.tolist()),
        accuracy=None if predictions is None or labels is None else float((predictions == labels).mean()),
        outputs={output.name: result.codes[output.name].shape for output in program.outputs},
    )
