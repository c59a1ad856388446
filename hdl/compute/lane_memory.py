"""The private memories of a pixel lane."""

from amaranth.hdl import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ..geometry import Geometry
from ..interfaces import LOCAL_ADDRESS_BITS


class LaneMemory(wiring.Component):
    """Activation, residual and output memory of a pixel lane: block RAM, each with one write and one read port.

    A word is readable from the cycle after its write on. Reads take a cycle and happen in every cycle; a read of the
    word being written is undefined.

    Members
    -------
    maps_activation, maps_residual, maps_address, maps_data: In, MAPS writes one of the memories.
    activation_address, activation: the word is that of the cycle before's address.
    residual_address, residual: likewise.
    write_enable, write_address, write_data: In, COMPUTE writes the output memory.
    read_address, output: STORE reads it, likewise.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = g = geometry
        super().__init__({
            "maps_activation": In(1),
            "maps_residual": In(1),
            "maps_address": In(LOCAL_ADDRESS_BITS),
            "maps_data": In(g.word_bits),
            "activation_address": In(range(g.activation_depth)),
            "activation": Out(g.word_bits),
            "residual_address": In(range(g.residual_depth)),
            "residual": Out(g.word_bits),
            "write_enable": In(1),
            "write_address": In(range(g.output_depth)),
            "write_data": In(g.word_bits),
            "read_address": In(range(g.output_depth)),
            "output": Out(g.word_bits),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        for name, depth, write, read in (
            (
                "activations",
                g.activation_depth,
                (self.maps_activation, self.maps_address, self.maps_data),
                (self.activation_address, self.activation),
            ),
            (
                "residuals",
                g.residual_depth,
                (self.maps_residual, self.maps_address, self.maps_data),
                (self.residual_address, self.residual),
            ),
            (
                "outputs",
                g.output_depth,
                (self.write_enable, self.write_address, self.write_data),
                (self.read_address, self.output),
            ),
        ):
            m.submodules[name] = words = memory.Memory(shape=g.word_bits, depth=depth, init=[])
            write_port, read_port = words.write_port(), words.read_port()
            enable, address, word = write
            m.d.comb += [
                write_port.en.eq(enable),
                write_port.addr.eq(address),
                write_port.data.eq(word),
                read_port.en.eq(1),
                read_port.addr.eq(read[0]),
                read[1].eq(read_port.data),
            ]
        return m
