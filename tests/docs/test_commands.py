"""What the pages print, runs: every command and every block of Python of README.md and docs/*.md, in order, in a folder
with the files that the pages speak of.

A command is run as it stands, but for `SMALLER`, and so is a file that a page has one write, but for `SMALLER_FILES`.
What cannot be run here is in `ELSEWHERE` or `WHOLE` with its reason. A command that is neither fails, and so does an
entry of these that names nothing any more.

A block of no language after commands is what they print, and is compared with it, but for `LEARNT` and what is in
`UNCOMPARED` with its reason.
"""

import os
import re
import runpy
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from intramix.cli.main import intramix
from tests.support.excerpts import Varying, missing
from tests.support.pages import Block, blocks, commands

ROOT = Path(__file__).parents[2]
PAGES = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))}

SIMULATING = "simulate|run|selftest|profile|explain"
SMALLER = (
    (rf"^(intramix (?:{SIMULATING}) .*)--board (?:pynq-z2|zcu102|zc706)\b", r"\1--board small"),  # built in seconds
    (r"^(?!intramix build)(?!.*-z2\.)(.*)--board (?:pynq-z2|zcu102|zc706)\b", r"\1--board small"),
    (r"^(intramix simulate (?!.*--board).*)", r"\1 --board small"),
    (r"^(intramix run (?!.*--images).*)", r"\1 --images 2"),
    (r"^(intramix quantize .*--data procedural)", r"\1 --images-per-class 2 --image-size 16"),
    (r"^make demo$", "intramix demo"),
    (r"^(intramix demo.*)", r"\1 --float-epochs 2 --epochs 1"),
    (r"--float-epochs \d+", "--float-epochs 1"),
    (r"--epochs [1-9]\d*", "--epochs 1"),
)
"""Patterns and what is put in their place, one after the other: smaller data, fewer epochs, a smaller accelerator. The
models of first-model.md that are called -z2 stay the PYNQ-Z2's, but where they are simulated."""

LEARNT = Varying(
    columns={"expected", "found"},
    patterns=(
        (r"\b(float|quantized|integer|rtl|integer model) \d+\.\d %", r"\1 #"),
        (r"[\d.]+ % of the codes differ, [\d.]+ % by more than 1; its accuracy is \S+ points", "#"),
        (r"CRC-32 0x\w{8} over (\d+) words, expected 0x\w{8}", r"CRC-32 # over \1 words, expected #"),
    ),
)
"""Accuracies and CRCs: training is shorter here, and its floating-point numbers are a processor's own. All else is
compared: cycles, frames, counts, addresses, and the codes of a network that is not trained."""
DRAWING = "a drawing"
UNCOMPARED = {
    r"instructions  ": DRAWING,
    r"PyTorch module": DRAWING,
    r"[\d,]+ cycles a frame .* of 2,048 MACs": "the PYNQ-Z2's simulator takes minutes: test_first_model_in_full",
}
"""Patterns of the beginnings of blocks that are not compared, and why."""

BOARD = "needs a board; with PYNQ's package on the simulated one: tests/runtime/test_pynq.py"
HOURS = "takes hours, a GPU or ImageNet"
SETUP = "installs"
ELSEWHERE = {
    r"make test\b": "this suite itself",
    r"make hls|vitis_hls ": "minutes, or a tool that is not here: tests/hls",
    r"intramix cache --clear": "clears the cache of whoever runs the tests: tests/cli/test_cache.py",
    r"intramix hls ": "trains the demo's network, and compiles C++ for minutes: tests/hls",
    r"intramix (elaborate|synthesize|timing) ": "minutes of yosys: tests/cli, tests/platforms",
    r"intramix build ": "minutes of yosys, and Vivado or the open tools: tests/cli/test_build.py, tests/platforms",
    r"intramix .*--device pynq": BOARD,
    r"intramix quantize resnet18 |torchrun |python -m benchmarks\.(accuracy|trained_network)": HOURS,
    r"git clone |make setup|python -m pip install |\. \.venv/bin/activate|cd ": SETUP,
}
"""Patterns of the beginnings of commands, and why they are not run here."""
WHOLE = {
    r"scp |ssh |git clone --recursive https://github.com/Xilinx/PYNQ": BOARD,
    r"from intramix.compiler.program.fileformat import load\nfrom intramix.runtime.driver": BOARD,
    r"import intramix, numpy, torch": "tests/door/test_readme.py",
}
"""The same of blocks, by their beginnings."""

