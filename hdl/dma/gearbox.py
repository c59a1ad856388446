"""Between bus beats and words: bytes at any offset, words of any whole number of bytes.

Both directions are one idea: the incoming piece is rotated once, by the fill level, so that each of its bytes stands in
the lane (modulo the piece's size) where it belongs; an output byte then chooses between the bytes held from before and
one rotated lane, and what is left over goes to the held bytes by fixed wires.
"""

from collections.abc import Callable
from math import gcd

from amaranth.hdl import Cat, Const, Module, Mux, Shape, ShapeLike, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..stream_registers import SkidBuffer
from .reader import beat_layout


def rotate(m: Module, lanes: list[Value], amount: Value, name: str) -> list[Value]:
    """Lane k of the result is lane (k − amount) modulo the number of lanes; a logarithmic shifter.

    `amount` is less than the smallest power of two that is not below the number of lanes.
    """
    count = len(lanes)
    for bit in range((count - 1).bit_length()):
        stage = Signal(count * len(lanes[0]), name=f"{name}_{bit}")
        turned = [lanes[(k - (1 << bit)) % count] for k in range(count)]
        m.d.comb += stage.eq(Mux(amount[bit], Cat(*turned), Cat(*lanes)))
        lanes = _cut(stage, count)
    return lanes


def _cut(value: Value, count: int) -> list[Value]:
    width = len(value) // count
    return [value[k * width:(k + 1) * width] for k in range(count)]


