"""Vivado's reports, as text in the published form, into figures; what is missing or cut short is named."""

import pathlib

import pytest

from intramix.platforms import reports
from intramix.platforms.errors import BitstreamError
from intramix.platforms.reports import Power, ReportError, Timing, Usage, read_reports

SAMPLES = pathlib.Path(__file__).parent / "reports"
SERIES7 = (SAMPLES / "series7_utilization.rpt").read_text()
TIMING = (SAMPLES / "timing.rpt").read_text()
NEXTPNR = (SAMPLES / "nextpnr.log").read_text()
POWER = (SAMPLES / "power.rpt").read_text()


def test_utilisation_of_7_series():
    assert reports.parse_utilisation(SERIES7) == (
        Usage("LUT", 37_124, 53_200), Usage("FF", 54_991, 106_400), Usage("BRAM36", 122, 140), Usage("DSP", 208, 220),
    )  # fmt: skip


def test_utilisation_of_ultrascale_in_the_older_form():
    assert reports.parse_utilisation((SAMPLES / "ultrascale_utilization.rpt").read_text()) == (
        Usage("LUT", 180_425, 274_080), Usage("FF", 260_310, 548_160), Usage("BRAM36", 603.5, 912), Usage("URAM", 0, 0),
        Usage("DSP", 2_432, 2_520),
    )  # fmt: skip


def test_timing():
    timing = reports.parse_timing(TIMING)
    assert timing == Timing(setup=-0.231, hold=0.021, pulse_width=3.75, failing_endpoints=118)
    assert not timing.met
    assert reports.parse_timing(TIMING.replace("-0.231", " 0.107").replace(" 118 ", "   0 ")).met
    assert reports.parse_timing(TIMING.replace("-0.231", "    NA")).setup is None


def test_power():
    assert reports.parse_power(POWER) == Power(
        total=3.412, dynamic=3.231, static=0.181, junction_celsius=64.4, confidence="Medium"
    )


def test_nextpnr():
    usage, timing = reports.parse_nextpnr(NEXTPNR)
    assert usage == (
        Usage("LUT half", 33_025, 106_400), Usage("FF", 30_110, 106_400), Usage("DSP", 0, 220),
        Usage("BRAM36", 70, 140),
    )  # fmt: skip
    assert (timing.setup, timing.failing_endpoints) == (-2.5, None)
    assert not timing.met


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (reports.parse_utilisation, SERIES7[: SERIES7.index("3. Memory\n-")], "cut short: it has no row for BRAM36"),
        (reports.parse_utilisation, SERIES7[: SERIES7.index("|   LUT as Logic")], "no row for FF, BRAM36, DSP"),
        (reports.parse_utilisation, SERIES7.replace("37124", "37,1"), "'Used' has no number, but '37,1'"),
        (reports.parse_timing, TIMING[: TIMING.index("     -0.231")], '"Design Timing Summary" has no figures'),
        (reports.parse_timing, TIMING[: TIMING.index("118")], '"Design Timing Summary" has no figures'),
        (reports.parse_power, POWER[: POWER.index("| Device Static")], "no row for Device Static .W., Junction"),
        (reports.parse_timing, POWER, "no report of report_timing_summary"),
        (reports.parse_power, "", "empty"),
        (reports.parse_nextpnr, NEXTPNR[: NEXTPNR.index("Warning")], "does not come to the clock that is reached"),
    ],
)
def test_reports_that_are_cut_short(parse, text, message):
    with pytest.raises(ReportError, match=message):
        parse(text)


def test_folder_with_some_reports(tmp_path):
    (tmp_path / reports.UTILISATION).write_text(SERIES7)
    (tmp_path / reports.TIMING).write_text(TIMING[:900])
    found = read_reports(tmp_path)
    assert found.tool == "Vivado"
    assert found.utilisation[0] == Usage("LUT", 37_124, 53_200)
    assert found.timing is None
    assert found.problems == (
        'intramix_timing.rpt: cut short: the table "Design Timing Summary" has no figures',
        "intramix_power.rpt: absent",
    )


def test_folder_without_reports(tmp_path):
    with pytest.raises(BitstreamError, match="no report that can be read: intramix_utilization_place"):
        read_reports(tmp_path)


def test_folder_of_the_open_tools(tmp_path):
    (tmp_path / reports.NEXTPNR).write_text(NEXTPNR)
    found = read_reports(tmp_path)
    assert found.tool == "nextpnr"
    assert found.utilisation[0] == Usage("LUT half", 33_025, 106_400)
    assert (found.power, found.problems) == (None, ())
    (tmp_path / reports.NEXTPNR).write_text(NEXTPNR[:300])
    with pytest.raises(BitstreamError, match=r"no report that can be read: intramix_nextpnr.log: cut short"):
        read_reports(tmp_path)