WRONG = r"intramix (selftest|explain) damaged\.imp"
"""Commands that find a value that is wrong, and end with exit code 3."""
SIMULATES = re.compile(rf"^(make|intramix) (demo|{SIMULATING})\b(?!.*--device interpreted)(?!.*--help)")
"""Commands that build a simulator."""


def smaller(words: list[str]) -> list[str]:
    """A command of few seconds that does the same."""
    return shlex.split(substituted(shlex.join(words), SMALLER))


def substituted(text: str, patterns: Sequence[tuple[str, str]]) -> str:
    """A text with patterns replaced, one after the other."""
    for pattern, replacement in patterns:
        text = re.sub(pattern, replacement, text)
    return text


def listed(text: str, patterns: Mapping[str, str]) -> str | None:
    """The pattern that a command or a block begins with."""
    return next((pattern for pattern in patterns if re.match(pattern, text)), None)


def code(page: str) -> list[Block]:
    """The blocks of a page that hold code, less those that are listed whole."""
    return [block for block in blocks(PAGES[page].read_text()) if block.language and not listed(block.text, WHOLE)]


def run_here(block: Block) -> list[list[str]]:
    """The commands of a block of shell that are not listed."""
    return [words for words in commands(block.text) if not listed(shlex.join(words), ELSEWHERE)]


def simulates(page: str) -> bool:
    """Whether a command of a page builds a simulator."""
    shell = [block for block in code(page) if block.language == "sh"]
    return any(SIMULATES.match(shlex.join(words)) for block in shell for words in run_here(block))


def call(words: list[str]) -> None:
    """Runs a command of ours in this process, where PyTorch is loaded once."""
    if words[0] == "intramix":
        code = intramix.main(words[1:], standalone_mode=False)
        assert (code or 0) == (3 if re.match(WRONG, shlex.join(words)) else 0)
    elif words[0] == "python" and len(words) == 2:
        runpy.run_path(words[1], run_name="__main__")
    else:
        pytest.fail(f"neither run nor listed in ELSEWHERE: {shlex.join(words)}")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """The files that the pages speak of: a model of your own, its data, what is made of it."""
    folder = tmp_path_factory.mktemp("given")
    (folder / "mynet.py").write_text(
        "from torch import nn\n\n\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self, channels, classes):\n"
        "        super().__init__()\n"
        "        self.conv, self.relu = nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU()\n"
        "        self.flatten, self.fc = nn.Flatten(), nn.Linear(16 * 64, classes)\n\n\n"
        "def build(channels, classes):\n"
        "    return Net(channels, classes)\n"
    )
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 3, 8, 8), dtype=np.uint8)
    np.savez(folder / "images.npz", images=images, labels=np.arange(20) % 4)
    before = Path.cwd()
    os.chdir(folder)
    try:
        call(shlex.split("intramix quantize mynet:build --board small --data images.npz --epochs 0 -o net.imx"))
        call(shlex.split("intramix compile net.imx --board small -o net.imp"))
    finally:
        os.chdir(before)
    return folder


def prepare(given: Path, folder: Path) -> None:
    """The given files under the names that pages use."""
    for source, names in {
        "mynet.py": ["mynet.py"], "images.npz": ["images.npz", "data.npz"],
        "net.imx": ["net.imx", "mynet.imx", "my.imx", "model.imx"], "net.imp": ["net.imp", "mynet.imp", "demo.imp"],
    }.items():  # fmt: skip
        for name in names:
            (folder / name).write_bytes((given / source).read_bytes())


