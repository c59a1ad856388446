"""One thread for torch: these tensors are small, and threads that wait for a busy core cost five times the work."""

import torch

torch.set_num_threads(1)
