"""Where training runs."""

import dataclasses

import torch

from . import parallel


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingDevice:
    """Where to train; changes nothing of what is computed but rounding.

    Members
    -------
    name: of the device, see `parallel.find_device`.
    workers: processes that read and augment images, for each training process; 0: none.
    """

    name: str = "cpu"
    workers: int = 0

    def find(self) -> torch.device:
        """The device itself.

        Raises
        ------
        TrainingError: the machine has not got it.
        """
        return parallel.find_device(self.name)


CPU = TrainingDevice()
"""The processor, with no processes beside it."""
