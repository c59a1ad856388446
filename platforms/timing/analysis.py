"""The longest paths of a design between registers, by block."""

import dataclasses
import re

import numpy as np

from .errors import TimingError
from .netlist import Design


@dataclasses.dataclass(frozen=True)
class Step:
    """A net of a path.

    Members
    -------
    fanout: its loads. cell: the type of the cell that drives it; "" where the path begins.
    arrival_ns: when its value is there, at the driver, after the clock's edge.
    """

    net: str
    fanout: int
    cell: str
    arrival_ns: float


@dataclasses.dataclass(frozen=True)
class Path:
    """A path from a register to a register.

    Members
    -------
    ns: its length: clock to output, cells, nets, setup.
    start, end: the net that it begins at, and the register and pin that it ends at.
    block: of its end.
    steps: the nets that it passes, the first included.
    """

    ns: float
    start: str
    end: str
    block: str
    steps: tuple[Step, ...]

    @property
    def levels(self) -> int:
        """Levels of logic: cells that it passes, carry chains counted once."""
        kinds = [step.cell for step in self.steps[1:]]
        return sum(
            not (kind.startswith("CARRY") and before.startswith("CARRY")) for before, kind in zip(["", *kinds], kinds)
        )


@dataclasses.dataclass(frozen=True)
class BlockTiming:
    """A block's endpoints: how many, how many above the limit, and its longest path."""

    name: str
    endpoints: int
    over_limit: int
    path: Path

    @property
    def worst_ns(self) -> float:
        return self.path.ns


@dataclasses.dataclass(frozen=True)
class TimingReport:
    """What an analysis found.

    Members
    -------
    limit_ns: what endpoints are held against.
    endpoints, over_limit: of the whole design.
    blocks: the slowest first.
    paths: the longest ones of different ends, the longest first.
    """

    grade: str
    calibrated: bool
    limit_ns: float
    cells: int
    endpoints: int
    over_limit: int
    blocks: tuple[BlockTiming, ...]
    paths: tuple[Path, ...]

    @property
    def worst_ns(self) -> float:
        return self.paths[0].ns

    @property
    def clock_hz(self) -> float:
        """The clock that the longest path allows."""
        return 1e9 / self.worst_ns


def analyse(design: Design, *, limit_ns: float, depth: int = 2, paths: int = 20) -> TimingReport:
    """Finds the longest paths of a design.

    Parameters
    ----------
    limit_ns: endpoints with longer paths are counted.
    depth: levels of the hierarchy that make a block.
    paths: to report; paths whose start and end differ only in numbers count as one.

    Raises
    ------
    TimingError: a combinational loop, with the nets in it; no path at all; a limit that is not above 0.
    """
    if not limit_ns > 0:
        raise TimingError(f"a limit of {limit_ns} ns is no clock period; give one above 0")
    arrivals = _Arrivals(design)
    lengths = arrivals.at[design.ends] + design.end_delays
    if not len(lengths):
        raise TimingError(f"module {design.top!r} has no register: there is no path to measure")
    order = np.argsort(-lengths, kind="stable")
    of_instance = [block_of(instance.path, design.top, depth) for instance in design.instances]
    names = sorted(set(of_instance))
    numbers = np.array([names.index(name) for name in of_instance])
    blocks = numbers[design.end_instances]
    first: dict[int, int] = {}
    for end in order.tolist():
        first.setdefault(int(blocks[end]), end)
        if len(first) == len(names):
            break
    over = lengths > limit_ns
    count, count_over = np.bincount(blocks, minlength=len(names)), np.bincount(blocks[over], minlength=len(names))
    found = []
    for block, end in first.items():
        path = arrivals.path(end, float(lengths[end]), names[block])
        found.append(BlockTiming(names[block], int(count[block]), int(count_over[block]), path))
    return TimingReport(
        grade=design.grade.name, calibrated=design.grade.calibrated, limit_ns=limit_ns, cells=design.cells,
        endpoints=len(lengths), over_limit=int(over.sum()), blocks=tuple(found),
        paths=tuple(_longest(arrivals, design, order, lengths, [names[block] for block in blocks[order]], paths)),
    )  # fmt: skip


def _longest(
    arrivals: "_Arrivals", design: Design, order: np.ndarray, lengths: np.ndarray, blocks: list[str], count: int
) -> list[Path]:
    """The longest paths, one of those that are alike but for numbers."""
    found: dict[tuple[str, str], Path] = {}
    for end, block in zip(order[: 50 * count].tolist(), blocks):
        path = arrivals.path(end, float(lengths[end]), block)
        found.setdefault((_alike(path.start), _alike(path.end)), path)
        if len(found) == count:
            break
    return list(found.values())


