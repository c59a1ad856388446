"""Figures of `timing`: the paths of an accelerator's netlist."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

from ...platforms.timing.analysis import BlockTiming, Path, TimingReport
from ...runtime.figures.fields import Means


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepFigures:
    """A net of a path."""

    net: Annotated[str, Means("name of the net, with the path of its instance")]
    fanout: Annotated[int, Means("its loads")]
    cell: Annotated[str, Means("type of the cell that drives it; empty where the path begins")]
    arrival_ns: Annotated[float, Means("when its value is there, at its driver, after the clock's edge", "ns")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PathFigures:
    """A path between two registers."""

    ns: Annotated[float, Means("clock to output, cells, nets and setup", "ns")]
    levels: Annotated[int, Means("levels of logic, a carry chain counted once")]
    start: Annotated[str, Means("the net that it begins at")]
    end: Annotated[str, Means("the register and its pin that it ends at")]
    block: Annotated[str, Means("of its end")]
    steps: Annotated[tuple[StepFigures, ...], Means("the nets that it passes, in order")]

    @classmethod
    def of(cls, path: Path) -> "PathFigures":
        """The figures of a path."""
        steps = tuple(StepFigures(**dataclasses.asdict(step)) for step in path.steps)
        return cls(
            ns=path.ns, levels=path.levels, start=path.start, end=path.end, block=path.block, steps=steps
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockTimingFigures:
    """A block."""

    name: Annotated[str, Means("names of the hierarchy, numbers of equal instances left out")]
    worst_ns: Annotated[float, Means("its longest path", "ns")]
    endpoints: Annotated[int, Means("pins that paths end at")]
    endpoints_over_limit: Annotated[int, Means("of these, those whose path is longer than `limit_ns`")]
    path: Annotated[PathFigures, Means("the longest one")]

    @classmethod
    def of(cls, block: BlockTiming) -> "BlockTimingFigures":
        """The figures of a block."""
        return cls(
            name=block.name, worst_ns=block.worst_ns, endpoints=block.endpoints,
            endpoints_over_limit=block.over_limit, path=PathFigures.of(block.path),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimingFigures:
    """What `timing` writes."""

    board: Annotated[str, Means("name of the board")]
    geometry: Annotated[Mapping[str, Any], Means("every parameter of the accelerator (hdl/geometry.py)")]
    part: Annotated[str | None, Means("the device, as vendor tools spell it; null: in simulation only")]
    grade: Annotated[str, Means("family, fabric and speed grade whose delays were taken")]
    calibrated: Annotated[bool, Means("whether these delays were fitted to placed and routed blocks")]
    worst_ns: Annotated[float, Means("the longest path", "ns")]
    clock_hz: Annotated[int, Means("the clock that it allows", "Hz")]
    limit_ns: Annotated[float, Means("clock period that paths are held against", "ns")]
    cells: Annotated[int, Means("cells of the netlist")]
    endpoints: Annotated[int, Means("pins that paths end at")]
    endpoints_over_limit: Annotated[int, Means("of these, those whose path is longer than `limit_ns`")]
    blocks: Annotated[tuple[BlockTimingFigures, ...], Means("the slowest first")]
    paths: Annotated[tuple[PathFigures, ...], Means("the longest, those that differ in numbers alone counted once")]
    seconds: Annotated[float, Means("wall-clock time", "s")]

    @classmethod
    def of(
        cls, report: TimingReport, *, board: str, geometry: Mapping[str, Any], part: str | None, seconds: float
    ) -> "TimingFigures":
        """The figures of an analysis."""
        return cls(
            board=board, geometry=geometry, part=part, grade=report.grade, calibrated=report.calibrated,
            worst_ns=report.worst_ns, clock_hz=round(report.clock_hz), limit_ns=report.limit_ns, cells=report.cells,
            endpoints=report.endpoints, endpoints_over_limit=report.over_limit,
            blocks=tuple(map(BlockTimingFigures.of, report.blocks)), paths=tuple(map(PathFigures.of, report.paths)),
            seconds=seconds,
        )
