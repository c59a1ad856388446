"""Which tensor an address in DDR belongs to, and where in it."""

from ...hdl.instructions import LoadMap, Store
from .map_layout import MapLayout
from .program import Program


class TensorPlaces:
    """Names the tensor and the place in it that an address means; of concatenated ones, the operand."""

    def __init__(self, program: Program) -> None:
        layouts = [program.input, *(program.maps[record.output] for record in program.layers)]
        self._layouts = sorted(layouts, key=lambda layout: (layout.region, layout.offset))
        self._written = {record.output: record.number for record in program.layers}

    def of(self, transfer: LoadMap | Store) -> str:
        """Where a LOAD_MAP begins to read, or a STORE to write."""
        return self.place(transfer.region.name, transfer.address, transfer.layer)

    def place(self, region: str, address: int, layer: int) -> str:
        """`tensor[plane, row, column]` of an address in a region; of tensors that share memory, the one written last
        before the layer of that number, or by it. Rows and columns of a border are below 0, or beyond the map,
        and it is said that they are its."""
        found: MapLayout | None = None
        for layout in self._layouts:
            inside = layout.region == region and layout.holds(address)
            born = self._written.get(layout.name, -1)
            if inside and born <= layer and (found is None or born > self._written.get(found.name, -1)):
                found = layout
        if found is None:
            return f"{region}+{address:#x}"
        plane, row, column = found.place(address)
        image, row = divmod(row, found.image_rows)
        row, column = row - found.border.top, column - found.border.left
        place = (plane, row, column) if found.images == 1 else (plane, image, row, column)
        inside = not found.border or (0 <= row < found.height and 0 <= column < found.width)
        return f"{found.name}{list(place)}" + ("" if inside else " (border)")
