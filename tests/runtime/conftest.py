"""Tests of this folder share a device made of the instruction interpreter."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
