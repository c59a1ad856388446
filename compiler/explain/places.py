"""Where a word comes from: places in DDR, and why a word is what it is where it comes from none."""

import dataclasses
import enum


@dataclasses.dataclass(frozen=True, kw_only=True)
class DdrWord:
    """Some bytes in DDR.

    Members
    -------
    region: an `isa.Region` by name.
    address: bytes from the region's base.
    size: bytes.
    """

    region: str
    address: int
    size: int

    def __str__(self) -> str:
        return f"{self.region}+{self.address:#x}"


class ZeroKind(enum.Enum):
    """Why a word that the array reads is zero whatever any memory holds."""

    COLUMN = "column"
    """COMPUTE replaces it: its column lies outside the row."""
    ROW = "row"
    """LOAD_MAP laid a row of zeros there."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loaded:
    """A word that an instruction brought from DDR as it is; `load` is the instruction's number."""

    load: int
    word: DdrWord

    @property
    def loads(self) -> tuple[int, ...]:
        """Numbers of the instructions that have a part in it; so of every source."""
        return (self.load,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Zero:
    """A word of padding; `load` is the number of the LOAD_MAP that laid it, None where COMPUTE puts it in."""

    kind: ZeroKind
    load: int | None = None

    @property
    def loads(self) -> tuple[int, ...]:
        return () if self.load is None else (self.load,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Convolved:
    """A word that the depthwise unit made while it was loaded.

    Members
    -------
    load: number of the LOAD_MAP.
    taps: the words of its 3×3 window, row by row; None where the zeros around the map are.
    kernel: the `isa.KERNEL_WORDS` words of its channels' kernels, each with the LOAD_MAP that brought it; None where
        none did.
    shift, maximum: of its requantization.
    """

    load: int
    taps: tuple[DdrWord | None, ...]
    kernel: tuple[Loaded | None, ...]
    shift: int
    maximum: int

    @property
    def loads(self) -> tuple[int, ...]:
        return (*(word.load for word in self.kernel if word is not None), self.load)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unwritten:
    """A word that no instruction wrote before it is read: the program is wrong, or damaged."""

    @property
    def loads(self) -> tuple[int, ...]:
        return ()


Source = Loaded | Zero | Convolved | Unwritten
"""Where a word of a lane's memory comes from."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BitField:
    """Bits first … first + width − 1 of a stored word, counted from the least significant bit of its first byte."""

    first: int
    width: int
