"""Procedural images, CIFAR-10 files and folders of images."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from intramix.quant.data import image_folder
from intramix.quant.data.data import DataError, load_data
from intramix.quant.data.procedural import CLASSES, generate

# Procedural -----------------------------------------------------------------------------------------------------------


def test_procedural_is_the_same_each_time_and_another_with_another_seed() -> None:
    first, labels = generate(24, 20, seed=5)
    assert np.array_equal(first, generate(24, 20, seed=5)[0])
    assert not np.array_equal(first, generate(24, 20, seed=6)[0])
    assert first.shape == (24, 3, 20, 20)
    assert first.dtype == np.uint8
    assert labels.tolist() == [*range(12)] * 2


def test_procedural_outlines_have_the_areas_of_geometry() -> None:
    axis = (np.arange(800) + 0.5) / 400 - 1
    x, y = np.meshgrid(axis, axis)
    areas = {name: float((outline(x, y) > 0).sum()) / 400**2 for name, outline in CLASSES.items()}
    n = np.arange(3, 7)
    polygons = n / 2 * np.sin(2 * np.pi / n)
    assert [areas[name] for name in ("triangle", "square", "pentagon", "hexagon")] == pytest.approx(polygons, rel=0.01)
    assert areas["disc"] == pytest.approx(np.pi, rel=0.01)
    assert areas["ring"] == pytest.approx(np.pi * (1 - 0.25), rel=0.01)
    assert areas["star"] == pytest.approx(5 * 0.45 * np.sin(np.pi / 5), rel=0.01)
    assert areas["cross"] == pytest.approx(4 * (0.3 * 2 - 0.3**2), rel=0.01)
    assert areas["flower"] == pytest.approx(np.pi * (0.75**2 + 0.25**2 / 2), rel=0.01)


def test_procedural_classes_cannot_be_told_by_brightness_or_colour() -> None:
    """The nearest class mean of colour statistics does not beat chance by much."""
    images, labels = generate(1200, 16, seed=1)
    values = images.reshape(1200, 3, -1) / 255
    features = np.concatenate([values.mean(2), values.std(2)], axis=1)
    means = np.stack([features[:600][labels[:600] == label].mean(0) for label in range(12)])
    guesses = ((features[600:, None] - means) ** 2).sum(2).argmin(1)
    assert (guesses == labels[600:]).mean() < 0.25


def test_procedural_data_set() -> None:
    data = load_data("procedural", image_size=48, images_per_class=10)
    assert data.image_shape == (3, 48, 48)
    assert data.train_labels.bincount().tolist() == [10] * 12
    assert data.test_labels.bincount().tolist() == [2] * 12
    assert not set(map(bytes, data.test_images.numpy())) & set(map(bytes, data.train_images.numpy()))
    assert data.train_labels[:12].unique().numel() < 12, "shuffled"
    with pytest.raises(DataError, match="at least 16 × 16"):
        load_data("procedural", image_size=8)


# CIFAR-10 -------------------------------------------------------------------------------------------------------------


def batch(number: int, protocol: int = 2) -> bytes:
    random = np.random.default_rng(number)
    data = random.integers(0, 256, (7, 3072), np.uint8)
    return pickle.dumps({b"data": data, b"labels": random.integers(0, 10, 7).tolist(), b"batch_label": b"x"}, protocol)


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    for number, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        (tmp_path / name).write_bytes(batch(number))
    return tmp_path


def test_cifar(cifar: Path) -> None:
    data = load_data(cifar)
    assert (len(data.train_images), len(data.test_images)) == (35, 7)
    raw = pickle.loads((cifar / "data_batch_2").read_bytes())
    # Row-major, red first: image 3 of the second file, green, row 5, column 6.
    assert data.train_images[7 + 3, 1, 5, 6] == raw[b"data"][3, 1024 + 5 * 32 + 6]
    assert data.train_labels[7:14].tolist() == raw[b"labels"]


def test_cifar_as_python_2_wrote_it(cifar: Path) -> None:
    """The pickles of the archive are of Python 2: names of numpy.core, and byte strings."""
    content = (cifar / "test_batch").read_bytes().replace(b"numpy._core", b"numpy.core")
    (cifar / "test_batch").write_bytes(content)
    assert len(load_data(cifar).test_images) == 7


class Trap:
    def __reduce__(self) -> tuple:
        return (print, ("executed",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "the file is missing; extract all"),
        (b"", "no batch of CIFAR-10's python version"),
        (batch(1)[:500], "no batch of CIFAR-10's python version"),
        (pickle.dumps({b"data": Trap(), b"labels": []}), "print is not allowed in a data file"),
        (pickle.dumps({b"data": np.zeros((2, 5), np.uint8), b"labels": [1, 2]}), "must be uint8 of shape N × 3072"),
        (pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1, 12]}), "labels must be 0 … 9"),
    ],
)
def test_wrong_cifar(cifar: Path, content: bytes | None, message: str, capsys: pytest.CaptureFixture) -> None:
    path = cifar / "data_batch_3"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        load_data(cifar)
    assert "data_batch_3" in str(error.value)
    assert "executed" not in capsys.readouterr().out


# Folders --------------------------------------------------------------------------------------------------------------


def image_file(colour: tuple[int, int, int], width: int = 60, height: int = 40) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for half, count in (("train", 3), ("val", 2)):
        for label, name in enumerate(("ape", "bee")):
            (tmp_path / half / name).mkdir(parents=True)
            for index in range(count):
                content = image_file((100 * label, 10 * index, 7))
                (tmp_path / half / name / f"{index}.png").write_bytes(content)
    return tmp_path


def test_folder_with_both_halves(folder: Path) -> None:
    data = load_data(folder, image_size=32)
    assert data.train_images.shape == (6, 3, 32, 32)
    assert data.test_labels.tolist() == [0, 0, 1, 1]
    for image, label in zip(data.train_images, data.train_labels):
        assert (image[0] == 100 * label).all()
        assert (image[2] == 7).all()
    assert sorted(data.train_images[:, 1, 0, 0].tolist()) == [0, 0, 10, 10, 20, 20]
    assert load_data(folder, image_size=32, images_per_class=1).train_labels.sort().values.tolist() == [0, 1]
    assert load_data(folder).image_shape == (3, 224, 224)


def test_folder_of_classes_alone(folder: Path) -> None:
    data = load_data(folder / "train", image_size=32)
    assert (len(data.train_images), len(data.test_images)) == (5, 1)


def test_shorter_side_and_centre(tmp_path: Path) -> None:
    """A ramp of 300 columns: 256 of 224 show columns 16 … 240 of the middle square."""
    ramp = np.zeros((256, 300, 3), np.uint8)
    ramp[:, :, 0] = np.arange(300)[None] * 255 // 299
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    image = image_folder.read_image(tmp_path / "ramp.png", 224)
    assert np.array_equal(image[0], ramp[16:240, 38:262, 0])


def test_wrong_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "empty" / "class").mkdir(parents=True)
    with pytest.raises(DataError, match=r"empty has 0 folders with images; it must have one for each class"):
        load_data(folder / "empty")
    (folder / "val" / "cat").mkdir()
    (folder / "val" / "cat" / "1.png").write_bytes(image_file((1, 2, 3)))
    with pytest.raises(DataError, match=r"class 'cat' of .*val is not one of the training classes"):
        load_data(folder)
    (folder / "val" / "cat" / "1.png").unlink()
    (folder / "train" / "bee" / "9.png").write_text("no image")
    with pytest.raises(DataError, match=r"9\.png cannot be read"):
        load_data(folder)
    monkeypatch.setattr(image_folder, "LARGEST_BYTES", 3 * 3 * 32 * 32)
    with pytest.raises(DataError, match=r"4 images to test at 32 × 32 take .* take at most 1 images of each class"):
        load_data(folder, image_size=32)


def test_options_where_they_do_not_apply() -> None:
    with pytest.raises(DataError, match="'digits' has its own size and number of images"):
        load_data("digits", image_size=32)
    assert torch.equal(load_data("digits").test_images, load_data("digits").test_images)
