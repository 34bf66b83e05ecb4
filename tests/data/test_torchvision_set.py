"""Classification sets of torchvision, out of tiny files in their published layout."""

from __future__ import annotations

import bz2
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnkit.config.sections.data import TorchvisionConfig
from nnkit.data import read, split_by
from nnkit.data.picture import ImageFormat
from nnkit.data.source import Source
from nnkit.data.torchvision_set import read_torchvision
from nnkit.errors import ConfigError, DataError
from nnkit.infer.finished import open_run
from nnkit.infer.labelled import own_rows
from nnkit.infer.pictures import image_format
from nnkit.run import train
from nnkit.runs import new_folder, read_config
from tests.data.idx_files import write_images
from tests.data.pictures import made, write_picture
from tests.trained import config_of as of_words

ROOT = Path("sets")


def config_of(dataset: str, **changes: Any) -> TorchvisionConfig:
    fractions = {"val_fraction": 0.25, "test_fraction": 0.25}
    return TorchvisionConfig(kind="torchvision", dataset=dataset, root=str(ROOT), **(fractions | changes))


def read_set(dataset: str, **changes: Any) -> Source:
    return read_torchvision(config_of(dataset, **changes), ROOT)


def rows_of(part: Any) -> list[int]:
    found: list[int] = part.tolist()
    return found


def write_usps() -> tuple[Any, Any]:
    """Write both parts as published: a label from 1 to 10, then 256 values from -1 to 1; return pixels and labels."""
    pixels = np.random.default_rng(0).integers(0, 256, (14, 16, 16), dtype=np.uint8)
    labels = np.arange(14) % 3 + 4
    ROOT.mkdir(exist_ok=True)
    for name, rows in (("usps.bz2", range(10)), ("usps.t.bz2", range(10, 14))):
        lines = []
        for row in rows:
            values = ((pixels[row].ravel() + 0.5) / 255 * 2 - 1).round(
                6
            )  # torchvision cuts off what is behind the point
            lines.append(f"{labels[row] + 1} " + " ".join(f"{k + 1}:{value}" for k, value in enumerate(values)))
        (ROOT / name).write_bytes(bz2.compress("\n".join(lines).encode()))
    return pixels, labels


def write_gtsrb() -> Any:
    """Write seven signs for training and three for the test, in two sizes; return those of 5 x 4."""
    folder = ROOT / "gtsrb" / "GTSRB"
    small = [made(5, 4, seed=seed) for seed in range(10)]
    for number in range(7):
        write_picture(folder / "Training" / f"{number % 2:05}" / f"{number}.ppm", small[number])
    for number in range(7, 10):
        write_picture(folder / "Final_Test" / "Images" / f"{number}.ppm", small[number] if number < 9 else made(9, 9))
    lines = [f"{number}.ppm;4;5;0;0;4;5;{number % 2}" for number in range(7, 10)]
    header = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"
    (ROOT / "gtsrb" / "GT-final_test.csv").write_text("\n".join([header, *lines]))
    return np.stack(small).transpose(0, 3, 1, 2)


