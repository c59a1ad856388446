"""Why a value cannot be explained."""


class ExplainError(ValueError):
    """A value that the program does not make; the message says why, and what there is."""
