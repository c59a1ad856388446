"""The depthwise unit: a 3 × 3 depthwise convolution of planes on their way from memory to the pixel lanes."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from .. import isa
from ..array.arithmetic import delay
from ..geometry import Geometry
from ..interfaces import field_shape
from ..modules import place
from .depthwise_lane import DepthwiseLane
from .depthwise_window import Source, WindowFormer
from .gearbox import word_layout
from .kernel_store import ROW, KernelStore
from .placer import PLACE

RESULTS = 32
"""Words of results held or under way: more than the lanes' latency, so that one may come every cycle."""


class DepthwiseRows(data.Struct):
    """What the words of a LOAD_MAP pass: the fields of the instruction that the unit needs.

    Without `depthwise` and `kernels` the words pass as they are, and the other fields are of no interest.
    """

    layer: unsigned(isa.LAYER_BITS)
    depthwise: unsigned(1)
    kernels: unsigned(1)
    row: ROW
    """Of the kernel memory: the first one written, or of the first plane's kernels."""
    planes: field_shape(isa.LOAD_MAP, "planes")
    source: Source
    shift: field_shape(isa.LOAD_MAP, "shift")
    maximum: field_shape(isa.LOAD_MAP, "maximum")


class DepthwiseUnit(wiring.Component):
    """Words of instructions with `depthwise` are convolved, kernels are kept, other words pass, in order.

    A position of the padded plane takes a cycle; with S = Ti / D a window takes S cycles, in which other positions
    pass. The kernels of a plane come while the plane before is convolved.

    Members
    -------
    rows: what comes next; taken when the words of the one before have passed.
    words: of every plane its rows; or kernels.
    results: words whose `last`, `plane_end` and `final` are together in a plane's last word.
    wrong: a plane ends within a row, or has fewer than three rows; a cycle after it is seen.
    layer: of what is wrong.
    idle: nothing is under way.
    active: something moved, a cycle ago.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = g = geometry
        words = stream.Signature(word_layout(word_bits=g.word_bits, tag=PLACE))
        super().__init__({
            "rows": In(stream.Signature(DepthwiseRows)),
            "words": In(words),
            "results": Out(words),
            "wrong": Out(1),
            "layer": Out(isa.LAYER_BITS),
            "idle": Out(1),
            "active": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g = self._geometry
        m.submodules.former = former = WindowFormer(g)
        m.submodules.kernels = store = KernelStore(g)
        m.submodules.buffer = buffer = SyncFIFO(width=g.word_bits, depth=RESULTS)
        word, result = self.words.p, self.results.p
        codes_layout = data.ArrayLayout(unsigned(g.activation_bits), g.word_channels)

        # Instructions.
        busy, done = Signal(), Signal()
        rows = Signal(DepthwiseRows)
        over = Signal()  # no plane of `rows` is left to begin
        ending = Signal()  # results held are a plane's last ones
        m.d.comb += [
            # The kernel store follows the instruction: a plane's kernels are there as soon as its rows.
            self.rows.ready.eq((~busy | done) & store.idle & ~store.planes.valid),
        ]
        m.d.sync += [self.layer.eq(rows.layer), self.wrong.eq(former.wrong)]
        m.d.sync += [
            store.planes.valid.eq(self.rows.valid & self.rows.ready & self.rows.p.depthwise),
            store.planes.p.row.eq(self.rows.p.row),
            store.planes.p.planes.eq(self.rows.p.planes),
        ]
        with m.If(self.rows.ready):
            m.d.sync += busy.eq(self.rows.valid)
            with m.If(self.rows.valid):
                m.d.sync += [rows.eq(self.rows.p), over.eq(self.rows.p.planes == 0)]
        with m.Elif(done):
            m.d.sync += busy.eq(0)

        # Words: they pass, are kernels, or are rows.
        convolving = busy & rows.depthwise
        passing = busy & ~rows.depthwise & ~rows.kernels & ~ending
        taken, passed, keep = Signal(), Signal(), Signal()  # any word; one that is not convolved; one of kernels
        m.d.comb += [
            former.source.eq(rows.source),
            former.words.p.eq(word),
            former.words.valid.eq(convolving & self.words.valid),
            keep.eq(busy & rows.kernels & self.words.valid),
            passed.eq(keep | passing & self.results.ready & self.words.valid),
            self.words.ready.eq(
                Mux(convolving, former.words.ready, busy & rows.kernels | passing & self.results.ready)
            ),
            taken.eq(self.words.valid & self.words.ready),
            store.write.eq(keep),
            store.row.eq(rows.row),
            *(digit.eq(code[: len(digit)])
              for digit, code in zip(store.digits, data.View(codes_layout, word.data), strict=True)),
        ]
        with m.If(keep):
            m.d.sync += rows.row.eq(rows.row + 1)

        # Planes: one is formed, then its results drain while the next one's first rows come.
        begun, armed, draining = Signal(), Signal(), Signal()
        final, drained, formed = Signal(), Signal(), Signal()
        pending = Signal(range(RESULTS + 1))  # results held or under way, and one that has just left
        left = Signal()
        full = Signal()  # as many as there can be
        phases = g.word_channels // g.depthwise_channels
        phase = Signal(range(phases))
        at_first = Signal(init=1)  # phase is 0: a register of its own, for the lanes that that one drives
        flying = Signal(range(RESULTS + 1))  # windows whose result is not in the buffer yet
        landed = Signal(init=1)  # there is none
        m.d.comb += [
            former.begin.eq(convolving & ~begun & ~over),
            formed.eq(begun & armed & former.idle & at_first),
            store.take.eq(begun & ~armed & store.there & ~draining & ~ending & landed),
            drained.eq(draining & landed),
        ]
        with m.If(former.begin):
            m.d.sync += [begun.eq(1), rows.planes.eq(rows.planes - 1), over.eq(rows.planes == 1)]
        with m.If(store.take):
            m.d.sync += armed.eq(1)
        with m.If(formed):
            m.d.sync += [begun.eq(0), armed.eq(0), draining.eq(1)]
        with m.If(drained):
            m.d.sync += [draining.eq(0), ending.eq(1), final.eq(~begun & over)]

        # Windows: D channels a cycle, while there is room for the results. A window's later phases are held.
        launch, last_phase = Signal(), Signal()
        held = Signal.like(former.window.p, reset_less=True)
        m.d.comb += [
            former.window.ready.eq(armed & at_first & ~full),
            launch.eq((former.window.valid & former.window.ready) | ~at_first),
            last_phase.eq(launch & (phase == phases - 1)),
        ]
        with m.If(launch):
            m.d.sync += [phase.eq(Mux(last_phase, 0, phase + 1)), at_first.eq(last_phase)]
        with m.If(former.window.valid & former.window.ready):
            m.d.sync += held.eq(former.window.p)
        flying_next = Signal.like(flying)
        pending_next = Signal.like(pending)
        windows = former.window.valid & former.window.ready
        m.d.comb += [
            pending_next.eq(pending + windows - left), flying_next.eq(flying + windows - buffer.w_en),
        ]
        m.d.sync += [
            left.eq(buffer.r_en),
            pending.eq(pending_next),
            full.eq(pending_next == RESULTS),
            flying.eq(flying_next),
            landed.eq(flying_next == 0),
        ]
        codes = []
        for index in range(g.depthwise_channels):
            lane = DepthwiseLane(g)
            m.submodules[f"lane_{index}"] = place(platform, lane)
            channels = range(index, g.word_channels, g.depthwise_channels)
            taps = [
                [data.View(codes_layout, now)[channels[0]],
                 *(data.View(codes_layout, earlier)[channel] for channel in channels[1:])]
                for now, earlier in zip(former.window.p, held)
            ]  # fmt: skip
            m.d.comb += [
                lane.load.eq(store.load),
                lane.digits.eq(Cat(store.loaded[channel] for channel in channels)),
                lane.take.eq(store.take),
                *(tap.eq(Cat(sources)) for tap, sources in zip(lane.window, taps)),
                lane.phase.eq(phase),
                lane.shift.eq(rows.shift),
                lane.maximum.eq(rows.maximum),
            ]
            codes.append(lane.code)

        # Results: the codes of a window's phases, one after another, are a word.
        earlier = Signal((phases - 1) * g.depthwise_channels * g.activation_bits, reset_less=True)
        collected = Cat(earlier, *codes)
        m.d.sync += earlier.eq(collected[len(collected) - len(earlier) :])
        only = buffer.level == 1
        offered = Signal()  # the plane's last word is known to be it only when all are there
        m.d.comb += [
            buffer.w_data.eq(collected),
            buffer.w_en.eq(delay(m, last_phase, lane.latency)),
            offered.eq(buffer.r_rdy & (ending | ~only)),
            buffer.r_en.eq(offered & self.results.ready & ~passing),
            self.results.valid.eq(Mux(passing, self.words.valid, offered)),
            result.data.eq(Mux(passing, word.data, buffer.r_data)),
            result.last.eq(Mux(passing, word.last, ending & only)),
            result.tag.plane_end.eq(Mux(passing, word.tag.plane_end, ending & only)),
            result.tag.final.eq(Mux(passing, word.tag.final, final)),
            done.eq(Mux(
                convolving,
                drained & ~begun & over,
                passed & word.last & word.tag.plane_end & word.tag.final,
            )),
            self.idle.eq(~busy & ~ending),
        ]
        m.d.sync += self.active.eq(taken | former.active | launch | store.load)
        with m.If(buffer.r_en & only & ending):
            m.d.sync += ending.eq(0)
        return m
