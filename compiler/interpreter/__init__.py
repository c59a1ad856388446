"""The instruction set executed in software, written from docs/architecture.md alone."""
