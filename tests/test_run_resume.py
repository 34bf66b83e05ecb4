"""A run that was stopped and went on is the run that was never stopped, bit by bit."""

from __future__ import annotations

import json
import resource
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnkit.config.check import check
from nnkit.config.origin import Composed
from nnkit.config.schema import Config, to_plain
from nnkit.errors import CheckpointError, DataError, StorageError
from nnkit.final import OF_THE_END, Result
from nnkit.run import resume, train
from nnkit.runs import CHECKPOINTS, new_folder, read_config
from nnkit.track.jsonl import METRICS, read_events
from nnkit.train import checkpoints, persist
from nnkit.train.stopping import Signals
from tests.own_code import HERE
from tests.trained import Watcher, config_of, events, is_equal, last_state, last_weights, trained

CHANCE = ("regularization=dropout", "trainer.ema_decay=0.9", "scheduler.warmup_steps=2", "trainer.patience=null")


def stopped(config: Config, *, mid_epoch: int | None, folder: Path | None = None) -> Path:
    """Stop a new run, or one in `folder` that goes on, at its first event, or in mid-epoch after so many steps."""
    signals = Signals()
    watcher = Watcher(signals=signals, at_record=1)
    if mid_epoch is not None:
        watcher = Watcher(signals=signals, at_save=1)
        config = replace(config, trainer=replace(config.trainer, checkpoint_every=mid_epoch))
    if folder is None:
        folder = new_folder(config)
        result = train(config, folder, [watcher], signals)
    else:
        result = resume(config, folder, [watcher], signals)
    assert (result.status, result.metrics) == ("interrupted", {})
    assert mid_epoch is None or (result.steps == mid_epoch and last_state(folder)["train"]["position"] > 0)
    return folder


def assert_same_run(folder: Path, result: Result, whole: Result) -> None:
    assert (result.status, result.reason, result.metrics, result.best) == (
        whole.status,
        whole.reason,
        whole.metrics,
        whole.best,
    )
    assert events(folder) == events(whole.folder)
    assert is_equal(last_weights(folder), last_weights(whole.folder))
    assert is_equal(last_state(folder), last_state(whole.folder))
    best, wanted = (checkpoints.pointed(f / CHECKPOINTS, "best") for f in (folder, whole.folder))
    assert best.name == wanted.name
    assert is_equal(checkpoints.read_weights(best), checkpoints.read_weights(wanted))


