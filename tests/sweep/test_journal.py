"""The journal of a sweep."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.errors import ConfigError, DataError
from nnkit.runs import JOURNAL
from nnkit.sweep.journal import Journal, read, read_plan, repair, starts
from nnkit.sweep.plan import Plan
from nnkit.sweep.trials import Outcome, Trial, identity
from tests.trained import config_of

PLAN = Plan(
    words=["optimizer.lr=1,2"],
    config_name="train",
    folder="/somewhere",
    sweeper="grid",
    settings={"seeds": 1},
    space={"optimizer.lr": {"values": ["1", "2"]}, "model.hidden": {"low": 1, "high": 9, "log": True, "int": True}},
    bases={"model=mlp": {"seed": 0, "model.hidden": [8]}, "model=linear": {"seed": 0}},
)


def trial(number: int) -> Trial:
    config = config_of(f"seed={number}")
    return Trial(number, {"seed": str(number)}, config, {"seed": str(number)}, identity(config))


def test_a_journal_tells_what_was_asked_for_and_what_became_of_each_trial(tmp_path: Path) -> None:
    journal = Journal(tmp_path, PLAN)
    journal.started(trial(1))
    journal.started(trial(0))
    journal.ended(Outcome(trial(1), tmp_path, "failed", error="no"))
    journal.started(trial(1))
    journal.close()
    assert read_plan(tmp_path) == PLAN
    entries = read(tmp_path / JOURNAL)
    assert [entry["event"] for entry in entries] == ["plan", "start", "start", "end", "start"]
    assert [(entry["trial"], entry["identity"]) for entry in starts(entries)] == [
        (number, trial(number).identity) for number in (0, 1)
    ]
    again = Journal(tmp_path, PLAN)
    assert again.entries == entries
    again.close()


@given(st.integers(1, 400))
def test_a_torn_last_line_is_cut_off_and_the_journal_goes_on(cut: int) -> None:
    path = Path(JOURNAL)
    whole = "".join(json.dumps({"event": "end", "trial": number, "x": "ä" * number}) + "\n" for number in range(5))
    data = whole.encode()[:-cut]
    path.write_bytes(data)
    repair(path)
    kept = read(path)
    assert len(kept) == data.count(b"\n")
    assert path.read_bytes() == b"".join(data.splitlines(keepends=True)[: len(kept)])


def test_a_line_that_is_damaged_in_the_middle_is_named(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_text('{"event": "plan", "format": 1}\n{"event": \n{"event": "end"}\n')
    with pytest.raises(DataError, match=r"journal.jsonl is damaged in line 2"):
        Journal(tmp_path, PLAN)


@pytest.mark.parametrize(
    ("head", "text"),
    [
        ('{"event": "plan", "format": 2}', "is of format 2, not of this nnkit's 1"),
        ('{"event": "end", "trial": 0}', "is of format None"),
        ('{"event": "start", "trial": 0}', "is damaged in line 1"),
        ('{"event": "start", "trial": "x", "folder": "", "identity": "", "values": 3}', "is damaged in line 1"),
        (json.dumps({"event": "plan", "format": 1, **PLAN.to_plain(), "bases": 3}), "is damaged in line 1"),
        (json.dumps({"event": "plan", "format": 1, **PLAN.to_plain(), "words": "abc"}), "is damaged in line 1"),
        ('{"event": "plan", "format": 1, "words": []}', "is damaged in line 1: 'config_name' is missing"),
        ("[1]", "is damaged in line 1"),
    ],
)
def test_a_journal_of_another_kind_is_refused(head: str, text: str, tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_text(head + "\n")
    with pytest.raises(DataError, match=text):
        Journal(tmp_path, PLAN)


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (replace(PLAN, sweeper="random"), "begun with hydra/sweeper=grid, not random"),
        (replace(PLAN, settings={"seeds": 2}), "hydra.sweeper.seeds is 2; in this sweep it was 1"),
        (replace(PLAN, space={}), "optimizer.lr is swept over nothing; in this sweep it was 1,2"),
        (replace(PLAN, space={}), r"was tag\(log, interval\(1,9\)\)"),
        (replace(PLAN, bases={**PLAN.bases, "model=linear": {"seed": 1}}), "seed is 1; in this sweep it was 0"),
        (replace(PLAN, bases={**PLAN.bases, "model=mlp": {"seed": 0}}), r"model.hidden is null; .* was \[8\]"),
    ],
)
def test_another_sweep_in_the_same_folder_is_refused_with_every_difference(
    now: Plan, text: str, tmp_path: Path
) -> None:
    Journal(tmp_path, PLAN).close()
    with pytest.raises(ConfigError, match=text):
        Journal(tmp_path, now)


def test_what_decides_nothing_may_change(tmp_path: Path) -> None:
    Journal(tmp_path, PLAN).close()
    Journal(tmp_path, replace(PLAN, words=["x"], folder="/elsewhere")).close()
    assert read_plan(tmp_path) == PLAN


@pytest.mark.parametrize(
    ("sweeper", "named"),
    [("grid", "jobs and timeout_s"), ("bayes", "trials, jobs and timeout_s"), ("theirs", "jobs and timeout_s")],
)
def test_what_may_change_is_what_the_sweeper_has(sweeper: str, named: str) -> None:
    plan = replace(PLAN, sweeper=sweeper)
    with pytest.raises(ConfigError) as caught:
        plan.check_same(replace(plan, settings={"seeds": 2}))
    assert caught.value.hint.startswith(f"hydra.sweeper.{named} may change; ")
