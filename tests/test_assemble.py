"""Picks for every auto, and the wiring."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nnkit.assemble import Prepared, assemble, baseline, count_parameters, prepare
from nnkit.config.schema import to_plain
from nnkit.errors import ConfigError, DataError
from tests.trained import config_of


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
    by_rule_at_its_place = {".trainer.checkpoint_every", ".init.gain"}
    assert set(autos(to_plain(config))) <= by_rule_at_its_place
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
    frequent = np.bincount(found.source.target[found.splits.train]).argmax()
    expected = np.mean(found.source.target[found.splits.test] == frequent)
    assert baseline(run, found)["accuracy"] == pytest.approx(expected)


def test_class_baseline_with_one_output_is_the_same() -> None:
    found = prepared("data=breast_cancer", "loss=bce")
    assert found.num_outputs == 1
    frequent = np.bincount(found.source.target[found.splits.train]).argmax()
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
    assert count_parameters(run.model) == 4 * 8 + 8 + 8 * 3 + 3
    run.model.get_parameter("output.bias").requires_grad_(False)
    assert count_parameters(run.model) == 4 * 8 + 8 + 8 * 3


def test_nothing_is_written(tmp_path: Path) -> None:
    assemble(prepared(), tmp_path / "checkpoints")
    assert list(tmp_path.iterdir()) == []
