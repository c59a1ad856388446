"""The compiler: integer graph and geometry in, program out."""

from collections import Counter
from collections.abc import Collection

import numpy as np

from ..hdl.geometry import Geometry
from ..hdl.instructions import Finish, Instruction
from ..hdl.isa import DEPTHWISE_KERNELS, LOG_RECORD_BYTES
from ..quant.graph.graph import Convolution, IntegerGraph
from .emit.assemble import assemble
from .emit.engine_queues import EngineQueues
from .emit.instructions import Draft
from .emit.kept_maps import keep_on_chip, moved_by_row, moved_maps
from .emit.ring_needs import ring_needs
from .emit.turns import schedule
from .errors import CompileError
from .lower.accumulator_bounds import check_bounds
from .lower.layers import MachineLayer, lower
from .lower.on_load import compute_on_load
from .place.channel_order import ChannelOrders, choose_channel_orders
from .place.lanes import Placement, natural
from .place.map_rings import place_rings
from .place.memory import plan_memory
from .place.parameters import ParameterBlock, add_parameters, align
from .plan.turn_choice import choose_turns
from .program.map_border import NO_BORDER, MapBorder
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
    turns = choose_turns(layers, geometry, choice.orders, blocks, graph.concatenations)
    numbers = {layer.name: number for number, turn in enumerate(turns) for layer in turn.layers}
    unstored = {layer.source.name for layer in layers if layer.on_load is not None}
    layouts, sizes = plan_memory(
        graph, geometry, choice.orders, fold, borders=_borders(layers), images=batch, keep_maps=keep_maps,
        turns=numbers, unstored=unstored,
    )  # fmt: skip
    parameters.extend(bytes(align(len(parameters)) - len(parameters)))

    def emit(by_row: Collection[str] = ()) -> tuple[EngineQueues, list[Draft[Instruction]]]:
        queues = EngineQueues(geometry, layouts, choice.placements, graph.concatenations, by_row)
        for turn in turns:
            schedule(turn, queues)
        return queues, assemble(queues)

    queues, drafts = emit()
    if geometry.map_words:
        # What maps need is found from the program; moved row by row it is another one, in which they need the same or
        # nearly so.
        maps = moved_maps(graph, layers, layouts, unstored)
        rings = place_rings(ring_needs(drafts, maps), geometry.map_words)
        chosen = {use: kept for use, kept in maps.items() if kept.name in rings}
        queues, drafts = emit(moved_by_row(graph, layouts, chosen.values()))
        rings = place_rings(ring_needs(drafts, chosen), geometry.map_words)
        keep_on_chip(drafts, chosen, rings, chip_only=not keep_maps)
    return Program(
        name=graph.name,
        geometry=geometry,
        instructions=b"".join(draft.encode() for draft in drafts),
        parameters=bytes(parameters),
        input=layouts[graph.input],
        outputs=tuple(layouts[name] for name in graph.outputs),
        maps={layer.output: layouts[layer.output] for layer in graph.layers if layer.output not in unstored},
        sizes=sizes | {"PARAMETERS": len(parameters), "LOG": LOG_RECORD_BYTES * geometry.maps_ports * len(layers)},
        layers=_records(layers, queues, drafts, choice.placements),
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


def _borders(layers: tuple[MachineLayer, ...]) -> dict[str, MapBorder]:
    """What layers read of the borders of maps, by tensor."""
    borders: dict[str, MapBorder] = {}
    for layer in layers:
        name = layer.stored.name
        borders[name] = MapBorder.union([borders.get(name, NO_BORDER), layer.stored_border])
    return borders


def _records(
    layers: tuple[MachineLayer, ...],
    queues: EngineQueues,
    drafts: list[Draft[Instruction]],
    placements: dict[str, Placement | None],
) -> tuple[LayerRecord, ...]:
    def macs_of(layer: MachineLayer) -> int:
        return layer.images * layer.target.height * layer.target.width * layer.convolution.weight.size

    geometry = queues.geometry
    steps: Counter[int] = Counter()
    for item in queues.computes:
        steps[item.draft.instruction.layer] += item.steps
    read: Counter[int] = Counter()
    written: Counter[int] = Counter()
    for instruction in (draft.instruction for draft in drafts):
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

