"""How memories begin in the Verilog."""

import re

import pytest
from amaranth.hdl import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from intramix.hdl.verilog import generate


class Rows(wiring.Component):
    """Two memories of 40 rows; the second one begins with what is given."""

    read_address: In(6)
    blank: Out(12)
    filled: Out(12)

    def __init__(self, init):
        self._init = init
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        for name, init, port in (("zeros", [], self.blank), ("values", self._init, self.filled)):
            m.submodules[name] = words = memory.Memory(shape=12, depth=40, init=init)
            read, write = words.read_port(), words.write_port()
            m.d.comb += [read.addr.eq(self.read_address), read.en.eq(1), port.eq(read.data)]
            m.d.comb += [write.en.eq(read.data[0]), write.addr.eq(self.read_address), write.data.eq(5)]
        return m


@pytest.mark.parametrize("init", [[7], [0] * 39 + [7]])
def test_rows_of_zeros_are_a_loop_and_all_others_are_kept(init):
    text = generate(Rows(init), "rows")
    loops = re.findall(r"initial for \((\w+) = 0; \1 <= (\d+); \1 = \1 \+ 1\) (\w+)\[\1\] = 0;", text)
    assert [last for _, last, _ in loops] == ["39"]
    (row, _, name), = loops
    assert f"integer {row};" in text
    assert re.search(rf"reg \[11:0\] {name} \[39:0\];", text)
    kept = re.findall(r"^ +\w+\[\d+\] = 12'h(\w+);$", text, re.MULTILINE)
    assert sorted(int(value, 16) for value in kept) == [0] * 39 + [7]
