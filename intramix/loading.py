"""Files of Intramix back into objects."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from .program import CompiledProgram

if TYPE_CHECKING:
    from .model import QuantizedModel


def load(path: "str | os.PathLike[str]", *, board: str | None = None) -> "QuantizedModel | CompiledProgram":
    """What a file holds: the model of an .imx file, else a program; `QuantizedModel.load` and `CompiledProgram.load`
    say which.

    Parameters
    ----------
    board: name of the board that a model is compiled for (None: the one that it was made for), or whose memory and
        clock estimates and simulations of a program assume (None: 2.1 GB/s peak and 100 MHz).

    Raises
    ------
    FileFormatError, ProgramFileError: the file is no such file, or damaged.
    OSError: the file cannot be read.
    """
    if Path(path).suffix != ".imx":
        return CompiledProgram.load(path, board=board)
    from .model import QuantizedModel  # needs PyTorch

    return QuantizedModel.load(path, board=board)
