"""Explains a value of a layer from the program's instructions and layouts alone, so that a damaged program is too."""

import numpy as np

from ...hdl.instructions import Compute
from ...hdl.isa import Mode
from ..interpreter.compute import columns_inside, window_addresses
from ..program.lane_groups import group_of
from ..program.map_layout import MapLayout
from ..program.program import LayerRecord, Program
from .errors import ExplainError
from .explanation import Explanation, FilterPlace, Position, ResidualDigit, Standing, StoredDigit, WindowStep
from .history import ComputedWord, History
from .places import Source, Unwritten, Zero, ZeroKind
from .rings import RingContents, weight_bits
from .stores import find_store, stored_words


def explain(program: Program, layer: str, position: Position) -> Explanation:
    """How the program makes a value.

    Parameters
    ----------
    layer: a layer's name, or its number.

    Raises
    ------
    ExplainError: there is no such layer or value, or no instruction makes it.
    """
    return Explainer(program).explain(layer, position)


class Explainer:
    """`explain` for several values of a program, which is decoded once."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.geometry = program.geometry
        self.history = History(program)
        self.rings = RingContents(self.history)

    def explain(self, layer: str, position: Position) -> Explanation:
        """See `explain`."""
        record = self._record(layer)
        layout = self.program.maps[record.output]
        place = self._place(layout, position)
        findings = list(self.history.faults)
        words = stored_words(layout, position, place)
        stored = tuple(find_store(self.history, record, word, bits) for word, bits in words)
        computed = self._computed(stored, findings)
        compute, lane = computed.compute, stored[0].lane
        word, slot = divmod(place, self.geometry.word_channels)
        if compute.layer != record.number:
            findings.append(f"COMPUTE {computed.number} is of layer {compute.layer}, not {record.number}")
        return Explanation(
            layer=record, tensor=layout.name, bits=layout.bits, position=position,
            channel_word=word, slot=slot, stored=stored,
            pixel_lane=lane, lane_group=group_of(lane, self.geometry),
            compute_number=computed.number, compute=compute,
            group=computed.group, output_y=computed.group // compute.outputs_x,
            output_x=computed.group % compute.outputs_x,
            filter=self._filter(computed, word, slot, findings),
            standing=self._standing(computed, lane),
            steps=self._steps(computed, lane, findings),
            residual=self._residual(computed, lane, findings),
            findings=tuple(findings),
        )  # fmt: skip

    def _filter(self, computed: ComputedWord, word: int, slot: int, findings: list[str]) -> FilterPlace | None:
        if computed.compute.mode is Mode.MAXIMUM:
            return None
        plane = computed.plane % self.geometry.tile_words
        lane = plane * self.geometry.word_channels + slot
        constants = self.rings.constants(computed.number, computed.compute, lane)
        if constants.source is None:
            findings.append(f"tile {constants.tile} of constants is used, but never loaded")
        return FilterPlace(
            tile=-(-(word - plane) // self.geometry.tile_words), word=plane, lane=lane,
            lane_class=self.geometry.lanes[lane], weight_bits=weight_bits(self.geometry, lane), constants=constants,
        )  # fmt: skip

    # The value and where it is stored ---------------------------------------------------------------------------------

    def _record(self, layer: str) -> LayerRecord:
        for record in self.program.layers:
            if layer in (record.name, str(record.number)):
                return record
        for record in self.program.layers:
            if layer == record.on_load:
                raise ExplainError(
                    f"layer {layer} is computed while the input of layer {record.name} is loaded, and its values are "
                    f"stored nowhere: explain a value of {record.name}"
                )
        names = ", ".join(record.name for record in self.program.layers)
        raise ExplainError(f"program {self.program.name} has no layer {layer!r}; it has {names}")

    def _place(self, layout: MapLayout, position: Position) -> int:
        """The position of the channel among those stored."""
        for what, value, size in (
            ("image", position.image, layout.images), ("channel", position.channel, layout.channels),
            ("row", position.row, layout.height), ("column", position.column, layout.width),
        ):  # fmt: skip
            if not 0 <= value < size:
                of = "the run" if what == "image" else f"tensor {layout.name}"
                raise ExplainError(f"{what} must be 0 … {size - 1} of {of}, not {value}")
        return int(np.flatnonzero(layout.order == position.channel)[0])

    # The instruction that computes it ---------------------------------------------------------------------------------

    def _computed(self, stored: tuple[StoredDigit, ...], findings: list[str]) -> ComputedWord:
        found = []
        for digit in stored:
            computed = self.history.computed(digit.address, digit.store)
            if computed is None:
                raise ExplainError(
                    f"no COMPUTE before STORE {digit.store} writes address {digit.address} of lane {digit.lane}'s "
                    "output memory: the program is damaged"
                )
            found.append(computed)
        first = found[0]
        for digit, computed in zip(stored[1:], found[1:]):
            same = (computed.number, computed.group) == (first.number, first.group)
            if not same or digit.lane != stored[0].lane:
                findings.append(
                    f"the lower digit is made by COMPUTE {computed.number} in lane {digit.lane}, position "
                    f"{computed.group}, the upper one by COMPUTE {first.number}"
                )
        return first

    def _standing(self, computed: ComputedWord, lane: int) -> Standing:
        layer = [(number, compute) for number, compute in self.history.computes
                 if compute.layer == computed.compute.layer]  # fmt: skip
        fillings: list[int | None] = []
        for number, compute in layer:
            if number > computed.number:
                break
            fillings.append(self._filling(number, compute, lane))
        blocks = list(dict.fromkeys(fillings))
        before = sum(compute.steps for number, compute in self.history.computes if number < computed.number)
        return Standing(
            number=len(fillings) - 1,
            of=len(layer),
            block=blocks.index(fillings[-1]),
            in_block=fillings.count(fillings[-1]) - 1,
            steps_before=before + computed.group * computed.compute.group_steps,
        )

    def _filling(self, number: int, compute: Compute, lane: int) -> int | None:
        """The LOAD_MAP that brings the first word which the COMPUTE does not replace by zeros; None: there is none."""
        starts, steps = window_addresses(compute)
        inside = columns_inside(compute)
        places = np.argwhere(inside)
        if not len(places):
            return None
        column, step = places[0]
        address = (starts[column] + steps[0, step]) & 0xFFFF
        (source,) = self.history.sources(lane, np.array([address]), number)
        return None if isinstance(source, Unwritten) else source.load

    # What it is made of -----------------------------------------------------------------------------------------------

    def _steps(self, computed: ComputedWord, lane: int, findings: list[str]) -> tuple[WindowStep, ...]:
        compute = computed.compute
        starts, steps = window_addresses(compute)
        inside = columns_inside(compute)[computed.group % compute.outputs_x]
        passes = [computed.plane] if compute.mode is Mode.MAXIMUM else list(range(compute.passes))
        addresses = ((starts[computed.group] + steps[passes]) & 0xFFFF).reshape(-1)
        sources = self.history.sources(lane, addresses, computed.number)
        made = []
        for index, (address, source) in enumerate(zip(addresses.tolist(), sources)):
            order, step = divmod(index, steps.shape[1])
            rest, channel = divmod(step, compute.channels)
            kernel_y, kernel_x = divmod(rest, compute.kernel_x)
            found: Source = source if inside[step] else Zero(kind=ZeroKind.COLUMN)
            if isinstance(found, Unwritten):
                findings.append(f"address {address} of lane {lane}'s activation memory is read, but never written")
            number = passes[order]
            weights = None
            if compute.mode is Mode.CONVOLVE:
                weights = self.rings.weight_word(computed.number, compute, number, step)
                if weights.load is None:
                    findings.append(f"weight word {weights.number} is read, but never loaded")
            made.append(WindowStep(digit_pass=number, kernel_y=kernel_y, kernel_x=kernel_x, channel=channel,
                                   address=address, source=found, weights=weights))  # fmt: skip
        return tuple(made)

    def _residual(self, computed: ComputedWord, lane: int, findings: list[str]) -> tuple[ResidualDigit, ...]:
        compute = computed.compute
        if not compute.residual:
            return ()
        word = computed.plane % self.geometry.tile_words
        planes = [digit * self.geometry.tile_words + word for digit in range(1 + compute.residual_digits)]
        addresses = [compute.residual_base + plane * compute.residual_pitch + computed.group for plane in planes]
        sources = self.history.sources(lane, np.array(addresses), computed.number, residual=True)
        for address, source in zip(addresses, sources):
            if isinstance(source, Unwritten):
                findings.append(f"address {address} of lane {lane}'s residual memory is read, but never written")
        return tuple(ResidualDigit(address=address, source=source) for address, source in zip(addresses, sources))
