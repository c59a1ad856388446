"""What a network costs on a board, by the compiler and the cycle model."""

from .compiler.compile import compile_graph
from .estimate import estimate_speed
from .hdl.geometry import Geometry
from .memory import conditions_of
from .platforms.boards import Board
from .quant.assignment.cost import NetworkCost
from .quant.graph.graph import Convolution, IntegerGraph


def cost_of(graph: IntegerGraph, board: Board, geometry: Geometry) -> NetworkCost:
    """Compiles a graph, for one image at once, and asks the cycle model at the board's clock and memory: seconds.

    Raises
    ------
    CompileError: the graph does not fit the geometry; the message names the layer, the reason and the remedy.
    """
    speed = estimate_speed(compile_graph(graph, geometry, keep_maps=False), conditions_of(board, geometry))
    return NetworkCost(
        frames_per_second=speed.frames_per_second,
        cycles=speed.cycles_per_frame,
        layer_cycles=speed.layer_cycles,
        weight_bytes=sum(layer.weight_bytes for layer in graph.layers if isinstance(layer, Convolution)),
    )
