"""Boards and devices as data; synthesis."""
