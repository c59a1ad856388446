"""A pixel lane: its memories, requantizers, word registers and pool."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..geometry import CONSTANT_BITS, Geometry
from ..interfaces import LOCAL_ADDRESS_BITS
from ..isa import DIGIT_BITS
from ..modules import module_name, place
from .lane_memory import LaneMemory
from .layouts import lane_control_layout
from .pipeline import SELECTION_CYCLES, delay, select
from .pool import Maximum
from .requantizer import Requantizer


class PixelLane(wiring.Component):
    """Everything of the compute engine that exists once for each pixel lane, apart from the array.

    Cycles of `control`'s fields:

    - a step issued in t: `activation_address` t, `activation_zero` t + 1, `pool_valid` and `pool_first` t + 2, like
      `activations`;
    - a row presented in e: `row` and, in the first row, `residual_take` e; `sum` and `accumulators` are read in e + 1;
      `residual_digits` e + `SELECTION_CYCLES`; then, with r = e + 1 + `SELECTION_CYCLES`, `constants` and
      `residual_scale` r, `shift` and `maximum` r + `Requantizer.SHIFT_LAG`, `output_digits`, `codes_take` and, in the
      last row, `words_take` r + `Requantizer.LATENCY`;
    - a residual word: `residual_address` f, `residual_load` (bit digit · D + word) f + 1;
    - an output word: `write_word` w, after `words_take` or the pool's last step; `write_enable`, `write_address` w + 1.

    Parameters
    ----------
    copied: copy the array's results when `control.captured` says that all are there, and read the copies.

    Members
    -------
    control: In.
    maps_activation, maps_residual, maps_address, maps_data: In, writes by MAPS.
    accumulators, sum: In, the array's results, modulo 2^accumulator_bits.
    constants: In, of the row's To / U filters, requantizer 0 least significant.
    activations: Out, Ti slots.
    output: Out, the word of the output memory at the `read_address` of the cycle before.
    """

    def __init__(self, geometry: Geometry, *, copied: bool) -> None:
        self._geometry = g = geometry
        self._copied = copied
        self._word = data.ArrayLayout(unsigned(g.activation_bits), g.word_channels)
        self._digits = data.ArrayLayout(unsigned(DIGIT_BITS), g.word_channels)
        super().__init__({
            "control": In(lane_control_layout(g)),
            "maps_activation": In(1),
            "maps_residual": In(1),
            "maps_address": In(LOCAL_ADDRESS_BITS),
            "maps_data": In(g.word_bits),
            "accumulators": In(data.ArrayLayout(unsigned(g.accumulator_bits), g.tile_filters)),
            "sum": In(g.accumulator_bits),
            "constants": In(g.post_units * CONSTANT_BITS),
            "activations": Out(self._word),
            "output": Out(g.word_bits),
        })

    @property
    def module_name(self) -> str:
        return module_name("pixel_lane", f"{self._geometry.signature:08x}", *(["copied"] if self._copied else []))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        control = self.control
        m.submodules.memory = memory = LaneMemory(g)
        m.d.comb += [
            memory.maps_activation.eq(self.maps_activation),
            memory.maps_residual.eq(self.maps_residual),
            memory.maps_address.eq(self.maps_address),
            memory.maps_data.eq(self.maps_data),
            memory.activation_address.eq(control.activation_address),
            memory.residual_address.eq(control.residual_address),
            memory.read_address.eq(control.read_address),
            self.output.eq(memory.output),
        ]
        with m.If(control.activation_zero):
            m.d.sync += self.activations.eq(0)
        with m.Else():
            m.d.sync += self.activations.eq(memory.activation)

        row = Signal.like(control.row, name="selected_row", reset_less=True)
        m.d.sync += row.eq(control.row)
        residuals = self._residuals(m, memory, row)
        codes = self._codes(m, platform, row, residuals)
        self._words(m, memory, codes)
        return m

    def _residuals(self, m: Module, memory: LaneMemory, row: Signal) -> list[Signal]:
        """Residual codes of the row's filters, one of each requantizer, in the requantizers' first cycle."""
        g = self._geometry
        # Words of upper digits or whole codes, then words of lower digits; staged one by one, taken together.
        upper = [self._staged(m, memory, self._word, word) for word in range(g.tile_words)]
        lower = [self._staged(m, memory, self._digits, g.tile_words + word) for word in range(g.tile_words)]
        residuals = []
        for unit in range(g.post_units):
            first = unit * g.drain_cycles
            word, slot = divmod(first, g.word_channels)
            high = Signal(g.activation_bits, name=f"residual_high_{unit}")
            low = Signal(DIGIT_BITS, name=f"residual_low_{unit}")
            residual = Signal(8, name=f"residual_{unit}", reset_less=True)
            slots = range(slot, slot + g.drain_cycles)
            m.d.comb += [
                high.eq(select(m, [upper[word][index] for index in slots], row, name=f"residual_high_{unit}")),
                low.eq(select(m, [lower[word][index] for index in slots], row, name=f"residual_low_{unit}")),
            ]
            m.d.sync += residual.eq(Mux(self.control.residual_digits, Cat(low, high[:DIGIT_BITS]), high))
            residuals.append(residual)
        return residuals

    def _staged(self, m: Module, memory: LaneMemory, layout: data.ArrayLayout, index: int) -> Signal:
        """A residual word (or its slots' low digits), fetched into a staging register, held from `residual_take` on."""
        staging = Signal(layout, name=f"staging_{index}", reset_less=True)
        taken = Signal(layout, name=f"residual_word_{index}", reset_less=True)
        with m.If(self.control.residual_load[index]):
            for slot, source in zip(staging, data.View(self._word, memory.residual), strict=True):
                m.d.sync += slot.eq(source)
        with m.If(self.control.residual_take):
            m.d.sync += taken.eq(staging)
        return taken

    def _codes(self, m: Module, platform: object, row: Signal, residuals: list[Signal]) -> list[Value]:
        """The codes of the row's filters: operands are selected, then requantized."""
        g = self._geometry
        accumulators, total = self.accumulators, self.sum
        if self._copied:
            accumulators = Signal.like(self.accumulators, name="copied_accumulators", reset_less=True)
            total = Signal.like(self.sum, name="copied_sum", reset_less=True)
            with m.If(self.control.captured):
                m.d.sync += [accumulators.eq(self.accumulators), total.eq(self.sum)]
        selected_total = delay(m, total, SELECTION_CYCLES, name="selected_sum")
        codes = []
        for unit in range(g.post_units):
            first = unit * g.drain_cycles
            selected = Signal(g.accumulator_bits, name=f"accumulator_{unit}", reset_less=True)
            choices = [accumulators[first + index] for index in range(g.drain_cycles)]
            m.d.sync += selected.eq(select(m, choices, row, name=f"accumulator_{unit}"))
            requantizer = Requantizer(g, logic_addend=unit < g.logic_addends)
            m.submodules[f"post_{unit}"] = place(platform, requantizer)
            m.d.comb += [
                requantizer.accumulator.eq(selected),
                requantizer.sum.eq(selected_total),
                requantizer.constants.eq(self.constants[unit * CONSTANT_BITS : (unit + 1) * CONSTANT_BITS]),
                requantizer.residual.eq(residuals[unit]),
                requantizer.residual_scale.eq(self.control.residual_scale),
                requantizer.shift.eq(self.control.shift),
                requantizer.maximum.eq(self.control.maximum),
            ]
            codes.append(requantizer.code)
        return codes

    def _words(self, m: Module, memory: LaneMemory, codes: list[Value]) -> None:
        """Collects codes into words, digit by digit; the first word register is the pool's maximum too."""
        g = self._geometry
        control = self.control
        upper: list[Value] = []
        lower: list[Value] = []
        for unit, code in enumerate(codes):
            high = Mux(control.output_digits, code[DIGIT_BITS:], code[: g.activation_bits])
            for name, digit, width, words in (
                ("upper", high, g.activation_bits, upper),
                ("lower", code[:DIGIT_BITS], DIGIT_BITS, lower),
            ):
                # The unit's earlier codes of the accumulator group, oldest lowest.
                earlier = Signal(width * (g.drain_cycles - 1), name=f"{name}_codes_{unit}", reset_less=True)
                collected = Signal(width * g.drain_cycles, name=f"{name}_collected_{unit}")
                m.d.comb += collected.eq(Cat(earlier, digit[:width]))
                with m.If(control.codes_take):
                    m.d.sync += earlier.eq(collected[width:])
                words.append(collected)

        units = g.post_units // g.tile_words
        registers = []
        for name, parts, layout in (("upper", upper, self._word), ("lower", lower, self._digits)):
            for word in range(g.tile_words):
                register = Signal(layout, name=f"{name}_word_{word}", reset_less=True)
                with m.If(control.words_take):
                    m.d.sync += register.eq(Cat(*parts[word * units : (word + 1) * units]))
                registers.append(register)

        m.submodules.maximum = maximum = Maximum(g)
        m.d.comb += [
            maximum.word.eq(self.activations),
            maximum.best.eq(registers[0]),
            maximum.first.eq(control.pool_first),
        ]
        with m.If(control.pool_valid):
            m.d.sync += registers[0].eq(maximum.result)

        written = Signal(self._word, reset_less=True)
        with m.Switch(control.write_word):
            for index, register in enumerate(registers):
                with m.Case(index):
                    for slot, source in zip(written, register, strict=True):
                        m.d.sync += slot.eq(source)
        m.d.comb += [
            memory.write_enable.eq(control.write_enable),
            memory.write_address.eq(control.write_address),
            memory.write_data.eq(written),
        ]