def write_eurosat(*, channels: int = 3) -> Any:
    pixels = [made(6, 5, channels, seed=seed) for seed in range(8)]
    for number, each in enumerate(pixels):
        write_picture(ROOT / "eurosat" / "2750" / ["Forest", "River"][number // 4] / f"{number}.png", each)
    return np.stack(pixels)


def write_kmnist(below: str = "") -> tuple[Any, Any]:
    images = np.random.default_rng(0).integers(0, 256, (15, 28, 28), dtype=np.uint8)
    labels = np.arange(15) % 4
    for part, rows in (("train", slice(11)), ("t10k", slice(11, 15))):
        write_images(ROOT / below / "KMNIST" / "raw", part, images=images[rows], labels=labels[rows])
    return images, labels


# Parts, pixels and classes


def test_a_set_with_a_published_test_set_keeps_it() -> None:
    pixels, labels = write_usps()
    source = read_set("usps")
    np.testing.assert_array_equal(source.inputs[0], pixels[:, None])
    assert (source.inputs[0].dtype, source.specs[0].kind, source.specs[0].shape) == (np.uint8, "image", (1, 16, 16))
    assert source.classes == ("4", "5", "6")
    np.testing.assert_array_equal(source.target, labels - 4)
    assert source.test_rows is not None
    assert (rows_of(source.test_rows), source.val_rows) == ([10, 11, 12, 13], None)


def test_test_fraction_splits_off_no_second_test_set() -> None:
    write_usps()
    config = config_of("USPS", val_fraction=0.3, test_fraction=0.5)
    splits = split_by(config, read(config))
    assert (len(splits.train), len(splits.val), splits.test.tolist()) == (7, 3, [10, 11, 12, 13])


def test_files_of_pictures_are_made_alike_by_their_median_size() -> None:
    small = write_gtsrb()
    source = read_set("GTSRB")
    np.testing.assert_array_equal(source.inputs[0][:9], small[:9][[0, 2, 4, 6, 1, 3, 5, 7, 8]])
    assert source.inputs[0].shape == (10, 3, 5, 4)
    assert source.classes == ("0", "1")
    assert source.row_target.tolist() == [0] * 4 + [1] * 3 + [1, 0, 1]
    assert source.test_rows is not None
    assert rows_of(source.test_rows) == [7, 8, 9]


def test_a_published_validation_set_is_kept_too() -> None:
    for number in range(9):
        part, wnid = ("train", "val")[number // 6], ("n01440764", "n03888257")[number % 2]
        write_picture(ROOT / "imagenette2" / part / wnid / f"{number}.jpeg", made(8, 8, seed=number))
    source = read_set("imagenette")
    assert source.classes == ("tench", "parachute")
    assert source.val_rows is not None
    assert (rows_of(source.val_rows), source.test_rows) == ([6, 7, 8], None)
    config = config_of("imagenette")
    assert split_by(config, read(config)).val.tolist() == [6, 7, 8]


def test_a_set_of_one_part_is_split_and_names_its_classes() -> None:
    pixels = write_eurosat()
    source = read_set("EuroSAT")
    np.testing.assert_array_equal(source.inputs[0], pixels.transpose(0, 3, 1, 2))
    assert (source.classes, source.row_target.tolist()) == (("Forest", "River"), [0] * 4 + [1] * 4)
    assert (source.test_rows, source.val_rows) == (None, None)


@pytest.mark.parametrize("dataset", ["KMNIST", "USPS"])
def test_pixels_and_labels_equal_what_torchvision_gives(dataset: str) -> None:
    import torchvision.datasets

    write_kmnist()
    write_usps()
    source = read_set(dataset)
    parts = [getattr(torchvision.datasets, dataset)(str(ROOT), train=train) for train in (True, False)]
    samples = [part[row] for part in parts for row in range(len(part))]
    np.testing.assert_array_equal(source.inputs[0][:, 0], [np.asarray(picture) for picture, _ in samples])
    numbers = sorted({label for _, label in samples})
    assert source.row_target.tolist() == [numbers.index(label) for _, label in samples]


def test_house_numbers_are_planes_first_and_ten_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    import scipy.io
    import torchvision.datasets

    ROOT.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 9), dtype=np.uint8)
    labels = np.array([10, 1, 2, 10, 1, 2, 10, 1, 2])
    for name, rows in (("train", slice(6)), ("test", slice(6, 9))):
        scipy.io.savemat(ROOT / f"{name}_32x32.mat", {"X": pixels[..., rows], "y": labels[rows, None]})
    known = torchvision.datasets.SVHN.split_list
    # The published checksums hold for the published files alone.
    monkeypatch.setattr(
        torchvision.datasets.SVHN, "split_list", {name: [url, file, None] for name, (url, file, _) in known.items()}
    )
    source = read_set("svhn")
    np.testing.assert_array_equal(source.inputs[0], pixels.transpose(3, 2, 0, 1))
    assert (source.classes, source.row_target.tolist()) == (("0", "1", "2"), [0, 1, 2] * 3)


def test_size_and_channels_are_as_wanted() -> None:
    write_kmnist()
    assert read_set("KMNIST", channels=3).inputs[0].shape == (15, 3, 28, 28)
    source = read_set("KMNIST", size=[14, 7], resize="crop")
    assert (source.inputs[0].shape, source.specs[0].shape) == ((15, 1, 14, 7), (1, 14, 7))
    np.testing.assert_array_equal(read_set("KMNIST", size=[28, 28]).inputs[0], read_set("KMNIST").inputs[0])


def test_a_part_without_labels_is_left_out_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision.datasets.fer2013

    monkeypatch.setattr(torchvision.datasets.fer2013, "check_integrity", lambda path, md5: Path(path).is_file())
    (ROOT / "fer2013").mkdir(parents=True)
    pixels = " ".join(str(value % 256) for value in range(48 * 48))
    rows = "\n".join(f'{number % 3},"{pixels}"' for number in range(6))
    (ROOT / "fer2013" / "train.csv").write_text(f"emotion,pixels\n{rows}\n")
    (ROOT / "fer2013" / "test.csv").write_text(f'pixels\n"{pixels}"\n')
    source = read_set("FER2013")
    assert (len(source), source.test_rows, source.rows.rows_in) == (6, None, 6)
    assert source.rows.notes == ("the test part of FER2013 has no labels, left out",)


def test_emnist_is_six_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 28, 28), dtype=np.uint8)
    for name, labels in (("letters", np.arange(9) % 3 + 1), ("balanced", np.arange(9) % 3 + 9)):
        for part in ("train", "test"):
            write_images(ROOT / "EMNIST" / "raw", f"emnist-{name}-{part}", images=images, labels=labels)
    assert read_set("emnist/LETTERS").classes == ("a", "b", "c")
    assert read_set("EMNIST").classes == ("9", "A", "B")
    with pytest.raises(ConfigError, match="got 'EMNIST/leters'") as raised:
        read_set("EMNIST/leters")
    assert raised.value.problems[0].hint == "did you mean data.dataset=EMNIST/letters?"