def _alike(name: str) -> str:
    return re.sub(r"\d+", "#", name)


def block_of(path: str, top: str, depth: int) -> str:
    """The block of an instance: the first `depth` names of its path, numbers of equal ones left out."""
    parts = [re.sub(r"[_.$]?\d+$", "", re.sub(r"\[\d+\]", "", part)) or part for part in path.split(".") if part]
    return ".".join(parts[:depth]) or top


class _Arrivals:
    """When each net's value is there after the clock's edge, at its driver (ns), and how.

    Raises
    ------
    TimingError: a combinational loop.
    """

    def __init__(self, design: Design) -> None:
        self.design = design
        self._names: dict[int, str] = {}
        arcs, nets = design.arcs, len(design.fanout)
        self.at = np.zeros(nets)
        np.maximum.at(self.at, design.launches, design.launch_delays)
        order = np.argsort(arcs[:, 0], kind="stable")
        begin = np.searchsorted(arcs[order, 0], np.arange(nets + 1))
        waits = np.bincount(arcs[:, 1], minlength=nets)
        ready = np.flatnonzero(waits == 0)
        done = 0
        while len(ready):
            done += len(ready)
            sizes = begin[ready + 1] - begin[ready]
            offsets = np.repeat(begin[ready] - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
            taken = order[np.arange(sizes.sum()) + offsets]
            targets = arcs[taken, 1]
            np.maximum.at(self.at, targets, self.at[arcs[taken, 0]] + design.arc_delays[taken])
            passed = np.bincount(targets, minlength=nets)
            touched = np.unique(targets)
            waits[touched] -= passed[touched]
            ready = touched[waits[touched] == 0]
        if done < nets:
            self._refuse_loop(np.flatnonzero(waits > 0))
        self._into = np.argsort(arcs[:, 1], kind="stable")
        self._into_begin = np.searchsorted(arcs[self._into, 1], np.arange(nets + 1))

    def _refuse_loop(self, left: np.ndarray) -> None:
        stuck = set(left.tolist())
        sources: dict[int, int] = {}
        for source, target in self.design.arcs.tolist():
            if source in stuck and target in stuck:
                sources[target] = source
        net, walked = next(iter(sources)), []
        while net not in walked:
            walked.append(net)
            net = sources[net]
        loop = walked[walked.index(net) :]
        names = " ← ".join(self.name(net) for net in loop[:6])
        raise TimingError(f"combinational loop of {len(loop)} nets: {names}; put a register into it")

    def name(self, net: int) -> str:
        """The name of a net, with the path of the outermost instance in which a person named it."""
        if net not in self._names:
            best = ((True, 99), f"net {net}")
            for instance in self.design.instances:
                for local in np.flatnonzero(instance.nets == net).tolist():
                    name = instance.definition.names[local]
                    rank = ("$" in name or not name, instance.path.count("."))
                    if rank < best[0]:
                        best = rank, f"{instance.path}.{name}" if instance.path else name
            self._names[net] = best[1]
        return self._names[net]

    def path(self, end: int, ns: float, block: str) -> Path:
        """The longest path to an endpoint."""
        design = self.design
        net = int(design.ends[end])
        steps: list[Step] = []
        while True:
            into = self._into[self._into_begin[net] : self._into_begin[net + 1]]
            came = design.arcs[into, 0]
            through = self.at[came] + design.arc_delays[into]
            best = int(np.argmax(through)) if len(into) else -1
            goes_on = best >= 0 and through[best] >= self.at[net] - 1e-9
            cell = ""
            if goes_on:
                arc = int(into[best])
                definition = design.instances[int(design.arc_instances[arc])].definition
                cell = definition.types[int(definition.arc_cells[int(design.arc_numbers[arc])])]
            steps.append(Step(self.name(net), int(design.fanout[net]), cell, round(float(self.at[net]), 3)))
            if not goes_on:
                break
            net = int(came[best])
        instance = design.instances[int(design.end_instances[end])]
        name = instance.definition.end_names[int(design.end_numbers[end])]
        steps.reverse()
        where = f"{instance.path}.{name}" if instance.path else name
        return Path(round(ns, 3), steps[0].net, where, block, tuple(steps))
