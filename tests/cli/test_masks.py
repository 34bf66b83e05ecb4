"""Masks from the command line: train, resume, evaluate, predict, export, from the run folder alone."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import nnkit
from nnkit.cli import main
from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.errors import DataError
from nnkit.run import resume, train
from nnkit.runs import new_folder
from nnkit.train.stopping import Signals
from tests.data.mask_pairs import picture_of, square, write_pairs
from tests.data.pictures import write_picture
from tests.own_code import HERE
from tests.test_run_resume import assert_same_run, stopped

Capsys = pytest.CaptureFixture[str]
SMALL = ("model=unet", "model.channels=[4,8]", "trainer.threads=1", "batching.batch_size=8", "optimizer.lr=0.02")


@cache
def pairs() -> Path:
    return write_pairs(Path(mkdtemp()) / "pairs", 30)


def words(*more: str) -> list[str]:
    where = [f"data.images={pairs()}/images", f"data.masks={pairs()}/masks"]
    return ["data=masks", *where, *SMALL, "trainer.max_epochs=20", "trainer.patience=null", *more]


@cache
def trained() -> Path:
    """A run on small squares, of which each test takes a copy."""
    config = check(compose([*words("loss=dice", "loss.cross_entropy=1"), f"output_dir={mkdtemp()}"]))
    return train(config, new_folder(config)).folder


@pytest.fixture
def run() -> Path:
    shutil.copytree(trained(), "run")
    return Path("run").absolute()


def test_a_run_learns_masks_and_its_config_knows_what_it_saw(run: Path) -> None:
    metrics = json.loads((run / "run.json").read_text())["metrics"]
    assert metrics["test/foreground_iou"] > 0.8 > metrics["baseline/foreground_iou"] == 0
    assert (run / "config.yaml").read_text().count("- 200") == 1
    assert not [name for name in metrics if not 0 <= metrics[name] <= 3]


def test_an_evaluation_gives_the_metrics_of_the_run_and_a_line_a_picture(run: Path, capsys: Capsys) -> None:
    assert main(["eval", str(run), "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    metrics = json.loads((run / "run.json").read_text())["metrics"]
    for name in ("mean_iou", "mean_dice", "foreground_iou", "picture_iou", "pixel_accuracy"):
        assert plain["metrics"][name] == pytest.approx(metrics[f"test/{name}"])
        assert plain["intervals"][name][0] <= plain["metrics"][name] <= plain["intervals"][name][1]
    assert list(plain["metrics"]["per_class"]) == ["0", "200"]
    lines = pd.read_csv(run / "predictions-test.csv", dtype={"name": str})
    assert len(lines) == plain["rows"]
    assert list(lines) == ["row", "name", *(f"{a}_{b}" for a in ("target_share", "share", "iou") for b in ("0", "200"))]
    assert {path.name for path in (run / "plots").iterdir()} == {"masks-test.png", "confusion-test.png"}


def test_masks_are_written_in_the_size_and_with_the_values_of_the_users(run: Path, capsys: Capsys) -> None:
    write_picture(Path("new/sub/a.png"), np.kron(picture_of(square(2), 2), np.ones((2, 3, 1), np.uint8)))
    write_picture(Path("new/a.png"), picture_of(square(4), 4))
    write_picture(Path("new/a.bmp"), picture_of(square(4), 4))
    assert main(["predict", str(run), "new", "-o", "out.csv", "--masks", "made"]) == 0
    assert "3 masks are in" in capsys.readouterr().err
    lines = pd.read_csv("out.csv")
    assert list(lines) == ["path", "mask", "share_0", "share_200"]
    assert [Path(path).relative_to(Path("made").absolute()).as_posix() for path in lines["mask"]] == [
        "a.png",
        "a.png.png",
        "sub/a.png",
    ]
    mask = np.asarray(Image.open("made/sub/a.png"))
    assert (mask.shape, set(np.unique(mask))) == ((24, 36), {0, 200})
    wanted = np.kron(square(2), np.ones((2, 3), np.uint8))
    assert (mask == wanted).mean() > 0.95
    assert lines["share_200"][2] == pytest.approx((mask == 200).mean(), abs=0.01)


def test_arrays_are_predicted_and_python_gets_the_same_masks(run: Path) -> None:
    pictures = np.stack([picture_of(square(k), k) for k in range(3)])
    np.save("x.npy", pictures)
    assert main(["predict", str(run), "x.npy"]) == 0
    assert sorted(path.name for path in (run / "masks-of-x").iterdir()) == ["1.png", "2.png", "3.png"]
    predictor = nnkit.load(run)
    masks = predictor.predict(pictures)
    assert (masks.shape, masks.dtype, predictor.classes) == ((3, 12, 12), np.uint8, ("0", "200"))
    assert np.array_equal(pixels_in(f"{run}/masks-of-x/2.png"), masks[1])
    assert np.array_equal(predictor.predict_proba(pictures).argmax(1) * 200, masks)


def test_python_gets_the_masks_that_the_command_writes(run: Path) -> None:
    write_picture(Path("new/a.png"), np.kron(picture_of(square(2), 2), np.ones((2, 3, 1), np.uint8)))
    turned = Image.Exif()
    turned[0x0112] = 6
    write_picture(Path("new/b.png"), picture_of(square(4, side=16), 4)[:10], exif=turned)
    assert main(["predict", str(run), "new", "-o", "out.csv", "--masks", "made"]) == 0
    wanted = [pixels_in(f"made/{name}.png") for name in "ab"]
    assert [mask.shape for mask in wanted] == [(24, 36), (16, 10)]
    predictor, paths = nnkit.load(run), [Path("new/a.png"), "new/b.png"]
    with Image.open(paths[0]) as a, Image.open(paths[1]) as b:
        for rows in (paths, "new", "new/*.png", [a, b]):
            found = predictor.predict(rows)
            assert len(found) == 2
            assert all(map(np.array_equal, found, wanted))
        assert np.array_equal(predictor.predict(b)[0], wanted[1])
    assert repr(predictor) == f"<nnkit segmentation by unet on masks (0, 200), in {run}>"
    with pytest.raises(DataError, match=r"(?s)samples of shape .*hint: pictures of any size are taken as files"):
        predictor.predict(np.zeros((2, 9, 9, 3), np.uint8))
    with pytest.raises(DataError, match="there is no row to predict"):
        predictor.predict(np.zeros((0, 12, 12, 3), np.uint8))


def test_new_pairs_are_evaluated_with_the_classes_of_the_run(run: Path, capsys: Capsys) -> None:
    new = write_pairs(Path("new").absolute(), 3, side=24)
    assert main(["eval", str(run), "--data", str(new), "--no-plots"]) == 0
    assert "3 pictures" in capsys.readouterr().err
    np.savez(
        "x.npz", x=np.stack([picture_of(square(k), k) for k in range(3)]), y=np.stack([square(k) for k in range(3)])
    )
    assert main(["eval", str(run), "--data", "x.npz", "--no-plots"]) == 0
    write_picture(new / "masks" / "p01.png", square(1, side=24, value=7))
    assert main(["eval", str(run), "--data", str(new)]) == 3
    assert "p01.png has the value 7, which is neither among data.values=0, 200" in capsys.readouterr().err
    assert main(["eval", str(run), "--data", str(new / "images")]) == 2
    assert f"a folder with the folders images and masks\nhint: --data {new}\n" in capsys.readouterr().err
    assert main(["eval", str(run), "--data", "."]) == 2
    assert "hint: --data FOLDER" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--proba",), "the probabilities of each pixel fit no table"),
        (("--masks", "new"), "the masks would overwrite their pictures in new"),
        (("--masks", "new/a.png"), "--masks names a folder, but"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is(
    run: Path, capsys: Capsys, more: tuple[str, ...], told: str
) -> None:
    write_picture(Path("new/a.png"), picture_of(square(4), 4))
    before = Path("new/a.png").read_bytes()
    assert main(["predict", str(run), "new", "-o", "out.csv", *more]) == 2
    assert told in capsys.readouterr().err
    assert Path("new/a.png").read_bytes() == before
    assert not Path("out.csv").exists()


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("place", ["masks", "masks/deeper", "images", "images/deeper", "link", "."])
def test_what_the_run_learned_from_is_never_overwritten(run: Path, capsys: Capsys, place: str) -> None:
    if place == "link":
        Path("link").symlink_to(pairs() / "masks")
    before, where = everything_in(pairs()), Path("link") if place == "link" else pairs() / place
    assert main(["predict", str(run), f"{pairs()}/images", "-o", "out.csv", "--masks", str(where)]) == 2
    err = capsys.readouterr().err.replace("their pictures", "the pictures")
    assert ("the pictures in" if "images" in place else "that the run learned from, and overwrite them") in err
    assert "hint: " in err
    assert everything_in(pairs()) == before
    assert not Path("out.csv").exists()


def test_answers_replace_answers_and_nothing_else(run: Path, capsys: Capsys) -> None:
    write_picture(Path("new/a.png"), picture_of(square(4), 4))
    words = ["predict", str(run), "new", "-o", "made/out.csv", "--masks", "made"]
    for _ in range(2):
        assert main(words) == 0
    mask = 200 - pixels_in("made/a.png")
    write_picture(Path("made/a.png"), mask, pnginfo=_seal_of(Path("made/a.png")))  # set right by hand
    before = everything_in(Path("made"))
    capsys.readouterr()
    assert main(words) == 2
    told = "made/a.png is no mask that nnkit wrote, or was changed since"
    assert told in capsys.readouterr().err
    assert everything_in(Path("made")) == before


def pixels_in(path: str) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture).copy()


def _seal_of(path: Path) -> PngInfo:
    """Return the texts of a PNG file, as an editor keeps them."""
    kept = PngInfo()
    with Image.open(path) as picture:
        for key, value in picture.info.items():
            kept.add_text(key, value)
    return kept


def test_a_folder_with_pictures_of_another_name_or_behind_a_link_is_no_place_for_masks(
    run: Path, capsys: Capsys
) -> None:
    write_picture(Path("new/sub/a.png"), picture_of(square(4), 4))
    write_picture(Path("other/b.png"), square(1))
    assert main(["predict", str(run), "new", "-o", "out.csv", "--masks", "other"]) == 2
    assert "other/b.png is no mask that nnkit wrote" in capsys.readouterr().err
    write_picture(Path("truth/a.png"), square(1))
    before = everything_in(Path("truth"))
    Path("made").mkdir()
    Path("made/sub").symlink_to(Path("truth").absolute())
    assert main(["predict", str(run), "new", "-o", "out.csv", "--masks", "made"]) == 2
    assert "made/sub/a.png is no mask that nnkit wrote" in capsys.readouterr().err
    assert everything_in(Path("truth")) == before


def test_two_folders_of_the_same_name_have_answers_of_their_own(run: Path, capsys: Capsys) -> None:
    for place, count in (("one", 2), ("two", 3)):
        write_pairs(Path(place), count)
        assert main(["predict", str(run), f"{place}/images"]) == 0
    assert "run has answers to another input called images, so these are called images-2" in capsys.readouterr().err
    for end, count in (("images", 2), ("images-2", 3)):
        assert len(pd.read_csv(run / f"predictions-of-{end}.csv")) == count
        assert len(list((run / f"masks-of-{end}").iterdir())) == count
    before = sorted(path.name for path in run.iterdir())
    assert main(["predict", str(run), "one/images"]) == 0
    assert sorted(path.name for path in run.iterdir()) == before
    assert "so these are called" not in capsys.readouterr().err


def test_evaluations_of_data_of_the_same_name_are_kept_apart(run: Path, capsys: Capsys) -> None:
    for place, count in (("one/new", 2), ("two/new", 3), ("one/new", 2)):
        write_pairs(Path(place), count)
        assert main(["eval", str(run), "--data", place, "--no-plots"]) == 0
    assert "run has figures of other data called new, so these are called new-2" in capsys.readouterr().err
    assert [len(pd.read_csv(run / f"predictions-{name}.csv")) for name in ("new", "new-2")] == [2, 3]
    assert json.loads((run / "evaluation-new-2.json").read_text())["on"] == "two/new"
    assert not (run / "predictions-new-3.csv").exists()


def test_of_pictures_and_their_masks_the_pictures_are_predicted(run: Path, capsys: Capsys) -> None:
    write_pairs(Path("seg"), 3)
    assert main(["predict", str(run), "seg", "-o", "out.csv", "--masks", "made"]) == 0
    told = f"the pictures are those in {Path('seg/images').absolute()}: {Path('seg/masks').absolute()} has their masks"
    assert f"note: {told}\n" in capsys.readouterr().err
    assert pd.read_csv("out.csv")["path"].tolist() == ["p00.png", "p01.png", "p02.png"]
    assert sorted(path.name for path in Path("made").iterdir()) == ["p00.png", "p01.png", "p02.png"]


def test_masks_do_not_go_into_the_folder_of_their_pictures(run: Path, capsys: Capsys) -> None:
    write_picture(Path("new/a.png"), picture_of(square(4), 4))
    assert main(["predict", str(run), "new", "-o", "out.csv", "--masks", "new/made"]) == 2
    assert "lies among the pictures in new" in capsys.readouterr().err
    assert not Path("new/made").exists()


def test_a_network_is_exported_with_its_meaning(run: Path) -> None:
    assert main(["export", str(run), "--format", "torch_export"]) == 0


@pytest.mark.parametrize("mid_epoch", [None, 2])
def test_a_run_that_goes_on_is_the_one_that_was_never_stopped(mid_epoch: int | None) -> None:
    more = (
        "loss=dice",
        "trainer.max_epochs=3",
        "regularization=dropout",
        "batching.accumulate=2",
        "batching.batch_size=3",
    )
    config = check(compose(words(*more)))
    whole = train(config, new_folder(config))
    folder = stopped(config, mid_epoch=mid_epoch)
    assert_same_run(folder, resume(config, folder, [], Signals()), whole)


def test_masks_of_arrays_train_and_pixels_of_minus_100_do_not_count(capsys: Capsys) -> None:
    masks = np.stack([square(k) for k in range(20)]).astype(np.int64)
    pictures = np.stack([picture_of(mask, k) for k, mask in enumerate(masks)])
    masks[:, 0] = -100
    np.savez("x.npz", x=pictures, y=masks)
    assert main(["train", "data=array", "data.path=x.npz", *SMALL, "trainer.max_epochs=1", "loss=focal"]) == 0
    folder = Path(capsys.readouterr().out.strip().splitlines()[-1])
    assert "task: segmentation" in (folder / "config.yaml").read_text()
    assert main(["eval", str(folder), "--json", "--no-plots"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert sum(each["support"] for each in plain["metrics"]["per_class"].values()) == plain["rows"] * 11 * 12


@pytest.mark.parametrize(
    ("x", "y", "more", "code", "told"),
    [
        ((9, 3, 4, 4), (9, 4, 5), (), 3, "task=segmentation needs images and y (N, H, W)"),
        ((9, 3, 4, 4), (9, 4, 4), ("model=cnn",), 2, "model=cnn gives one answer a picture"),
        ((9, 3, 4, 4), (9, 4, 4), ("data.classes=[0,1]",), 2, "data.classes picks classes, but each pixel has a class"),
        ((9, 3, 4, 4), (9,), (), 2, "model=unet gives a class for each pixel"),
    ],
)
def test_arrays_that_do_not_fit_are_told(
    x: Any, y: Any, more: tuple[str, ...], code: int, told: str, capsys: Capsys
) -> None:
    rng = np.random.default_rng(0)
    np.savez("x.npz", x=rng.integers(0, 255, x, np.uint8), y=rng.integers(0, 2, y))
    assert main(["train", "data=array", "data.path=x.npz", *SMALL, *more]) == code
    assert told in capsys.readouterr().err


def test_folds_of_masks_are_held_out_by_name(capsys: Capsys) -> None:
    assert main(["train", *words("cv.folds=2", "trainer.max_epochs=1", "cv.final=ensemble")]) == 0
    folder = Path(capsys.readouterr().out.strip().splitlines()[-1])
    held = pd.read_csv(folder / "predictions-oof.csv")
    assert not held["name"].duplicated().any()
    assert main(["eval", str(folder), "--no-plots"]) == 0
    assert json.loads((folder / "run.json").read_text())["metrics"]["test/mean_iou"] > 0


def test_a_metric_and_a_loss_of_the_users_own_see_pixels(capsys: Capsys) -> None:
    own = ("loss=code", f"loss.code={HERE}:Focal", "metric=code", f"metric.code={HERE}:Hits", "metric.name=hits")
    assert main(["train", *words(*own, "trainer.max_epochs=1")]) == 0
    folder = Path(capsys.readouterr().out.strip().splitlines()[-1])
    assert main(["eval", str(folder), "--json", "--no-plots", "--trust"]) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert metrics["hits"] == pytest.approx(metrics["pixel_accuracy"])