@pytest.mark.parametrize(
    "words",
    [
        ("data=diabetes", "batching.batch_size=5"),  # rows that begin off the boundaries that matrix products like
        ("data=diabetes", "batching.batch_size=11", "model.norm=batch", "data.scaling=none", "batching.shuffle=false"),
        ("data=breast_cancer", "batching.batch_size=13", "data.limit=200", "loss=bce"),
        ("trainer.precision=bf16", "model.norm=layer"),
        (
            "data=digits",
            "data.limit=150",
            "model=cnn",
            "model.channels=[4]",
            "model.dense=[]",
            "trainer.precision=bf16",
        ),
        ("trainer.validate_every=null", "trainer.validate_every_steps=3", "trainer.clip_norm=0.1"),
        ("regularization.max_norm=0.5", "regularization.l1=1e-3", "regularization.l2=1e-3", "trainer.clip_value=0.01"),
        ("batching.batch_size=1", "trainer.max_epochs=2"),  # more steps than the training metrics wait for
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_resume_is_exact_whatever_the_training(words: tuple[str, ...]) -> None:
    config = config_of(*CHANCE, *words)
    whole = train(config, new_folder(config))
    for mid_epoch in (None, 2, 4):
        folder = stopped(config, mid_epoch=mid_epoch)
        assert_same_run(folder, resume(config, folder), whole)


def test_resume_is_exact_over_many_stops_and_from_its_own_config() -> None:
    config = config_of(*CHANCE, "model.norm=batch")
    whole = train(config, new_folder(config))
    folder = stopped(config, mid_epoch=2)
    for steps in (3, 6, 8, 11):
        own = check(Composed(read_config(folder)))
        signals = Signals()
        own = replace(own, trainer=replace(own.trainer, checkpoint_every=steps))
        resume(own, folder, [Watcher(signals=signals, at_save=1)], signals)
    assert_same_run(folder, resume(config, folder), whole)


def test_resume_after_a_crash_goes_back_to_the_last_save_and_is_exact() -> None:
    config = config_of(*CHANCE, "trainer.checkpoint_every=4")
    whole = train(config, new_folder(config))
    folder = new_folder(config)
    with pytest.raises(RuntimeError, match="crash"):
        train(config, folder, [Watcher(at_record=2, error=RuntimeError("crash"))])
    assert len(events(folder)) == 2  # the second one is not committed and is cut off
    assert_same_run(folder, resume(config, folder), whole)
    facts = json.loads((folder / "run.json").read_text())
    assert facts["status"] == "completed"
    assert "error" not in facts


def test_resume_after_a_full_disk_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persist, "WAIT_S", 0.0)
    config = config_of(*CHANCE, "trainer.checkpoint_every=4")
    whole = train(config, new_folder(config))
    folder, before = new_folder(config), resource.getrlimit(resource.RLIMIT_FSIZE)

    class FillsTheDisk(Watcher):
        def _act(self) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))

    try:
        watcher = FillsTheDisk(at_save=2)
        with pytest.raises(StorageError, match=r"cannot write .*step-00000015.*\(errno 27\)"):
            train(config, folder, [watcher])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [text.split(":")[0] for text in watcher.warnings[:2]] == [
        f"step {step} could not be saved, the next save tries again" for step in (8, 12)
    ]
    assert all(text.endswith("(errno 27); trying again") for text in watcher.warnings[2:])
    assert len(watcher.warnings) == 4  # the last save is tried three times
    assert checkpoints.pointed(folder / CHECKPOINTS, "last").name == "step-00000004"
    assert_same_run(folder, resume(config, folder), whole)


@pytest.mark.parametrize("name", ["model.safetensors", "state.pt", "manifest.json"])
def test_damaged_checkpoint_is_skipped_told_and_the_older_one_is_exact(name: str) -> None:
    config = config_of(*CHANCE, "trainer.keep_last=2", "trainer.checkpoint_every=4")
    whole = train(config, new_folder(config))
    folder, signals = new_folder(config), Signals()
    train(config, folder, [Watcher(signals=signals, at_save=3)], signals)
    (folder / CHECKPOINTS / "step-00000012" / name).write_bytes(b"damaged")
    result = resume(config, folder)
    assert len(result.notes) == 1
    assert "skipped a damaged checkpoint: checkpoint" in result.notes[0]
    assert "step-00000012 is damaged" in result.notes[0]
    assert_same_run(folder, result, whole)
    assert "skipped a damaged checkpoint" in (folder / "run.log").read_text()


def test_best_weights_of_an_older_checkpoint_are_kept_with_it() -> None:
    words = ("trainer.keep_last=2", "trainer.checkpoint_every=4", "trainer.validate_every=null")
    config = config_of(*words, "trainer.validate_every_steps=1", "optimizer.lr=0.01", "trainer.max_steps=10")
    folder = train(config, new_folder(config)).folder
    for step in checkpoints.steps(folder / CHECKPOINTS)[-2:]:
        state = checkpoints.read_state(checkpoints.step_folder(folder / CHECKPOINTS, step))
        best = checkpoints.step_folder(folder / CHECKPOINTS, state["train"]["best"]["step"])
        assert checkpoints.read_weights(best)


def test_finished_run_that_goes_on_has_nothing_left_to_do() -> None:
    config = config_of(*CHANCE)
    whole = train(config, new_folder(config))
    again = resume(config, whole.folder)
    assert_same_run(whole.folder, again, whole)
    assert again.steps == whole.steps


