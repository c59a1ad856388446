"""What concatenation asks of memory and of the order of channels, for folding, assignment and the compiler.

Concatenation by address (docs/decisions/0005-concatenation.md): operands lie in consecutive planes of one memory, a
*chain*, and what is concatenated is a stretch of it. Nothing is copied, so a map can be in several concatenations only
if each of them is a stretch, its operands in the same order: DenseNet's running concatenation extends one chain,
operand by operand.

Channels that meet in an add or a layer that works channel by channel are stored at the same positions. A concatenated
map takes its positions from its operands, so what shares an order is a *segment*: a range of a map's channels.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class ChannelSegment:
    """`channels` channels of a tensor from `first` on."""

    tensor: str
    first: int
    channels: int


@dataclasses.dataclass(frozen=True)
class Tie:
    """Channels of two tensors that share an order: `channels` of them, from `left_first` and `right_first` on."""

    left: str
    right: str
    channels: int
    left_first: int = 0
    right_first: int = 0


def operand_ties(output: str, operands: Sequence[str], channels: Mapping[str, int]) -> Iterable[Tie]:
    """What a concatenation ties: each operand to its part of the output."""
    first = 0
    for operand in operands:
        yield Tie(output, operand, channels[operand], left_first=first)
        first += channels[operand]


def segment_classes(channels: Mapping[str, int], ties: Iterable[Tie]) -> list[list[ChannelSegment]]:
    """All channels of all tensors as segments, in classes that share one order (and one number of channels).

    Parameters
    ----------
    channels: by tensor; classes come in the order of their first tensors.
    """
    ties = list(ties)
    cuts = {name: {0, count} for name, count in channels.items()}
    changed = True
    while changed:
        changed = False
        for tie in ties:
            for one, first, other, offset in (
                (tie.left, tie.left_first, tie.right, tie.right_first),
                (tie.right, tie.right_first, tie.left, tie.left_first),
            ):
                moved = {cut - first + offset for cut in cuts[one] if first <= cut <= first + tie.channels}
                changed |= not moved <= cuts[other]
                cuts[other] |= moved
    parent: dict[tuple[str, int], tuple[str, int]] = {}

    def find(place: tuple[str, int]) -> tuple[str, int]:
        parent.setdefault(place, place)
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    for tie in ties:
        for cut in cuts[tie.left]:
            if tie.left_first <= cut < tie.left_first + tie.channels:
                place = find((tie.right, cut - tie.left_first + tie.right_first))
                parent[find((tie.left, cut))] = place
    classes: dict[tuple[str, int], list[ChannelSegment]] = {}
    for name in channels:
        ordered = sorted(cuts[name])
        for first, end in itertools.pairwise(ordered):
            classes.setdefault(find((name, first)), []).append(ChannelSegment(name, first, end - first))
    return list(classes.values())


class Chains:
    """Tensors in the order in which they lie in common memory.

    Concatenations are added in order of execution, by their leaves (operands that are no concatenations themselves).

    Members
    -------
    chains: the leaves of every chain, in order.
    """

    def __init__(self) -> None:
        self.chains: list[list[str]] = []

    def add(self, leaves: Sequence[str]) -> tuple[int, ...]:
        """Makes the leaves a stretch of one chain, unless other concatenations forbid it.

        Returns
        -------
        The positions of leaves that would have to be copies, then nothing has changed; () where it went well.
        """
        if repeated := tuple(place for place, name in enumerate(leaves) if name in leaves[:place]):
            return repeated
        touched = [chain for chain in self.chains if set(chain) & set(leaves)]
        before, after = self._chain(leaves[0]), self._chain(leaves[-1])
        merged = [*before[: before.index(leaves[0])], *leaves, *after[after.index(leaves[-1]) + 1 :]]
        if len(set(merged)) < len(merged) or not all(_is_stretch(chain, merged) for chain in touched):
            return tuple(place for place, name in enumerate(leaves) if any(name in chain for chain in touched))
        self.chains = [*(chain for chain in self.chains if chain not in touched), merged]
        return ()

    def _chain(self, name: str) -> list[str]:
        return next((chain for chain in self.chains if name in chain), [name])


def _is_stretch(part: list[str], chain: list[str]) -> bool:
    first = chain.index(part[0]) if part[0] in chain else 0
    return chain[first : first + len(part)] == part


def leaves_of(tensor: str, concatenations: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """A tensor's operands, with those that are concatenated themselves replaced by theirs; itself if it is none."""
    if tensor not in concatenations:
        return (tensor,)
    return tuple(leaf for operand in concatenations[tensor] for leaf in leaves_of(operand, concatenations))
