"""Tests of this folder share the bench of the whole accelerator."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
