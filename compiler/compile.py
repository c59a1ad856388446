"""The compiler: integer graph and geometry in, program out."""

from collections import Counter

import numpy as np

from ..hdl.geometry import Geometry
from ..hdl.instructions import Finish
from ..hdl.isa import DEPTHWISE_KERNELS, LOG_RECORD_BYTES
from ..quant.graph.graph import Convolution, IntegerGraph
from .emit.emission import Emission, Network, emit
from .errors import CompileError
from .lower.accumulator_bounds import check_bounds
from .lower.layers import MachineLayer, lower
from .lower.on_load import compute_on_load
from .place.channel_order import ChannelOrders, choose_channel_orders
from .place.lanes import Placement, natural
from .place.parameters import ParameterBlock, add_parameters, align
from .program.program import LayerRecord, Program
from .program.traffic import read_bytes, write_bytes


def compile_graph(graph: IntegerGraph, geometry: Geometry, *, batch: int = 1, keep_maps: bool = True) -> Program:
    """Compiles a network for a geometry.

    Parameters
    ----------
    batch: images that the program computes at once, layer by layer: weights are read once for several of them.
    keep_maps: every map gets memory of its own in DDR, so that each can be compared after a run; otherwise memory is
        reused, and maps that stay on the chip are not written to DDR.

    Raises
    ------
    CompileError: the network does not fit the geometry; the message names the layer, the reason and the remedy.
    """
    if batch < 1:
        raise CompileError("batch", f"is {batch} images", "compute one at least")
    lowered, fold = lower(graph, geometry, batch)
    for layer in lowered:
        check_bounds(layer, geometry)
    layers, choice = _orders(graph, lowered, geometry)
    if graph.input not in choice.orders:
        choice.orders[graph.input] = natural(graph.tensors[graph.input].channels, geometry.word_channels)
    parameters = bytearray()
    blocks: list[ParameterBlock | None] = []
    for layer in layers:
        block = None
        if layer.weight is not None:
            placement = choice.placements[layer.target.name]
            assert placement is not None
            order, digits = choice.orders[layer.source.name], choice.weight_digits[layer.name]
            block = add_parameters(geometry, layer, order, placement, digits, parameters)
        blocks.append(block)
    network = Network(graph, geometry, layers, blocks, choice, fold, batch)
    emission = emit(network, keep_maps=keep_maps)
    layouts = emission.layouts
    log = LOG_RECORD_BYTES * geometry.maps_ports * len(layers)
    parameters.extend(bytes(align(len(parameters)) - len(parameters)))
    return Program(
        name=graph.name,
        geometry=geometry,
        instructions=b"".join(draft.encode() for draft in emission.drafts),
        parameters=bytes(parameters),
        input=layouts[graph.input],
        outputs=tuple(layouts[name] for name in graph.outputs),
        maps={layer.output: layouts[layer.output] for layer in graph.layers if layer.output not in network.unstored},
        sizes=emission.sizes | {"PARAMETERS": len(parameters), "LOG": log},
        layers=_records(layers, emission, choice.placements),
        keeps_maps=keep_maps,
    )


def _orders(
    graph: IntegerGraph, lowered: tuple[MachineLayer, ...], geometry: Geometry
) -> tuple[tuple[MachineLayer, ...], ChannelOrders]:
    """The layers that are executed, those computed on load with their readers, and the orders of their channels."""
    left_to_array: set[str] = set()
    while True:
        layers = compute_on_load(lowered, graph, geometry, but=left_to_array)
        choice = choose_channel_orders(layers, geometry, graph.concatenations)
        words = {name: len(order) // geometry.word_channels for name, order in choice.orders.items()}
        large = {layer.on_load.name for layer in layers
                 if layer.on_load is not None and words[layer.source.name] > DEPTHWISE_KERNELS}  # fmt: skip
        if not large:
            return layers, choice
        left_to_array |= large


def _records(
    layers: tuple[MachineLayer, ...],
    emission: Emission,
    placements: dict[str, Placement | None],
) -> tuple[LayerRecord, ...]:
    def macs_of(layer: MachineLayer) -> int:
        return layer.images * layer.target.height * layer.target.width * layer.convolution.weight.size

    geometry = emission.queues.geometry
    steps: Counter[int] = Counter()
    for item in emission.queues.computes:
        steps[item.draft.instruction.layer] += item.steps
    read: Counter[int] = Counter()
    written: Counter[int] = Counter()
    for instruction in (draft.instruction for draft in emission.drafts):
        if not isinstance(instruction, Finish):
            read[instruction.layer] += read_bytes(geometry, instruction)
            written[instruction.layer] += write_bytes(geometry, instruction)
    records = []
    for layer in layers:
        graph_layer, target = layer.layer, layer.target
        pixels = layer.images * target.height * target.width
        mix: Counter[str] = Counter()
        formats: Counter[str] = Counter()
        if isinstance(graph_layer, Convolution):
            macs = macs_of(layer)
            ideal = macs / geometry.macs_per_cycle
            placement = placements[target.name]
            assert placement is not None
            for lane in np.nonzero(placement.lanes >= 0)[1].tolist():
                mix[geometry.lanes[lane].value] += 1
            formats.update(kind.name for kind in graph_layer.formats)
        else:
            macs = 0
            comparisons = pixels * target.channels * layer.kernel[0] * layer.kernel[1]
            ideal = comparisons / (geometry.pixel_lanes * geometry.word_channels)
        records.append(
            LayerRecord(
                number=layer.number,
                name=layer.name,
                on_load=layer.on_load.name if layer.on_load else "",
                kind=graph_layer.kind,
                output=target.name,
                macs=macs,
                on_load_macs=macs_of(layer.on_load) if layer.on_load else 0,
                ideal_cycles=ideal,
                steps=steps[layer.number],
                lane_mix=dict(mix),
                formats=dict(formats),
                read_bytes=read[layer.number],
                write_bytes=written[layer.number],
            )
        )
    return tuple(records)

