"""How a map is cut so that its pieces fit the memories of the pixel lanes.

Of a batch, a block is either rows of one image, which its lanes share out in bands, or the same rows of several images,
a lane's own each: then no lane idles at maps of few rows, and weights are read once for all of them.
"""

import dataclasses

from ...hdl.geometry import Geometry
from ..errors import CompileError
from ..lower.layers import LoweredLayer
from ..program.lane_groups import lanes_by_group


@dataclasses.dataclass(frozen=True, kw_only=True)
class Block:
    """Outputs computed from one filling of the activation memories.

    Lane p computes output rows first_row + p · lane_rows_out … of columns first_column …, of one image; with `by_image`
    rows first_row … of image `image` + p. It holds `lane_rows` rows of `columns_in` columns of the input, of every
    plane.

    Members
    -------
    by_image: every lane has an image of its own.
    image, images: the first image, and how many.
    image_rows: output rows of an image.
    first_row, rows: output rows of the block, of each of its images.
    lane_rows_out: output rows of a lane (the last lanes may have fewer, or none).
    first_column, columns: output columns of the block.
    row_step: only every row_step-th row of the map is held; rows below count those.
    window_step: rows between windows.
    read_row, read_rows, pad_top, pad_bottom: input rows read, and zero rows before and after them.
    skip_rows: rows of a lane's memory before the first row of its first window.
    lane_step, lane_rows: as in `isa.LOAD_MAP`.
    read_column, columns_in: input columns read.
    lead, tail: addresses before and after the block's words that masked columns may be read from.
    """

    by_image: bool
    image: int
    images: int
    image_rows: int
    first_row: int
    rows: int
    lane_rows_out: int
    first_column: int
    columns: int
    row_step: int
    window_step: int
    read_row: int
    read_rows: int
    pad_top: int
    pad_bottom: int
    skip_rows: int
    lane_step: int
    lane_rows: int
    read_column: int
    columns_in: int
    lead: int
    tail: int

    def words(self, planes: int) -> int:
        """Activation memory that `planes` planes of the block take, per lane."""
        return planes * self.plane_pitch + self.lead + self.tail

    @property
    def plane_pitch(self) -> int:
        return self.lane_rows * self.columns_in

    def valid_rows(self, lane: int) -> int:
        """Output rows of a lane that exist."""
        if self.by_image:
            return self.rows if lane < self.images else 0
        return max(0, min(self.lane_rows_out, self.rows - lane * self.lane_rows_out))

    def lanes(self, geometry: Geometry) -> int:
        """Lanes that have any row."""
        return self.images if self.by_image else min(geometry.pixel_lanes, -(-self.rows // self.lane_rows_out))

    def lane_image(self, lane: int) -> int:
        """The image that a lane computes rows of."""
        return self.image + lane * self.by_image

    def output_row(self, lane: int) -> int:
        """The first output row of a lane, counted over the images before its own."""
        before = 0 if self.by_image else lane * self.lane_rows_out
        return self.lane_image(lane) * self.image_rows + self.first_row + before

    def groups(self, geometry: Geometry) -> "list[list[GroupRows]]":
        """What each group of lanes reads; those without a lane that has any row are left out."""
        if self.by_image:
            return [
                [GroupRows(range(lane, lane + 1), self.pad_top, self.read_row, self.read_rows, self.pad_bottom)
                 for lane in lanes]
                for lanes in lanes_by_group(self.images, geometry)
            ]  # fmt: skip
        used, result = self.lanes(geometry), []
        height = self.pad_top + self.read_rows + self.pad_bottom
        for lanes in lanes_by_group(used, geometry):
            begin, end = lanes[0] * self.lane_step, lanes[-1] * self.lane_step + self.lane_rows
            if lanes.stop == used:
                end = height
            first, last = max(begin, self.pad_top), min(end, height - self.pad_bottom)
            if first < last:
                row = self.read_row + first - self.pad_top
                part = GroupRows(lanes, first - begin, row, last - first, end - last)
            else:
                part = GroupRows(lanes, end - begin, self.read_row, 1, 0)
            result.append([part])
        return result

    def busiest_rows(self, geometry: Geometry) -> int:
        """Output rows of the group of lanes with most of them."""
        if self.by_image:
            return self.rows * min(self.images, geometry.group_lanes)
        return min(self.rows, geometry.group_lanes * self.lane_rows_out)


@dataclasses.dataclass(frozen=True)
class GroupRows:
    """Rows of an image that lanes of a group take: `top` zero rows, `rows` rows of the map from `first` on, `bottom`
    zero rows.

    At least one row is read; where the lanes take zero rows only, it falls behind them.
    """

    lanes: range
    top: int
    first: int
    rows: int
    bottom: int


@dataclasses.dataclass(frozen=True)
class Cut:
    """How a layer's outputs are cut in blocks: `lane_rows` rows a lane, and whether each lane has its own image."""

    lane_rows: int
    by_image: bool = False


def make_block(
    layer: LoweredLayer, geometry: Geometry, cut: Cut, *, image: int, first_row: int, first_column: int, columns: int
) -> Block:
    """The block that begins at an image's output row and column, clipped at the map's bottom."""
    lane_rows_out = cut.lane_rows
    lanes = 1 if cut.by_image else geometry.pixel_lanes
    rows = min(lanes * lane_rows_out, layer.target.height - first_row)
    stride_x = layer.stride[1]
    kernel_y, kernel_x = layer.kernel
    # Rows that lie between windows of one row are not read, unless there is padding to count with.
    between = kernel_y == 1 and layer.pad_top == 0 and (layer.target.height - 1) * layer.stride[0] < layer.source.height
    row_step = layer.stride[0] if between else 1
    stride_y = layer.stride[0] // row_step
    last_row, last_column = (layer.source.height - 1) // row_step, layer.source.width - 1

    begin = first_row * stride_y - layer.pad_top
    end = (first_row + rows - 1) * stride_y + kernel_y - 1 - layer.pad_top
    skip = max(0, begin - last_row)  # a window wholly below the map: at least one row must be read
    begin -= skip
    read_row, read_end = max(0, begin), min(max(0, end), last_row)

    left = first_column * stride_x - layer.pad_left
    right = (first_column + columns - 1) * stride_x + kernel_x - 1 - layer.pad_left
    whole = columns == layer.target.width
    read_column = 0 if whole else min(max(0, left), last_column)
    read_right = last_column if whole else max(min(right, last_column), 0)
    if left > last_column and not whole:
        raise CompileError(
            layer.where,
            f"must be cut into columns, and those from {first_column} on lie wholly in its padding",
            "raise the geometry's activation_depth, or pad less than the kernel's width",
        )
    return Block(
        by_image=cut.by_image,
        image=image,
        images=min(geometry.pixel_lanes, layer.images - image) if cut.by_image else 1,
        image_rows=layer.target.height,
        first_row=first_row,
        rows=rows,
        lane_rows_out=lane_rows_out,
        first_column=first_column,
        columns=columns,
        row_step=row_step,
        window_step=stride_y,
        read_row=read_row,
        read_rows=read_end - read_row + 1,
        pad_top=max(0, -begin),
        pad_bottom=max(0, end - last_row),
        skip_rows=skip,
        lane_step=0 if cut.by_image else lane_rows_out * stride_y,
        lane_rows=(lane_rows_out - 1) * stride_y + kernel_y + skip,
        read_column=read_column,
        columns_in=read_right - read_column + 1,
        lead=max(0, read_column - left),
        tail=max(0, right - read_right),
    )


def split(
    layer: LoweredLayer, geometry: Geometry, planes: int, capacity: int, *, by_image: bool = False
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


def grid(layer: LoweredLayer, geometry: Geometry, cut: Cut, columns: int) -> list[Block]:
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


def ways(layer: LoweredLayer) -> tuple[bool, ...]:
    """Whether lanes may have an image of their own (`Cut.by_image`): both ways, where there are several images."""
    return (False,) if layer.images == 1 else (False, True)


def _largest(good, low: int, high: int) -> int:  # type: ignore[no-untyped-def]
    """The largest number for which `good` holds, where it holds for `low` and never again once it fails."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if good(middle) else (low, middle - 1)
    return low

