"""Tests of this folder share the bitstreams that `test_bitstream` writes."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tcl"))  # tclsh.py
