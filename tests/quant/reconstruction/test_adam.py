"""Adam: PyTorch's with one rate, and each value by its own."""

import torch

from intramix.quant.reconstruction.adam import Adam


def loss(value: torch.Tensor) -> torch.Tensor:
    return ((value - torch.arange(6.0).reshape(2, 3)) ** 4).sum()


def test_equal_rates_are_those_of_pytorch() -> None:
    mine, other = (torch.full((2, 3), 0.7, requires_grad=True) for _ in range(2))
    optimizer, reference = Adam([(mine, 0.05)]), torch.optim.Adam([other], lr=0.05)
    for step in range(20):
        loss(mine).backward()
        optimizer.step(1 / (1 + step))
        reference.param_groups[0]["lr"] = 0.05 / (1 + step)
        reference.zero_grad()
        loss(other).backward()
        reference.step()
    torch.testing.assert_close(mine, other)


def test_every_row_moves_by_its_rate() -> None:
    value = torch.full((2, 3), 9.0, requires_grad=True)
    optimizer = Adam([(value, torch.tensor([[0.1], [0.0]]))])
    loss(value).backward()
    optimizer.step()
    torch.testing.assert_close(value.detach(), torch.tensor([[8.9] * 3, [9.0] * 3]))
    assert value.grad is None
    optimizer.step()  # nothing to go by: nothing moves
    torch.testing.assert_close(value.detach()[1], torch.full((3,), 9.0))