def look_up(index: Signal, entry: Callable[[int], bool]) -> Value:
    """A bit for each value of a narrow signed signal: a LUT, where an adder or a comparison would be a carry chain."""
    size = 1 << len(index)
    table = sum(bool(entry(value - size if value >= size // 2 else value)) << value for value in range(size))
    return Const(table, size).bit_select(index.as_unsigned(), 1)


def _above(place: int) -> Callable[[int], bool]:
    """More is held than reaches to a place."""
    return lambda held: held > place


def _either(full: Callable[[int], bool], place: int) -> Callable[[int], bool]:
    """What is held becomes a whole one with the next, or ends before a place: the place is written anew."""
    return lambda held: full(held) or held <= place


def check_word(word_bits: int) -> None:
    """Refuses words that are not whole bytes.

    Raises
    ------
    ValueError: `word_bits` is not a positive multiple of 8.
    """
    if word_bits % 8 or word_bits < 8:
        raise ValueError(f"word_bits must be a positive multiple of 8, not {word_bits}")


def word_layout(*, word_bits: int, tag: ShapeLike = 0) -> data.StructLayout:
    """A word read from the bus: `last` of its request, with the request's tag."""
    return data.StructLayout({"data": word_bits, "last": 1, "tag": tag})


def _fill_shape(beat_bytes: int, word_bytes: int) -> Shape:
    """Of the bytes held, or, negative, to skip."""
    return signed(max(beat_bytes, word_bytes).bit_length() + 1)


def unpacked_layout(*, data_bits: int, word_bits: int, tag: ShapeLike = 0) -> data.StructLayout:
    """A beat as `Unpacker` takes it: `reader.beat_layout`, with what `offset` means instead of it.

    begin: − `offset`. single: from `offset` to `end` there is one word. Both are worked out before the beat is
        registered.
    """
    beat = beat_layout(data_bits=data_bits, tag=tag)
    begin = _fill_shape(data_bits // 8, word_bits // 8)
    return data.StructLayout({
        "begin": begin, "single": 1, **{name: beat[name].shape for name in ("data", "end", "last", "tag")},
    })


class Unpacker(wiring.Component):
    """Beats of requests (`BurstReader.beats`) into words. A request is whole words and may begin at any byte.

    One beat a cycle where a word is at least a beat, else one word a cycle; requests may follow each other without a
    gap. No latency.

    Parameters
    ----------
    data_bits: of the bus; a power of two.
    word_bits: of a word; whole bytes.
    tag: shape of the beats' and words' tag.
    merges: words of another source come between those of the beats.

    Members
    -------
    beats: `unpacked_layout`.
    words: `word_layout`.
    others: likewise, of the other source; only with `merges`, as `own` and `other`, of which one is high at most.
    own: the next word is one of the beats. other: it is one of the other source.

    Raises
    ------
    ValueError: the word is not whole bytes.
    """

    def __init__(self, *, data_bits: int, word_bits: int, tag: ShapeLike = 0, merges: bool = False) -> None:
        check_word(word_bits)
        self._beat = data_bits // 8
        self._word = word_bits // 8
        self._merges = merges
        words = stream.Signature(word_layout(word_bits=word_bits, tag=tag))
        others = {"others": In(words), "own": In(1), "other": In(1)} if merges else {}
        super().__init__({
            **others,
            "beats": In(stream.Signature(unpacked_layout(data_bits=data_bits, word_bits=word_bits, tag=tag))),
            "words": Out(words),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beat_bytes, word_bytes = self._beat, self._word
        beat, word = self.beats.p, Signal(self.words.p.shape())
        level = _fill_shape(beat_bytes, word_bytes)
        first = Signal(init=1)  # the next beat is a request's first one
        held_fill = Signal(level)
        held_completes, held_exceeds = Signal(), Signal()  # what `held_fill` means for the next beat
        held_ends = Signal()  # what is held becomes the request's last word with its last beat
        held = [Signal(8, name=f"held_{k}") for k in range(word_bytes - 1)]

        # Bytes of the word that are held; negative: bytes of the beat to skip. What depends on it alone is looked up.
        fill = Signal(level)
        m.d.comb += fill.eq(Mux(first, beat.begin, held_fill))
        lanes = rotate(m, _cut(beat.data, beat_bytes), fill, "turned")
        m.d.comb += word.data.eq(Cat(
            Mux(look_up(fill, _above(k)), held[k], lanes[k % beat_bytes])
            if k < word_bytes - 1 else lanes[k % beat_bytes]
            for k in range(word_bytes)
        ))

        def completes(held: int) -> bool:
            """The next beat completes a word."""
            return held + beat_bytes >= word_bytes

        def exceeds(held: int) -> bool:
            """The next beat completes a word, and holds as many bytes as another one has."""
            return held + beat_bytes >= 2 * word_bytes

        def after(held: int) -> int:
            """Bytes held once the beat is taken."""
            return held + beat_bytes - (word_bytes if completes(held) else 0)

        def bit_after(bit: int) -> Callable[[int], bool]:
            return lambda held: bool(after(held) >> bit & 1)

        def following(held: Signal) -> Value:
            """`after` of a signal."""
            return Cat(look_up(held, bit_after(bit)) for bit in range(len(held))).as_signed()

        complete = Signal()
        finished = Signal()
        again = Signal()  # the beat holds one more word
        m.d.comb += [
            complete.eq(Mux(first, look_up(beat.begin, completes), held_completes)),
            finished.eq(beat.last & Mux(first, beat.single, held_ends)),
        ]
        if beat_bytes > word_bytes:
            m.d.comb += again.eq(Mux(first, look_up(beat.begin, exceeds), held_exceeds) & ~finished)
        ready = Signal()
        m.d.comb += [
            self.beats.ready.eq(~complete | (ready & ~again)),
            word.last.eq(finished),
            Value.cast(word.tag).eq(Value.cast(beat.tag)),
        ]
        if self._merges:
            own, other = self.own, self.other & self.others.valid
            m.d.comb += [
                self.words.valid.eq((own & self.beats.valid & complete) | other),
                Value.cast(self.words.p).eq(Mux(self.other, Value.cast(self.others.p), Value.cast(word))),
                ready.eq(self.words.ready & own),
                self.others.ready.eq(self.words.ready & self.other),
            ]
        else:
            m.d.comb += [
                self.words.valid.eq(self.beats.valid & complete),
                Value.cast(self.words.p).eq(Value.cast(word)),
                ready.eq(self.words.ready),
            ]
        with m.If(self.beats.valid & complete & ready & again):
            m.d.sync += [
                held_fill.eq(fill - word_bytes), first.eq(0), held_completes.eq(1),
                held_ends.eq(Mux(first, *(
                    begun + beat.end == 2 * word_bytes - 1 for begun in (beat.begin, held_fill)
                ))),
                held_exceeds.eq(look_up(fill, lambda held: exceeds(held - word_bytes))),
            ]
        with m.If(self.beats.valid & self.beats.ready):
            m.d.sync += [
                first.eq(beat.last),
                held_fill.eq(following(fill)),
                held_ends.eq(Mux(first, *(
                    following(begun) + beat.end == word_bytes - 1 for begun in (beat.begin, held_fill)
                ))),
                held_completes.eq(look_up(fill, lambda held: completes(after(held)))),
                held_exceeds.eq(look_up(fill, lambda held: exceeds(after(held)))),
            ]
            for k in range(word_bytes - 1):
                with m.If(look_up(fill, _either(completes, k))):
                    rest = lanes[(k + word_bytes) % beat_bytes]
                    m.d.sync += held[k].eq(Mux(complete, rest, lanes[k % beat_bytes]))
        return m


def packed_word_layout(*, data_bits: int, word_bits: int) -> data.StructLayout:
    """A word for the bus.

    offset: byte within a beat where its chunk begins (constant through a chunk).
    last: the chunk's last word.
    """
    return data.StructLayout({"data": word_bits, "offset": range(data_bits // 8), "last": 1})


def strobed_beat_layout(*, data_bits: int) -> data.StructLayout:
    """A beat to write and which of its bytes are meant."""
    return data.StructLayout({"data": data_bits, "strobes": data_bits // 8})


class _Densifier(wiring.Component):
    """Words of a chunk into dense beats, the last one partial: `count` of its units (gcd of word and beat) are valid.

    A chunk begins at a beat's first byte. One beat a cycle where a word is at least a beat, else one word a cycle;
    one cycle more for a partial last beat.
    """

    def __init__(self, *, data_bits: int, word_bits: int) -> None:
        self._unit = gcd(data_bits, word_bits)
        self._word = word_bits // self._unit
        self._beat = data_bits // self._unit
        super().__init__({
            "words": In(stream.Signature(packed_word_layout(data_bits=data_bits, word_bits=word_bits))),
            "beats": Out(stream.Signature(data.StructLayout({
                "data": data_bits, "count": range(self._beat + 1), "offset": range(data_bits // 8), "last": 1,
            }))),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word_units, beat_units = self._word, self._beat
        word, beat = self.words.p, self.beats.p
        fill = Signal(signed(max(beat_units, word_units).bit_length() + 1))  # units held; negative: of the word to skip
        turn = Signal(range(word_units))  # fill modulo the word
        held = [Signal(self._unit, name=f"held_{k}") for k in range(beat_units - 1)]
        offset = Signal.like(word.offset)
        flush = Signal()

        lanes = rotate(m, _cut(word.data, word_units), turn, "turned")

        def fills(held: int) -> bool:
            """The next word fills a beat."""
            return held + word_units >= beat_units

        def ends(held: int) -> bool:
            """And it ends with it."""
            return held + word_units == beat_units

        full, again = Signal(), Signal()
        m.d.comb += [
            full.eq(look_up(fill, fills)),
            again.eq(look_up(fill, lambda held: held + word_units >= 2 * beat_units)),
            beat.data.eq(Cat(
                Mux(look_up(fill, _above(k)), held[k], lanes[k % word_units])
                if k < beat_units - 1 else lanes[k % word_units]
                for k in range(beat_units)
            )),
            beat.count.eq(Mux(flush, fill[:len(beat.count)], beat_units)),
            beat.offset.eq(Mux(flush, offset, word.offset)),
            beat.last.eq(flush | (word.last & look_up(fill, ends))),
            self.beats.valid.eq(flush | (self.words.valid & full)),
            self.words.ready.eq(~flush & (~full | (self.beats.ready & ~again))),
        ]
        with m.If(self.beats.valid & self.beats.ready):
            with m.If(flush):
                m.d.sync += [flush.eq(0), fill.eq(0), turn.eq(0)]
            with m.Else():
                step = -beat_units % word_units
                m.d.sync += turn.eq(Mux(turn >= word_units - step, turn - (word_units - step), turn + step))
                with m.If(again):
                    m.d.sync += fill.eq(fill - beat_units)
        with m.If(self.words.valid & self.words.ready):
            m.d.sync += [
                fill.eq(fill + Mux(full, word_units - beat_units, word_units)),
                offset.eq(word.offset),
                flush.eq(word.last & ~look_up(fill, ends)),
            ]
            for k in range(beat_units - 1):
                with m.If(look_up(fill, _either(fills, k))):
                    m.d.sync += held[k].eq(Mux(full, lanes[(k + beat_units) % word_units], lanes[k % word_units]))
        return m


class Packer(wiring.Component):
    """Words of chunks into strobed beats: a chunk is whole words, begins at any byte and ends with its `last` word.

    A beat holds bytes of one chunk only. One beat a cycle where a word is at least a beat, else one word a cycle.

    Parameters
    ----------
    data_bits: of the bus; a power of two.
    word_bits: of a word; whole bytes.

    Members
    -------
    words: `packed_word_layout`.
    beats: `strobed_beat_layout`.
    idle: no beat is held: every beat of the words taken has left.

    Raises
    ------
    ValueError: the word is not whole bytes.
    """

    def __init__(self, *, data_bits: int, word_bits: int) -> None:
        check_word(word_bits)
        self._data_bits = data_bits
        self._word_bits = word_bits
        super().__init__({
            "words": In(stream.Signature(packed_word_layout(data_bits=data_bits, word_bits=word_bits))),
            "beats": Out(stream.Signature(strobed_beat_layout(data_bits=data_bits))),
            "idle": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.densifier = densifier = _Densifier(data_bits=self._data_bits, word_bits=self._word_bits)
        wiring.connect(m, wiring.flipped(self.words), densifier.words)
        beat_bytes = self._data_bits // 8
        unit_bytes = gcd(self._data_bits, self._word_bits) // 8

        # A register between the two shifters.
        m.submodules.between = between = SkidBuffer(densifier.beats.p.shape())
        wiring.connect(m, densifier.beats, between.source)
        dense, dense_valid, dense_ready = between.sink.p, between.sink.valid, between.sink.ready
        started = Signal()  # words of an unfinished chunk are held in the densifier
        with m.If(densifier.beats.valid & densifier.beats.ready & densifier.beats.p.last):
            m.d.sync += started.eq(0)
        with m.Elif(self.words.valid & self.words.ready):
            m.d.sync += started.eq(1)

        # Shift to the chunk's offset.
        first = Signal(init=1)
        flush = Signal()
        rest = Signal(range(beat_bytes))  # bytes of the beat being flushed
        held = Signal(8 * (beat_bytes - 1))
        reach = Signal(range(2 * beat_bytes + 1))
        m.d.comb += reach.eq(dense.offset + dense.count * unit_bytes)
        over = reach > beat_bytes
        lanes = rotate(m, _cut(dense.data, beat_bytes), dense.offset, "turned")
        held_lanes = _cut(held, beat_bytes - 1) if beat_bytes > 1 else []
        beat = self.beats.p
        m.d.comb += [
            beat.data.eq(Cat(
                Mux(flush | (dense.offset > k), held_lanes[k], lanes[k]) if k < beat_bytes - 1 else lanes[k]
                for k in range(beat_bytes)
            )),
            beat.strobes.eq(Mux(
                flush,
                Cat(rest > k for k in range(beat_bytes)),
                Cat((~first | (dense.offset <= k)) & (~dense.last | (reach > k)) for k in range(beat_bytes)),
            )),
            self.beats.valid.eq(flush | dense_valid),
            dense_ready.eq(~flush & self.beats.ready),
            self.idle.eq(~started & between.empty & ~flush),
        ]
        with m.If(flush & self.beats.ready):
            m.d.sync += flush.eq(0)
        with m.If(dense_valid & dense_ready):
            m.d.sync += [
                held.eq(Cat(*lanes)),
                first.eq(dense.last),
                flush.eq(dense.last & over),
                rest.eq(reach - beat_bytes),
            ]
        return m
