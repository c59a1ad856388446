"""Resource figures of a Verilog netlist by yosys' `synth_xilinx`: per block and in total, no vendor tool."""

import dataclasses
import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .boards import LUT_LIMIT, Part
from .yosys import Stage, SynthesisProgress, run_yosys

LUTS_OF_CELL = {
    **{f"LUT{n}": 1 for n in range(1, 7)},
    "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8,
    "SRL16E": 1, "SRLC32E": 1,
}  # fmt: skip
"""LUTs that a cell occupies (memories and shift registers in LUTs included)."""

HALF_BRAMS_OF_CELL = {"RAMB18E1": 1, "RAMB18E2": 1, "RAMB36E1": 2, "RAMB36E2": 2}


@dataclasses.dataclass(frozen=True)
class Resources:
    """What a netlist occupies."""

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram36: float = 0.0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(
            self.lut + other.lut, self.ff + other.ff, self.dsp + other.dsp, self.bram36 + other.bram36
        )

    def __rmul__(self, count: int) -> "Resources":
        return Resources(count * self.lut, count * self.ff, count * self.dsp, count * self.bram36)

    @classmethod
    def of_cells(cls, cells: Mapping[str, int]) -> "Resources":
        """Resources of technology cells by type; other types count nothing."""
        return cls(
            lut=sum(count * LUTS_OF_CELL.get(cell, 0) for cell, count in cells.items()),
            ff=sum(count for cell, count in cells.items() if cell in ("FDRE", "FDSE", "FDCE", "FDPE")),
            dsp=sum(count for cell, count in cells.items() if cell.startswith("DSP48E")),
            bram36=sum(count * HALF_BRAMS_OF_CELL.get(cell, 0) for cell, count in cells.items()) / 2,
        )

    def fits(self, part: Part) -> bool:
        """Whether a part can be expected to hold this: LUTs up to `LUT_LIMIT`, the rest up to all of it."""
        return (
            self.lut <= LUT_LIMIT * part.lut
            and self.ff <= part.ff
            and self.dsp <= part.dsp
            and self.bram36 <= part.bram36
        )


@dataclasses.dataclass(frozen=True)
class Block:
    """A module of the hierarchy with everything below it."""

    path: str
    count: int
    resources: Resources


@dataclasses.dataclass(frozen=True)
class SynthesisReport:
    """Totals and a table per block, largest first inside its parent, `depth` levels deep."""

    total: Resources
    blocks: tuple[Block, ...]
    family: str
    tool: str


def synthesize(
    verilog: str, *, top: str, family: str, depth: int = 2, dsp: bool = True, progress: SynthesisProgress | None = None
) -> SynthesisReport:
    """Synthesises Verilog, hierarchy kept, and counts cells.

    Parameters
    ----------
    dsp: whether multiplications become DSPs; yosys does not heed the attribute `use_dsp`.
    progress: told how far it is; see `run_yosys`.

    Raises
    ------
    SynthesisError: no yosys, or it failed.
    """
    count = Stage("counting cells", f"tee -q -o {_OUTPUT} stat -json")
    with _mapped(verilog, count, top=top, family=family, dsp=dsp, progress=progress) as output:
        report = json.loads(output.read_text())
    modules = {name.lstrip("\\"): body for name, body in report["modules"].items()}
    cells = {name: _cells(body) for name, body in modules.items()}
    totals: dict[str, Resources] = {}

    def total(name: str) -> Resources:
        if name not in totals:
            inner = (count * total(cell) for cell, count in cells[name].items() if cell in cells)
            totals[name] = sum(inner, Resources.of_cells(cells[name]))
        return totals[name]

    blocks: list[Block] = []

    def walk(name: str, path: str, count: int, level: int) -> None:
        blocks.append(Block(path, count, count * total(name)))
        if level == depth:
            return
        children = [(cell, number) for cell, number in cells[name].items() if cell in cells]
        own = Resources.of_cells(cells[name])
        for cell, number in sorted(children, key=lambda item: -(item[1] * total(item[0])).lut):
            walk(cell, f"{path}/{_short(cell, name)}", count * number, level + 1)
        if children and own.lut + own.ff:
            blocks.append(Block(f"{path}/(own logic)", count, count * own))

    walk(top, top, 1, 0)
    return SynthesisReport(total(top), tuple(blocks), family, report.get("creator", "yosys"))


def write_netlist(
    verilog: str, path: Path, *, top: str, family: str, dsp: bool = True, progress: SynthesisProgress | None = None
) -> None:
    """Synthesises Verilog as `synthesize` does and writes the netlist, hierarchy kept, as yosys' JSON.

    Raises
    ------
    SynthesisError: no yosys, or it failed.
    OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write = Stage("writing the netlist", f"write_json {_OUTPUT}")
    with _mapped(verilog, write, top=top, family=family, dsp=dsp, progress=progress) as output:
        shutil.move(output, path)


_OUTPUT = "output.json"
"""What yosys writes, in the folder in which it runs: the WebAssembly one sees no other."""


_LABELS = {
    "begin": "reading the family's cells",
    "prepare": "optimizing",
    "map_dsp": "multipliers",
    "coarse": "adders and comparators",
    "map_memory": "memories",
    "map_ffram": "memories of flip-flops",
    "fine": "carry chains and shift registers",
    "map_cells": "multiplexers",
    "map_ffs": "flip-flops",
    "map_luts": "LUTs",
    "finalize": "clock buffers",
    "check": "checking",
}
"""The parts of `synth_xilinx`, as its `-run` names them, in order; "edif" is the next, which is not wanted."""


@contextmanager
def _mapped(
    verilog: str, then: Stage, *, top: str, family: str, dsp: bool, progress: SynthesisProgress | None
) -> Iterator[Path]:
    """Maps Verilog to a family's cells, does with the result what `then` says, and gives the file that this writes."""
    flow = f"synth_xilinx -family {family} -top {top} -noiopad{'' if dsp else ' -nodsp'}"
    labels = [*_LABELS, "edif"]
    stages = [
        Stage("reading Verilog", f"read_verilog design.v; hierarchy -top {top}"),
        *(Stage(title, f"{flow} -run {label}:{end}") for (label, title), end in zip(_LABELS.items(), labels[1:])),
        then,
    ]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "design.v").write_text(verilog)
        modules = len(re.findall(r"^module ", verilog, re.MULTILINE))
        run_yosys(stages, Path(folder), modules=modules, progress=progress)
        yield Path(folder, _OUTPUT)


def _cells(body: Mapping) -> Counter[str]:
    return Counter({cell.lstrip("\\"): int(count) for cell, count in body["num_cells_by_type"].items()})


def _short(name: str, parent: str) -> str:
    return name.removeprefix(parent).lstrip(".") or name
