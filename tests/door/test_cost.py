"""What methods cost on a board, by the cycle model: hbp is as fast as the board's own mix, and no larger."""

import pytest
import torch

from intramix.cost import cost_of
from intramix.lanes import lane_mix, scheme_of
from intramix.platforms.boards import board as find_board
from intramix.quant.assignment.budget import Budget
from intramix.quant.assignment.cost import NetworkCost
from intramix.quant.assignment.methods import assign
from intramix.quant.models import load_model
from intramix.quant.network.export import export
from intramix.quant.quantize import prepare

pytestmark = pytest.mark.slow

IMAGES = torch.randint(0, 256, (8, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize("name", ["resnet-tiny", "mobilenet-tiny"])
@pytest.mark.parametrize("board_name", ["pynq-z2", "zcu102"])
def test_hbp_is_as_fast_as_film_qnn_and_no_larger(name: str, board_name: str) -> None:
    torch.manual_seed(0)
    network, board = prepare(load_model(name, channels=3, classes=12).eval(), IMAGES), find_board(board_name)
    geometry = scheme_of("hbp", board, board.geometry)

    def cost(method: str, *budgets: Budget) -> NetworkCost:
        network.set_formats(assign(network, lane_mix(geometry), method=method, images=IMAGES, budgets=budgets))
        return cost_of(export(network), board, geometry)

    film, hbp = cost("film-qnn"), cost("hbp")
    assert hbp.frames_per_second >= film.frames_per_second
    assert hbp.weight_bytes <= 1.001 * film.weight_bytes
    free = cost("hbp", Budget("size", hbp.weight_bytes))
    assert free.frames_per_second < film.frames_per_second, "without the lanes it is slower"
