"""Errors of platforms: what a person can put right."""


class BitstreamError(ValueError):
    """A board, geometry or file that no bitstream is made of; the message names it, the reason and what would work."""


class ToolError(RuntimeError):
    """A tool is missing or failed; the message names it and, where it ran, shows the end of its log."""
