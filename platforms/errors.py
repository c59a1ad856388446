"""Errors of platforms: what a person can put right."""


class BuildError(ValueError):
    """A board, a geometry or a file that cannot be built; the message names it, the reason and what would work."""


class ToolError(RuntimeError):
    """A tool is missing or failed; the message names it and, where it ran, shows the end of its log."""
