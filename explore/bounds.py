"""The roofline of a program: cycles that a layer's steps and each of its streams would take alone."""

from collections import defaultdict

from ..compiler.program.lane_groups import map_group
from ..compiler.program.program import Program
from ..compiler.program.traffic import chip_words, read_bytes, write_bytes
from ..hdl.instructions import Compute, LoadConstants, LoadMap, LoadWeights, Store
from ..hdl.isa import Mode


def bounds(program: Program, *, bytes_per_cycle: float) -> dict[int, dict[str, float]]:
    """By layer number, the least cycles that each resource needs for it in a run (of all images that the program
    computes), however well everything overlaps.

    compute: the steps of its COMPUTEs. drain: one accumulator group in `drain_cycles`. weights, maps, residual, stores:
    bytes over the rate of the bus that carries them, of maps a word a cycle at most (residuals share the maps' bus),
    and a word a cycle of what the map memory alone carries; of the lane groups the one that has most. memory: all
    bytes over the DDR's rate.
    """
    geometry = program.geometry
    maps_rate = geometry.word_bytes / geometry.cycles_per_word
    weights_rate = geometry.weights_bus_bits / 8 * geometry.weight_ports
    need: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    by_group: dict[tuple[int, str], dict[int, float]] = defaultdict(lambda: defaultdict(float))  # layer and stream
    for instruction in program.decoded():
        layer = need[instruction.layer]
        count = read_bytes(geometry, instruction) + write_bytes(geometry, instruction)
        layer["memory"] += count / bytes_per_cycle
        if isinstance(instruction, Compute):
            layer["compute"] += instruction.steps
            if instruction.mode is Mode.CONVOLVE:
                layer["drain"] += instruction.groups * geometry.drain_cycles
        elif isinstance(instruction, LoadWeights | LoadConstants):
            layer["weights"] += count / weights_rate
        elif isinstance(instruction, LoadMap | Store):
            stream = "stores" if isinstance(instruction, Store) else "residual" if instruction.residual else "maps"
            cycles = count / maps_rate + chip_words(instruction)
            by_group[instruction.layer, stream][map_group(instruction, geometry)] += cycles
    for (number, stream), groups in by_group.items():
        need[number][stream] = max(groups.values())
    return {number: {name: value for name, value in layer.items() if value} for number, layer in need.items()}
