"""Test-time augmentation: the mean over views, which depends on neither neighbours nor order."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from nnkit.augment import augmented
from nnkit.cli import main
from nnkit.errors import ConfigError
from nnkit.folds import cross_validate
from nnkit.infer.answers import answers_to
from nnkit.infer.evaluate import evaluate
from nnkit.infer.finished import Finished, open_run
from nnkit.infer.labelled import own_rows
from nnkit.infer.pixels import probabilities_to
from nnkit.infer.views import with_views
from nnkit.runs import new_folder
from nnkit.seeding import derive
from tests.own_code import HERE
from tests.trained import config_of, trained

DIGITS = ("data=digits", "data.limit=200", "model.hidden=[8]", "trainer.max_epochs=2")
PIXELS = np.random.default_rng(0).uniform(0, 16, (9, 1, 8, 8)).astype(np.float32)


def run_of(*words: str) -> Finished:
    return open_run(trained(*DIGITS, *words).folder)


def test_an_answer_is_the_mean_of_what_is_said_of_each_view() -> None:
    run = run_of("augmentation=standard")
    found = answers_to(with_views(run, 4), (PIXELS,))
    seen = with_views(run, 4).views
    assert seen is not None
    (x,) = next(run.batches((PIXELS,)))
    wanted = [run.model(x).softmax(1)]
    for number in (1, 2, 3):
        rng = np.random.default_rng(derive(run.config.seed, "view", number))
        wanted.append(run.model(augmented(seen.recipe, x, rng, view=number)[0]).softmax(1))
    mean = torch.stack(wanted).mean(0).detach().numpy()
    assert np.allclose(found.probabilities, mean, atol=1e-6)
    assert found.predicted.tolist() == mean.argmax(1).tolist()
    assert not np.allclose(found.probabilities, answers_to(run, (PIXELS,)).probabilities, atol=1e-3)


def test_of_two_views_one_is_mirrored() -> None:
    run = run_of("augmentation.flip=0.5")
    (x,) = next(run.batches((PIXELS,)))
    wanted = torch.stack([run.model(x).softmax(1), run.model(x.flip(3)).softmax(1)]).mean(0).detach().numpy()
    assert np.allclose(answers_to(with_views(run, 2), (PIXELS,)).probabilities, wanted, atol=1e-6)


def test_an_answer_does_not_depend_on_its_neighbours() -> None:
    run = with_views(run_of("augmentation=strong"), 3)
    whole = answers_to(run, (PIXELS,)).probabilities
    order = np.random.default_rng(0).permutation(len(PIXELS))
    assert np.allclose(answers_to(run, (PIXELS[order],)).probabilities, whole[order], atol=1e-6)
    assert np.allclose(answers_to(run, (PIXELS[4:5],)).probabilities, whole[4:5], atol=1e-6)


def test_eval_and_predict_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained(*DIGITS, "augmentation=standard").folder
    assert main(["eval", str(folder), "--tta", "3", "--json", "--no-plots"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["views"] == 3
    source, rows = own_rows(open_run(folder), "test")
    np.save("x.npy", source.inputs[0][rows])
    assert main(["predict", str(folder), "x.npy", "--tta", "3", "-o", "answers.csv"]) == 0
    assert "each the mean of 3 views" in capsys.readouterr().err
    guessed = [line.strip('"') for line in Path("answers.csv").read_text().splitlines()[1:]]
    truth = [source.classes[k] for k in source.target[rows]]
    right = sum(a == b for a, b in zip(guessed, truth, strict=True)) / len(truth)
    assert said["metrics"]["accuracy"] == pytest.approx(right)
    assert main(["eval", str(folder), "--no-plots"]) == 0
    assert "views" not in json.loads((folder / "evaluation-test.json").read_text())


def test_one_view_is_the_run_itself() -> None:
    run = run_of()
    assert with_views(run, 1) is run


def test_values_and_series_have_views_too() -> None:
    words = ("data=adding", "data.samples=80", "data.min_length=4", "data.length=9", "model=gru", "model.hidden_size=4")
    run = open_run(trained(*words, "augmentation.jitter=0.5", "trainer.max_epochs=1").folder)
    source, rows = own_rows(run, "test")
    plain, seen = (evaluate(each, source, rows).answers.predicted for each in (run, with_views(run, 3)))
    assert plain.shape == seen.shape
    assert not np.allclose(plain, seen)


def test_members_of_an_ensemble_have_views_each() -> None:
    config = config_of(*DIGITS, "augmentation=standard", "cv.folds=2", "cv.final=ensemble")
    run = open_run(cross_validate(config, new_folder(config)).folder)
    seen = with_views(run, 3)
    assert len(seen.looks) == 6
    each = [answers_to(with_views(member, 3), (PIXELS,)).probabilities for member in run.members]
    assert np.allclose(answers_to(seen, (PIXELS,)).probabilities, np.mean(each, 0), atol=1e-6)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "had no augmentation"),
        (("augmentation.mixup=0.2", "augmentation.erasing=0.5"), "gives no views (erasing 0.5, mixup 0.2)"),
    ],
)
def test_without_views_it_is_refused(words: tuple[str, ...], text: str) -> None:
    run = run_of(*words)
    with pytest.raises(ConfigError) as caught:
        with_views(run, 4)
    assert text in str(caught.value)
    assert main(["eval", str(run.folder), "--tta", "4"]) == 2


def test_a_forecast_has_none() -> None:
    words = ("data=sine", "data.steps=260", "data.window=26", "data.horizon=4", "model=linear", "trainer.max_epochs=1")
    run = open_run(trained(*words, "augmentation.jitter=0.1").folder)
    with pytest.raises(ConfigError, match="not for a forecast"):
        with_views(run, 2)


def masks_run(*words: str) -> Finished:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (20, 1, 8, 8), dtype=np.uint8)
    np.savez("masks.npz", x=x, y=(x[:, 0] > 127).astype(np.int64))
    data = ("data=masks", "data.images=masks.npz", "data.test_fraction=0.3", "data.val_fraction=0.2", "model=unet")
    return open_run(
        trained(*data, "model.channels=[2,3]", "trainer.max_epochs=1", "trainer.precision=fp32", *words).folder
    )


def test_views_of_pictures_are_turned_back_pixel_by_pixel() -> None:
    run = masks_run("augmentation.flip=0.5", "augmentation.flip_vertical=0.5", "augmentation.rotation=20")
    source, rows = own_rows(run, "test")
    (x,) = next(run.batches((source.inputs[0][rows],)))
    with torch.no_grad():
        ways = [run.model(x).softmax(1), *(run.model(x.flip(dims)).softmax(1).flip(dims) for dims in ([2, 3], [2]))]
    mean = torch.stack(ways).mean(0).numpy()
    seen = with_views(run, 3)  # the picture itself, mirrored both ways, and upside down
    assert np.allclose(probabilities_to(seen, (source.inputs[0][rows],)), mean, atol=1e-5)
    masks = answers_to(seen, (source.inputs[0][rows],)).predicted
    assert np.array_equal(masks, mean.argmax(1))
    found = evaluate(seen, source, rows)
    assert np.array_equal(found.answers.predicted, masks)
    assert found.metrics["pixel_accuracy"] == pytest.approx(float((masks == source.target[rows]).mean()))
    assert not np.allclose(mean, probabilities_to(run, (source.inputs[0][rows],)), atol=1e-4)


def test_pixels_that_move_otherwise_have_no_views(capsys: pytest.CaptureFixture[str]) -> None:
    run = masks_run("augmentation.rotation=20", "augmentation.crop=2")
    assert main(["eval", str(run.folder), "--tta", "2"]) == 2
    told = capsys.readouterr().err
    assert "--tta mirrors or recolours pictures whose pixels are answered for, but" in told
    assert "had crop 2, rotation 20.0" in told


@pytest.mark.parametrize("word", ["0", "x", "-1", "1001", "2.5", "99999999999"])
def test_a_wrong_number_is_told(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = done()
    assert main(["eval", str(folder), f"--tta={word}"]) == 2
    assert f"--tta must be a whole number from 1 to 1000, got '{word}'" in capsys.readouterr().err


@cache
def done() -> Path:
    return trained(*DIGITS, "trainer.max_epochs=1").folder.absolute()


def test_the_own_metric_is_not_measured_on_a_mean() -> None:
    words = ("metric=code", f"metric.code={HERE}:AmongTheFirst", 'metric.kwargs={"k": 2}', "metric.name=top2")
    run = open_run(trained(*DIGITS, *words, "augmentation=standard").folder, trust=True)
    found = evaluate(with_views(run, 2), *own_rows(run, "test"))
    assert "top2" not in found.metrics
    assert "metric=code is not measured" in found.notes[0]
