"""A compiled program: everything a Device needs to run a network, and everything a host needs to check it."""

import dataclasses
from collections.abc import Iterator

from ...hdl.geometry import Geometry
from ...hdl.instructions import Compute, Instruction, decode
from ...hdl.isa import INSTRUCTION_BYTES
from .border_fill import BorderFill, border_fills
from .map_layout import MapLayout


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerRecord:
    """What a report says of one layer of the program: of all images that it computes.

    Members
    -------
    number: the `layer` field of its instructions, and its slot in the log of CRC records.
    name, kind: of the integer graph's layer.
    on_load: name of the depthwise layer that is computed while this one's input is loaded, and is not stored; or "".
    output: name of the tensor it stores.
    macs: multiply-accumulates of the layer as the model defines it (0 for pools by maximum).
    on_load_macs: those of `on_load`; the array has no part in them.
    ideal_cycles: macs / the geometry's MACs a cycle (window comparisons / (P · Ti) for a max pool).
    steps: steps the program spends on it, exactly.
    lane_mix: filters of the layer by `LaneClass` value.
    formats: filters of the layer by `WeightFormat.name`.
    read_bytes, write_bytes: DDR traffic of its instructions.
    """

    number: int
    name: str
    on_load: str
    kind: str
    output: str
    macs: int
    on_load_macs: int
    ideal_cycles: float
    steps: int
    lane_mix: dict[str, int]
    formats: dict[str, int]
    read_bytes: int
    write_bytes: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """A program for one geometry.

    Members
    -------
    name: of the network.
    geometry: the geometry it was compiled for; the hardware's signature must equal `geometry.signature`.
    instructions: 64 bytes each.
    parameters: contents of Region.PARAMETERS (weights and constants).
    input: layout of the network's input in Region.INPUT.
    outputs: layouts of its outputs in Region.OUTPUT, in the graph's order.
    maps: layouts of every tensor that a layer stores or concatenates, by name (outputs included).
    sizes: bytes of each region, by `isa.Region` name, and of "LOG".
    layers: in order of execution.
    keeps_maps: every map survives the run, so that each can be compared (no reuse of memory).
    selftest: CRC-32 and words that each layer must leave in the log for `records.selftest_codes`, by its number;
        empty: not computed (see `selftest.with_selftest`).
    """

    name: str
    geometry: Geometry
    instructions: bytes
    parameters: bytes
    input: MapLayout
    outputs: tuple[MapLayout, ...]
    maps: dict[str, MapLayout]
    sizes: dict[str, int]
    layers: tuple[LayerRecord, ...]
    keeps_maps: bool
    selftest: dict[int, tuple[int, int]] = dataclasses.field(default_factory=dict)

    @property
    def batch(self) -> int:
        """Images that a run computes."""
        return self.input.images

    @property
    def fills(self) -> tuple[BorderFill, ...]:
        """What the host writes into memory when it loads the program, beside instructions and parameters: the borders
        of maps that layers store. That of the input comes with every image."""
        stored = (self.maps[record.output] for record in self.layers)
        return tuple(fill for layout in stored for fill in border_fills(layout))

    @property
    def border_bytes(self) -> int:
        """Bytes of all borders that the host lays when it loads the program."""
        return sum(fill.bytes for fill in self.fills)

    def computes(self) -> Iterator[Compute]:
        """Every COMPUTE, in program order. Raises what `decoded` raises."""
        return (instruction for instruction in self.decoded() if isinstance(instruction, Compute))

    def decoded(self) -> Iterator[Instruction]:
        """Every instruction, in program order.

        Raises
        ------
        ValueError: an instruction is cut short, or its opcode is unknown.
        """
        for start in range(0, len(self.instructions), INSTRUCTION_BYTES):
            yield decode(self.instructions[start : start + INSTRUCTION_BYTES])
