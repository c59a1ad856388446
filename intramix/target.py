"""What a model was made for: the board and the variant of its geometry, as the model's file remembers them."""

import dataclasses
from collections.abc import Mapping

from .compiler.place.lanes import LUT_FORMATS
from .hdl.geometry import Geometry
from .lanes import LUT_SCHEMES
from .platforms.boards import Board, UnknownBoardError
from .platforms.boards import board as find_board


class TargetError(ValueError):
    """What a file was made for is not known here; the message names it and the remedy."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """A board, and which variant of its geometry.

    Members
    -------
    board: its name.
    activation_bits: of a slot.
    lut_scheme: name of the weight format that the LUT lanes are made for.
    """

    board: str
    activation_bits: int
    lut_scheme: str

    @classmethod
    def of(cls, board: Board, geometry: Geometry) -> "Target":
        """That of a geometry of a board."""
        scheme = LUT_FORMATS[geometry.lut_scheme].name
        return cls(board=board.name, activation_bits=geometry.activation_bits, lut_scheme=scheme)

    @classmethod
    def from_entries(cls, entries: Mapping[str, str]) -> "Target | None":
        """That which `entries` gave; None of no entries, as files have that were written before there were any.

        Raises
        ------
        TargetError: the board or the variant is not known to this Intramix.
        """
        if not entries:
            return None
        try:
            board, scheme = find_board(entries["board"]), entries["lut_scheme"]
            board.geometry_for(activation_bits=int(entries["activation_bits"]), lut_scheme=LUT_SCHEMES[scheme])
            return cls(board=board.name, activation_bits=int(entries["activation_bits"]), lut_scheme=scheme)
        except (UnknownBoardError, KeyError, ValueError) as error:
            made_for = ", ".join(f"{name} {value}" for name, value in entries.items())
            raise TargetError(
                f"the model was made for {made_for}, which this Intramix does not have ({error}); name a board"
            ) from error

    def entries(self) -> dict[str, str]:
        """As a model's file has it (`made_for`)."""
        return {name: str(value) for name, value in dataclasses.asdict(self).items()}

    def geometry(self) -> Geometry:
        """The geometry of the board, in this variant."""
        return find_board(self.board).geometry_for(
            activation_bits=self.activation_bits, lut_scheme=LUT_SCHEMES[self.lut_scheme]
        )
