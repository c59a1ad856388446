"""`intramix explain`: from a value to the instructions, memory words and cycles that make it."""

from pathlib import Path

import click
import numpy as np

from ...compiler.compile import compile_graph
from ...compiler.explain.explain import Explainer
from ...compiler.explain.explanation import Explanation, Position
from ...compiler.program.log_records import selftest_codes
from ...compiler.program.program import Program
from ...hdl.geometry import Geometry
from ...model import QuantizedModel
from ...platforms.boards import Board
from ...program import CompiledProgram
from ...quant.graph import fileformat as model_file
from ...quant.graph.executor import execute
from ...quant.graph.graph import IntegerGraph
from ...runtime.device import Device, DeviceKind
from ...runtime.driver import Driver
from ...runtime.images import fill, to_codes
from ...runtime.inspection import Inspection, Tensors, first_wrong, inspect
from ...runtime.waves import Watch
from ..figures.explanation import explain_figures
from ..shared.console import step
from ..shared.device import load_images, open_device
from ..shared.errors import EXIT_MISMATCH, UserError
from ..shared.explanation import show_explanation
from ..shared.options import batch_option, board_options
from ..shared.output import json_option, write_figures
from ..shared.waves import value_window, watched_device

_SOURCE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("source", type=_SOURCE)
@board_options("pynq-z2", model="source")
@batch_option
@click.option("--layer", metavar="NAME",
              help="The layer, by name or number (default, with a model and a device: the first wrong one).")
@click.option("--image", type=click.IntRange(0), default=0, show_default=True,
              help="The image, of those of --data, from 0.")
@click.option("--channel", type=click.IntRange(0), help="The channel of the layer's output, from 0.")
@click.option("--row", type=click.IntRange(0),
              help="Its row, from 0 (default of all three, with a model and a device: the first wrong value).")
@click.option("--column", type=click.IntRange(0), help="Its column, from 0.")
@click.option("--model", type=_SOURCE, metavar="FILE",
              help="The model (.imx) that SOURCE was compiled from, which says what is right.")
@click.option("--device", "kind", type=click.Choice([kind.value for kind in DeviceKind]),
              help="Also run the images on this device, as `intramix run` does, and look at the value in its memory.")
@click.option("--overlay", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="For pynq: the bitstream to load (default: intramix.bit beside SOURCE).")
@click.option("--data", metavar="FILE|NAME",
              help="Images to run, as for `intramix run` (default: those of the self-test).")
