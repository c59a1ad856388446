"""Makes a case that the compiler fails on smaller, as long as it fails in the same manner."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from intramix.hdl.geometry import Geometry, GeometryError
from intramix.quant.graph.graph import Padding
from intramix.quant.graph.random_graph import FormatMix

from .fuzz_cases import Case, Outcome

PLAIN = {
    "pixel_lanes": (1, 2), "maps_ports": (1,), "weight_ports": (1,), "depthwise_channels": (0,), "map_words": (0,),
    "post_units": (0,),
    "maps_bus_bits": (64,), "weights_bus_bits": (64,), "constant_tiles": (16,), "output_depth": (1024,),
    "residual_depth": (1024,), "activation_depth": (4096, 1024), "weight_depth": (1024, 256), "activation_bits": (5,),
    "word_channels": (4, 8),
}  # fmt: skip
"""Values of a geometry's fields that make a case simpler to read."""


def shrink(case: Case, run: Callable[[Case], Outcome], seconds: float) -> Case:
    """The smallest case found within some seconds that fails like the given one, which is where nothing is found.

    Parameters
    ----------
    run: what became of a case.
    """
    fault = run(case).fault
    until = time.monotonic() + seconds
    found: Case | None = case
    while found is not None:
        found = None
        for change in _CHANGES:
            while (smaller := _first(change(case), fault, run, until)) is not None:
                case = found = smaller
    return case


def _first(
    candidates: Iterable[Case], fault: Exception | None, run: Callable[[Case], Outcome], until: float
) -> Case | None:
    """The first that fails like the fault, in time."""
    for candidate in candidates:
        if time.monotonic() > until:
            return None
        if type(run(candidate).fault) is type(fault):
            return candidate
    return None


def _less_work(case: Case) -> Iterator[Case]:
    for batch in _fewer(case.batch):
        yield dataclasses.replace(case, batch=batch)
    if not case.keep_maps:
        yield dataclasses.replace(case, keep_maps=True)


def _smaller_network(case: Case) -> Iterator[Case]:
    for name, value in case.arguments.items():
        if name == "seed":
            continue
        for other in _smaller(value):
            arguments = {**case.arguments, name: other}
            if case.arguments.get("depthwise") and name in ("channels", "filters"):
                arguments |= {"channels": other, "filters": other}
            yield dataclasses.replace(case, arguments=arguments)


def _plainer_geometry(case: Case) -> Iterator[Case]:
    for field, values in PLAIN.items():
        for value in values:
            if getattr(case.geometry, field) == value:
                break
            try:
                geometry = dataclasses.replace(case.geometry, **{field: value})
            except GeometryError:
                continue
            if geometry != case.geometry:  # 0 post units are as many as there are output words
                yield dataclasses.replace(case, geometry=geometry)
    for geometry in _fewer_lanes(case.geometry):
        yield dataclasses.replace(case, geometry=geometry)


_CHANGES = (_less_work, _smaller_network, _plainer_geometry)
"""Each gives cases that are simpler in one respect, those first that change most."""


def _smaller(value: Any) -> Iterator[Any]:
    """Simpler values of an argument of a network."""
    if isinstance(value, bool | None):
        if value:
            yield False
    elif isinstance(value, int):
        yield from _fewer(value)
    elif isinstance(value, float):
        if value:
            yield 0.0
    elif isinstance(value, Padding | FormatMix):
        if value != type(value)():
            yield type(value)()
    elif isinstance(value, tuple):
        for number, part in enumerate(value):
            before, after = value[:number], value[number + 1 :]
            if isinstance(part, str):
                if len(value) > 1:
                    yield (*before, *after)
            else:
                yield from ((*before, other, *after) for other in _smaller(part))


def _fewer(count: int) -> Iterator[int]:
    yield from sorted({1, count // 2, count - 1} - {0, count} if count > 1 else ())


def _fewer_lanes(geometry: Geometry) -> Iterator[Geometry]:
    """The geometry with tiles of one channel word, and with Fixed-4 lanes instead of those in LUTs."""
    width, lut = geometry.word_channels, geometry.lut_lanes
    for lanes in ({"fixed8_lanes": width // 4, "fixed4_lanes": width - width // 4, "lut_lanes": 0},
                  {"fixed4_lanes": geometry.fixed4_lanes + lut, "lut_lanes": 0}):  # fmt: skip
        try:
            simpler = dataclasses.replace(geometry, post_units=0, **lanes)
        except GeometryError:
            continue
        if simpler != geometry and simpler.tile_filters <= geometry.tile_filters and lut:
            yield simpler