def test_longer_run_goes_on_and_says_that_the_schedule_has_ended() -> None:
    config = config_of(*CHANCE, "scheduler=cosine", "scheduler.min_factor=0.25")
    folder = train(config, new_folder(config)).folder
    longer = replace(config, trainer=replace(config.trainer, max_epochs=5))
    result = resume(longer, folder)
    assert result.steps == 25
    assert result.notes == ("the cosine schedule was planned for 15 steps; its last rate stays",)
    rates = [event["lr"] for event in events(folder)]
    assert rates[2:] == [rates[2]] * 3


def test_longer_run_with_a_constant_rate_has_nothing_to_say() -> None:
    config = config_of("trainer.max_steps=4")
    folder = train(config, new_folder(config)).folder
    assert resume(config_of("trainer.max_steps=6"), folder).notes == ()


def test_changed_data_is_refused() -> None:
    x, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3
    np.savez("data.npz", x=x.astype(np.float32), y=y)
    config = config_of("data=array", "data.path=data.npz")
    folder = stopped(config, mid_epoch=1)
    x[0, 0] += 1
    np.savez("data.npz", x=x.astype(np.float32), y=y)
    with pytest.raises(DataError, match=rf"the data of {folder} has changed since the run started"):
        resume(config, folder)


def test_another_network_is_refused() -> None:
    folder = trained(*CHANCE).folder
    with pytest.raises(
        CheckpointError, match=rf"(?s)the checkpoint of {folder} does not fit its config: .*size mismatch"
    ):
        resume(config_of(*CHANCE, "model.hidden=[9]"), folder)


def test_another_rule_is_refused() -> None:
    folder = trained(*CHANCE).folder
    with pytest.raises(CheckpointError, match=r"does not fit its config: 'momentum'"):
        resume(config_of(*CHANCE, "optimizer=sgd"), folder)


def test_run_whose_checkpoints_are_all_damaged_is_refused() -> None:
    folder = trained(*CHANCE).folder
    for path in (folder / CHECKPOINTS).glob("step-*/manifest.json"):
        path.unlink()
    with pytest.raises(CheckpointError, match=r"has no checkpoint to go on from: checkpoint .* is damaged"):
        resume(config_of(*CHANCE), folder)


def test_config_of_the_run_folder_is_the_picked_one() -> None:
    config = config_of(*CHANCE)
    folder = stopped(config, mid_epoch=2)
    resume(config, folder)
    assert to_plain(check(Composed(read_config(folder))))["trainer"]["threads"] == 1


@pytest.mark.parametrize("words", [(), ("batching.shuffle=true", "trainer.ema_decay=0.9", "batching.accumulate=2")])
def test_a_run_that_draws_classes_equally_goes_on_in_mid_epoch(words: tuple[str, ...]) -> None:
    config = config_of("data=breast_cancer", "batching.sampler=balanced", *words)
    whole = train(config, new_folder(config))
    folder = stopped(config, mid_epoch=7)
    assert_same_run(folder, resume(config, folder), whole)


@pytest.mark.parametrize(
    "words",
    [
        ("loss=code", f"loss.code={HERE}:Focal", 'loss.kwargs={"gamma": 1}'),
        ("metric=code", f"metric.code={HERE}:AmongTheFirst", "metric.name=top2", "trainer.monitor=val/top2"),
        ("model=code", f"model.code={HERE}:Net"),
    ],
    ids=["loss", "metric", "model"],
)
def test_a_run_with_a_users_part_goes_on_in_mid_epoch(words: tuple[str, ...]) -> None:
    config = config_of(*words, "trainer.ema_decay=0.9")
    whole = train(config, new_folder(config))
    folder = stopped(config, mid_epoch=7)
    assert_same_run(folder, resume(config, folder), whole)


# before the first save


def not_begun(folder: Path) -> None:
    """Leave of a run what there is before its first save: the best weights alone were being written."""
    for path in (folder / CHECKPOINTS).iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    checkpoints.write(folder / CHECKPOINTS / "step-00000001", {}, None)
    (folder / CHECKPOINTS / ".tmp-step-00000002-1").mkdir()
    (folder / ".tmp-run.json-1").write_text("{")
    facts = json.loads((folder / "run.json").read_text())
    begun = {key: value for key, value in facts.items() if key not in OF_THE_END}
    (folder / "run.json").write_text(json.dumps({**begun, "status": "running"}))