def test_a_run_knows_what_was_picked_and_goes_on_with_it() -> None:
    write_usps()
    words = ("data=torchvision", "data.dataset=usps", f"data.root={ROOT}", "data.val_fraction=0.3", "model.hidden=[4]")
    config = of_words(*words)
    folder = train(config, new_folder(config)).folder
    section = read_config(folder)["data"]
    assert (section["size"], section["channels"]) == ([16, 16], 1)
    assert section["root"] == str(ROOT.absolute())
    run = open_run(folder)
    assert image_format(run) == ImageFormat(16, 16, 1, "squash")
    source, rows = own_rows(run, "test")
    assert (len(source), rows.tolist()) == (14, [10, 11, 12, 13])


# What is not there


@pytest.mark.parametrize("below", ["", "kmnist"], ids=["root", "root/name"])
def test_a_set_is_found_in_root_or_one_folder_deeper(below: str) -> None:
    images, _ = write_kmnist(below)
    np.testing.assert_array_equal(read_set("kmnist").inputs[0][:, 0], images)


@pytest.mark.parametrize("dataset", ["KMNIST", "GTSRB", "EuroSAT", "USPS", "Imagenette", "CIFAR100", "EMNIST/digits"])
def test_missing_files_are_told_with_both_places_and_a_way_out(dataset: str) -> None:
    name = dataset.partition("/")[0]
    with pytest.raises(DataError, match=f"{name} cannot be read from sets or sets/{name.lower()}: ") as raised:
        read_set(dataset)
    assert "data.download=true" in raised.value.problems[0].hint
    assert "download=True" not in raised.value.problems[0].text
    assert not ROOT.exists()


