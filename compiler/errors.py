"""What a user is told when a network cannot be compiled."""


class CompileError(ValueError):
    """A network that does not fit the geometry, or uses something the machine cannot do.

    Members
    -------
    where: the layer, tensor or geometry field at fault.
    reason: why, with the numbers.
    remedy: what would work; may be empty.
    """

    def __init__(self, where: str, reason: str, remedy: str = "") -> None:
        super().__init__(f"{where}: {reason}" + (f"; {remedy}" if remedy else ""))
        self.where = where
        self.reason = reason
        self.remedy = remedy


class InternalError(CompileError):
    """A fault of the compiler: the network may be sound, but the program that was made for it is not."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason, "this is a fault of the compiler: please report it with the network")
