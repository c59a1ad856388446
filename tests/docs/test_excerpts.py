"""Excerpts against what was printed: what is found, and what is told apart."""

import pytest

from tests.support.excerpts import Varying, missing

PRINTED = """\
✓ Run 0:00:01
net on small
┏━━━┳━━━━━━━┳━━━━━━━━━━━━━━━━┳━━━━━━━━┓
┃ # ┃ layer ┃ by lane        ┃ cycles ┃
┡━━━╇━━━━━━━╇━━━━━━━━━━━━━━━━╇━━━━━━━━┩
│ 0 │ conv  │ 2 fixed-8 + 8  │  1,151 │
│   │       │ lut-sp2-4      │        │
│ 1 │ pool  │ –              │    539 │
├───┼───────┼────────────────┼────────┤
│   │ frame │                │  1,690 │
└───┴───────┴────────────────┴────────┘
1,690 cycles a frame
rtl 91.2 %, of 10 images
"""
VARYING = Varying(columns={"cycles"}, patterns=((r"rtl [\d.]+ %", "rtl #"),))


@pytest.mark.parametrize("excerpt", [
    "1,690 cycles a frame\n",
    "# │ layer │ by lane\n0 │ conv │ 2 fixed-8 + 8 lut-sp2-4\n…\n1,690 cycles a frame\n",  # unfolded, without a column
    "┃ # ┃ layer ┃ cycles ┃\n│ 1 │ pool  │ 539 │\n  …\n",
    "net on small\n…\nrtl 91.2 %, of 10 images\n",
])  # fmt: skip
def test_what_was_printed(excerpt):
    assert missing(excerpt, PRINTED, Varying()) is None


@pytest.mark.parametrize(("excerpt", "lost"), [
    ("1,691 cycles a frame\n", "1,691 cycles a frame"),
    ("1,690 cycles a frame\nnet on small\n", "net on small"),  # the other way round
    ("# │ cycles\n0 │ 1,152\n", "{'#': '0', 'cycles': '1,152'}"),
    ("# │ turns\n0 │ 1,151\n", "{'#': '0', 'turns': '1,151'}"),  # no such column
])  # fmt: skip
def test_what_was_not(excerpt, lost):
    assert missing(excerpt, PRINTED, Varying()) == lost


def test_what_varies():
    assert missing("rtl 90.0 %, of 10 images\n", PRINTED, VARYING) is None
    assert missing("rtl 90.0 %, of 11 images\n", PRINTED, VARYING) == "rtl 90.0 %, of 11 images"
    assert missing("# │ cycles\n1 │ 540\n", PRINTED, VARYING) is None
