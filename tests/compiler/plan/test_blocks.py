"""Blocks and pieces cover every output once, and hold every input that their windows read."""

import dataclasses
import itertools

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from intramix.compiler.errors import CompileError
from intramix.compiler.lower.layers import lower
from intramix.compiler.plan.blocks import Cut, grid, split, ways
from intramix.compiler.plan.pieces import lane_rows, pieces, segments
from intramix.compiler.span import Padded, Span
from intramix.hdl.geometry import Geometry
from intramix.quant.graph.graph import Padding
from intramix.quant.graph.random_graph import single_convolution


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_blocks_hold_what_they_need(data):
    lanes = data.draw(st.sampled_from([1, 2, 4]))
    geometry = Geometry(word_channels=8, pixel_lanes=lanes, fixed8_lanes=8, fixed4_lanes=0, lut_lanes=0)
    size = data.draw(st.integers(1, 14)), data.draw(st.integers(1, 14))
    kernel = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    stride = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    padding = Padding(*(data.draw(st.integers(0, 3)) for _ in range(4)))
    assume(size[0] + padding.top + padding.bottom >= kernel[0] and size[1] + padding.left + padding.right >= kernel[1])
    graph = single_convolution(1, channels=8, filters=8, size=size, kernel=kernel, stride=stride, padding=padding)
    (layer,), _ = lower(graph, geometry, data.draw(st.integers(1, 5)))
    by_image = data.draw(st.sampled_from(ways(layer)))
    planes = data.draw(st.integers(1, 3))
    capacity = data.draw(st.integers(1, 400))
    try:
        blocks = split(layer, geometry, planes, capacity, by_image=by_image)
    except CompileError:
        assert max(padding.left, padding.right) >= kernel[1] or padding.right  # columns wholly in the padding
        return
    if blocks is None:
        return
    pixels = data.draw(st.integers(1, 40))
    computed = set()
    for block in blocks:
        assert block.words(planes) <= capacity
        for piece in pieces(block, pixels):
            assert piece.pixels <= pixels
            for lane in range(lanes):
                for row in range(piece.rows.begin, min(piece.rows.end, block.valid_rows(lane))):
                    for column in range(piece.columns.begin, piece.columns.end):
                        image, y = block.lane_image(lane), block.output_row(lane) + row
                        place = y, block.outputs.columns.begin + column
                        assert (image, *place) not in computed
                        computed.add((image, *place))
                        _check_window(layer, block, lane, row, place)
    shape = layer.images, layer.target.height, layer.target.width
    assert computed == set(itertools.product(*map(range, shape)))


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_groups_read_what_their_lanes_take(data):
    """Lanes find in their group's rows what they need, a group reads no row behind its last lane's."""
    lanes = data.draw(st.sampled_from([2, 4, 8]))
    one = Geometry(word_channels=8, pixel_lanes=lanes, fixed8_lanes=8, fixed4_lanes=0, lut_lanes=0)
    two = dataclasses.replace(one, maps_ports=2)
    rows, kernel, stride = data.draw(st.integers(1, 16)), data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    top, bottom = data.draw(st.integers(0, 6)), data.draw(st.integers(0, 6))
    assume(rows + top + bottom >= kernel)
    graph = single_convolution(1, channels=8, filters=8, size=(rows, 2), kernel=(kernel, 1), stride=(stride, 1),
                               padding=Padding(top, 0, bottom, 0))  # fmt: skip
    (layer,), _ = lower(graph, two)
    for block in grid(layer, two, Cut(data.draw(st.integers(1, 5))), 2):
        ((whole,),) = block.groups(one)
        assert whole.rows == block.inputs.rows
        parts = [part for (part,) in block.groups(two)]
        assert [lane for part in parts for lane in part.lanes] == list(range(block.lanes(two)))
        for part in parts:
            content = content_of(part.rows)
            for lane in part.lanes:
                begin = (lane - part.lanes[0]) * block.band.step
                for row, ky in itertools.product(range(block.valid_rows(lane)), range(kernel)):
                    real = (block.outputs.rows.begin + lane * block.band.output_rows + row) * stride + ky - top
                    found = content[begin + block.band.skip_rows + row * block.band.window_step + ky]
                    assert found == (real // block.inputs.row_step if 0 <= real < rows else None)
            assert part.rows.span.size == 1 or part.rows.before + part.rows.span.size <= begin + block.band.rows


def test_lanes_of_a_batch_read_an_image_each():
    """The same rows of every image, each lane's by itself; images that are left over leave lanes idle."""
    geometry = Geometry(word_channels=8, pixel_lanes=4, fixed8_lanes=8, fixed4_lanes=0, lut_lanes=0, maps_ports=2)
    graph = single_convolution(1, channels=8, filters=8, size=(7, 2), padding=Padding(1, 1, 1, 1))
    (layer,), _ = lower(graph, geometry, 7)
    first, second, third, last = grid(layer, geometry, Cut(4, by_image=True), 2)
    assert [block.outputs.images for block in (first, second, third, last)] == [
        Span(0, 4), Span(0, 4), Span(4, 7), Span(4, 7)
    ]  # fmt: skip
    for block, rows in ((first, Padded(Span(0, 5), 1, 0)), (second, Padded(Span(3, 7), 0, 1))):
        parts = [part for group in block.groups(geometry) for part in group]
        assert [part.lanes for part in parts] == [range(lane, lane + 1) for lane in range(4)]
        assert {part.rows for part in parts} == {rows}
    assert [len(group) for group in third.groups(geometry)] == [2, 1]
    assert [third.valid_rows(lane) for lane in range(4)] == [4, 4, 4, 0]
    assert (last.lane_image(2), last.output_row(2)) == (6, 4)


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_segments_bring_each_row_once_and_in_time(data):
    lanes = data.draw(st.sampled_from([1, 2, 4]))
    geometry = Geometry(word_channels=8, pixel_lanes=lanes, fixed8_lanes=8, fixed4_lanes=0, lut_lanes=0)
    rows, kernel, stride = data.draw(st.integers(1, 16)), data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    top, bottom = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 4))
    assume(rows + top + bottom >= kernel)
    padding = Padding(top, 0, bottom, 0)
    graph = single_convolution(
        1, channels=8, filters=8, size=(rows, 2), kernel=(kernel, 1), stride=(stride, 1), padding=padding
    )
    (layer,), _ = lower(graph, geometry)
    (block,) = split(layer, geometry, 1, 10000)
    cuts = list(pieces(block, data.draw(st.integers(1, 12))))
    parts = segments(block, cuts, layer, data.draw(st.integers(1, 5)))
    held = {}
    for number, piece in enumerate(cuts):
        for part in parts:
            if part.piece == number:
                for entry in lane_rows(block, part, layer, geometry):
                    for offset, row in enumerate(content_of(entry.rows)):
                        place = entry.lane, part.rows.begin + offset
                        assert place not in held
                        held[place] = row
        for lane in range(lanes):
            for row in range(piece.rows.begin, min(piece.rows.end, block.valid_rows(lane))):
                for ky in range(kernel):
                    real = (lane * block.band.output_rows + row) * stride + ky - top
                    found = held[lane, block.band.skip_rows + row * block.band.window_step + ky]
                    assert found == (real // block.inputs.row_step if 0 <= real < rows else None)
                    assert real % block.inputs.row_step == 0


def content_of(rows):
    """Numbers of the rows of a map, None for zero rows."""
    return [None] * rows.before + list(range(rows.span.begin, rows.span.end)) + [None] * rows.after


def _check_window(layer, block, lane, local_row, place):
    """Every input of the output's window is in the lane's memory at the row that the walk reads, or is padding."""
    y, x = place
    for ky in range(layer.kernel[0]):
        row = y * layer.stride[0] + ky - layer.pad_top
        held = block.band.skip_rows + local_row * block.band.window_step + ky
        assert held < block.band.rows
        stream = lane * block.band.step + held - block.inputs.rows.before  # counted from the first row read
        if 0 <= row < layer.source.height:
            assert (block.inputs.rows.span.begin + stream) * block.inputs.row_step == row
            assert stream < block.inputs.rows.span.size
        else:
            assert stream < 0 or stream >= block.inputs.rows.span.size
            assert -block.inputs.rows.before <= stream < block.inputs.rows.span.size + block.inputs.rows.after
    for kx in range(layer.kernel[1]):
        column = x * layer.stride[1] + kx - layer.pad_left
        if 0 <= column < layer.source.width:
            assert block.inputs.columns.begin <= column < block.inputs.columns.end
