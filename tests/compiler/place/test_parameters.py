"""Weight streams and constants, unpacked bit by bit with code of the test's own."""

import itertools

import numpy as np
import pytest

from intramix.compiler.lower.layers import lower
from intramix.compiler.place.channel_order import choose_channel_orders
from intramix.compiler.place.lanes import Placement
from intramix.compiler.place.parameters import add_parameters, source_words
from intramix.compiler.span import Span
from intramix.hdl.encoding import weight_of
from intramix.hdl.isa import CONSTANT_LAYOUT, unpack
from intramix.quant.graph.random_graph import FormatMix, single_convolution


def stored_words(geometry, block, parameters, count):
    """Weight words as integers: the slices of all ports put together."""
    words = []
    for number in range(count):
        word = 0
        for port in range(geometry.weight_ports):
            start = block.weights + port * block.port_stride + number * block.slice_bytes
            part = int.from_bytes(parameters[start : start + block.slice_bytes], "little")
            word |= part << 8 * block.slice_bytes * port
        words.append(word)
    return words


def lane_codes(geometry, word):
    """To × Ti codes of a word."""
    codes = []
    for kind in geometry.lanes:
        row = []
        for _ in range(geometry.word_channels):
            row.append(word & (1 << kind.weight_bits) - 1)
            word >>= kind.weight_bits
        codes.append(row)
    assert word == 0
    return codes


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("eights", [False, True])
def test_stream_holds_every_weight_where_its_step_reads_it(geometry, depthwise, eights):
    mix = FormatMix(1, 0, 0) if eights else FormatMix()
    filters = 22 if depthwise else 13
    graph = single_convolution(
        6, channels=11, filters=filters, kernel=(2, 3), depthwise=depthwise, input_bits=4, output_bits=4, mix=mix
    )
    (layer,), _ = lower(graph, geometry)
    orders = choose_channel_orders((layer,), geometry)
    placement, digits = orders.placements[layer.target.name], orders.weight_digits[layer.name]
    source = orders.orders[layer.source.name]
    parameters = bytearray(b"\x55" * 100)
    block = add_parameters(geometry, layer, source, placement, digits, parameters)
    assert block.weights % 64 == block.constants % 64 == block.port_stride % 64 == 0
    words = stored_words(geometry, block, parameters, block.first_word[-1])
    weight = layer.weight  # of a folded input too
    for tile, span in enumerate(source_words(layer, source, placement)):
        run = [lane_codes(geometry, word) for word in words[block.first_word[tile] :][: digits * block.run_words[tile]]]
        step = 0
        for ky in range(layer.kernel[0]):
            for kx in range(layer.kernel[1]):
                for word in range(span.begin, span.end):
                    for lane, filter_ in enumerate(placement.lanes[tile]):
                        for slot in range(geometry.word_channels):
                            channel = source[word * geometry.word_channels + slot]
                            if filter_ < 0 or channel < 0:
                                expected = 0
                            elif depthwise:
                                own = filter_ // 2 == channel
                                expected = weight[filter_, 0, ky, kx] if own else 0
                            else:
                                expected = weight[filter_, channel, ky, kx]
                            if digits == 1:
                                assert weight_of(geometry.lanes[lane], run[step][lane][slot]) == expected
                            elif filter_ >= 0:
                                high_digit, low_digit = run[step][lane][slot], run[step + len(run) // 2][lane][slot]
                                assert 16 * high_digit + low_digit - 128 == expected
                    step += 1
        _check_constants(geometry, parameters, block.constants, tile, placement, layer.convolution, digits)


def _check_constants(geometry, parameters, start, tile, placement, convolution, digits):
    units, rows = geometry.post_units, geometry.tile_filters // geometry.post_units
    position = start + tile * geometry.tile_filters * 8
    for row in range(rows):
        for unit in range(units):
            fields = unpack(CONSTANT_LAYOUT, int.from_bytes(parameters[position : position + 8], "little"))
            position += 8
            lane = unit * rows + row
            filter_ = placement.lanes[tile, lane]
            if filter_ < 0:
                assert set(fields.values()) == {0}
                continue
            assert fields["multiplier"] == convolution.multiplier[filter_]
            assert fields["bias"] == convolution.bias[filter_] + (1 << convolution.shift >> 1)
            kind = geometry.lanes[lane]
            owed = {"fixed-8": 2, "fixed-4": 1, "lut-fixed-4": 1, "lut-sp2-4": 1, "lut-pot-4": 0}[kind.value]
            assert fields["offset"] == (2 if digits == 2 else owed)


def test_depthwise_tiles_read_only_their_channels(geometries):
    geometry = geometries["plain"]
    graph = single_convolution(2, channels=40, filters=40, depthwise=True)
    (layer,), _ = lower(graph, geometry)
    orders = choose_channel_orders((layer,), geometry)
    placement = orders.placements[layer.target.name]
    assert isinstance(placement, Placement)
    assert placement.tiles > 1
    spans = source_words(layer, orders.orders[layer.source.name], placement)
    assert spans == [Span(*ends) for ends in itertools.pairwise(placement.first_word)]
    assert np.array_equal(orders.orders[layer.source.name], placement.order)
