"""What can be wrong with a netlist or a question about it."""


class TimingError(ValueError):
    """A netlist that cannot be analysed, or a limit that makes no sense; says what was found and what would work."""
