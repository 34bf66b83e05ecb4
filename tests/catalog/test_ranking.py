"""The order of runs, the best of them, and groups of those that are equal but for their seed."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from nnkit.catalog.entry import Entry
from nnkit.catalog.index import load
from nnkit.catalog.ranking import best_of, by_seed, groups_in_order, in_order, mode_of
from nnkit.catalog.sweeps import summarised
from nnkit.errors import ConfigError
from tests.run_folders import ROOT, made, scored, sweep


def entries() -> list[Entry]:
    return sorted(load(ROOT).entries, key=lambda entry: entry.run)


def order(key: str, **more: Any) -> str:
    return "".join(entry.run[-1] for entry in in_order(entries(), key, **more))


def test_the_newest_and_the_best_come_first_and_what_is_missing_last() -> None:
    made("a/1", {"optimizer.lr": 0.1}, metrics=scored(0.5, loss=0.3))
    made("a/2", {"optimizer.lr": 0.01, "model.hidden": [2]}, metrics=scored(0.7, loss=0.2))
    made("a/3", {"optimizer.lr": 0.02}, metrics=None, started=None, status="failed")
    assert order("started") == "213"
    assert order("started", reverse=True) == "123"
    assert order("val/accuracy") == "213"
    assert order("val/accuracy", reverse=True) == "123"
    assert order("val/loss") == "213"
    assert order("optimizer.lr") == "231"
    assert order("status") == "123"
    assert order("model.hidden") in ("132", "213")
    assert mode_of("test/rmse", []) == "min"
    assert mode_of("epochs", []) is None


def test_an_own_metric_is_better_where_the_run_says_so() -> None:
    own = {"metric": {"kind": "code", "name": "top2", "mode": "max"}}
    made("a/1", own, metrics={**scored(0.5), "val/top2": 0.2})
    made("a/2", own, metrics={**scored(0.5), "val/top2": 0.3})
    assert order("val/top2") == "21"
    assert best_of(entries(), "val/top2")[0].run == "a/2"


def test_the_best_run_is_finished_and_the_loss_breaks_ties() -> None:
    made("a/1", metrics=scored(0.9, loss=0.3))
    made("a/2", metrics=scored(0.9, loss=0.2))
    made("a/3", metrics=scored(0.8, loss=0.1))
    made("a/4", metrics=scored(1.0), status="interrupted")
    assert best_of(entries())[0].run == "a/2"
    assert best_of(entries(), "val/loss")[0].run == "a/3"
    with pytest.raises(ConfigError, match=r"val/rmse is not a metric of these runs"):
        best_of(entries(), "val/rmse")
    with pytest.raises(ConfigError, match="none of 1 run has finished"):
        best_of(entries()[3:])


def test_runs_of_several_data_sets_have_no_best() -> None:
    made("a/1")
    made("a/2", data="digits")
    with pytest.raises(ConfigError, match=r"several data sets.*iris \(1 run\), digits \(1 run\)") as caught:
        best_of(entries())
    assert caught.value.problems[0].hint == "data=iris"


def test_runs_of_the_same_data_that_has_changed_have_no_best() -> None:
    made("a/1", {"data.path": "x.csv"})
    made("a/2", {"data.path": "y.csv"}, data_fingerprint="other")
    with pytest.raises(ConfigError, match="several data sets") as caught:
        best_of(entries())
    assert caught.value.problems[0].hint == "data=iris data.path=x.csv"
    made("b/1")
    made("b/2", data_fingerprint="other")
    with pytest.raises(ConfigError) as caught:
        best_of(entries()[2:])
    assert "started>=2026-11-03" in caught.value.problems[0].hint


def test_runs_that_are_equal_but_for_their_seed_are_one_group() -> None:
    scores = (0.7, 0.8, 0.95)
    for seed, score in enumerate(scores):
        made(
            f"a/{seed}",
            {"seed": seed, "tags": [str(seed)], "trainer.threads": seed + 1},
            metrics=scored(score, score / 2),
        )
    made("b/1", {"optimizer.lr": 0.5}, metrics=scored(0.1))
    made("b/2", {"trainer.max_epochs": 7}, metrics=scored(0.2, 0.1))
    made("b/3", {}, data_fingerprint="other", metrics=scored(0.3, 0.1))
    made("b/4", {"seed": 9}, status="failed", metrics=None)
    made("b/5", {"seed": 8}, status="interrupted")
    groups = groups_in_order(by_seed(entries()), "val/accuracy")
    assert [[entry.run for entry in group.entries] for group in groups] == [
        ["a/0", "a/1", "a/2"],
        ["b/3"],
        ["b/2"],
        ["b/1"],
    ]
    first = groups[0]
    assert first.mean("val/accuracy") == pytest.approx(sum(scores) / 3)
    assert first.deviation(first.test) == pytest.approx(statistics.stdev(score / 2 for score in scores))
    assert first.settings == {"optimizer.lr": 0.001, "trainer.max_epochs": 100}
    assert groups[3].settings == {"optimizer.lr": 0.5, "trainer.max_epochs": 100}
    assert groups[3].mean("test/accuracy") is None
    assert groups[3].deviation("val/accuracy") is None
    assert groups_in_order(groups, "optimizer.lr")[-1] == groups[3]


def test_a_seed_that_was_run_twice_counts_once() -> None:
    made("a/1", {"seed": 1}, metrics=scored(0.5, 0.5))
    made("a/2", {"seed": 1}, metrics=scored(0.6, 0.6))
    made("a/3", {"seed": 1}, metrics=scored(0.7))
    (group,) = by_seed(entries())
    assert [entry.run for entry in group.entries] == ["a/2"]  # the newest that has looked at the test set


def test_a_sweep_is_one_line_with_the_figures_of_its_best_trial() -> None:
    made("a/sweep-1/000", metrics=scored(0.9), seconds=2.0)
    made("a/sweep-1/001", metrics=scored(0.95, 0.8), seconds=3.0)
    made("a/sweep-1/002", metrics=scored(0.99), seconds=4.0)
    made("a/1")
    made("a/1/fold-0")
    sweep("a/sweep-1", best="001", planned=3, objective="val/accuracy", mode="max")
    catalog = load(ROOT)
    lines = {entry.run: entry for entry in summarised(catalog, catalog.entries)}
    assert set(lines) == {"a/1", "a/sweep-1"}
    line = lines["a/sweep-1"]
    assert (line.status, line.metrics, line.value("seconds")) == ("completed", scored(0.95, 0.8), 9.0)
    assert line.trials == {"count": 3, "of": 3, "planned": 3, "statuses": {"completed": 3}, "best": "a/sweep-1/001"}
    some = [entry for entry in catalog.entries if entry.run in ("a/sweep-1/000", "a/sweep-1/002")]
    (line,) = summarised(catalog, some)
    assert (line.trials["count"], line.trials["of"], line.trials["best"]) == (2, 3, "a/sweep-1/002")


@pytest.mark.parametrize(
    ("statuses", "planned", "expected"),
    [
        (("completed", "stopped_early"), 2, "completed"),
        (("completed", "failed"), 2, "failed"),
        (("failed", "failed"), 2, "failed"),
        (("completed", "interrupted"), 2, "interrupted"),
        (("completed", "pruned"), 2, "completed"),
        (("completed", "completed"), 5, "interrupted"),
    ],
)
def test_the_status_of_a_sweep(statuses: tuple[str, ...], planned: int, expected: str) -> None:
    for number, status in enumerate(statuses):
        made(f"a/sweep-1/{number}", status=status, metrics=scored(0.5) if status == "completed" else None)
    sweep("a/sweep-1", planned=planned)
    catalog = load(ROOT)
    (line,) = summarised(catalog, catalog.entries)
    assert line.status == expected
