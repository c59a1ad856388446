"""Runs the notebooks and writes them with their outputs, as HTML: what `make notebook` does.

`first_network.ipynb` makes a program, and `pynq_z2.ipynb` runs it: through the `pynq` package, as on a board, but on
the simulated accelerator. Needs `nbconvert`, `ipykernel` and `pynq`, which have an environment of their own.
"""

import argparse
import shutil
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from nbconvert.preprocessors import ExecutePreprocessor

HERE = Path(__file__).parent
SECONDS = 1800
"""What a cell may take: the first simulation builds its simulator."""

SIMULATED_BOARD = """
import intramix
from intramix.runtime.pynq_simulated import ENTRY, hand_off, install

program = intramix.load("net.imp")
install(program.program.geometry, program.conditions(), metadata=hand_off(ENTRY))
"""
"""Run before the board's notebook: the simulated accelerator becomes PYNQ's device."""


def run(name: str, folder: Path, *, before: str = "") -> Path:
    """Runs a notebook in a folder and writes its page there.

    Parameters
    ----------
    before: code that is run first and not shown.

    Raises
    ------
    CellExecutionError: a cell fails; the message has its traceback.
    """
    notebook = nbformat.read(HERE / name, as_version=4)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    if before:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(before))
    ExecutePreprocessor(timeout=SECONDS).preprocess(notebook, {"metadata": {"path": str(folder)}})
    if before:
        notebook.cells.pop(0)
    page = folder / Path(name).with_suffix(".html").name
    page.write_text(HTMLExporter().from_notebook_node(notebook)[0])
    return page


def board_files(folder: Path) -> None:
    """What lies beside the board's notebook besides the program: images, and files that stand for the bitstream's."""
    import numpy as np

    from intramix.quant.data.data import load_data

    np.savez(folder / "images.npz", images=load_data("digits", test_images=4).test_images.numpy())
    for name in ("intramix.bit", "intramix.hwh"):
        (folder / name).write_text("the simulated accelerator needs none")


def main() -> None:
    """Runs both, the first of which makes the program of the second."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("build/notebooks"), help="folder for the pages")
    folder = parser.parse_args().output.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print("first_network.ipynb: trains, quantizes, simulates (minutes, the first time) …", flush=True)
    pages = [run("first_network.ipynb", folder)]
    board_files(folder)
    print("pynq_z2.ipynb: PYNQ's package on the simulated accelerator …", flush=True)
    pages.append(run("pynq_z2.ipynb", folder, before=SIMULATED_BOARD))
    print(*(f"wrote {page}" for page in pages), sep="\n")


if __name__ == "__main__":
    main()
