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
from nnkit.baseline import baseline
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
        (("data.season=21",), 1),  # longer than the window
        (("data.season=4", "data.scaling=none"), 4),
        (("data.season=4", "data.strategy=recursive"), 4),
    ],
)
def test_of_a_forecast_it_is_the_last_value_or_the_last_season(words: tuple[str, ...], season: int) -> None:
    prepared, found = known(*SINE, *words)
    x, target = prepared.source.inputs[0], prepared.source.target
    assert isinstance(target, Sequences)
    rows = prepared.splits.test
    past, came = (np.stack([steps[:, 0] for steps in given[rows]]).astype(np.float64) for given in (x, target))
    told = np.tile(past[:, -season:], 6)[:, :6]
    scale = prepared.preprocess.target
    size = 1.0 if scale is None else scale.size[0]
    expected = {"rmse": np.sqrt(((told - came) ** 2).mean()), "mae": np.abs(told - came).mean()}
    expected |= {"scaled_mse": expected["rmse"] ** 2 / size**2, "scaled_mae": expected["mae"] / size}
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_naive_run_is_its_own_baseline_and_has_nothing_to_learn() -> None:
    words = [word for word in SINE if not word.startswith("model")]
    result = trained(*words, "data.season=5", "model=naive", "model.method=seasonal")
    assert (result.status, result.reason, result.steps) == ("completed", "nothing_to_learn", 0)
    for name in ("rmse", "mae", "scaled_mse", "scaled_mae"):
        assert result.metrics[f"test/{name}"] == result.metrics[f"baseline/{name}"]
    assert result.metrics["val/loss"] == pytest.approx(result.metrics["val/scaled_mse"], rel=1e-5)
    run = assemble(prepare(config_of(*words, "data.season=5", "model=naive")), None)
    assert isinstance(run.model, Naive)
    assert evaluate(run, run.test)["scaled_mae"] > 0
    assert torch.equal(run.parameters.values, torch.empty(0))
