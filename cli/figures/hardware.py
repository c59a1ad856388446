"""Figures of `boards`, `elaborate`, `synthesize`, `build`, `reports` and `hls`: what became of an accelerator."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

from ...runtime.figures.fields import Means


@dataclasses.dataclass(frozen=True, kw_only=True)
class OccupancyFigures:
    """What a geometry takes of its part."""

    lut: Annotated[int, Means("LUTs; memories and shift registers in LUTs count too")]
    dsp: Annotated[int, Means("DSP48s")]
    bram36: Annotated[float, Means("block RAMs of 36 Kb")]
    source: Annotated[str, Means("`yosys` (a synthesis on record) or `estimate`")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoardLimits:
    """What a board's part has."""

    lut: Annotated[int, Means("LUTs of the part")]
    dsp: Annotated[int, Means("DSP48s of the part")]
    bram36: Annotated[float, Means("block RAMs of the part")]
    lut_share: Annotated[float, Means("share of its LUTs that may be used")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoardFigures:
    """A board."""

    name: Annotated[str, Means("what `--board` takes")]
    title: Annotated[str, Means("its maker's name for it")]
    part: Annotated[str | None, Means("the device, as vendor tools spell it; null: in simulation only")]
    clock_hz: Annotated[float, Means("clock at which figures are stated", "Hz")]
    memory: Annotated[str, Means("kind of the memory")]
    memory_bytes_per_second: Annotated[float, Means("peak of the memory", "bytes/s")]
    geometry: Annotated[Mapping[str, Any], Means("every parameter of the accelerator (hdl/geometry.py)")]
    macs_per_cycle: Annotated[int, Means("multiply-accumulates that the array can do in a cycle")]
    lanes: Annotated[Mapping[str, int], Means("filter lanes of a tile, by class")]
    occupancy: Annotated[OccupancyFigures, Means("what the geometry takes of the part")]
    limits: Annotated[BoardLimits | None, Means("what the part has; null without a part")]
    fits: Annotated[bool | None, Means("whether the geometry stays inside; null without a part")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoardsFigures:
    """What `boards` writes."""

    boards: Annotated[tuple[BoardFigures, ...], Means("those that are known")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ElaborateFigures:
    """What `elaborate` writes."""

    board: Annotated[str, Means("name of the board")]
    geometry: Annotated[Mapping[str, Any], Means("every parameter of the accelerator (hdl/geometry.py)")]
    signature: Annotated[str, Means("of the geometry, hexadecimal: what programs are checked against")]
    verilog: Annotated[str, Means("path of the file written")]
    lines: Annotated[int, Means("of Verilog")]
    modules: Annotated[int, Means("of Verilog")]
    seconds: Annotated[float, Means("wall-clock time", "s")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PartLimits:
    """What a part has."""

    lut: Annotated[int, Means("LUTs of the part")]
    ff: Annotated[int, Means("flip-flops of the part")]
    dsp: Annotated[int, Means("DSP48s of the part")]
    bram36: Annotated[float, Means("block RAMs of the part")]
    lut_share: Annotated[float, Means("share of its LUTs that may be used")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockFigures:
    """A module of the accelerator with everything below it."""

    path: Annotated[str, Means("names from the top, with `/` between them")]
    count: Annotated[int, Means("instances")]
    lut: Annotated[int, Means("LUTs")]
    ff: Annotated[int, Means("flip-flops")]
    dsp: Annotated[int, Means("DSP48s")]
    bram36: Annotated[float, Means("block RAMs of 36 Kb")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SynthesizeFigures:
    """What `synthesize` writes."""

    board: Annotated[str, Means("name of the board")]
    geometry: Annotated[Mapping[str, Any], Means("every parameter of the accelerator (hdl/geometry.py)")]
    part: Annotated[str | None, Means("the device; null: in simulation only")]
    tool: Annotated[str, Means("name and version of what counted")]
    lut: Annotated[int, Means("LUTs in all; memories and shift registers in LUTs count too")]
    ff: Annotated[int, Means("flip-flops in all")]
    dsp: Annotated[int, Means("DSP48s in all")]
    bram36: Annotated[float, Means("block RAMs of 36 Kb in all")]
    limits: Annotated[PartLimits | None, Means("what the part has; null without a part")]
    fits: Annotated[bool | None, Means("whether all four stay inside; null without a part")]
    blocks: Annotated[tuple[BlockFigures, ...], Means("modules with everything below them")]
    seconds: Annotated[float, Means("wall-clock time", "s")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class UsageFigures:
    """A kind of resource in a report."""

    used: Annotated[float, Means("by the design")]
    available: Annotated[float, Means("in the part")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimingFigures:
    """Worst slacks of a report."""

    setup_ns: Annotated[float | None, Means("worst setup slack; null without a path", "ns")]
    hold_ns: Annotated[float | None, Means("worst hold slack; null without a path", "ns")]
    pulse_width_ns: Annotated[float | None, Means("worst slack of a pulse's width; null without one", "ns")]
    failing_endpoints: Annotated[int | None, Means("paths' ends that are too late; null: not counted")]
    met: Annotated[bool, Means("whether the design works at its clock")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PowerFigures:
    """Power, as the tool estimates it."""

    total_watts: Annotated[float, Means("in all", "W")]
    dynamic_watts: Annotated[float, Means("of what switches", "W")]
    static_watts: Annotated[float, Means("of leakage", "W")]
    junction_celsius: Annotated[float | None, Means("temperature of the die", "°C")]
    confidence: Annotated[str, Means("the tool's own, of its estimate")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportsFigures:
    """What `reports` writes."""

    utilisation: Annotated[
        Mapping[str, UsageFigures], Means("by kind: `LUT` or `LUT half`, `FF`, `BRAM36`, `URAM`, `DSP`")
    ]
    timing: Annotated[TimingFigures | None, Means("worst slacks; null without the report")]
    power: Annotated[PowerFigures | None, Means("null without the report")]
    problems: Annotated[tuple[str, ...], Means("a line for each report that is absent or cut short")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuildFigures:
    """What `build` writes."""

    board: Annotated[str, Means("name of the board")]
    part: Annotated[str, Means("the device")]
    toolchain: Annotated[str, Means("`vivado` or `open`")]
    flow: Annotated[str, Means("`rtl` or `block-design`")]
    clock_hz: Annotated[float, Means("what the processing system gives", "Hz")]
    expected_clock_hz: Annotated[float | None, Means("what the timing analysis allows; null: none on record", "Hz")]
    signature: Annotated[str, Means("of the geometry, hexadecimal")]
    prepare_seconds: Annotated[float, Means("wall-clock time until the project was written", "s")]
    tools: Annotated[Mapping[str, str], Means("versions of the open tools that were found, by name")]
    bitstream: Annotated[str | None, Means("path; null with `--prepare-only`")]
    reports: Annotated[ReportsFigures | None, Means("as `reports` writes it; null with `--prepare-only`")]
    seconds: Annotated[float, Means("wall-clock time", "s")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TileFigures:
    """The loop tiles of the HLS kernels."""

    tm: Annotated[int, Means("filters")]
    tn: Annotated[int, Means("channels")]
    tr: Annotated[int, Means("rows")]
    tc: Annotated[int, Means("columns")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class HlsNetworkFigures:
    """A network by FILM-QNN's equations."""

    cycles: Annotated[int, Means("of a frame", "cycles")]
    frames_per_second: Annotated[float, Means("at `clock_hz`", "frames/s")]
    macs: Annotated[int, Means("multiply-accumulates of a frame")]
    array_utilisation: Annotated[float, Means("`macs` / (`cycles` · `macs_per_cycle`)")]
    cycles_by_bound: Annotated[Mapping[str, float], Means("shares of the cycles, by what bounds the layers")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class HlsSimulationFigures:
    """A C simulation."""

    name: Annotated[str, Means("of the test bench or of the network")]
    passed: Annotated[bool, Means("whether every value equals PyTorch's")]
    seconds: Annotated[float, Means("wall-clock time", "s")]
    result: Annotated[str, Means("what it printed last")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class HlsFigures:
    """What `hls` writes."""

    board: Annotated[str, Means("name of the board")]
    part: Annotated[str, Means("the device")]
    clock_hz: Annotated[float, Means("clock that the equations assume", "Hz")]
    network: Annotated[str, Means("name of the network whose vectors are written")]
    activation_bits: Annotated[int, Means("of an activation slot", "bits")]
    lut_scheme: Annotated[str, Means("class of the LUT filters")]
    images: Annotated[int, Means("images in the vectors")]
    tile: Annotated[TileFigures, Means("of the build's loops")]
    macs_per_cycle: Annotated[int, Means("multiply-accumulates that the kernels do in a cycle")]
    dsp: Annotated[int, Means("DSPs of the packed products")]
    model: Annotated[
        Mapping[str, HlsNetworkFigures],
        Means("by network, `network` and published ones, FILM-QNN's equations for the build"),
    ]
    compile_seconds: Annotated[float | None, Means("wall-clock time of g++", "s", "with `--run`")] = None
    simulations: Annotated[tuple[HlsSimulationFigures, ...] | None, Means("C simulations", only="with `--run`")] = None
    seconds: Annotated[float, Means("wall-clock time", "s")]