@click.option("--wave", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Simulate, and write waves (VCD) of the cycles in which the value is made to this file.")
@click.option("--steps", type=click.IntRange(0), default=24, show_default=True,
              help="Print so many steps of its window.")
@json_option
def explain(
    source: Path, board: Board, geometry: Geometry, batch: int, layer: str | None, image: int, channel: int | None,
    row: int | None, column: int | None, model: Path | None, kind: str | None, overlay: Path | None, data: str | None,
    wave: Path | None, steps: int, json_path: Path | None,
) -> None:
    """Say how a value of a layer's output is made: lane, tile, instructions, and every memory word that is in it.

    SOURCE is a program (.imp), or a model (.imx) that is compiled first, for --board and --batch. Everything is read
    from the program's instructions, so a damaged program is explained as it is.

    \b
    A value:                 intramix explain net.imp --layer conv1 --channel 3 --row 4 --column 5
    Its cycles and waves:    … --device sim --wave value.vcd
    The first wrong value:   intramix explain net.imp --model net.imx --device pynq

    With --device the words in its memory are read after the run: what they make, what is stored and, with a model, what
    is right. --device interpreted needs no simulator. docs/debugging.md has an example.

    Exit code 3: the value is wrong.
    """
    graph = model_file.load(model) if model else None
    if source.suffix == ".imx":
        quantized = QuantizedModel.load(source, board=board, geometry=geometry)
        graph = graph or quantized.graph
        with step("Compile"):
            compiled = quantized.compile(batch=batch, selftest=False)
    else:
        compiled = CompiledProgram.load(source, board=board)
    program = compiled.program
    request = _Request(program, graph, image, layer, channel, row, column)
    device_kind = DeviceKind(kind) if kind else DeviceKind.SIMULATED if wave else None
    if device_kind is None:
        explanation, inspection, watch = request.explainer.explain(*request.asked()), None, None
    else:
        if wave and device_kind is not DeviceKind.SIMULATED:
            raise UserError("only the simulated accelerator has waves: leave out --wave, or take --device sim")
        codes = request.codes(data)
        if device_kind is DeviceKind.SIMULATED and request.is_complete:
            explanation = request.explainer.explain(*request.asked())
            watch = Watch(value_window(program, explanation), wave)
            device: Device = watched_device(compiled, watch)
        elif wave:
            raise UserError("--wave needs --layer, --channel, --row and --column: the waves are written as it runs")
        else:
            watch = None
            overlay = overlay or source.with_name("intramix.bit")
            device = open_device(device_kind, compiled, overlay=overlay, board_name=None)
        explanation, inspection = request.run(device, codes)
    show_explanation(program, explanation, inspection, watch, steps=steps)
    write_figures(json_path, explain_figures(program, explanation, inspection, watch))
    if inspection is not None and not inspection.passed:
        raise click.exceptions.Exit(EXIT_MISMATCH)


class _Request:
    """A value that is asked for, or the first one that is wrong."""

    def __init__(
        self, program: Program, graph: IntegerGraph | None, image: int, layer: str | None, channel: int | None,
        row: int | None, column: int | None,
    ) -> None:
        self.program, self.graph, self.image = program, graph, image
        self.layer, self.place = layer, (channel, row, column)
        self.explainer = Explainer(program)
        self.is_complete = layer is not None and None not in self.place
        if not self.is_complete and any(part is not None for part in self.place):
            raise UserError("a value is --layer, --channel, --row and --column, all four")

    def asked(self) -> tuple[str, Position]:
        """The layer and the position.

        Raises
        ------
        UserError: they were not all given.
        """
        channel, row, column = self.place
        if self.layer is None or channel is None or row is None or column is None:
            raise UserError(
                "name a value by --layer, --channel, --row and --column, or give --model and --device to find the "
                "first wrong one"
            )
        return self.layer, Position(image=self.image % self.program.batch, channel=channel, row=row, column=column)

    def codes(self, data: str | None) -> np.ndarray:
        """The codes of the run that the image is in, of the input's shape."""
        layout = self.program.input
        if data is None:
            if self.image >= layout.images:
                raise UserError(f"the self-test has images 0 … {layout.images - 1}, not {self.image}: take --data")
            return selftest_codes(layout)
        images = load_images(data, None).images
        if self.image >= len(images):
            raise UserError(f"{data} has images 0 … {len(images) - 1}, not {self.image}")
        first = self.image // layout.images * layout.images
        return fill(to_codes(images[first : first + layout.images], layout), layout)

    def run(self, device: Device, codes: np.ndarray) -> tuple[Explanation, Inspection]:
        """Runs the codes, and looks at the value that is asked for, or at the first wrong one."""
        tensors = None if self.graph is None else execute(self.graph, codes)
        with device, step("Run"):
            driver = Driver(device)
            driver.load(self.program)
            driver.run(codes)
            if self.is_complete:
                layer, position = self.asked()
            else:
                layer, position = self._first_wrong(driver, tensors)
            explanation = self.explainer.explain(layer, position)
            inspection = inspect(driver, explanation, tensors, self._parameters())
            driver.unload()
        return explanation, inspection

    def _parameters(self) -> bytes | None:
        """Weights and constants as the model's compilation makes them; None where it makes another program."""
        if self.graph is None:
            return None
        program = self.program
        made = compile_graph(self.graph, program.geometry, batch=program.batch, keep_maps=program.keeps_maps)
        return made.parameters if made.instructions == program.instructions else None

    def _first_wrong(self, driver: Driver, tensors: Tensors | None) -> tuple[str, Position]:
        if tensors is None:
            raise UserError("which value is wrong only the model knows: add --model FILE.imx, or name a value")
        layers = [record for record in self.program.layers if self.layer in (None, record.name, str(record.number))]
        found = first_wrong(driver, tensors, layers)
        if found is None:
            raise UserError(f"every value of {self.layer or 'every layer'} is right: there is nothing to explain")
        return found[0].name, found[1]
