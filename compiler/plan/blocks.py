"""How a map is cut so that its pieces fit the memories of the pixel lanes.

Of a batch, a block is either rows of one image, which its lanes share out in bands, or the same rows of several images,
a lane's own each: then no lane idles at maps of few rows, and weights are read once for all of them.
"""

import dataclasses

from ...hdl.geometry import Geometry
from ..errors import CompileError
from ..lower.layers import MachineLayer
from ..program.lane_groups import lanes_by_group
from ..span import Padded, Span


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outputs:
    """What a block computes.

    Members
    -------
    images: one, or as many as there are lanes at most.
    rows, columns: output rows and columns of the block, of each of its images.
    """

    images: Span
    rows: Span
    columns: Span


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a block reads of each of its images.

    Members
    -------
    row_step: only every row_step-th row of the map is read; rows count those.
    rows: input rows, with the zero rows around them.
    columns: input columns.
    lead, tail: addresses before and after the block's words that masked columns may be read from.
    """

    row_step: int
    rows: Padded
    columns: Span
    lead: int
    tail: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class LaneBand:
    """How a block's rows are shared out among the pixel lanes.

    Members
    -------
    own_image: every lane has an image of its own.
    output_rows: output rows of a lane (the last lanes may have fewer, or none).
    rows, step: rows that a lane holds, and rows from a lane's first to the next one's: `lane_rows`, `lane_step` of
        `isa.LOAD_MAP`.
    skip_rows: rows of a lane's memory before the first row of its first window.
    window_step: rows between windows.
    """

    own_image: bool
    output_rows: int
    rows: int
    step: int
    skip_rows: int
    window_step: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Block:
    """Outputs computed from one filling of the activation memories.

    Lane p computes output rows outputs.rows.begin + p · band.output_rows … of one image; where lanes have their own
    images, rows outputs.rows.begin … of image outputs.images.begin + p. It holds `band.rows` rows of the input's
    columns, of every plane.
    """

    outputs: Outputs
    inputs: Inputs
    band: LaneBand

    def words(self, planes: int) -> int:
        """Activation memory that `planes` planes of the block take, per lane."""
        return planes * self.plane_pitch + self.inputs.lead + self.inputs.tail

    @property
    def plane_pitch(self) -> int:
        return self.band.rows * self.inputs.columns.size

    @property
    def lane_pixels(self) -> int:
        """Output pixels of a lane that has most of them."""
        return self.band.output_rows * self.outputs.columns.size

    @property
    def read_positions(self) -> int:
        """Input positions that are read, of all images."""
        return self.inputs.rows.span.size * self.inputs.columns.size * self.outputs.images.size

    def valid_rows(self, lane: int) -> int:
        """Output rows of a lane that exist."""
        rows = self.outputs.rows.size
        if self.band.own_image:
            return rows if lane < self.outputs.images.size else 0
        return max(0, min(self.band.output_rows, rows - lane * self.band.output_rows))

    def lanes(self, geometry: Geometry) -> int:
        """Lanes that have any row."""
        if self.band.own_image:
            return self.outputs.images.size
        return min(geometry.pixel_lanes, -(-self.outputs.rows.size // self.band.output_rows))

    def lane_image(self, lane: int) -> int:
        """The image that a lane computes rows of."""
        return self.outputs.images.begin + lane * self.band.own_image

    def output_row(self, lane: int) -> int:
        """The first output row of a lane, of its image."""
        return self.outputs.rows.begin + (0 if self.band.own_image else lane * self.band.output_rows)

    def groups(self, geometry: Geometry) -> "list[list[GroupRows]]":
        """What each group of lanes reads; those without a lane that has any row are left out."""
        read = self.inputs.rows
        used = self.lanes(geometry)
        if self.band.own_image:
            return [
                [GroupRows(range(lane, lane + 1), read) for lane in lanes] for lanes in lanes_by_group(used, geometry)
            ]
        result = []
        for lanes in lanes_by_group(used, geometry):
            begin, end = lanes[0] * self.band.step, lanes[-1] * self.band.step + self.band.rows
            if lanes.stop == used:
                end = read.size
            result.append([GroupRows(lanes, _part(read, Span(begin, end)))])
        return result

    def busiest_rows(self, geometry: Geometry) -> int:
        """Output rows of the group of lanes with most of them."""
        rows = self.outputs.rows.size
        if self.band.own_image:
            return rows * min(self.outputs.images.size, geometry.group_lanes)
        return min(rows, geometry.group_lanes * self.band.output_rows)


@dataclasses.dataclass(frozen=True)
class GroupRows:
    """Rows of an image that lanes of a group take. At least one row is read; where the lanes take zero rows only, it
    falls behind them."""

    lanes: range
    rows: Padded


def _part(read: Padded, taken: Span) -> Padded:
    """Rows `taken` of rows that are read and zero rows around them, both counted from the first zero row."""
    begin, end = max(taken.begin, read.before), min(taken.end, read.size - read.after)
    if begin >= end:
        return Padded(Span(read.span.begin, read.span.begin + 1), taken.size, 0)
    rows = Span(begin, end).shifted(read.span.begin - read.before)
    return Padded(rows, begin - taken.begin, taken.end - end)


@dataclasses.dataclass(frozen=True)
class Cut:
    """How a layer's outputs are cut in blocks: `lane_rows` rows a lane, and whether each lane has its own image."""

    lane_rows: int
    by_image: bool = False


