"""The models of RAMB18E1 and RAMB36E1 with which netlists of gates are simulated, against a memory in Python."""

import dataclasses
import random
import shutil
import subprocess

import numpy as np
import pytest

from tests.support.gates.netlist import BLOCK_RAM
from tests.support.verilated import build_verilog

pytestmark = [
    pytest.mark.simulator,
    pytest.mark.skipif(shutil.which("make") is None or shutil.which("g++") is None, reason="Verilator needs make, g++"),
]


@dataclasses.dataclass(frozen=True)
class Ram:
    """A block RAM as it is instantiated: widths of port A and B; contents at the start, by byte with its ninth bit."""

    cell: str = "RAMB18E1"
    mode: str = "TDP"
    read: tuple[int, int] = (0, 0)
    write: tuple[int, int] = (0, 0)
    contents: bool = False

    @property
    def pins(self) -> int:
        """Bytes that a port has data pins for."""
        return {"RAMB18E1": 2, "RAMB36E1": 4}[self.cell]

    @property
    def memory(self) -> list[int]:
        """Contents at the start."""
        dice = random.Random(5)
        return [dice.getrandbits(9) if self.contents else 0 for _ in range(1024 * self.pins)]

    @property
    def parameters(self) -> dict[str, str]:
        bytes_, initial = self.memory, {}
        if self.contents:
            for row in range(len(bytes_) // 32):
                value = sum((byte & 255) << 8 * n for n, byte in enumerate(bytes_[32 * row : 32 * row + 32]))
                initial[f"INIT_{row:02X}"] = f"256'h{value:x}"
            for row in range(len(bytes_) // 256):
                value = sum((byte >> 8) << n for n, byte in enumerate(bytes_[256 * row : 256 * row + 256]))
                initial[f"INITP_{row:02X}"] = f"256'h{value:x}"
        widths = {f"{name}_WIDTH_{port}": str(width) for name, both in (("READ", self.read), ("WRITE", self.write))
                  for port, width in zip("AB", both)}
        modes = {f"WRITE_MODE_{port}": '"READ_FIRST"' for port in "AB"}
        return {"RAM_MODE": f'"{self.mode}"', **modes, **widths, **initial}

    def instance(self, name: str, **changes: str) -> str:
        """Verilog; a port's enables for writing are repeated over all of its pins."""
        def enables(signal: str, port: int) -> str:
            word = max(1, self.write[port] // 9)
            return signal if word > self.pins else f"{{{self.pins // word}{{{signal}[{word - 1}:0]}}}}"

        address = {"RAMB18E1": 13, "RAMB36E1": 15}[self.cell]
        pins = {
            "CLKARDCLK": "clk", "CLKBWRCLK": "clk", "ENARDEN": "en_a", "ENBWREN": "en_b", "REGCEAREGCE": "1'b0",
            "REGCEB": "1'b0", "RSTRAMARSTRAM": "1'b0", "RSTRAMB": "1'b0", "RSTREGARSTREG": "1'b0", "RSTREGB": "1'b0",
            "ADDRARDADDR": f"address_a[{address}:0]", "ADDRBWRADDR": f"address_b[{address}:0]",
            "WEA": enables("we_a", 0), "WEBWE": enables("we_b", 1),
            **{f"DI{port}DI": f"di_{port.lower()}[{8 * self.pins - 1}:0]" for port in "AB"},
            **{f"DIP{port}DIP": f"dip_{port.lower()}[{self.pins - 1}:0]" for port in "AB"},
            **{f"DO{port}DO": f"{name}_do_{port.lower()}[{8 * self.pins - 1}:0]" for port in "AB"},
            **{f"DOP{port}DOP": f"{name}_dop_{port.lower()}[{self.pins - 1}:0]" for port in "AB"},
        }  # fmt: skip
        wires = f"wire [31:0] {name}_do_a, {name}_do_b; wire [3:0] {name}_dop_a, {name}_dop_b;\n"
        parameters = ", ".join(f".{key}({value})" for key, value in (self.parameters | changes).items())
        return f"{wires}{self.cell} #({parameters}) {name} ({', '.join(f'.{k}({v})' for k, v in pins.items())});\n"


RAMS = (
    Ram(write=(9, 0), read=(0, 9)),
    Ram(write=(18, 0), read=(0, 18), contents=True),
    Ram(write=(18, 9), read=(9, 18)),
    Ram(mode="SDP", write=(0, 36), read=(36, 0)),
    Ram("RAMB36E1", write=(9, 0), read=(0, 9)),
    Ram("RAMB36E1", write=(18, 0), read=(18, 36)),
    Ram("RAMB36E1", write=(36, 36), read=(36, 36), contents=True),
    Ram("RAMB36E1", mode="SDP", write=(0, 72), read=(72, 0), contents=True),
)

PORTS = """(
    input clk, en_a, en_b, input [15:0] address_a, address_b, input [31:0] di_a, di_b, input [3:0] dip_a, dip_b, we_a,
    input [7:0] we_b, output [WIDTH-1:0] found
);
"""
INPUTS = np.dtype([("di_a", "u4"), ("di_b", "u4"), ("address_a", "u2"), ("address_b", "u2"), ("dip_a", "u1"),
                   ("dip_b", "u1"), ("we_a", "u1"), ("we_b", "u1"), ("en_a", "u1"), ("en_b", "u1")])  # fmt: skip
MAIN = r"""
#include "Vrams.h"
#include <cstdint>
#include <cstdio>
#pragma pack(push, 1)
struct Inputs {
    uint32_t di_a, di_b; uint16_t address_a, address_b; uint8_t dip_a, dip_b, we_a, we_b, en_a, en_b;
};
#pragma pack(pop)
int main(int, char **argv) {
    auto *top = new Vrams;
    FILE *in = fopen(argv[1], "rb"), *out = fopen(argv[2], "wb");
    Inputs i;
    while (fread(&i, sizeof i, 1, in) == 1) {
        top->di_a = i.di_a; top->di_b = i.di_b; top->address_a = i.address_a; top->address_b = i.address_b;
        top->dip_a = i.dip_a; top->dip_b = i.dip_b; top->we_a = i.we_a; top->we_b = i.we_b;
        top->en_a = i.en_a; top->en_b = i.en_b;
        top->clk = 0;
        top->eval();
        top->clk = 1;
        top->eval();
        fwrite(&top->found, 1, sizeof top->found, out);
    }
    fclose(out);
    return 0;
}
"""


def stimulus(cycles: int) -> np.ndarray:
    """Random cycles, mostly among few addresses; no two ports write at once."""
    dice = np.random.default_rng(2)
    inputs = np.zeros(cycles, INPUTS)
    for name in INPUTS.names:
        kind = INPUTS[name]
        inputs[name] = dice.integers(0, 1 << 8 * kind.itemsize, cycles, dtype=kind)
    for port in "ab":
        near = dice.random(cycles) < 0.9
        inputs[f"address_{port}"][near] &= 0x1FF
        inputs[f"en_{port}"] = dice.random(cycles) < 0.8
        inputs[f"dip_{port}"] &= 15
    inputs["we_a"] &= 15
    a_writes = dice.random(cycles) < 0.5
    inputs["we_b"][a_writes] = 0
    inputs["we_a"][~a_writes] = 0
    return inputs


def expected(ram: Ram, inputs: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Of each cycle, after its clock edge: data and ninth bits that ports A and B give."""
    memory, wide = ram.memory, ram.mode == "SDP"
    shown: list[list[int]] = [[0] * 8, [0] * 8]  # by port; of SDP, A's eight bytes are those of both ports' pins
    rows = []
    for cycle in inputs:
        written = list(memory)
        for port, name in enumerate("ab"):
            if not cycle[f"en_{name}"]:
                continue
            at = int(cycle[f"address_{name}"]) // 8 % len(memory)
            count = ram.read[port] // 9
            for byte in range(count):
                shown[port][byte] = memory[at // count * count + byte]
            count = ram.write[port] // 9
            pins = [(cycle["di_a"], cycle["dip_a"]), (cycle["di_b"], cycle["dip_b"])] if wide else \
                [(cycle[f"di_{name}"], cycle[f"dip_{name}"])]
            for byte in range(count):
                data, ninth = pins[byte // ram.pins]
                if int(cycle[f"we_{name}"]) >> byte & 1:
                    value = int(data) >> 8 * (byte % ram.pins) & 255 | (int(ninth) >> byte % ram.pins & 1) << 8
                    written[at // count * count + byte] = value
        memory = written
        outputs = [shown[0][: ram.pins], shown[0][ram.pins : 2 * ram.pins] if wide else shown[1][: ram.pins]]
        rows.append(tuple(
            sum(part(byte) << width * n for n, byte in enumerate(pins))
            for pins in outputs for width, part in ((8, lambda byte: byte & 255), (1, lambda byte: byte >> 8))
        ))  # fmt: skip
    return rows


def test_reads_and_writes(tmp_path):
    instances = "".join(ram.instance(f"ram_{n}") for n, ram in enumerate(RAMS))
    outputs = ", ".join(
        f"28'b0, ram_{n}_dop_b, 28'b0, ram_{n}_dop_a, ram_{n}_do_b, ram_{n}_do_a" for n in reversed(range(len(RAMS)))
    )
    body = f"{instances}assign found = {{{outputs}}};\n"
    text = f"module rams #(parameter WIDTH = {128 * len(RAMS)}) {PORTS}{body}endmodule\n"
    player = build_verilog(text + BLOCK_RAM.read_text(), "rams", MAIN, tmp_path)
    inputs = stimulus(3000)
    inputs.tofile(tmp_path / "inputs")
    subprocess.run([player, "inputs", "outputs"], cwd=tmp_path, check=True)
    found = np.fromfile(tmp_path / "outputs", "u4").reshape(len(inputs), len(RAMS), 4)
    for number, ram in enumerate(RAMS):
        do_a, do_b, dop_a, dop_b = found[:, number].T
        data, ninth = (1 << 8 * ram.pins) - 1, (1 << ram.pins) - 1
        rows = list(zip(*(column.tolist() for column in (do_a & data, dop_a & ninth, do_b & data, dop_b & ninth))))
        assert rows == expected(ram, inputs), ram


FATAL = r"""
#include "Vrams.h"
#include <cstdio>
void vl_fatal(const char *, int, const char *scope, const char *message) { printf("%s: %s\n", scope, message); }
int main() {
    auto *top = new Vrams;
    top->en_a = top->we_a = 1;
    for (int cycle = 0; cycle < 3; ++cycle) {
        top->clk = 0;
        top->eval();
        top->clk = 1;
        top->eval();
    }
    return 0;
}
"""

REFUSED = {
    "output_register": (Ram(read=(9, 0)), {"DOA_REG": "1"}, "output registers are not modelled"),
    "mode": (Ram(mode="FIFO"), {}, "RAM_MODE must be TDP or SDP"),
    "write_first": (Ram(write=(9, 0)), {"WRITE_MODE_A": '"WRITE_FIRST"'}, "WRITE_MODE_A must be READ_FIRST"),
    "no_change": (Ram(write=(0, 9)), {"WRITE_MODE_B": '"NO_CHANGE"'}, "WRITE_MODE_B must be READ_FIRST"),
    "four_bits": (Ram(read=(4, 0)), {}, "with TDP, widths must be 0, 9, 18 or, of RAMB36E1, 36"),
    "too_wide": (Ram(read=(36, 0)), {}, "with TDP, widths must be 0, 9, 18 or, of RAMB36E1, 36"),
    "narrow_sdp": (Ram(mode="SDP", read=(18, 0), write=(0, 36)), {}, "with SDP, port A reads and port B writes words"),
    "inverted": (Ram(), {"IS_CLKARDCLK_INVERTED": "1'b1"}, "no pin may be inverted"),
    "cascade": (Ram("RAMB36E1"), {"RAM_EXTENSION_A": '"LOWER"'}, "cascades and error correction are not modelled"),
}


def test_what_is_not_modelled_is_fatal(tmp_path):
    instances = "".join(ram.instance(name, **changes) for name, (ram, changes, _) in REFUSED.items())
    instances += Ram(read=(9, 0)).instance("reset").replace(".RSTRAMB(1'b0)", ".RSTRAMB(1'b1)")
    instances += Ram(write=(9, 0)).instance("enables").replace("{2{we_a[0:0]}}", "we_a[1:0]")
    text = f"module rams #(parameter WIDTH = 1) {PORTS}{instances}endmodule\n"
    program = build_verilog(text + BLOCK_RAM.read_text(), "rams", FATAL, tmp_path, defines="-DVL_USER_FATAL")
    told = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    reasons = {name: reason for name, (_, _, reason) in REFUSED.items()}
    reasons |= {"reset": "outputs are not reset", "enables": "WEA must repeat its word's enables"}
    found = {name: {line for line in told.splitlines() if f"rams.{name}." in line} for name in reasons}
    for name, reason in reasons.items():
        assert len(found[name]) == 1, found
        assert reason in next(iter(found[name]))
