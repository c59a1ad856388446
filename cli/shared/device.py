"""What `run`, `selftest` and `profile` share: a program, the device it runs on, and images for it."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from ...image_file import DataError, ImageArrays, checked, read_test
from ...program import CompiledProgram
from ...runtime.device import Device, DeviceKind
from ...runtime.driver import Driver
from ...runtime.errors import SignatureMismatch
from ...runtime.images import check
from ...runtime.results import RunResult
from .console import bar, step
from .errors import UserError
from .output import json_option

_ROUND = 64
"""Images that a board runs between two movements of the progress bar, or as few more as make whole batches."""

images_option = click.option(
    "--images", "limit", type=click.IntRange(1), default=10, show_default=True, metavar="N",
    help="Run so many of the test images, from the first on.",
)


def device_options(command: Callable) -> Callable:
    """PROGRAM, `--device`, `--overlay`, `--board`, `--json`: the command receives `program`, `opened` and `json_path`.

    `opened()` is a context whose value is a `Driver` with the program loaded.
    """

    @click.argument("program_path", metavar="PROGRAM", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @click.option("--device", "kind", type=click.Choice([kind.value for kind in DeviceKind]), show_default=True,
                  default=DeviceKind.SIMULATED.value,
                  help="What runs PROGRAM. sim: the simulated RTL of its geometry. interpreted: its instructions in "
                       "software, every value and CRC in seconds, without cycles. pynq: the board that this command "
                       "runs on.")
    @click.option("--overlay", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                  help="For pynq: the bitstream to load, which has its .hwh beside it (default: intramix.bit beside "
                       "PROGRAM).")
    @click.option("--board", "board_name", metavar="NAME",
                  help="For sim: the board whose memory and clock to assume (default: 2.1 GB/s peak and 100 MHz).")
    @json_option
    @functools.wraps(command)
    def wrapped(program_path: Path, kind: str, overlay: Path | None, board_name: str | None, **others: Any) -> Any:
        program = CompiledProgram.load(program_path)
        overlay = overlay or program_path.with_name("intramix.bit")

        @contextlib.contextmanager
        def opened() -> Iterator[Driver]:
            device = open_device(DeviceKind(kind), program, overlay=overlay, board_name=board_name)
            with device, program.on(device) as driver:
                yield driver

        return command(program=program, opened=opened, **others)

    return wrapped


def run_images(driver: Driver, images: np.ndarray, *, counters: bool = True) -> RunResult:
    """Runs images under a progress bar."""
    images = check(images, driver.program.input)
    batch = driver.program.batch
    kind = driver.device.kind
    size = batch if kind.is_software else -(-_ROUND // batch) * batch
    parts: list[RunResult] = []
    with bar("Run images on the simulated RTL" if kind is DeviceKind.SIMULATED else "Run images") as advance:
        for start in range(0, len(images), size):
            advance(start, len(images), "")
            parts.append(driver.run(images[start : start + size], counters=counters))
        advance(len(images), len(images), "")
    return RunResult(
        {name: np.concatenate([part.outputs[name] for part in parts]) for name in parts[0].outputs},
        {name: np.concatenate([part.codes[name] for part in parts]) for name in parts[0].codes},
        tuple(run for part in parts for run in part.runs),
        parts[0].clock_hz,
        sum(part.seconds for part in parts),
    )


def load_images(source: str, limit: int | None) -> ImageArrays:
    """Images, and labels where there are any.

    Parameters
    ----------
    source: an .npz, of which the part kept for tests is taken (`image_file.read_test`); an .npy, all of it; any other
        name is a data set of `intramix quantize`, whose test images are taken.
    limit: images to take, from the first on.

    Raises
    ------
    DataError, UserError: there are none that can be used; the message says why.
    """
    path = Path(source)
    if path.suffix == ".npz":
        found = read_test(path)
    elif path.suffix == ".npy":
        found = checked(f"data file {path}", _array(path))
    else:
        found = _data_set(source)
    return found.take(np.arange(len(found.images))[:limit])


def _array(path: Path) -> np.ndarray:
    if not path.exists():
        raise DataError(f"data file {path} does not exist")
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"data file {path} is not a NumPy file, or it is damaged ({error})") from error


def _data_set(name: str) -> ImageArrays:
    try:
        from ...quant.data.data import load_data
        from ...quant.network.export import image_codes
    except ImportError as error:
        raise UserError(
            f"data sets by name need the whole of Intramix, not only its runtime ({error}); pass an .npz file"
        ) from error
    data = load_data(name)
    labels = None if data.test_labels is None else data.test_labels.numpy()
    return ImageArrays(images=image_codes(data.test_images), labels=labels)


def open_device(kind: DeviceKind, program: CompiledProgram, *, overlay: Path, board_name: str | None) -> Device:
    """A device that a program runs on.

    Parameters
    ----------
    overlay: the bitstream, for a board.
    board_name: the board whose memory and clock a simulation is to have; None: those of the program.

    Raises
    ------
    UserError: what the device needs is not installed.
    SignatureMismatch: the program is for another accelerator than that board's.
    """
    if kind is DeviceKind.BOARD:
        return _board(overlay)
    return _simulated(program, board_name) if kind is DeviceKind.SIMULATED else _interpreted(program)


def _interpreted(program: CompiledProgram) -> Device:
    try:
        return program.interpreter()
    except ImportError as error:
        raise UserError(
            f"the interpreter needs the whole of Intramix, not only its runtime ({error}); here use --device pynq"
        ) from error


def _board(overlay: Path) -> Device:
    from ...runtime.pynq import PynqDevice

    with step(f"Load {overlay.name}"):
        return PynqDevice(overlay)


def _simulated(program: CompiledProgram, board_name: str | None) -> Device:
    try:
        if board_name:
            program = _on_board(program, board_name)
        with step("Build the simulator") as note:
            return program.simulator(progress=note)
    except ImportError as error:
        raise UserError(
            f"simulation needs the whole of Intramix, not only its runtime ({error}); here use --device pynq"
        ) from error


def _on_board(program: CompiledProgram, name: str) -> CompiledProgram:
    """The program with a board's memory and clock.

    Raises
    ------
    SignatureMismatch: it is for another accelerator, as its hardware would say, too.
    """
    from ...lanes import is_of
    from ...platforms.boards import BOARDS
    from ...platforms.boards import board as find_board

    board, geometry = find_board(name), program.program.geometry
    if not is_of(board, geometry):
        own = [each.name for each in BOARDS.values() if is_of(each, geometry)]
        raise SignatureMismatch(
            f"program {program.program.name} was compiled for the geometry {geometry.signature:#010x} "
            f"({', '.join(own) or 'no board'}), the accelerator of {name} is {board.geometry.signature:#010x}: compile "
            f"the model for it (intramix compile MODEL --board {name}), or "
            + (f"give --board {own[0]}" if own else "leave out --board")
        )
    return program.assuming(board)