@pytest.fixture
def place(given, tmp_path, monkeypatch):
    """A folder with the given files, in which commands are run."""
    prepare(given, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mynet", raising=False)


def walk(page: str, output: Callable[[], str], *, whole: bool = False) -> None:
    """Runs what a page has, in order, and compares what it shows of it.

    Parameters
    ----------
    output: what has been printed since it was called last.
    whole: as it stands, nothing made smaller.
    """
    names = {"images": np.load("images.npz")["images"].astype(np.float32) / 255}
    printed = ""
    for block in blocks(PAGES[page].read_text()):
        where = f"{page}:{block.line}"
        if not block.language:
            reason = UNCOMPARED.get(listed(block.text, UNCOMPARED) or "")
            if reason is None or (whole and reason != DRAWING):
                lost = missing(block.text, printed, LEARNT)
                assert lost is None, f"{where} shows what was not printed:\n{lost}\n\n{printed}"
        elif listed(block.text, WHOLE):
            continue
        elif block.title:
            Path(block.title).write_text(block.text)
        elif block.language == "python":
            exec(compile(block.text, where, "exec"), names)
        else:
            assert block.language == "sh", f"{where}: {block.language} is no language that is run"
            output()
            for words in run_here(block):
                call(words if whole else smaller(words))
            printed = output()


@pytest.mark.parametrize("page", [
    pytest.param(page, marks=pytest.mark.simulator if simulates(page) else pytest.mark.slow)
    for page in PAGES if code(page)
])  # fmt: skip
def test_page(page, place, capsys):
    walk(page, lambda: capsys.readouterr().out)


@pytest.mark.long
@pytest.mark.simulator
def test_first_model_in_full(place, capsys):
    walk("docs/first-model.md", lambda: capsys.readouterr().out, whole=True)


def test_every_exception_is_one():
    every = [block for path in PAGES.values() for block in blocks(path.read_text()) if block.language]
    lines = [shlex.join(words) for block in every if block.language == "sh" for words in commands(block.text)]
    assert {listed(block.text, WHOLE) for block in every} >= set(WHOLE)
    assert {listed(line, ELSEWHERE) for line in lines} >= set(ELSEWHERE)
    shown = [block.text for path in PAGES.values() for block in blocks(path.read_text()) if not block.language]
    assert {listed(text, UNCOMPARED) for text in shown} >= set(UNCOMPARED)
    assert any(re.match(WRONG, line) for line in lines)


def test_blocks_and_commands_of_a_page():
    page = "text\n\n```sh\na b \\\n  c   # why\n```\n"
    page += '1. x\n    ```python title="x.py"\n    y = 1\n    ```\n```\n+--+\n```\n'
    found = list(blocks(page))
    assert [(block.language, block.title, block.line) for block in found] == [
        ("sh", "", 3), ("python", "x.py", 8), ("", "", 11),
    ]  # fmt: skip
    assert list(commands(found[0].text)) == [["a", "b", "c"]]
    assert found[1].text == "y = 1\n"


def test_a_command_that_nobody_lists_fails():
    with pytest.raises(pytest.fail.Exception, match=r"neither run nor listed in ELSEWHERE: rm thesis\.tex"):
        call(["rm", "thesis.tex"])


def test_smaller_commands():
    assert smaller(shlex.split("intramix simulate a.imx --data d.npz")) == shlex.split(
        "intramix simulate a.imx --data d.npz --board small"
    )
    assert smaller(shlex.split("intramix quantize m --data procedural --float-epochs 12 --epochs 30")) == shlex.split(
        "intramix quantize m --data procedural --images-per-class 2 --image-size 16 --float-epochs 1 --epochs 1"
    )
    assert smaller(shlex.split("intramix compile a.imx --board pynq-z2")) == shlex.split(
        "intramix compile a.imx --board small"
    )
    assert smaller(shlex.split("intramix compile a-z2.imx --board pynq-z2 -o a-z2.imp"))[4] == "pynq-z2"
    assert smaller(shlex.split("intramix simulate a-z2.imx --board pynq-z2"))[4] == "small"