def test_a_set_that_cannot_be_fetched_does_not_offer_it() -> None:
    for download in (False, True):
        with pytest.raises(DataError, match="ImageNet cannot be read from sets or sets/imagenet: ") as raised:
            read_set("ImageNet", download=download)
        assert "download" not in raised.value.problems[0].hint


def test_a_download_without_network_says_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision.datasets

    for proxy in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    monkeypatch.setattr(torchvision.datasets.KMNIST, "mirrors", ["http://127.0.0.1:9/"])  # the discard port
    with pytest.raises(DataError, match=r"KMNIST cannot be fetched into sets/kmnist: .*refused"):
        read_set("KMNIST", download=True)


def test_files_that_are_there_are_not_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision.datasets

    monkeypatch.setattr(torchvision.datasets.KMNIST, "mirrors", ["http://127.0.0.1:9/"])
    write_kmnist()
    assert len(read_set("KMNIST", download=True)) == 15


def test_one_missing_file_is_named() -> None:
    write_usps()
    (ROOT / "usps.t.bz2").unlink()
    with pytest.raises(DataError, match=r"USPS cannot be read .*No such file or directory.*usps\.t\.bz2"):
        read_set("USPS")


def test_a_picture_that_is_damaged_is_named_by_its_number() -> None:
    write_eurosat()
    path = ROOT / "eurosat" / "2750" / "River" / "5.png"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="1 pictures of EuroSAT cannot be read") as raised:
        read_set("EuroSAT")
    assert "EuroSAT, picture 5: it cannot be decoded: " in raised.value.problems[1].text


def test_a_set_that_does_not_fit_in_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    write_eurosat()
    monkeypatch.setattr("nnkit.data.stream.fits_in_memory", lambda num, form: False)
    with pytest.raises(DataError, match="the 8 pictures of EuroSAT do not fit in memory with 6 x 5 pixels"):
        read_set("EuroSAT")


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setattr("torchvision.datasets.SVHN._check_integrity", lambda _: True)
    with pytest.raises(DataError, match="SVHN needs a package: "):
        read_set("SVHN")


# Names


@pytest.mark.parametrize("dataset", ["VOCDetection", "cococaptions", "CelebA", "Kinetics", "ImageFolder", "FakeData"])
def test_a_set_without_one_class_a_picture_is_refused(dataset: str) -> None:
    with pytest.raises(
        ConfigError, match=f"data.dataset={dataset} is no set of pictures with one class each"
    ) as raised:
        read_set(dataset)
    assert "KMNIST" in raised.value.problems[0].hint


@pytest.mark.parametrize(
    ("dataset", "hint"),
    [("KMIST", "did you mean data.dataset=KMNIST?"), ("Flowers", "did you mean data.dataset=Flowers102?")],
)
def test_a_name_that_is_nearly_right_is_guessed(dataset: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=f"a classification set of torchvision, got '{dataset}'") as raised:
        read_set(dataset)
    assert raised.value.problems[0].hint == hint


def test_a_name_that_is_nothing_gets_the_list() -> None:
    with pytest.raises(ConfigError, match="got '_'") as raised:
        read_set("_")
    assert "CIFAR10, CIFAR100" in raised.value.problems[0].hint


def test_every_name_of_the_table_is_a_class_of_torchvision_that_takes_its_words() -> None:
    import inspect

    import torchvision.datasets

    from nnkit.data.torchvision_set import _BY_NAME

    for each in _BY_NAME.values():
        parameters: dict[str, Any] = {}
        for kind in getattr(torchvision.datasets, each.name).__mro__:
            if "__init__" in vars(kind):
                parameters |= inspect.signature(kind.__init__).parameters
        assert {*each.more, *([each.key] if each.key else [])} <= set(parameters), each.name
