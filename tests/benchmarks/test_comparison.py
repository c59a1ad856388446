"""The table of networks of docs/figures.md: what is in them, and what never gets there."""

import json

import pytest

from benchmarks.comparison import main, markdown, plot, read


def figures(**changes):
    return {
        "board": "pynq-z2", "network": "resnet18", "batch": 1, "clock_hz": 100e6, "cycles_per_frame": 1_250_000.0,
        "frames_per_second": 80.0, "array_utilisation": 0.7, "values_mismatched": 0, "crc_mismatched": 0,
        "expected": {"clock_hz": 150e6, "frames_per_second": 112.25},
    } | changes  # fmt: skip


def write(path, entry):
    path.write_text(json.dumps(entry))
    return path


def test_a_batch_stands_beside_one_image():
    table = markdown([figures(batch=4, frames_per_second=100.0, cycles_per_frame=1e6), figures(),
                      figures(network="vgg16", board="zu15eg", clock_hz=150e6, expected=None)])  # fmt: skip
    assert table.splitlines()[2:] == [
        "| PYNQ-Z2, 100 MHz | ResNet-18 | 1,250,000 | 80.0 | 70.0 % | 100.0 (4; 1,000,000) | 112.2 (150) | "
        "FILM-QNN 27.8, ILMPQ 24.6, Mix and Match 21.3 |",
        "| XCZU15EG, 150 MHz | VGG-16 | 1,250,000 | 80.0 | 70.0 % | | | |",
    ]


def test_the_plot_shows_ours_and_theirs():
    drawing = plot([figures(), figures(batch=4, frames_per_second=100.0)])
    for text in ("FILM-QNN 28", "ILMPQ 25", "Mix and Match 21", "published, on a board", "a batch, simulated", ">80<",
                 "100, batch 4", "PYNQ-Z2", "MobileNet-V2"):  # fmt: skip
        assert text in drawing
    assert drawing == plot([figures(), figures(batch=4, frames_per_second=100.0)])


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (figures(values_mismatched=3), "3 values or CRCs differ"),
        (figures(network="mynet.imx"), "no place in the tables"),
        ({"cycles": 3}, "not the figures of benchmarks.networks"),
        ([], "not the figures of benchmarks.networks"),
    ],
)
def test_figures_that_do_not_get_in(tmp_path, entry, reason):
    with pytest.raises(SystemExit, match=reason):
        read([write(tmp_path / "figures.json", entry)])


def test_the_command(tmp_path, monkeypatch, capsys):
    one = write(tmp_path / "one.json", figures())
    monkeypatch.setattr("sys.argv", ["comparison", str(one), "--plot", str(tmp_path / "plot.svg")])
    main()
    assert "| ResNet-18 |" in capsys.readouterr().out
    assert (tmp_path / "plot.svg").read_text().startswith("<?xml")
