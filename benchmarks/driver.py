"""What the driver costs a frame on the host, beside the cycles that the accelerator takes; and what a board installs.

    python -m benchmarks.driver [--board pynq-z2] [--network resnet18] [--size 224] [--simulate] [--json FILE]

The host's part is measured on a device that ends every run at once, in seconds of the processor: quantizing and packing
the image, reading and unpacking the outputs, registers, whose own time on the bus is not in it. The first two are done
while the accelerator computes. Cycles are those of one simulated frame with `--simulate`; otherwise the array's steps
alone, the least that they can be.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from intramix.compiler.program.program import Program
from intramix.files import write_json
from intramix.hdl.geometry import ISA_VERSION, Geometry
from intramix.hdl.registers import MAGIC, OFFSET, Control, Status
from intramix.model import QuantizedModel
from intramix.platforms.boards import board as find_board
from intramix.runtime.board_files import board_files
from intramix.runtime.device import Buffer, Device
from intramix.runtime.driver import Driver
from intramix.runtime.images import quantize
from intramix.runtime.wheel import build as build_wheel

from .console import build, step, table
from .networks import seeded_network


class HostBuffer(Buffer):
    """Memory of the host alone."""

    def __init__(self, address: int, size: int) -> None:
        self.address, self.view = address, np.zeros(size, np.uint8)

    def to_device(self) -> None:
        pass

    def from_device(self) -> None:
        pass

    def free(self) -> None:
        pass


class InstantDevice(Device):
    """Ends every run at once; counts register accesses, and notes the seconds from a run's end to the next start."""

    def __init__(self, geometry: Geometry, clock_hz: float) -> None:
        self.clock_hz = clock_hz
        self.accesses = 0
        self.pauses: list[float] = []
        self.ended: float | None = None
        self._next = 1 << 20
        self._answers = {OFFSET["ID"]: MAGIC, OFFSET["VERSION"]: ISA_VERSION, OFFSET["SIGNATURE"]: geometry.signature,
                         OFFSET["STATUS"]: int(Status.DONE)}  # fmt: skip

    def read_offset(self, offset: int) -> int:
        self.accesses += 1
        return self._answers.get(offset, 1)

    def write_offset(self, offset: int, value: int) -> None:
        self.accesses += 1
        if offset == OFFSET["CONTROL"] and value & Control.START and self.ended is not None:
            self.pauses.append(time.process_time() - self.ended)
            self.ended = None

    def allocate(self, size: int) -> HostBuffer:
        self._next += -(-size // 4096) * 4096
        return HostBuffer(self._next, size)

    def wait_interrupt(self, seconds: float) -> bool:
        self.ended = time.process_time()
        return True

    def close(self) -> None:
        pass


def measure(program: Program, image: np.ndarray, clock_hz: float, *, frames: int) -> dict[str, Any]:
    """Seconds of the host and register accesses, of a frame."""
    device = InstantDevice(program.geometry, clock_hz)
    driver = Driver(device)
    driver.load(program)
    images = np.broadcast_to(image, (frames, *image.shape))
    driver.run(images)
    device.accesses = 0
    driver.run(images)
    accesses, pause = device.accesses / frames, min(device.pauses)
    device.accesses = 0
    driver.run(images, counters=False)
    accesses_without_counters = device.accesses / frames
    whole = _seconds(lambda: driver.run(images), 3) / frames
    memory = driver.memory.frames[0]
    return {
        "prepare_seconds": _seconds(lambda: memory.write_input(program, quantize(image, program.input)), frames),
        "read_seconds": _seconds(lambda: driver.loaded.collect(memory, {}), frames),
        "paused_seconds": pause,
        "frame_seconds": whole,
        "register_accesses": accesses,
        "register_accesses_without_counters": accesses_without_counters,
    }


def board_installation() -> dict[str, int]:
    """Bytes of the wheel, and of its files."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(Path(folder)).stat().st_size
    return {"wheel_bytes": wheel, "installed_bytes": sum(path.stat().st_size for path in board_files().values())}


def _seconds(action: Any, count: int) -> float:
    """The least of several times: what others on the machine do makes them longer, never shorter."""
    times = []
    for _ in range(count):
        began = time.process_time()
        action()
        times.append(time.process_time() - began)
    return min(times)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", default="pynq-z2")
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--simulate", action="store_true", help="take the cycles from a simulated frame")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    board = find_board(arguments.board)
    graph, images = seeded_network(arguments.network, board.geometry, size=arguments.size, batch=1, seed=1)
    with step("Compile"):
        compiled = QuantizedModel(graph=graph, board=board, geometry=board.geometry).compile(selftest=False)
    program = compiled.program
    figures = measure(program, images[0], board.clock_hz, frames=arguments.frames)
    cycles = float(sum(layer.steps for layer in program.layers))
    if arguments.simulate:
        with build(compiled) as device, compiled.on(device) as driver:
            with step("Simulate a frame"):
                cycles = float(driver.run(images[:1]).cycles)
    frame = cycles / board.clock_hz
    figures |= {
        "network": program.name, "board": board.name, "clock_hz": board.clock_hz, "cycles_per_frame": cycles,
        "simulated": arguments.simulate, "accelerator_seconds": frame,
    }  # fmt: skip
    figures |= board_installation()
    rows = [
        [what, f"{figures[key] * 1e3:.3f} ms", f"{100 * figures[key] / frame:.1f} %", when]
        for what, key, when in (
            ("image: quantize, pack", "prepare_seconds", "while the frame before is computed"),
            ("outputs: unpack, log", "read_seconds", "while the next frame is computed"),
            ("registers", "paused_seconds", "between two frames"),
            ("all, checks and stacking of the batch with it", "frame_seconds", ""),
        )
    ]
    columns = [("host, a frame", "left"), ("time", "right"), ("of the accelerator's", "right"), ("when", "left")]
    table(f"{program.name} on {board.name}: {cycles:,.0f} cycles, {frame * 1e3:.2f} ms", columns, rows)
    print(f"registers: {figures['register_accesses']:.1f} accesses a frame, "
          f"{figures['register_accesses_without_counters']:.1f} without counters")
    print(f"a board installs a wheel of {figures['wheel_bytes']:,} bytes, {figures['installed_bytes']:,} unpacked, "
          "beside NumPy, click and rich")
    if arguments.json:
        write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
