"""The roofline of a program: cycles that a layer's steps and each of its streams would take alone."""

from collections import defaultdict

from ..compiler.compile import read_bytes, write_bytes
from ..compiler.program import Program
from ..hdl.isa import Opcode


def bounds(program: Program, *, bytes_per_cycle: float) -> dict[int, dict[str, float]]:
    """By layer number, the least cycles that each resource needs for it, however well everything overlaps.

    compute: the steps of its COMPUTEs. drain: the groups' captures, one in `drain_cycles`. weights, maps, residual,
    stores: bytes over the rate of the bus that carries them, of maps a word a cycle at most (residuals share the maps'
    bus). memory: all bytes over the DDR's rate.
    """
    geometry = program.geometry
    load_rate = geometry.word_bytes / geometry.load_cycles_per_word
    store_rate = geometry.word_bytes / geometry.store_cycles_per_word
    weights_rate = geometry.weights_bus_bits / 8 * geometry.weight_ports
    need: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
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
            layer["residual" if fields["residual"] else "maps"] += count / load_rate
        elif opcode is Opcode.STORE:
            layer["stores"] += count / store_rate
    return {number: {name: value for name, value in layer.items() if value} for number, layer in need.items()}
