"""A network's instructions: the turns of its layers, where its maps lie, and the program of the engines' queues."""

import dataclasses
from collections.abc import Collection, Sequence

from ...hdl.geometry import Geometry
from ...hdl.instructions import Instruction
from ...quant.graph.graph import IntegerGraph
from ..lower.layers import MachineLayer
from ..place.channel_order import ChannelOrders
from ..place.map_rings import MapRing, place_rings
from ..place.memory import plan_memory
from ..place.parameters import ParameterBlock
from ..plan.turn import Turn
from ..plan.turn_choice import LANE_ROWS, choose_turns
from ..program.input_fold import InputFold
from ..program.map_border import NO_BORDER, MapBorder
from ..program.map_layout import MapLayout
from .assemble import assemble
from .engine_queues import EngineQueues
from .instructions import Draft
from .kept_maps import keep_on_chip, moved_by_row, moved_maps
from .ring_needs import KeptMap, ring_needs
from .turns import schedule

FINE_ROWS = (1,)
"""Output rows of a lane in a block, in turns of layers that follow each other as closely as they can: then a map needs
the fewest rows of the map memory."""


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """What is emitted.

    Members
    -------
    layers: in order of execution. parameters: of each; None for a max pool.
    orders: of channels, and where filters lie.
    fold: how the input is folded.
    images: that are computed at once.
    """

    graph: IntegerGraph
    geometry: Geometry
    layers: Sequence[MachineLayer]
    parameters: Sequence[ParameterBlock | None]
    orders: ChannelOrders
    fold: InputFold | None
    images: int

    @property
    def unstored(self) -> set[str]:
        """Tensors that are computed on load, and so lie nowhere."""
        return {layer.source.name for layer in self.layers if layer.on_load is not None}

    @property
    def borders(self) -> dict[str, MapBorder]:
        """What layers read of the borders of maps, by tensor."""
        borders: dict[str, MapBorder] = {}
        for layer in self.layers:
            name = layer.stored.name
            borders[name] = MapBorder.union([borders.get(name, NO_BORDER), layer.stored_border])
        return borders


@dataclasses.dataclass(frozen=True, eq=False)
class Emission:
    """A network's instructions.

    Members
    -------
    layouts: of every tensor, by name. sizes: bytes of the regions INPUT, OUTPUT and WORKSPACE.
    queues: of the engines. drafts: the instructions, in program order.
    """

    layouts: dict[str, MapLayout]
    sizes: dict[str, int]
    queues: EngineQueues
    drafts: list[Draft[Instruction]]


def emit(network: Network, *, keep_maps: bool) -> Emission:
    """The network's instructions.

    With a map memory, maps stay on the chip as far as they fit: of the turns tried, those are taken with which DDR
    carries the fewest words of maps.

    Parameters
    ----------
    keep_maps: as of `compile_graph`.

    Raises
    ------
    CompileError: as `compile_graph`.
    """
    if not network.geometry.map_words:
        return _Plan(network, LANE_ROWS, keep_maps).emit()
    plans = [_KeptPlan(network, rows, keep_maps) for rows in (FINE_ROWS, LANE_ROWS)]
    return min(plans, key=lambda plan: plan.carried).emit_kept(chip_only=not keep_maps)


class _Plan:
    """Turns of a network, and where its maps lie.

    Parameters
    ----------
    lane_rows: as `choose_turns` takes them.
    """

    def __init__(self, network: Network, lane_rows: Sequence[int], keep_maps: bool) -> None:
        n = self.network = network
        self.turns: list[Turn] = choose_turns(
            n.layers, n.geometry, n.orders.orders, n.parameters, n.graph.concatenations, lane_rows
        )
        numbers = {layer.name: number for number, turn in enumerate(self.turns) for layer in turn.layers}
        self.layouts, self.sizes = plan_memory(
            n.graph, n.geometry, n.orders.orders, n.fold, borders=n.borders, images=n.images, keep_maps=keep_maps,
            turns=numbers, unstored=n.unstored,
        )  # fmt: skip

    def emit(self, by_row: Collection[str] = ()) -> Emission:
        n = self.network
        queues = EngineQueues(n.geometry, self.layouts, n.orders.placements, n.graph.concatenations, by_row)
        for turn in self.turns:
            schedule(turn, queues)
        return Emission(self.layouts, self.sizes, queues, assemble(queues))


class _KeptPlan(_Plan):
    """A plan, and what of it stays on the chip.

    Members
    -------
    kept: the maps that do, as `ring_needs` takes them.
    carried: words of maps, of those that could stay, that DDR carries.
    """

    def __init__(self, network: Network, lane_rows: Sequence[int], keep_maps: bool) -> None:
        super().__init__(network, lane_rows, keep_maps)
        maps = moved_maps(network.graph, network.layers, self.layouts, network.unstored)
        needs = ring_needs(self.emit().drafts, maps)
        rings = place_rings(needs, network.geometry.map_words)
        self.kept: dict[tuple[int, str], KeptMap] = {use: kept for use, kept in maps.items() if kept.name in rings}
        self.carried = sum(need.saved for need in needs if need.name not in rings)

    def emit_kept(self, *, chip_only: bool) -> Emission:
        """Kept maps are moved row by row. That is another program, in which they need as many rows or nearly so; one
        that finds no place any more goes through DDR."""
        network = self.network
        emission = self.emit(moved_by_row(network.graph, self.layouts, self.kept.values()))
        rings: dict[str, MapRing] = place_rings(ring_needs(emission.drafts, self.kept), network.geometry.map_words)
        keep_on_chip(emission.drafts, self.kept, rings, chip_only=chip_only)
        return emission
