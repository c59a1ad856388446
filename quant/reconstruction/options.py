"""What a reconstruction may cost, and what it reports."""

import dataclasses

_LEAST = (("steps", 0), ("images", 2), ("batch", 1), ("positions", 1), ("held_out", 2))


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReconstructionOptions:
    """How blocks are reconstructed.

    Members
    -------
    steps: of Adam for each block.
    images: used of those that are given, at most.
    batch: images of a step, at most; of large maps fewer, down to one, so that a step has `positions` output positions.
    positions: see there.
    learning_rate: of weights, in eighths of the largest weight that the filter can have if it has 4 bits (about a step
        between levels of Fixed-4), in half of that for every two bits more.
    bias_rate: of biases, in steps of the output's codes.
    range_rate: of the ends of activation ranges, relative.
    held_out: every so-manieth image is not learned from, and judges.
    seed: of the choice of images in every step.

    Raises
    ------
    ValueError: a number is outside its range.
    """

    steps: int = 100
    images: int = 384
    batch: int = 8
    positions: int = 3000
    learning_rate: float = 0.1
    bias_rate: float = 0.02
    range_rate: float = 3e-3
    held_out: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        for field, least in _LEAST:
            if (value := getattr(self, field)) < least:
                raise ValueError(f"reconstruction: {field} must be at least {least}, not {value!r}")
        for field in ("learning_rate", "bias_rate", "range_rate"):
            if not (value := getattr(self, field)) >= 0:
                raise ValueError(f"reconstruction: {field} must be at least 0, not {value!r}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReconstructedBlock:
    """What became of a block.

    Members
    -------
    layers: names of its convolutions.
    before, after: squared error of its outputs against the float model's, over their power, on the images held out;
        with the errors of the blocks before it.
    kept: whether what was learned is kept, which it is only if `after` is below `before`.
    """

    layers: tuple[str, ...]
    before: float
    after: float
    kept: bool
