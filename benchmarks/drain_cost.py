"""What taking a group's accumulators out costs: multiplexers, or a shift chain.

`python -m benchmarks.drain_cost [--json FILE]` synthesises both for one pixel lane (To accumulators of 25 bits, U post
units) with yosys' `synth_xilinx -family xc7` and prints LUTs and flip-flops. The numbers and the choice:
docs/decisions/0002-drain.md.
"""

import argparse
import json
from pathlib import Path

from amaranth.hdl import Array, Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from intramix.hdl.compute.pipeline import select
from intramix.hdl.verilog import generate
from intramix.platforms.synthesis import synthesize

BITS = 25
CASES = ((32, 2), (64, 2))
"""To and U."""


class _Drain(wiring.Component):
    """`captured` loads; in the following To / U cycles `selected[u]` is accumulator u · (To / U) + row."""

    def __init__(self, filters: int, units: int) -> None:
        self._units, self._rows = units, filters // units
        super().__init__({
            "captured": In(1),
            "row": In(range(self._rows)),
            "accumulators": In(data.ArrayLayout(unsigned(BITS), filters)),
            "selected": Out(data.ArrayLayout(unsigned(BITS), units)),
        })


class Multiplexer(_Drain):
    """Reads the captured registers in place."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        row = Signal.like(self.row)
        m.d.sync += row.eq(self.row)
        for unit in range(self._units):
            first = unit * self._rows
            choices = Array([self.accumulators[first + index] for index in range(self._rows)])
            m.d.sync += self.selected[unit].eq(choices[row])
        return m


class CopyingMultiplexer(_Drain):
    """Copies the captured registers first, then selects with a register between two levels: what the lanes do."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        copies = Signal.like(self.accumulators, reset_less=True)
        with m.If(self.captured):
            m.d.sync += copies.eq(self.accumulators)
        row = Signal.like(self.row)
        m.d.sync += row.eq(self.row)
        for unit in range(self._units):
            choices = [copies[unit * self._rows + index] for index in range(self._rows)]
            m.d.sync += self.selected[unit].eq(select(m, choices, row, name=f"accumulator_{unit}"))
        return m


class ShiftChain(_Drain):
    """Loads all accumulators at once, then shifts them down, a chain per unit."""

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for unit in range(self._units):
            chain = [Signal(BITS, name=f"chain_{unit}_{row}", reset_less=True) for row in range(self._rows)]
            for row, register in enumerate(chain):
                with m.If(self.captured):
                    m.d.sync += register.eq(self.accumulators[unit * self._rows + row])
                with m.Elif(row + 1 < self._rows):
                    m.d.sync += register.eq(chain[min(row + 1, self._rows - 1)])
            m.d.comb += self.selected[unit].eq(chain[0])
        return m


def measure(kind: type[_Drain], filters: int, units: int) -> dict[str, object]:
    """LUTs and flip-flops of one pixel lane's drain."""
    total = synthesize(generate(kind(filters, units), "drain"), top="drain", family="xc7").total
    return {"kind": kind.__name__, "filters": filters, "units": units, "lut": total.lut, "ff": total.ff}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the table here as well")
    options = parser.parse_args()
    kinds = (Multiplexer, CopyingMultiplexer, ShiftChain)
    rows = [measure(kind, filters, units) for filters, units in CASES for kind in kinds]
    print(f"one pixel lane, {BITS}-bit accumulators, yosys synth_xilinx -family xc7")
    print(f"{'To':>4} {'U':>3} {'kind':<20} {'LUT':>6} {'FF':>6}")
    for row in rows:
        print(f"{row['filters']:>4} {row['units']:>3} {row['kind']:<20} {row['lut']:>6} {row['ff']:>6}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