def make_block(
    layer: MachineLayer, geometry: Geometry, cut: Cut, *, image: int, first_row: int, first_column: int, columns: int
) -> Block:
    """The block that begins at an image's output row and column, clipped at the map's bottom."""
    lanes = 1 if cut.by_image else geometry.pixel_lanes
    count = min(lanes * cut.lane_rows, layer.target.height - first_row)
    outputs = Outputs(
        images=Span(image, min(image + geometry.pixel_lanes, layer.images) if cut.by_image else image + 1),
        rows=Span(first_row, first_row + count),
        columns=Span(first_column, first_column + columns),
    )
    kernel_y, stride_y = layer.kernel[0], layer.stride[0]
    # Rows that lie between windows of one row are not read, unless there is padding to count with.
    between = kernel_y == 1 and layer.pad_top == 0 and (layer.target.height - 1) * stride_y < layer.source.height
    row_step = stride_y if between else 1
    window_step = stride_y // row_step
    rows, skip = _input_rows(layer, outputs.rows, row_step, window_step)
    read, lead, tail = _input_columns(layer, outputs.columns)
    band = LaneBand(
        own_image=cut.by_image,
        output_rows=cut.lane_rows,
        rows=(cut.lane_rows - 1) * window_step + kernel_y + skip,
        step=0 if cut.by_image else cut.lane_rows * window_step,
        skip_rows=skip,
        window_step=window_step,
    )
    return Block(
        outputs=outputs, inputs=Inputs(row_step=row_step, rows=rows, columns=read, lead=lead, tail=tail), band=band
    )


def _input_rows(layer: MachineLayer, rows: Span, row_step: int, window_step: int) -> tuple[Padded, int]:
    """Input rows that output rows need, counted by `row_step`, and how many come before the first window's."""
    last = (layer.source.height - 1) // row_step
    begin = rows.begin * window_step - layer.pad_top
    end = (rows.end - 1) * window_step + layer.kernel[0] - 1 - layer.pad_top
    skip = max(0, begin - last)  # a window wholly below the map: at least one row must be read
    begin -= skip
    return Padded(Span(max(0, begin), min(max(0, end), last) + 1), max(0, -begin), max(0, end - last)), skip


def _input_columns(layer: MachineLayer, columns: Span) -> tuple[Span, int, int]:
    """Input columns that output columns need, and how many more before and after them are masked.

    Raises
    ------
    CompileError: the output columns are some of several, and need none.
    """
    last, stride = layer.source.width - 1, layer.stride[1]
    left = columns.begin * stride - layer.pad_left
    right = (columns.end - 1) * stride + layer.kernel[1] - 1 - layer.pad_left
    read = Span(0, last + 1)
    if columns.size != layer.target.width:
        read = Span(min(max(0, left), last), max(min(right, last), 0) + 1)
        if left > last:
            raise CompileError(
                layer.where,
                f"must be cut into columns, and those from {columns.begin} on lie wholly in its padding",
                "raise the geometry's activation_depth, or pad less than the kernel's width",
            )
    return read, max(0, read.begin - left), max(0, right - read.end + 1)


def split(
    layer: MachineLayer, geometry: Geometry, planes: int, capacity: int, *, by_image: bool = False
) -> list[Block] | None:
    """Blocks in order, each of which takes at most `capacity` words with `planes` planes; None where no cut does.

    As few blocks of rows as possible; columns are cut only where one output row per lane does not fit.
    """
    height, width = layer.target.height, layer.target.width
    bands = 1 if by_image else geometry.pixel_lanes

    def blocks(rows: int, columns: int = width) -> list[Block]:
        return grid(layer, geometry, Cut(rows, by_image), columns)

    def fits(candidate: list[Block]) -> bool:
        return all(block.words(planes) <= capacity for block in candidate)

    whole = -(-height // bands)
    if fits(candidate := blocks(whole)):
        return candidate
    if fits(blocks(1)):
        most = _largest(lambda rows: fits(blocks(rows)), 1, whole)
        parts = -(-height // (bands * most))
        return blocks(-(-height // (bands * parts)))
    if width == 1 or not fits(blocks(1, 1)):
        return None
    most = _largest(lambda columns: fits(blocks(1, columns)), 1, width)
    return blocks(1, -(-width // -(-width // most)))


def grid(layer: MachineLayer, geometry: Geometry, cut: Cut, columns: int) -> list[Block]:
    """Blocks of `cut.lane_rows` output rows a lane (of the last rows as few as they need) and `columns` output columns,
    in order, image by image or, where lanes have their own, as many images as there are lanes together."""
    height, width = layer.target.height, layer.target.width
    bands, together = (1, geometry.pixel_lanes) if cut.by_image else (geometry.pixel_lanes, 1)
    return [
        make_block(
            layer,
            geometry,
            Cut(min(cut.lane_rows, -(-(height - row) // bands)), cut.by_image),
            image=image,
            first_row=row,
            first_column=column,
            columns=min(columns, width - column),
        )
        for image in range(0, layer.images, together)
        for row in range(0, height, bands * cut.lane_rows)
        for column in range(0, width, columns)
    ]


def ways(layer: MachineLayer) -> tuple[bool, ...]:
    """Whether lanes may have an image of their own (`Cut.by_image`): both ways, where there are several images."""
    return (False,) if layer.images == 1 else (False, True)


def _largest(good, low: int, high: int) -> int:  # type: ignore[no-untyped-def]
    """The largest number for which `good` holds, where it holds for `low` and never again once it fails."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if good(middle) else (low, middle - 1)
    return low

