"""Whether a change left the products as they were: SHA-256 of all that the tools write, before and after.

    python -m benchmarks.fingerprints -o before.json          (on the commit that the change starts from)
    python -m benchmarks.fingerprints --compare before.json   (with the change; exit code 1 where anything differs)

Networks are those of the zoo with seeded weights. Of each one: its integer graph (`graph`), and for each board and
batch the program's instructions, parameters, file and listing, and the cycle model's estimate. Of each board: the
accelerator's Verilog. Fingerprints are compared on one machine: floating point, and so the integer graph, may differ
between processors. By default two small networks and two boards; `--all` takes four published networks at 224 × 224
and every geometry that differs.
"""

import argparse
import dataclasses
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch

from intramix.compiler.compile import compile_graph
from intramix.compiler.program import fileformat as program_file
from intramix.compiler.program.listing import listing
from intramix.explore.cycles import estimate
from intramix.hdl.accelerator import accelerator_verilog
from intramix.hdl.geometry import Geometry
from intramix.platforms.boards import board
from intramix.quant.assignment.lane_mix import LaneMix
from intramix.quant.graph import fileformat as graph_file
from intramix.quant.graph.formats import FIXED4
from intramix.quant.graph.graph import IntegerGraph

from .seeded import quantize_seeded

BYTES_PER_CYCLE, LATENCY_CYCLES = 15.75, 40
"""The memory of the estimates: 75 % of 2.1 GB/s at 100 MHz."""
MIX = LaneMix(2, 6, 24, FIXED4)
ACCUMULATOR_BITS = 25

Fingerprints = dict[str, str]
"""By what was written, SHA-256; of an estimate the cycles."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Selection:
    """What fingerprints are taken of.

    Members
    -------
    networks: name and edge length of the images.
    boards: that programs are compiled for.
    verilog: boards whose accelerators are generated.
    """

    networks: tuple[tuple[str, int], ...]
    boards: tuple[str, ...]
    batches: tuple[int, ...]
    verilog: tuple[str, ...]


QUICK = Selection(
    networks=(("resnet-tiny", 32), ("mobilenet-tiny", 32)), boards=("small", "zcu102"), batches=(1, 2),
    verilog=("small", "pynq-z2-lut"),
)  # fmt: skip
ALL = Selection(
    networks=(*QUICK.networks, ("resnet18", 224), ("resnet50", 224), ("mobilenet_v2", 224), ("squeezenet1_1", 224)),
    boards=("small", "pynq-z2", "zc706", "zcu102"), batches=(1, 2),
    verilog=("small", "pynq-z2", "pynq-z2-lut", "zc706", "zcu102", "zu15eg"),
)  # fmt: skip


def sha256(content: bytes | str) -> str:
    """The hexadecimal digest of bytes, or of a text in UTF-8."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def of_graph(name: str, size: int) -> tuple[IntegerGraph, Fingerprints]:
    """A seeded network as an integer graph, and its file's fingerprint."""
    graph = quantize_seeded(name, MIX, accumulator_bits=ACCUMULATOR_BITS, size=size, seed=1)[0].graph
    return graph, {f"{name} graph": sha256(_written(lambda path: graph_file.save(graph, path)))}


def of_program(graph: IntegerGraph, name: str, geometry: Geometry, *, batch: int) -> Fingerprints:
    """All that is written of a graph compiled for a geometry."""
    program = compile_graph(graph, geometry, batch=batch)
    cycles = estimate(program, bytes_per_cycle=BYTES_PER_CYCLE, latency_cycles=LATENCY_CYCLES).cycles
    return {
        f"{name} instructions": sha256(program.instructions),
        f"{name} parameters": sha256(program.parameters),
        f"{name} file": sha256(_written(lambda path: program_file.save(program, path))),
        f"{name} listing": sha256(listing(program)),
        f"{name} estimate": f"{cycles} cycles",
    }


def fingerprints(selection: Selection) -> Iterator[Fingerprints]:
    """The fingerprints of a selection, a few at a time, as they are made."""
    for name, size in selection.networks:
        graph, found = of_graph(name, size)
        yield found
        for place in selection.boards:
            for batch in selection.batches:
                yield of_program(graph, f"{name} {place} batch {batch}", board(place).geometry, batch=batch)
    for place in selection.verilog:
        yield {f"{place} verilog": sha256(accelerator_verilog(board(place).geometry))}


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What differs, a line each, in the order of `after`; what only one of the two has counts."""
    lines = [f"{name}: differs" for name, value in after.items() if name in before and before[name] != value]
    lines += [f"{name}: only now" for name in after if name not in before]
    return lines + [f"{name}: only before" for name in before if name not in after]


def _written(save: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        save(path)
        return path.read_bytes()


def main(arguments: list[str] | None = None) -> int:
    """Takes fingerprints, shows them as they come, writes or compares them. 1 if anything differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the fingerprints")
    what.add_argument("--compare", type=Path, metavar="FILE", help="compare with those of a file of -o")
    parser.add_argument("--all", action="store_true", help="published networks and every geometry (half an hour)")
    options = parser.parse_args(arguments)
    before: Fingerprints = json.loads(options.compare.read_text()) if options.compare else {}
    torch.set_num_threads(1)
    found: Fingerprints = {}
    started = time.monotonic()
    for some in fingerprints(ALL if options.all else QUICK):
        for name, value in some.items():
            mark = "" if name not in before else "  same" if before[name] == value else "  DIFFERS"
            print(f"{time.monotonic() - started:6.0f} s  {name:48} {value[:16]}{mark}", flush=True)
        found |= some
    if options.output:
        options.output.write_text(json.dumps(found, indent=1) + "\n")
        print(f"{len(found)} fingerprints in {options.output}")
        return 0
    lines = differences(before, found)
    print("\n".join([*lines, f"{len(found)} fingerprints, {len(lines)} differ"]))
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
