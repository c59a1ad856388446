"""The architecture figure: labels inside their boxes, and the queues joined with the four engines that they feed."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

ROOT = ET.parse(Path(__file__).parents[2] / "docs" / "images" / "architecture.svg").getroot()
SVG = "{http://www.w3.org/2000/svg}"


def boxes():
    """Of every rectangle but the background: left, top, right, bottom."""
    for rect in list(ROOT.iter(f"{SVG}rect"))[1:]:
        x, y, width, height = (float(rect.get(key)) for key in ("x", "y", "width", "height"))
        yield x, y, x + width, y + height


def box_of(x, y):
    """The smallest box around a point."""
    around = [box for box in boxes() if box[0] <= x <= box[2] and box[1] <= y <= box[3]]
    return min(around, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))


def test_labels_are_inside_their_boxes():
    """In a font wider than most, with three pixels to spare."""
    labels = [text for text in ROOT.iter(f"{SVG}text") if text.get("text-anchor") == "middle"]
    assert len(labels) > 20
    for label in labels:
        x, y, size = float(label.get("x")), float(label.get("y")), float(label.get("font-size", 15))
        font = FontProperties(family="DejaVu Sans", weight=label.get("font-weight", 400), size=size)
        half = TextPath((0, 0), label.text, prop=font).get_extents().width / 2
        left, top, right, bottom = box_of(x, y)
        assert left + 3 <= x - half, label.text
        assert x + half <= right - 3, label.text
        assert top <= y - size * 0.75, label.text
        assert y + size * 0.25 <= bottom, label.text


def test_the_queues_lead_to_every_engine():
    names = {box_of(float(text.get("x")), float(text.get("y"))): text.text for text in ROOT.iter(f"{SVG}text")
             if text.get("font-weight")}  # fmt: skip
    reached = set()
    for path in ROOT.iter(f"{SVG}path"):
        if not path.get("stroke-dasharray"):
            continue
        x, y = 0.0, 0.0
        for command, values in re.findall(r"([MHV])([\d.,]+)", path.get("d")):
            numbers = [float(value) for value in values.split(",")]
            x, y = {"M": lambda n: n, "H": lambda n, y=y: [*n, y], "V": lambda n, x=x: [x, *n]}[command](numbers)
        reached |= {name for (left, top, right, bottom), name in names.items()
                    if left - 4 <= x <= right + 4 and top - 4 <= y <= bottom + 4}  # fmt: skip
    assert {name.split(":")[0] for name in reached} == {"WEIGHTS", "MAPS", "STORE", "array"}
