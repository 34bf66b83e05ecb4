"""`nnkit tune`: given data, a model within a time."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from nnkit.cli import main, tune
from nnkit.cli.tune import left_of, seconds_of
from nnkit.config.schema import Config
from nnkit.errors import ConfigError
from nnkit.spec import DataSpec


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("90", 90), ("2m", 120), ("1.5h", 5400), ("20S", 20)])
def test_a_budget_is_a_span_of_time(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["model=mlp"], "tune needs data"),
        (["data=iris", "--budget", "10x"], "--budget must be a time such as 90s, 10m, 2h, got 10x"),
        (["data=iris", "--budget", "3s"], "--budget must be at least 20s, got 3s"),
        (["data=iris", "--jobs", "0"], "--jobs must be a whole number >= 1, got 0"),
        (["data=iris", "--budgt", "3m"], "did you mean --budget?"),
        (["data=irs"], "data=irs is not there"),
        (["data=iris", "optimizer.lrr=1"], "did you mean optimizer.lr=1?"),
        (["data=iris", "optimizer.lr=0.1,0.2"], "optimizer.lr=0.1,0.2 lists several values"),
    ],
)
def test_what_cannot_be_tuned_is_told(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", *words]) == 2
    assert text in capsys.readouterr().err
    assert not Path("outputs").exists()


def test_a_budget_that_is_spent_before_the_first_trial_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = tune._seen

    def slow(config: Config) -> tuple[DataSpec, int]:
        monkeypatch.setattr(tune, "LEAST_RESERVE_S", 1000.0)
        return seen(config)

    monkeypatch.setattr(tune, "_seen", slow)
    assert main(["tune", "data=iris", "--budget", "20s"]) == 2
    told = capsys.readouterr().err
    assert "--budget 20s leaves no time for a trial: looking at the data alone took " in told
    assert "timeout_s" not in told
    assert not Path("outputs").exists()


@pytest.mark.parametrize(("spent", "left"), [(0.0, 18.0), (17.0, 1.0)])
def test_what_is_spent_and_what_the_end_takes_is_no_time_for_trials(spent: float, left: float) -> None:
    assert left_of(20.0, spent) == left


@pytest.mark.parametrize(("spent", "hint"), [(17.1, "--budget 2m"), (70.0, "--budget 6m")])
def test_a_budget_that_is_long_enough_is_named(spent: float, hint: str) -> None:
    with pytest.raises(
        ConfigError, match=f"leaves no time for a trial: looking at the data alone took {spent}"
    ) as told:
        left_of(20.0, spent)
    assert told.value.problems[0].hint == hint


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a budget be shorter than a user's, whose process has torch to load."""
    for name, seconds in (("SHORTEST_S", 1.0), ("LEAST_RESERVE_S", 0.5), ("LEAST_LEFT_S", 0.1)):
        monkeypatch.setattr(tune, name, seconds)


@pytest.mark.usefixtures("short")
def test_tune_keeps_its_time_and_leaves_a_run_and_the_command_that_repeats_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    begun = time.monotonic()
    words = [
        "data=wine",
        "optimizer.lr=0.02",
        "optimizer=adam",
        "trainer.max_epochs=9",
        "trainer.plots=false",
        "--budget",
        "8s",
        "--jobs",
        "1",
    ]
    assert main(["tune", *words]) == 0
    assert time.monotonic() - begun < 8 + 6
    captured = capsys.readouterr()
    folder = Path(captured.out.strip())
    assert f"nnkit train {folder}/best.yaml" in captured.err
    facts = json.loads((folder / "sweep.json").read_text())
    assert len(facts["trials"]) > 3
    assert all("optimizer.lr" not in trial["changed"] for trial in facts["trials"])
    assert facts["test"]["test/accuracy"] > 0.9
    looked = [
        trial["folder"]
        for trial in facts["trials"]
        if "test/accuracy" in json.loads((folder / trial["folder"] / "run.json").read_text())["metrics"]
    ]
    assert looked == [facts["best"]]


@pytest.mark.usefixtures("short")
def test_what_the_space_suggests_for_other_models_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data=iris", "model=linear", "trainer.plots=false", "--budget", "5s", "--jobs", "1"]
    assert main(["tune", *words, "trainer.max_epochs=1", "data.limit=60"]) == 0
    folder = Path(capsys.readouterr().out.strip())
    changed = [trial["changed"] for trial in json.loads((folder / "sweep.json").read_text())["trials"]]
    assert all(not any(key.startswith("model.") for key in each) for each in changed)


def test_what_breaks_every_trial_in_its_first_steps_ends_the_tuning(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data=iris", "model=mlp", "loss=code", "loss.code=tests.own_code:Breaks", "loss.kwargs.step=1"]
    assert main(["tune", *words, "--budget", "60s", "--jobs", "1"]) == 1
    captured = capsys.readouterr()
    facts = json.loads((Path(captured.out.strip()) / "sweep.json").read_text())
    assert (len(facts["trials"]), facts["best"]) == (3, None)
    assert captured.err.count("it breaks in step 1") == 2


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_breaks_every_trial_before_its_first_step_ends_the_tuning(
    jobs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "gone.pth"
    words = ["data=iris", "model=mlp", f"model.weights={weights}", "--budget", "60s", "--jobs", jobs]
    begun = time.monotonic()
    assert main(["tune", *words]) == 4  # of a weights file
    assert time.monotonic() - begun < 30
    captured = capsys.readouterr()
    folder = Path(captured.out.strip())
    facts = json.loads((folder / "sweep.json").read_text())
    assert 3 <= len(facts["trials"]) <= 4
    assert facts["ended"] == "all failed before their first validation, for one cause"
    assert captured.err.count(f"model.weights={weights} is not there") == 2  # as it happens, and at the end
    assert "hint: model.weights=FILE" in captured.err
