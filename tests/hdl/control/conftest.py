"""Tests of this folder share the bench of Control."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
