"""The accelerator in Amaranth. Knows no board and no torch."""
