"""The roofline of a program: cycles that a layer's steps and each of its streams would take alone."""

from collections import Counter, defaultdict

from ..compiler.program.lane_groups import map_group
from ..compiler.program.program import Program
from ..compiler.program.traffic import read_bytes, write_bytes
from ..hdl.isa import Opcode


def bounds(program: Program, *, bytes_per_cycle: float) -> dict[int, dict[str, float]]:
    """By layer number, the least cycles that each resource needs for it in a run (of all images that the program
    computes), however well everything overlaps.

    compute: the steps of its COMPUTEs. drain: one accumulator group in `drain_cycles`. weights, maps, residual, stores:
    bytes over the rate of the bus that carries them, of maps a word a cycle at most (residuals share the maps' bus),
    and of the lane groups the one that has most. memory: all bytes over the DDR's rate.
    """
    geometry = program.geometry
    maps_rate = geometry.word_bytes / geometry.cycles_per_word
    weights_rate = geometry.weights_bus_bits / 8 * geometry.weight_ports
    need: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    by_group: dict[tuple[int, str], Counter[int]] = defaultdict(Counter)  # bytes by layer and stream
    for opcode, fields in program.decoded():
        layer = need[fields["layer"]]
        count = read_bytes(geometry, opcode, fields) + write_bytes(geometry, opcode, fields)
        layer["memory"] += count / bytes_per_cycle
        if opcode is Opcode.COMPUTE:
            groups = fields["outputs_y"] * fields["outputs_x"]
            window = fields["kernel_y"] * fields["kernel_x"] * fields["channels"]
            layer["compute"] += groups * fields["passes"] * window
            layer["drain"] += groups * geometry.drain_cycles * (1 - fields["mode"])
        elif opcode in (Opcode.LOAD_WEIGHTS, Opcode.LOAD_CONSTANTS):
            layer["weights"] += count / weights_rate
        elif opcode is Opcode.LOAD_MAP:
            stream = "residual" if fields["residual"] else "maps"
            by_group[fields["layer"], stream][map_group(opcode, fields, geometry)] += count
        elif opcode is Opcode.STORE:
            by_group[fields["layer"], "stores"][map_group(opcode, fields, geometry)] += count
    for (number, stream), carried in by_group.items():
        need[number][stream] = max(carried.values()) / maps_rate
    return {number: {name: value for name, value in layer.items() if value} for number, layer in need.items()}
