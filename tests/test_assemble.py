"""Picks for every auto, and the wiring."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from nnkit.assemble import Prepared, assemble, in_order, prepare
from nnkit.baseline import baseline
from nnkit.config.schema import to_plain
from nnkit.data.batches import encode
from nnkit.errors import ConfigError, DataError
from nnkit.facts import counts_of
from nnkit.scoring import metrics_of
from nnkit.train.loop import evaluate, take_step, train_values
from nnkit.train.state import TrainState
from tests.trained import config_of, trained


def prepared(*words: str) -> Prepared:
    return prepare(config_of(*words))


def autos(values: object, key: str = "") -> list[str]:
    """Return the keys whose value is still "auto"."""
    if isinstance(values, dict):
        return [found for k, v in values.items() for found in autos(v, f"{key}.{k}")]
    return [key] if values == "auto" else []


@pytest.mark.parametrize("data", ["iris", "diabetes"])
def test_every_auto_of_the_maths_has_its_pick(data: str) -> None:
    config = prepared(f"data={data}").config
    by_rule_at_its_place = {".trainer.checkpoint_every", ".init.gain", ".model.embedding_size", ".metric.kind"}
    by_rule_at_its_place |= {".tracker.wandb.mode"}  # by what the process finds that tells it
    assert set(autos(to_plain(config))) <= by_rule_at_its_place | {".cv.kind"}  # without folds nobody reads it
    folds = prepared(f"data={data}", "cv.folds=3").config
    assert folds.cv.kind == ("kfold" if data == "diabetes" else "stratified")
    assert config.loss.kind == ("mse" if data == "diabetes" else "cross_entropy")
    assert (config.trainer.device, config.trainer.precision, config.trainer.threads) == ("cpu", "fp32", 1)


@pytest.mark.parametrize(
    ("words", "monitor", "mode"),
    [
        ((), "val/loss", "min"),
        (("trainer.monitor=val/accuracy",), "val/accuracy", "max"),
        (("trainer.monitor=val/macro_f1",), "val/macro_f1", "max"),
        (("trainer.monitor=val/accuracy", "trainer.mode=max"), "val/accuracy", "max"),
        (("data=diabetes", "trainer.monitor=val/rmse"), "val/rmse", "min"),
        (("data=diabetes", "trainer.monitor=val/r2"), "val/r2", "max"),
    ],
)
def test_monitor_and_mode(words: tuple[str, ...], monitor: str, mode: str) -> None:
    trainer = prepared(*words).config.trainer
    assert (trainer.monitor, trainer.mode) == (monitor, mode)


@pytest.mark.parametrize(
    ("words", "scaling"),
    [
        ((), "standard"),
        (("loss=poisson",), "none"),
        (("loss=mae",), "standard"),
        (("data.target_scaling=none",), "none"),
    ],
)
def test_target_is_scaled_but_not_for_counts(words: tuple[str, ...], scaling: str) -> None:
    found = prepared("data=diabetes", *words)
    assert getattr(found.config.data, "target_scaling") == scaling  # noqa: B009 - not every section has it
    assert (found.preprocess.target is None) is (scaling == "none")


def test_words_that_do_not_fit_the_data_are_told_together() -> None:
    with pytest.raises(
        ConfigError, match=r"loss=mse needs a regression target.*trainer.monitor must be one of"
    ) as caught:
        prepared("loss=mse", "trainer.monitor=val/rmse")
    assert len(caught.value.problems) == 2


def test_data_that_cannot_be_read_is_told() -> None:
    with pytest.raises(DataError, match=r"nowhere.csv"):
        prepared("data=table", "data.path=nowhere.csv", "data.target=y")


def test_steps_have_the_configs_sizes() -> None:
    run = assemble(prepared("batching.batch_size=8", "batching.accumulate=3", "batching.eval_batch_size=10"), None)
    assert [len(batch) for batch in run.train.epoch(0)] == [24, 24, 24, 24, 2]
    assert run.micro_batch == 8
    assert len(next(run.val.epoch(0))) == 10


def test_full_batch_is_the_whole_training_part() -> None:
    found = prepared("batching.batch_size=full")
    run = assemble(found, None)
    assert (len(run.train), run.micro_batch) == (1, len(found.splits.train))


def test_threads_are_set() -> None:
    before = torch.get_num_threads()
    try:
        assemble(prepared("trainer.threads=2"), None)
        assert torch.get_num_threads() == 2
        assemble(prepared(), None)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_determinism_is_switched_on_and_off() -> None:
    assemble(prepared("trainer.deterministic=true"), None)
    assert torch.are_deterministic_algorithms_enabled()
    assemble(prepared(), None)
    assert not torch.are_deterministic_algorithms_enabled()


def test_average_starts_as_a_copy_of_the_weights() -> None:
    run = assemble(prepared("trainer.ema_decay=0.9"), None)
    assert run.average is not None
    assert torch.equal(run.average, run.parameters.values)
    assert run.average.data_ptr() != run.parameters.values.data_ptr()
    assert assemble(prepared(), None).average is None


def test_balanced_class_weights_come_from_the_training_part() -> None:
    found = prepared("data=wine", "loss=cross_entropy", "loss.class_weights=balanced")
    run = assemble(found, None)
    target = run.train.samples.target
    counts = np.bincount(target.numpy())
    expected = sum(len(target) / (3 * counts[c]) for c in target.tolist())
    assert float(run.objective.weight(target, torch.ones(len(target)))) == pytest.approx(expected, rel=1e-5)


def test_class_baseline_is_the_most_frequent_training_class() -> None:
    found = prepared("data=wine")
    run = assemble(found, None)
    frequent = np.bincount(found.source.row_target[found.splits.train]).argmax()
    expected = np.mean(found.source.target[found.splits.test] == frequent)
    assert baseline(run, found)["accuracy"] == pytest.approx(expected)


def test_class_baseline_with_one_output_is_the_same() -> None:
    found = prepared("data=breast_cancer", "loss=bce")
    assert found.num_outputs == 1
    frequent = np.bincount(found.source.row_target[found.splits.train]).argmax()
    expected = np.mean(found.source.target[found.splits.test] == frequent)
    assert baseline(assemble(found, None), found)["accuracy"] == pytest.approx(expected)


@pytest.mark.parametrize("words", [(), ("loss=poisson",), ("data.target_scaling=none",)])
def test_value_baseline_is_the_training_mean_in_the_targets_units(words: tuple[str, ...]) -> None:
    found = prepared("data=diabetes", *words)
    y = found.source.target
    error = y[found.splits.test] - y[found.splits.train].mean()
    values = baseline(assemble(found, None), found)
    assert values["rmse"] == pytest.approx(float(np.sqrt(np.mean(error**2))), rel=1e-5)
    assert values["mae"] == pytest.approx(float(np.mean(np.abs(error))), rel=1e-5)


def test_parameters_are_counted() -> None:
    run = assemble(prepared(), None)
    assert counts_of(run, 0) == (67, 67) == (4 * 8 + 8 + 8 * 3 + 3,) * 2


def test_nothing_is_written(tmp_path: Path) -> None:
    assemble(prepared(), tmp_path / "checkpoints")
    assert list(tmp_path.iterdir()) == []


# weights, labels, categories, draws

ROWS = 120


def table(**columns: Any) -> None:
    rng = np.random.default_rng(0)
    size = rng.normal(size=ROWS)
    colour = rng.choice(["red", "green", "blue"], ROWS)
    kind = np.where(size + (colour == "red") > 0.4, "big", "small")
    pd.DataFrame({"size": size, "colour": colour, "kind": kind, **columns}).to_csv("my.csv", index=False)


PLAIN_SGD = ("optimizer=sgd", "optimizer.momentum=0")
TABLE = ("data=table", "data.path=my.csv", "data.target=kind")


def test_a_row_of_weight_zero_is_as_if_it_were_not_there() -> None:
    weight = np.where(np.arange(ROWS) < 100, 1.0, 0.0)
    part = np.where(np.arange(ROWS) % 5 == 0, "val", np.where(np.arange(ROWS) % 5 == 1, "test", "train"))
    table(w=weight, part=part)
    words = (*TABLE, "data.split_column=part", "batching.shuffle=false", "batching.batch_size=full")
    found = prepared(*words, "data.sample_weight=w")
    run = assemble(found, None)
    kept = [np.array([row for row in rows if row < 100]) for rows in (found.splits.train, found.splits.val)]
    for samples, rows in zip((run.train.samples, run.val.samples), kept, strict=True):
        alone = encode(found.source, rows, found.preprocess, torch.device("cpu"))
        expected = evaluate(run, in_order(alone, found.config))
        assert evaluate(run, in_order(samples, found.config)) == pytest.approx(expected, rel=1e-5)


def test_weights_go_into_the_baseline() -> None:
    table(w=np.where(np.arange(ROWS) % 7 == 0, 9.0, 0.1))
    found = prepared(*TABLE, "data.sample_weight=w")
    train, test = found.splits.train, found.splits.test
    weight = found.source.weight
    assert weight is not None
    frequent = np.bincount(found.source.row_target[train], weight[train]).argmax()
    expected = np.average(found.source.target[test] == frequent, weights=weight[test])
    assert baseline(assemble(found, None), found)["accuracy"] == pytest.approx(expected, rel=1e-5)


def test_a_batch_whose_rows_all_weigh_nothing_moves_nothing_and_ends_nothing() -> None:
    table(w=np.where(np.arange(ROWS) % 3 == 0, 1.0, 0.0))
    run = assemble(prepared(*TABLE, "data.sample_weight=w", "batching.batch_size=1", *PLAIN_SGD), None)
    state = TrainState(1000, sums=run.metrics.zero(run.device))
    for batch in run.train.epoch(0):
        before = run.parameters.values.clone()
        take_step(run, batch, state)
        moved = not torch.equal(before, run.parameters.values)
        assert moved is (batch.weight.item() > 0)
    values = train_values(run, state)
    assert 0 < values["train/loss"] < 5


@pytest.mark.parametrize("categories", ["one_hot", "embedding"])
def test_a_network_learns_from_a_tables_categories(categories: str) -> None:
    table()
    words = (*TABLE, f"data.categories={categories}", "trainer.max_epochs=40", "optimizer.lr=0.02")
    result = trained(*words)
    assert result.metrics["test/accuracy"] > 0.85
    assert result.metrics["baseline/accuracy"] < 0.75


def test_labels_have_the_baseline_of_those_that_more_than_half_of_training_has() -> None:
    rng = np.random.default_rng(0)
    np.savez("my.npz", x=rng.normal(size=(ROWS, 3)), y=rng.random((ROWS, 3)) < [0.8, 0.5, 0.1])
    found = prepared("data=array", "data.path=my.npz", "data.task=multilabel")
    assert (found.config.loss.kind, found.num_outputs) == ("bce", 3)
    run = assemble(found, None)
    y = found.source.target
    guess = np.tile(y[found.splits.train].mean(0) > 0.5, (len(found.splits.test), 1))
    true = y[found.splits.test].astype(int)
    expected = {
        "accuracy": accuracy_score(true, guess),
        "macro_f1": f1_score(true, guess, average="macro", zero_division=0.0),
    }
    assert baseline(run, found) == pytest.approx(expected)


def test_labels_are_learned() -> None:
    x = np.random.default_rng(0).normal(size=(ROWS, 3))
    np.savez("my.npz", x=x, y=x > [0.5, 0, -0.5])
    result = trained(
        "data=array", "data.path=my.npz", "data.task=multilabel", "trainer.max_epochs=80", "optimizer.lr=0.03"
    )
    assert result.metrics["test/macro_f1"] > 0.85
    assert result.metrics["test/accuracy"] > result.metrics["baseline/accuracy"] + 0.3


def test_a_balanced_sampler_shows_classes_equally_often() -> None:
    np.savez("my.npz", x=np.random.default_rng(0).normal(size=(600, 3)), y=np.arange(600) % 12 == 0)
    found = prepared("data=array", "data.path=my.npz", "batching.sampler=balanced")
    run = assemble(found, None)
    drawn = torch.cat([batch.target for epoch in range(4) for batch in run.train.epoch(epoch)])
    assert len(drawn) == 4 * len(found.splits.train)
    assert drawn.float().mean().item() == pytest.approx(0.5, abs=0.05)
    measured = torch.cat([batch.target for batch in in_order(run.train.samples, found.config).epoch(0)])
    assert measured.tolist() == run.train.samples.target.tolist()


def test_a_threshold_decides_the_metrics_of_two_classes() -> None:
    found = prepared("data=breast_cancer")
    run = assemble(found, None)
    with torch.no_grad():
        outputs = torch.cat([run.model(*batch.inputs) for batch in run.val.epoch(0)])
    target = run.val.samples.target
    for threshold in (0.2, 0.5, 0.8):
        metrics = metrics_of(found.config, found.preprocess, threshold)
        sums = metrics.zero(run.device)
        metrics.add(sums, outputs, target, torch.ones(len(target)))
        guess = outputs.softmax(1)[:, 1] > threshold
        assert metrics.compute(sums)["accuracy"] == pytest.approx(accuracy_score(target, guess))


VARYING = ("data=adding", "data.samples=90", "data.min_length=3", "model=gru", "batching.batch_size=8")


def test_what_is_not_shuffled_keeps_the_order_of_the_data_in_training() -> None:
    run = assemble(prepared(*VARYING, "batching.shuffle=false"), None)
    rows = [row for batch in run.train.epoch(0) for row in batch.index.tolist()]
    assert rows == list(range(len(run.train.samples)))
    lengths = run.train.samples.lengths
    assert lengths is not None
    assert lengths.tolist() != sorted(lengths.tolist())
    shuffled = assemble(prepared(*VARYING), None)
    spans = [int(batch.inputs[1].max() - batch.inputs[1].min()) for batch in shuffled.train.epoch(0)]
    assert sum(spans) / len(spans) < 5  # of lengths from 3 to 20


def test_a_class_whose_samples_weigh_nothing_leaves_the_loss_finite() -> None:
    rows = "".join(f"{k},{'abc'[k % 3]},{int(k % 3 > 0)}\n" for k in range(60))
    Path("my.csv").write_text("x,y,w\n" + rows)
    words = ("data=table", "data.path=my.csv", "data.target=y", "data.sample_weight=w", "loss=cross_entropy")
    result = trained(*words, "loss.class_weights=balanced", "trainer.max_epochs=2")
    assert all(math.isfinite(value) for value in result.metrics.values())
