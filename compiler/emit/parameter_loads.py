"""The LOAD_WEIGHTS and LOAD_CONSTANTS of a layer, tile pass by tile pass."""

from ...hdl.geometry import CONSTANT_BITS
from ...hdl.instructions import LoadConstants, LoadWeights
from ...hdl.isa import Region
from ..lower.layers import MachineLayer
from ..place.parameters import ParameterBlock
from ..plan.ring_use import Leaves, RingUse, Stays, Streams
from ..plan.tile_passes import TilePass
from .engine_queues import EngineQueues, WeightItem
from .instructions import Draft


class ParameterLoads:
    """Appends to the weights engine's queue what the rings need for a layer.

    Parameters
    ----------
    queues: of the layers before.
    layer: the layer.
    parameters: where its weights and constants are.
    """

    def __init__(self, queues: EngineQueues, layer: MachineLayer, parameters: ParameterBlock) -> None:
        self.queues = queues
        self.layer = layer
        self.parameters = parameters

    def load(self, tile_pass: TilePass, *, first: bool) -> None:
        """Appends what a piece of a tile pass needs; `first`: its first piece."""
        if first and (tiles := _loaded(tile_pass.constants)):
            self._load_constants(tiles)
        if isinstance(tile_pass.weights, Streams):
            self._load_weights(range(tile_pass.tile, tile_pass.tile + 1))
        elif first and (tiles := _loaded(tile_pass.weights)):
            self._load_weights(tiles)

    def _load_constants(self, tiles: range) -> None:
        tile_bytes = self.queues.geometry.tile_filters * CONSTANT_BITS // 8
        load = LoadConstants(
            layer=self.layer.number,
            region=Region.PARAMETERS,
            address=self.parameters.constants + tiles.start * tile_bytes,
            tiles=len(tiles),
        )
        self.queues.weights.append(WeightItem(Draft(load, self.layer.where), tiles=len(tiles)))

    def _load_weights(self, tiles: range) -> None:
        parameters = self.parameters
        first = parameters.first_word[tiles.start]
        words = parameters.first_word[tiles.stop] - first
        load = LoadWeights(
            layer=self.layer.number,
            region=Region.PARAMETERS,
            address=parameters.weights + first * parameters.slice_bytes,
            port_stride=parameters.port_stride,
            words=words,
        )
        self.queues.weights.append(WeightItem(Draft(load, self.layer.where), words=words))


def _loaded(use: RingUse | None) -> range:
    """Tiles whose parts of a ring are appended before a pass."""
    return use.load if isinstance(use, Stays | Leaves) else range(0)
