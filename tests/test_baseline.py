"""What knowing nothing is worth on sequences: classes, tokens, means and forecasts. Of rows: tests/test_assemble.py."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from nnkit.assemble import Prepared, assemble, prepare
from nnkit.baseline import baseline, baseline_notes, naive_forecast
from nnkit.data.sequences import Sequences
from nnkit.models.naive import Naive
from nnkit.train.loop import evaluate
from tests.trained import config_of, trained


def known(*words: str) -> tuple[Prepared, dict[str, float]]:
    prepared = prepare(config_of(*words))
    return prepared, baseline(assemble(prepared, None), prepared)


def steps_of(prepared: Prepared, rows: Any) -> Any:
    """Return the target of each step of the rows."""
    target = prepared.source.target
    assert isinstance(target, Sequences)
    return np.concatenate(list(target[rows]))


@pytest.mark.parametrize("varying", [(), ("data.min_length=2",)])
def test_of_a_class_a_step_it_is_the_most_frequent_one_of_training(varying: tuple[str, ...]) -> None:
    words = ("data=parity", "data.samples=60", "data.length=7", "model=gru", "batching.eval_batch_size=5")
    prepared, found = known(*words, *varying)
    train, test = (steps_of(prepared, rows) for rows in (prepared.splits.train, prepared.splits.test))
    told = np.full(len(test), np.bincount(train).argmax())
    expected = {"accuracy": accuracy_score(test, told), "macro_f1": f1_score(test, told, average="macro")}
    assert found == pytest.approx(expected)


def test_of_a_language_it_is_the_shares_of_the_tokens_of_training() -> None:
    letters = np.random.default_rng(0).choice(list("aaaabbc"), 400)
    letters[-30:] = "z"  # a letter that training has not
    Path("x.txt").write_text("".join(letters))
    words = ("data=text", "data.path=x.txt", "data.task=language", "data.tokens=char", "data.segment=8", "model=gru")
    prepared, found = known(*words)
    target = prepared.source.target
    assert isinstance(target, Sequences)
    train, test = (
        [target.words[k] for k in steps_of(prepared, rows)] for rows in (prepared.splits.train, prepared.splits.test)
    )
    counts = Counter(train)
    shares = {word: max(counts[word], 0.5) for word in ("?", *counts)}  # what never came counts half
    total = sum(shares.values())
    nats = -np.mean([math.log(shares.get(word, 0.5) / total) for word in test])
    assert found["perplexity"] == pytest.approx(math.exp(nats), rel=1e-5)
    assert found["bits_per_token"] == pytest.approx(nats / math.log(2), rel=1e-5)
    assert found["accuracy"] == pytest.approx(np.mean([word == "a" for word in test]))


@pytest.mark.parametrize("varying", [(), ("data.min_length=5",)])
def test_of_values_it_is_the_mean_of_training(varying: tuple[str, ...]) -> None:
    prepared, found = known("data=adding", "data.samples=60", "model=gru", *varying)
    target: Any = prepared.source.target
    mean = target[prepared.splits.train].mean()
    error = target[prepared.splits.test] - mean
    assert found["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-5)
    assert found["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)


SINE = ("data=sine", "data.steps=300", "data.window=20", "data.horizon=6", "model=mlp", "model.hidden=[4]")


@pytest.mark.parametrize(
    ("words", "season"),
    [
        (("data.season=1",), 1),
        (("data.season=20",), 20),
        (("data.season=4",), 4),
        (("data.season=21",), 21),  # longer than the window
        (("data.season=50",), 50),
        (("data.season=4", "data.scaling=none"), 4),
        (("data.season=4", "data.strategy=recursive"), 4),
    ],
)
def test_of_a_forecast_it_is_the_last_value_or_the_last_season(words: tuple[str, ...], season: int) -> None:
    prepared, found = known(*SINE, *words)
    target = prepared.source.target
    assert isinstance(target, Sequences)
    rows = prepared.splits.test
    came = np.stack([steps[:, 0] for steps in target[rows]])
    past = np.stack([target.values[start - season : start, 0] for start in target.starts[rows]])
    told = np.tile(past, 6)[:, :6]
    assert baseline_notes(prepared) == []
    scale = prepared.preprocess.target
    size = 1.0 if scale is None else scale.size[0]
    expected = {"rmse": np.sqrt(((told - came) ** 2).mean()), "mae": np.abs(told - came).mean()}
    expected |= {"scaled_mse": expected["rmse"] ** 2 / size**2, "scaled_mae": expected["mae"] / size}
    assert found == pytest.approx(expected, rel=1e-4)


def gap_series() -> None:
    """Write 40 days, a gap, and 60 more days; the value is the number of the day."""
    days = np.append(np.arange(40), np.arange(50, 110))
    dates = np.datetime64("2026-01-01") + days
    Path("gap.csv").write_text("day,y\n" + "".join(f"{d},{n}\n" for d, n in zip(dates, days.tolist(), strict=True)))


@pytest.mark.parametrize(("season", "lacking"), [(12, 0), (36, 6)])
def test_a_season_reaches_back_over_no_gap(season: int, lacking: int) -> None:
    gap_series()
    words = ("data=series", "data.path=gap.csv", "data.time=day", "data.target=y", "data.window=5", "data.horizon=2")
    parts = ("data.val_fraction=0.1", "data.test_fraction=0.3", "data.gaps=split", "model=linear")
    prepared = prepare(config_of(*words, *parts, f"data.season={season}"))
    naive = naive_forecast(prepared.config, prepared.preprocess, prepared.source, prepared.splits.test)
    scale = prepared.preprocess.target
    assert scale is not None
    told = scale.undo(naive.outputs(torch.tensor([0, 1])).unflatten(1, (2, 1)))[..., 0]
    firsts = torch.tensor([80.0, 81])  # the test is of the last 30 days
    wanted = firsts[:, None] + torch.arange(2) - season if not lacking else (firsts - 1)[:, None].expand(2, 2)
    torch.testing.assert_close(told, wanted.double(), atol=1e-4, rtol=1e-5)
    assert naive.repeats == ("value" if lacking else "season")
    text = f"{lacking} of 29 windows have no {season} steps before them (data.season)"
    assert [text in note for note in baseline_notes(prepared)] == [True] * bool(lacking)


def test_a_season_that_the_series_is_too_short_for_is_told_by_the_run() -> None:
    gap_series()
    words = ("data=series", "data.path=gap.csv", "data.time=day", "data.target=y", "data.window=5", "data.horizon=2")
    parts = ("data.val_fraction=0.1", "data.test_fraction=0.3", "data.gaps=split", "data.season=36")
    result = trained(*words, *parts, "model=linear", "trainer.max_epochs=1")
    assert any("the forecast to be beaten is the last value, not the last season" in note for note in result.notes)


def test_a_naive_run_is_its_own_baseline_and_has_nothing_to_learn() -> None:
    words = [word for word in SINE if not word.startswith("model")]
    result = trained(*words, "data.season=5", "model=naive", "model.method=seasonal")
    assert (result.status, result.reason, result.steps) == ("completed", "nothing_to_learn", 0)
    for name in ("rmse", "mae", "scaled_mse", "scaled_mae"):
        assert result.metrics[f"test/{name}"] == pytest.approx(result.metrics[f"baseline/{name}"], rel=1e-5)
    assert result.metrics["val/loss"] == pytest.approx(result.metrics["val/scaled_mse"], rel=1e-5)
    run = assemble(prepare(config_of(*words, "data.season=5", "model=naive")), None)
    assert isinstance(run.model, Naive)
    assert evaluate(run, run.test)["scaled_mae"] > 0
    assert torch.equal(run.parameters.values, torch.empty(0))
