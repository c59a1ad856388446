"""Batches in the order of training: shuffled, shared among processes, augmented, maybe by workers.

Everything random depends on the seed, the epoch and the image alone: not on the number of processes or workers, and not
on what came before, so that training can go on from any step.

The standard augmentation of image files is a random crop of 8 … 100 % of the area, resized, and a flip (Szegedy et al.,
2015, section 6, as torchvision's RandomResizedCrop and RandomHorizontalFlip); of images in memory a random shift by up
to an eighth of the size, black where it leaves the image, and a flip (He et al., 2016, section 4.2).
"""

import dataclasses
import signal
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from ..data.data import Images
from ..data.image_folder import FolderImages
from . import parallel
from .recipe import TrainingError, TrainingOptions


@dataclasses.dataclass(frozen=True)
class Draw:
    """The images that one process takes of a batch."""

    epoch: int
    chosen: Tensor


class _Drawn(Dataset[tuple[Tensor, Tensor]]):
    """Images and labels by `Draw`."""

    def __init__(self, images: Images, labels: Tensor, options: TrainingOptions) -> None:
        self.images, self.labels, self.options = images, labels, options

    def __getitem__(self, draw: Draw) -> tuple[Tensor, Tensor]:
        labels = self.labels[draw.chosen]
        if self.options.augmentation == "none":
            return self.images[draw.chosen], labels
        generators = [np.random.default_rng([self.options.seed, draw.epoch, int(index)]) for index in draw.chosen]
        if isinstance(self.images, FolderImages):
            return self.images.cropped(draw.chosen, generators), labels
        return shifted(self.images[draw.chosen], generators), labels


def epoch_batches(
    images: Images, labels: Tensor, options: TrainingOptions, epoch: int, *, first: int = 0, workers: int = 0,
    pinned: bool = False,
) -> Iterator[tuple[Tensor, Tensor, int]]:  # fmt: skip
    """An epoch's batches: this process's images and labels, and the number of images of all processes.

    Parameters
    ----------
    first: batches that are left out at the beginning.
    workers: processes that read and augment; 0 does it in this one.
    pinned: copy batches to page-locked memory, for a GPU.

    Raises
    ------
    TrainingError: the last batch has fewer images than there are processes.
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(step_seed(options.seed, epoch)))
    parts = order.split(options.batch_size)
    if len(parts[-1]) < parallel.processes():
        raise TrainingError(
            f"the last batch of {len(labels)} images in batches of {options.batch_size} has {len(parts[-1])}, fewer "
            f"than the {parallel.processes()} processes; choose another batch size"
        )
    draws = [Draw(epoch, parallel.share(part)) for part in parts[first:]]
    loader: Iterable = DataLoader(
        _Drawn(images, labels, options), sampler=draws, batch_size=None, num_workers=workers, pin_memory=pinned,
        worker_init_fn=_ignore_interrupts, generator=torch.Generator(),
    )  # fmt: skip
    for part, (values, truths) in zip(parts[first:], loader):
        yield values, truths, len(part)


def step_seed(seed: int, epoch: int, step: int = 0) -> int:
    """A seed for the random numbers of an epoch's order, or of a step (from 1) of this process."""
    words = np.random.SeedSequence([seed & 0xFFFFFFFF, epoch, step, parallel.rank() if step else 0]).generate_state(2)
    return int(words[0]) << 31 ^ int(words[1])


def shifted(images: Tensor, generators: Iterable[np.random.Generator]) -> Tensor:
    """Each image shifted by up to an eighth of its size, and flipped or not."""
    height, width = images.shape[2:]
    rows, columns = height // 8, width // 8
    padded = functional.pad(images, (columns, columns, rows, rows))
    result = torch.empty_like(images)
    for index, random in enumerate(generators):
        top, left = random.integers(2 * rows + 1), random.integers(2 * columns + 1)
        crop = padded[index, :, top : top + height, left : left + width]
        result[index] = crop.flip(2) if random.integers(2) else crop
    return result


def _ignore_interrupts(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the trainer decides
