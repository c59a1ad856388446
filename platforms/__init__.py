"""Boards and devices as data; bitstreams by Vivado or open tools; what geometries occupy."""
