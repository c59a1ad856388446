"""Figures that single commands write, as frozen dataclasses (those of runs: `runtime/figures/`), and docs/json.md."""