@pytest.mark.parametrize("text", ["as it was", None, "", '{"format": 2, "sta', "[]"])
def test_a_run_that_was_stopped_before_its_first_save_starts_anew(text: str | None) -> None:
    config = config_of(*CHANCE)
    whole = train(config, new_folder(config))
    folder = stopped(config, mid_epoch=None)
    not_begun(folder)
    if text is None:
        (folder / "run.json").unlink()
    elif text != "as it was":
        (folder / "run.json").write_text(text)
    watcher = Watcher()
    result = resume(config, folder, [watcher], changes={"trainer.plots": False})
    assert result.notes == ("nothing had been saved: the run started from its beginning", "trainer.plots is now False")
    assert_same_run(folder, result, whole)
    assert watcher.info is not None
    assert watcher.info.report is not None
    facts = json.loads((folder / "run.json").read_text())
    assert facts["resumed"] == [{"step": 0, "changes": {"trainer.plots": False}}]
    assert not list(folder.rglob(".tmp-*"))
    assert sorted(path.name for path in (folder / CHECKPOINTS).iterdir()) == ["best", "last", "step-00000015"]


def test_a_run_with_checkpoints_but_no_run_json_is_left_alone() -> None:
    folder = stopped(config_of(*CHANCE), mid_epoch=None)
    (folder / "run.json").unlink()
    before = sorted(folder.rglob("*"))
    with pytest.raises(DataError, match=rf"{folder}/run.json cannot be read"):
        resume(config_of(*CHANCE), folder)
    assert sorted(folder.rglob("*")) == before


def test_a_run_of_a_newer_format_does_not_start_anew() -> None:
    folder = stopped(config_of(*CHANCE), mid_epoch=None)
    not_begun(folder)
    (folder / "run.json").write_text('{"format": 99, "status": "running"}')
    with pytest.raises(DataError, match=r"run.json has format 99, newer than this nnkit's 2"):
        resume(config_of(*CHANCE), folder)


def test_a_checkpoint_of_a_newer_format_ends_the_resume_and_stays() -> None:
    config = config_of(*CHANCE, "trainer.checkpoint_every=2", "trainer.keep_last=3")
    folder = stopped(config, mid_epoch=None)
    newest = checkpoints.pointed(folder / CHECKPOINTS, "last")
    (newest / "manifest.json").write_bytes(checkpoints.sealed({"format": 3}))
    before = sorted(folder.rglob("*"))
    with pytest.raises(CheckpointError, match=rf"{newest} has format 3, newer than this nnkit's 2"):
        resume(config_of(*CHANCE, "trainer.keep_last=1"), folder)
    assert sorted(folder.rglob("*")) == before


def test_a_run_does_not_start_anew_on_other_data() -> None:
    x, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3
    np.savez("data.npz", x=x.astype(np.float32), y=y)
    config = config_of("data=array", "data.path=data.npz")
    folder = stopped(config, mid_epoch=1)
    not_begun(folder)
    np.savez("data.npz", x=x.astype(np.float32) + 1, y=y)
    with pytest.raises(DataError, match=rf"the data of {folder} has changed since the run started"):
        resume(config, folder)


def test_events_that_were_lost_are_told_and_those_behind_them_kept() -> None:
    config = config_of(*CHANCE, "trainer.max_epochs=3")
    folder = stopped(config, mid_epoch=None)
    path = folder / METRICS
    path.write_bytes(path.read_bytes()[:-20])
    watcher = Watcher()
    result = resume(config, folder, [watcher])
    assert watcher.warnings == [f"{path} has 0 of 1 events that were written; the curves go without the others"]
    assert [event.epoch for event in read_events(folder)] == [2, 3]
    assert is_equal(last_weights(folder), last_weights(trained(*CHANCE, "trainer.max_epochs=3").folder))
    assert result.status == "completed"
