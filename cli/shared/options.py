"""Options that several commands share."""

import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar

import click

from ...hdl.geometry import SLOT_BITS, Geometry
from ...lanes import LUT_SCHEMES
from ...platforms.boards import BOARDS, Board
from ...platforms.boards import board as find_board
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



def board_options(default: str) -> Callable:
    """`--board`, `--activation-bits`, `--lut-scheme`: the command receives `board` and `geometry`."""

    def decorate(command: Callable) -> Callable:
        @click.option("--board", "board_name", default=default, show_default=True, metavar="NAME",
                      help=f"Board whose accelerator to use: {', '.join(BOARDS)}.")
        @click.option("--activation-bits", type=click.IntRange(SLOT_BITS[0], SLOT_BITS[-1]),
                      help="Bits that an activation has in the accelerator, its slot (default: the board's, 5).")
        @click.option("--lut-scheme", type=click.Choice(sorted(LUT_SCHEMES)),
                      help="Number scheme of the filters that LUTs compute (default: the board's).")
        @functools.wraps(command)
        def wrapped(board_name: str, activation_bits: int | None, lut_scheme: str | None, **arguments: Any) -> Any:
            board: Board = find_board(board_name)
            geometry: Geometry = board.geometry_for(
                activation_bits=activation_bits, lut_scheme=LUT_SCHEMES[lut_scheme] if lut_scheme else None
            )
            return command(board=board, geometry=geometry, **arguments)

        return wrapped

    return decorate


batch_option = click.option(
    "--batch", type=click.IntRange(1), default=1, show_default=True, metavar="N",
    help="Images that the program computes at once, layer by layer. Weights are then read once for several images, and "
         "lanes that a small map leaves idle take another image: more frames a second where weights bound a layer or "
         "maps have few rows. The first answer comes with the last, and maps take N times the memory.",
)
