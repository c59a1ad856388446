"""Figures of `quantize`, `compile` and `export-qonnx`: what became of a model."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

from ...runtime.figures.fields import Means

Share = float
"""A number in 0 … 1."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantizedAccuracy:
    """Shares of the test images whose largest score is their label's; null without labels or with several outputs."""

    float: Annotated[Share | None, Means("the float model; null without labels, or with several outputs")]
    quantized: Annotated[Share | None, Means("the training's fake quantization; null likewise")]
    integer: Annotated[Share | None, Means("the integer model; null likewise")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantizedLayer:
    """A layer of the integer model."""

    name: Annotated[str, Means("name of the layer")]
    kind: Annotated[str, Means("type of the layer")]
    formats: Annotated[Mapping[str, int], Means("filters by weight format")]
    macs: Annotated[int, Means("multiply-accumulates of an image")]
    weight_bytes: Annotated[float, Means("of its weights, at the bits that filters have", "bytes")]
    bit_operations: Annotated[int, Means("MACs × weight bits × activation bits")]
    output_bits: Annotated[int, Means("of an activation that it stores", "bits")]
    sqnr_db: Annotated[float | None, Means("signal over quantization noise of its output, against the float model; "
                                           "null where it is infinite", "dB")]  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class NarrowedFilters:
    """Filters that lost bits so that their sums fit the accumulators."""

    layer: Annotated[str, Means("name of the layer")]
    filters: Annotated[int, Means("how many")]
    given: Annotated[str, Means("format that the method gave them")]
    taken: Annotated[str, Means("format that they have")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AgreementFigures:
    """The integer model against the fake quantization of the training, on test images."""

    differing: Annotated[float, Means("share of all layers' codes that differ")]
    far: Annotated[float, Means("share of those that differ by more than 1")]
    accuracy_difference: Annotated[float | None, Means("accuracy of the integer model less that of the fake "
                                                       "quantization; null without labels")]  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class FidelityFigures:
    """The integer model's scores against the float model's, on test images; no labels are asked."""

    top1_agreement: Annotated[Share | None, Means("share of the images whose largest score is the float model's; null "
                                                  "with a single score")]  # fmt: skip
    sqnr_db: Annotated[float | None, Means("signal over quantization noise of the scores; null where it is infinite",
                                           "dB")]  # fmt: skip
    images: Annotated[int, Means("images that were compared")]
    weight_bytes: Annotated[int, Means("of all weights, at the bits that filters have", "bytes")]
    poor: Annotated[bool, Means("whether the scores have under 8 dB, or under 70 % of the decisions are the float "
                                "model's")]  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemedyFigures:
    """Something to try, and what the model would cost with it."""

    option: Annotated[str, Means("of `quantize`, in place of what it was run with or beside it")]
    meaning: Annotated[str, Means("what it does")]
    model_frames_per_second: Annotated[float, Means("by the cycle model, at the board's clock", "frames/s")]
    weight_bytes: Annotated[int, Means("of all weights", "bytes")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CandidateFigures:
    """An assignment that was tried to reach a target."""

    layers: Annotated[tuple[str, ...], Means("names of those that have 8 bits for all their filters beside what the "
                                             "method gave them")]  # fmt: skip
    top1_agreement: Annotated[Share | None, Means("as of `fidelity`, on training images held out from calibration")]
    sqnr_db: Annotated[float | None, Means("likewise", "dB")]
    model_frames_per_second: Annotated[float, Means("by the cycle model, at the board's clock", "frames/s")]
    weight_bytes: Annotated[int, Means("of all weights", "bytes")]
    reached: Annotated[bool, Means("whether it reaches the target by itself, before `--reconstruct` or `--refine`")]
    taken: Annotated[bool, Means("whether it is the model's")]
    learned_top1_agreement: Annotated[Share | None, Means("of the one that is taken, as `top1_agreement`, after "
                                                          "`--reconstruct` or `--refine`; null without")]  # fmt: skip
    learned_sqnr_db: Annotated[float | None, Means("likewise", "dB")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantizeFigures:
    """What `quantize` writes."""

    network: Annotated[str, Means("name of the network")]
    method: Annotated[str, Means("how filters were given their formats")]
    board: Annotated[str, Means("name of the board whose lanes it was quantized for")]
    activation_bits: Annotated[int, Means("of hidden activations", "bits")]
    accuracy: Annotated[QuantizedAccuracy, Means("shares of the test images whose largest score is their label's")]
    narrowed: Annotated[tuple[NarrowedFilters, ...], Means("filters that lost bits so that their sums fit the "
                                                           "accumulators")]  # fmt: skip
    agreement: Annotated[AgreementFigures, Means("the integer model against the fake quantization of the training, on "
                                                 "test images")]  # fmt: skip
    fidelity: Annotated[FidelityFigures | None, Means("the integer model against the float model; null with several "
                                                      "outputs")]  # fmt: skip
    model_cycles: Annotated[int, Means("of a frame on the board, by the cycle model", "cycles")]
    model_frames_per_second: Annotated[float, Means("by the cycle model, at the board's clock", "frames/s")]
    remedies: Annotated[tuple[RemedyFigures, ...], Means("what to try next, if `fidelity.poor`")]
    candidates: Annotated[tuple[CandidateFigures, ...], Means("the assignments that were tried to reach "
                                                              "`--target-sqnr` and `--target-agreement`")]  # fmt: skip
    layers: Annotated[tuple[QuantizedLayer, ...], Means("in order of execution")]
    seconds: Annotated[float, Means("wall-clock time", "s")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingEpoch:
    """A line of `quantize --training-log`."""

    phase: Annotated[str, Means("`float` or `quantized`")]
    epoch: Annotated[int, Means("number of the epoch in its phase, from 1")]
    loss: Annotated[float, Means("mean over the training images")]
    train_accuracy: Annotated[float | None, Means("on the images as they were trained with")]
    accuracy: Annotated[float | None, Means("on the test images; null where it was not measured")]
    learning_rate: Annotated[float, Means("of the last step")]
    formats_changed: Annotated[float, Means("share of the filters that have another format than in the epoch before")]
    seconds: Annotated[float, Means("wall-clock time of the epoch", "s")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompiledLayer:
    """A layer of a program: of a whole run, all images that it computes at once."""

    number: Annotated[int, Means("number of the layer, in order of execution, from 0")]
    name: Annotated[str, Means("name of the layer")]
    on_load: Annotated[str, Means("the depthwise layer that is computed while this one's input is loaded, or \"\"; its "
                                  "MACs are among `macs`")]  # fmt: skip
    kind: Annotated[str, Means("type of the layer")]
    macs: Annotated[int, Means("multiply-accumulates that the model asks for")]
    formats: Annotated[Mapping[str, int], Means("filters by weight format")]
    lanes: Annotated[Mapping[str, int], Means("filters by class of the lane that computes them")]
    steps: Annotated[int, Means("steps of the array that the program spends on it", "cycles")]
    ideal_cycles: Annotated[float, Means("what it would take at the array's full rate", "cycles")]
    read_bytes: Annotated[int, Means("read from DDR", "bytes")]
    write_bytes: Annotated[int, Means("written to DDR", "bytes")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompileFigures:
    """What `compile` writes."""

    network: Annotated[str, Means("name of the network")]
    board: Annotated[str, Means("name of the board")]
    batch: Annotated[int, Means("images that a run of the program computes at once")]
    geometry: Annotated[Mapping[str, Any], Means("every parameter of the accelerator (hdl/geometry.py)")]
    instructions: Annotated[int, Means("how many the program has")]
    parameter_bytes: Annotated[int, Means("weights and constants", "bytes")]
    sizes: Annotated[Mapping[str, int], Means("memory by region", "bytes")]
    border_bytes: Annotated[int, Means("of the regions, what the host lays around maps when it loads the program",
                                       "bytes")]  # fmt: skip
    steps: Annotated[int, Means("steps of the array in a run", "cycles")]
    layers: Annotated[tuple[CompiledLayer, ...], Means("in order of execution; of a whole run, all `batch` images")]
    seconds: Annotated[float, Means("wall-clock time of compiling", "s")]
    model_cycles: Annotated[int | None, Means("of a frame, by the cycle model", "cycles", "with `--estimate`")] = None
    model_frames_per_second: Annotated[float | None, Means("by the cycle model, at the board's clock", "frames/s",
                                                           "with `--estimate`")] = None  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportedFormat:
    """A weight format of the model as QONNX has it."""

    bits: Annotated[int, Means("of its `Quant`", "bits")]
    scale: Annotated[float, Means("of its `Quant`, before the filter's own")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportFigures:
    """What `export-qonnx` writes."""

    network: Annotated[str, Means("name of the network")]
    file: Annotated[str, Means("path of the file written")]
    bytes: Annotated[int, Means("its size", "bytes")]
    batch: Annotated[int, Means("images of one inference")]
    layers: Annotated[int, Means("how many the integer model has")]
    formats: Annotated[Mapping[str, ExportedFormat], Means("by weight format of the model ([interchange.md]"
                                                           "(interchange.md))")]  # fmt: skip
