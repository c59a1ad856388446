"""Options that several commands share."""

import functools
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar

import click

from ...hdl.geometry import SLOT_BITS, Geometry
from ...lanes import LUT_SCHEMES
from ...platforms.boards import BOARDS, Board
from ...platforms.boards import board as find_board
from ...quant.graph.fileformat import made_for
from ...target import Target
from .console import console
from .output import json_option

__all__ = ["LUT_SCHEMES", "SectionedCommand", "batch_option", "board_options", "json_option"]


class SectionedCommand(click.Command):
    """A command whose help lists the options under headings.

    Members
    -------
    sections: names of options by heading, in a subclass; options that no heading has, such as --help, stand under the
        last one.
    """

    sections: ClassVar[Mapping[str, Collection[str]]] = {}

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        options = [each for each in self.get_params(context) if isinstance(each, click.Option)]
        left = {option.name: option.get_help_record(context) for option in options}
        *_, last = self.sections
        for heading, names in self.sections.items():
            names = (*names, *left) if heading == last else names
            records = [record for name in names if (record := left.pop(name, None))]
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)



def board_options(default: str, *, model: str | None = None) -> Callable:
    """`--board`, `--activation-bits`, `--lut-scheme`: the command receives `board` and `geometry`.

    Parameters
    ----------
    default: name of the board if none is given.
    model: the command's argument that may be a model's file (.imx), which remembers what it was made for: this is then
        what is taken where nothing is given, and another board is said before anything else.
    """
    whose = "the one that the model was made for" if model else default
    variant = "the model's, else the board's" if model else "the board's"

    def decorate(command: Callable) -> Callable:
        @click.option("--board", "board_name", metavar="NAME",
                      help=f"Board whose accelerator to use: {', '.join(BOARDS)} (default: {whose}).")
        @click.option("--activation-bits", type=click.IntRange(SLOT_BITS[0], SLOT_BITS[-1]),
                      help=f"Bits that an activation has in the accelerator, its slot (default: {variant}, 5).")
        @click.option("--lut-scheme", type=click.Choice(sorted(LUT_SCHEMES)),
                      help=f"Number scheme of the filters that LUTs compute (default: {variant}).")
        @functools.wraps(command)
        def wrapped(
            board_name: str | None, activation_bits: int | None, lut_scheme: str | None, **arguments: Any
        ) -> Any:
            origin = _made_for(arguments[model], board_name) if model else None
            board: Board = find_board(board_name or (origin.board if origin else default))
            if origin:
                activation_bits = activation_bits or origin.activation_bits
                lut_scheme = lut_scheme or origin.lut_scheme
            geometry: Geometry = board.geometry_for(
                activation_bits=activation_bits, lut_scheme=LUT_SCHEMES[lut_scheme] if lut_scheme else None
            )
            return command(board=board, geometry=geometry, **arguments)

        return wrapped

    return decorate


def _made_for(path: Path, board_name: str | None) -> Target | None:
    """What a model was made for; None where the file does not say, and of another board, which is said."""
    if path.suffix != ".imx":
        return None
    entries = made_for(path)
    if board_name is None:
        return Target.from_entries(entries)
    origin = entries.get("board", board_name)
    if origin != find_board(board_name).name:
        console.print(f"[bold]{path.name} was made for {origin}[/]; this is for another board, {board_name}, as asked",
                      soft_wrap=True)  # fmt: skip
        return None
    return Target.from_entries(entries)


batch_option = click.option(
    "--batch", type=click.IntRange(1), default=1, show_default=True, metavar="N",
    help="Images that the program computes at once, layer by layer. Weights are then read once for several images, and "
         "lanes that a small map leaves idle take another image: more frames a second where weights bound a layer or "
         "maps have few rows. The first answer comes with the last, and maps take N times the memory.",
)
