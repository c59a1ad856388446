"""What a lane of the array costs: LUTs, flip-flops and DSPs for each multiply-accumulate of a cycle.

`python -m benchmarks.lane_cost [--channels 16] [--accumulator 25] [--json FILE]` synthesises each cell alone, with its
pipeline, accumulators, capture registers and local controls, with yosys' `synth_xilinx` (family xc7, xcup for DSP48E2).
What pixel or filter lanes share is listed apart, to be divided by the lanes that share it: pair sums and Σq by To,
decoders by P. LUTs include shift registers. Numbers and what was tried: docs/decisions/0001-lut-lanes.md.
"""

import argparse
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from intramix.hdl.array.arithmetic import Skew
from intramix.hdl.array.cells import CELLS
from intramix.hdl.array.channel_sum import ChannelSum
from intramix.hdl.array.dsp_lanes import DspCell
from intramix.hdl.geometry import Dsp
from intramix.hdl.lane_classes import LaneClass
from intramix.hdl.verilog import generate
from intramix.platforms.synthesis import synthesize


@dataclasses.dataclass(frozen=True)
class Case:
    """A component and the multiply-accumulates that it does in a cycle (or serves, for shared ones)."""

    name: str
    component: Any
    macs: int
    family: str = "xc7"


def cases(channels: int, bits: int, accumulator_bits: int) -> Iterator[Case]:
    """Every lane kind for `bits`-bit activations."""
    common = {"channels": channels, "bits": bits, "accumulator_bits": accumulator_bits}
    for dsp, family in ((Dsp.DSP48E1, "xc7"), (Dsp.DSP48E2, "xcup")):
        yield Case(f"{dsp.value} fixed-4, 2 × 2", DspCell(dsp, LaneClass.FIXED4, **common), 4 * channels, family)
        wide = DspCell(dsp, LaneClass.FIXED8, filters=1, **common)
        yield Case(f"{dsp.value} fixed-8, 1 × 2", wide, 2 * channels, family)
    for lane in (*(lane for lane in LaneClass if lane.is_lut), LaneClass.FIXED8):
        name = lane.value if lane.is_lut else f"lut-{lane.value}"
        cell = CELLS[lane](lane, **common)
        yield Case(name, cell, channels)
        delays = tuple(1 + cycles for cycles in cell.chains.channel_delays)
        shared = cell.decoder() or Skew(bits=lane.weight_bits, delays=delays)
        yield Case(f"shared by P: {name} weights", shared, channels)
    yield Case("shared by To: pair sums and Σq", ChannelSum(**common), channels)


def measure(case: Case) -> dict[str, Any]:
    """Figures of a case."""
    total = synthesize(generate(case.component, "cell"), top="cell", family=case.family).total
    return {
        "name": case.name, "family": case.family, "lut": total.lut, "ff": total.ff, "dsp": total.dsp,
        "lut_per_mac": round(total.lut / case.macs, 2), "ff_per_mac": round(total.ff / case.macs, 2),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="LUTs and flip-flops of the array's lanes, by yosys.")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--accumulator", type=int, default=25, help="bits of an accumulator")
    parser.add_argument("--bits", type=int, nargs="*", default=[4, 5], help="bits of an activation")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    for bits in arguments.bits:
        print(f"A{bits}, {arguments.channels} channels, {arguments.accumulator}-bit accumulators, synth_xilinx")
        for case in cases(arguments.channels, bits, arguments.accumulator):
            row = {"bits": bits, **measure(case)}
            rows.append(row)
            print(
                f"  {row['name']:34} {row['family']:5} {row['lut']:5} LUT {row['ff']:5} FF {row['dsp']:3} DSP"
                f" {row['lut_per_mac']:6.2f} LUT/MAC {row['ff_per_mac']:6.2f} FF/MAC",
                flush=True,
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
