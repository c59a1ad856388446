"""Figures of runs: frozen dataclasses that tables, reports, JSON files and docs/json.md are made of."""
