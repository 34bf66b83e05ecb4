"""A whole training: what it returns, what it leaves, and how it fails."""

from __future__ import annotations

import json
import math
import platform
import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import accuracy_score

import nnkit
from nnkit.assemble import assemble, in_order, prepare
from nnkit.cli.dry import dry_run
from nnkit.config.check import check
from nnkit.config.origin import Composed
from nnkit.config.schema import to_plain
from nnkit.errors import CheckpointError, ConfigError, DataError, DivergenceError, OutOfMemoryError, StorageError
from nnkit.final import best_weights, look_at_test
from nnkit.run import train
from nnkit.runs import CHECKPOINTS, new_folder, read_config, read_run
from nnkit.track.log import RunLog
from nnkit.train import checkpoints
from nnkit.train.loop import evaluate
from nnkit.train.stopping import Signals
from nnkit.train.watch import MEND_METRIC
from tests.trained import Watcher, config_of, events, is_equal, last_weights, trained


def test_same_words_give_the_same_bits_and_another_seed_others() -> None:
    words = ("regularization=dropout", "trainer.ema_decay=0.9")
    first, second = trained(*words), trained(*words)
    assert first.folder != second.folder
    assert first.metrics == second.metrics
    assert events(first.folder) == events(second.folder)
    assert is_equal(last_weights(first.folder), last_weights(second.folder))
    other = trained(*words, "seed=1")
    assert not is_equal(last_weights(first.folder), last_weights(other.folder))


def test_how_often_it_saves_changes_no_bit() -> None:
    words = ("data=diabetes", "batching.batch_size=5", "regularization=dropout")
    first, second = trained(*words), trained(*words, "trainer.checkpoint_every=3")
    assert events(first.folder) == events(second.folder)
    assert is_equal(last_weights(first.folder), last_weights(second.folder))


def test_final_metrics_belong_to_the_best_weights() -> None:
    words = ("optimizer=sgd", "optimizer.lr=3", "trainer.max_epochs=60", "trainer.patience=4", "trainer.ema_decay=0.3")
    result = trained(*words)
    assert (result.status, result.reason) == ("stopped_early", "patience")
    losses = [event["val/loss"] for event in events(result.folder)]
    assert result.best == {
        "epoch": result.epochs - 4,
        "step": 5 * (result.epochs - 4),
        "monitor": "val/loss",
        "value": min(losses),
    }
    run = assemble(prepare(config_of(*words)), None)
    best = checkpoints.pointed(result.folder / CHECKPOINTS, "best")
    assert best.name == f"step-{result.best['step']:08d}"
    run.load_validated(checkpoints.read_weights(best))
    parts = {"train": in_order(run.train.samples, config_of(*words)), "val": run.val, "test": run.test}
    for part, batches in parts.items():
        for name, value in evaluate(run, batches).items():
            assert result.metrics[f"{part}/{name}"] == value
    assert result.metrics["val/loss"] == min(losses)


def test_run_json_says_what_happened() -> None:
    result = trained("tags=[a,b]", "trainer.max_steps=12")
    facts = json.loads((result.folder / "run.json").read_text())
    prepared = prepare(config_of())
    assert facts["format"] == 2
    assert (facts["status"], facts["reason"]) == ("completed", "max_steps")
    assert (facts["epochs"], facts["steps"]) == (2, 12)
    assert facts["versions"] == {
        "nnkit": nnkit.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    assert (facts["seed"], facts["tags"], facts["device"], facts["threads"]) == (0, ["a", "b"], "cpu", 1)
    assert facts["precision"] == "fp32"
    assert facts["data_fingerprint"] == prepared.source.fingerprint()
    assert facts["rows"] == {name: len(getattr(prepared.splits, name)) for name in ("train", "val", "test")}
    assert sum(facts["rows"].values()) == 150
    assert facts["parameters"] == 4 * 8 + 8 + 8 * 3 + 3
    assert (facts["title"], facts["git_commit"]) == ("mlp on iris", None)
    assert set(facts["best"]) == {"epoch", "step", "monitor", "value"}
    names = {f"{part}/{m}" for part in ("train", "val", "test") for m in ("loss", "accuracy", "macro_f1")}
    assert set(facts["metrics"]) == names | {"baseline/accuracy", "baseline/macro_f1"}
    assert facts["metrics"] == result.metrics
    assert datetime.fromisoformat(facts["started"]) < datetime.fromisoformat(facts["ended"])
    assert facts["seconds"] > 0
    assert facts["samples_per_second"] == pytest.approx(result.samples_per_second, abs=0.05)


def test_run_folder_holds_its_files() -> None:
    folder = trained().folder
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.yaml",
        "run.json",
        "metrics.jsonl",
        "run.log",
        "preprocess.json",
        "data.json",
        "checkpoints",
    }
    preprocess = json.loads((folder / "preprocess.json").read_text())
    found = prepare(config_of())
    x = found.source.inputs[0][found.splits.train].astype(np.float64)
    assert preprocess["inputs"][0]["scale"]["shift"] == pytest.approx(x.mean(0).tolist())
    assert preprocess["classes"] == ["setosa", "versicolor", "virginica"]


@pytest.mark.parametrize("data", ["iris", "diabetes"])
def test_config_yaml_is_the_checked_config_with_its_picks(data: str) -> None:
    folder = trained(f"data={data}").folder
    values = yaml.safe_load((folder / "config.yaml").read_text())
    config = prepare(config_of(f"data={data}")).config
    assert values == to_plain(config)
    assert check(Composed(read_config(folder))) == config
    trainer = {name: values["trainer"][name] for name in ("monitor", "mode", "device", "threads", "precision")}
    assert trainer == {"monitor": "val/loss", "mode": "min", "device": "cpu", "threads": 1, "precision": "fp32"}
    assert values["loss"]["kind"] == ("mse" if data == "diabetes" else "cross_entropy")
    assert values["data"].get("target_scaling", "standard") == "standard"


def test_sinks_see_the_run_from_start_to_end() -> None:
    watcher = Watcher()
    result = trained(sinks=(watcher,))
    assert watcher.info is not None
    assert (watcher.info.folder, watcher.info.title, watcher.info.max_epochs) == (result.folder, "mlp on iris", 3)
    assert (watcher.info.steps_per_epoch, watcher.info.monitor, watcher.info.epoch) == (5, "val/loss", 0)
    assert [(r.step, r.epoch) for r in watcher.records] == [(5, 1), (10, 2), (15, 3)]
    assert [{"step": r.step, "epoch": r.epoch, **r.values} for r in watcher.records] == [
        json.loads(line) for line in (result.folder / "metrics.jsonl").read_text().splitlines()
    ]
    assert watcher.saves >= 1
    assert watcher.status == "completed"


def test_last_and_best_are_named() -> None:
    result = trained("trainer.keep_last=2", "trainer.checkpoint_every=4")
    folder = result.folder / CHECKPOINTS
    assert checkpoints.pointed(folder, "last").name == "step-00000015"
    assert {15, 12} <= set(checkpoints.steps(folder))
    assert checkpoints.read_weights(checkpoints.pointed(folder, "best"))


def test_a_fixed_threshold_decides_the_metrics_of_every_epoch() -> None:
    words = ("data=breast_cancer", "trainer.decision_threshold=0.999", "optimizer.lr=0.01")
    result = trained(*words)
    assert result.best is not None
    event = events(result.folder)[result.best["epoch"] - 1]
    x, y = load_breast_cancer(return_X_y=True)
    rows = prepare(config_of(*words)).splits.val
    second = nnkit.load(result.folder).predict_proba(x[rows].astype(np.float32))[:, 1]
    for value in (event["val/accuracy"], result.metrics["val/accuracy"]):
        assert value == pytest.approx(accuracy_score(y[rows], second > 0.999))
        assert value < accuracy_score(y[rows], second > 0.5)


@pytest.mark.parametrize(("wanted", "threshold"), [("0.8", 0.8), ("f1", 0.5)])
def test_an_interrupted_run_has_the_threshold_that_it_was_measured_by(wanted: str, threshold: float) -> None:
    signals = Signals()
    words = ("data=breast_cancer", f"trainer.decision_threshold={wanted}")
    result = trained(*words, sinks=(Watcher(signals=signals, at_record=1),), signals=signals)
    assert result.status == "interrupted"
    assert (result.threshold, read_run(result.folder)["decision_threshold"]) == (threshold, threshold)


@pytest.mark.parametrize(("words", "steps"), [(("trainer.max_steps=2",), 2), (("trainer.max_time_s=1e-9",), 0)])
def test_run_that_ends_before_a_validation_is_validated_and_has_its_best_on_disk(
    words: tuple[str, ...], steps: int
) -> None:
    config = config_of(*words)
    result = trained(*words)
    assert (result.steps, result.status) == (steps, "completed")
    assert result.best is not None
    assert result.best["step"] == steps
    assert [event["step"] for event in events(result.folder)] == [steps]
    assert checkpoints.pointed(result.folder / CHECKPOINTS, "best").name == f"step-{steps:08d}"
    assert look_at_test(config, result.folder)["test/loss"] == result.metrics["test/loss"]


def test_test_set_is_looked_at_only_when_asked_for() -> None:
    config = config_of()
    whole = train(config, new_folder(config))
    result = train(config, new_folder(config), test=False)
    assert not any(name.startswith(("test/", "baseline/")) for name in result.metrics)
    found = look_at_test(config, result.folder)
    assert found == {k: v for k, v in whole.metrics.items() if k.startswith(("test/", "baseline/"))}
    assert read_run(result.folder)["metrics"] == whole.metrics


def test_best_weights_are_taken_from_memory_while_they_are_there(tmp_path: Path) -> None:
    run = assemble(prepare(config_of()), None)
    with pytest.raises(CheckpointError, match="best does not name a checkpoint"):
        best_weights(run, tmp_path)
    weights = run.validated_weights()
    run.checkpoints.note_best(3, weights)
    assert best_weights(run, tmp_path) is weights


def test_interrupted_run_does_not_look_at_the_test_set() -> None:
    signals = Signals()
    result = trained(sinks=(Watcher(signals=signals, at_record=1),), signals=signals)
    facts = read_run(result.folder)
    assert (result.status, result.reason, result.steps) == ("interrupted", "signal", 5)
    assert (facts["status"], facts["metrics"]) == ("interrupted", {})


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [(ValueError("our own bug"), "failed", "our own bug"), (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt")],
)
def test_crash_leaves_status_and_traceback(error: BaseException, status: str, said: str) -> None:
    config = config_of()
    folder, watcher = new_folder(config), Watcher(at_record=2, error=error)
    with pytest.raises(type(error)):
        train(config, folder, [watcher])
    facts = read_run(folder)
    assert (facts["status"], facts["error"]) == (status, said)
    log = (folder / "run.log").read_text()
    assert "Traceback (most recent call last)" in log
    assert type(error).__name__ in log
    assert watcher.status == status


def test_a_second_signal_behind_the_end_changes_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    note, config = RunLog.note, config_of()
    folder, watcher = new_folder(config), Watcher()

    def interrupted(self: RunLog, text: str) -> None:
        if text.startswith("completed"):
            raise KeyboardInterrupt
        note(self, text)

    monkeypatch.setattr(RunLog, "note", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(config, folder, [watcher])
    facts = read_run(folder)
    assert (facts["status"], watcher.status) == ("completed", "completed")
    assert "test/accuracy" in facts["metrics"]
    assert "error" not in facts
    assert "KeyboardInterrupt" in (folder / "run.log").read_text()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_memory_that_runs_out_names_the_batch_size(error: Exception) -> None:
    with pytest.raises(OutOfMemoryError, match=r"out of memory with batching.batch_size=20: \w+") as caught:
        trained(sinks=(Watcher(at_record=1, error=error),))
    assert "batching.accumulate" in caught.value.problems[0].hint


@pytest.mark.parametrize(("at", "epochs"), [(4, 3), (3, 1)], ids=["a validation", "the end"])
def test_memory_that_runs_out_while_measuring_names_another_size(at: int, epochs: int) -> None:
    """Each epoch is summed up and measured, then all parts are, by a metric that is made anew."""
    words = ("metric=code", "metric.code=tests.own_code:greedy", f'metric.kwargs={{"at":{at}}}', "metric.name=own")
    with pytest.raises(
        OutOfMemoryError, match=r"^out of memory measuring with batching.eval_batch_size=1024: "
    ) as told:
        trained(*words, f"trainer.max_epochs={epochs}")
    assert re.fullmatch(r"batching.eval_batch_size=\d+", told.value.problems[0].hint)


def test_a_batch_of_one_that_a_batch_norm_cannot_take_is_told() -> None:
    words = ("model=code", "model.code=tests.own_code:Tied", "batching.batch_size=1")
    told = r"^batching\.batch_size=1 leaves a batch norm of code one value a channel"
    with pytest.raises(ConfigError, match=told) as caught:
        trained(*words)
    assert caught.value.problems[0].hint.startswith("batching.batch_size=2")
    with pytest.raises(ConfigError, match=told):
        dry_run(config_of(*words))
    with pytest.raises(ValueError, match="another"):
        trained(sinks=(Watcher(at_record=1, error=ValueError("another")),))


def test_other_runtime_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shape"):
        trained(sinks=(Watcher(at_record=1, error=RuntimeError("shape")),))


def test_divergence_fails_the_run() -> None:
    config = config_of("data=digits", "optimizer=sgd", "optimizer.lr=1e6")
    folder = new_folder(config)
    with pytest.raises(DivergenceError, match=r"training loss became \S+ in epoch 1, step \d+ \(lr 1e\+06\)"):
        train(config, folder)
    assert read_run(folder)["status"] == "failed"
    assert "training loss became" in read_run(folder)["error"]


def test_final_metric_that_is_not_finite_fails_the_run() -> None:
    x, y = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32), np.arange(60.0)
    np.savez("data.npz", x=x, y=y)
    words = ("data=array", "data.path=data.npz", "data.task=regression", "loss=poisson", "model=linear")
    row = prepare(config_of(*words)).splits.test[0]
    x[row] = 1e30
    np.savez("data.npz", x=x, y=y)
    with pytest.raises(DivergenceError, match=r"a final metric is not finite: (.*, )?test/loss is (inf|nan)"):
        trained(*words)


UNDEFINED = ("metric=code", "metric.code=tests.own_code:undefined", "metric.name=own")


@pytest.mark.parametrize("policy", ["stop", "rollback"])
def test_a_metric_that_is_not_finite_ends_the_run_at_its_first_validation(policy: str) -> None:
    watcher = Watcher()
    with pytest.raises(DivergenceError, match=r"^val/own became nan in epoch 1, step 5 ") as caught:
        trained(*UNDEFINED, f"trainer.on_nonfinite={policy}", sinks=(watcher,))
    assert caught.value.problems[0].hint == MEND_METRIC
    assert watcher.warnings == []


def test_a_metric_that_is_not_finite_may_be_gone_on_without() -> None:
    watcher = Watcher()
    result = trained(*UNDEFINED, "trainer.on_nonfinite=skip", sinks=(watcher,))
    assert [event["val/own"] for event in events(result.folder)] == [None] * 3
    assert len(watcher.warnings) == 1
    assert watcher.warnings[0].startswith("val/own became nan in epoch 1, step 5 (lr 0.001): null stands for it")
    assert {"train/accuracy", "val/accuracy", "test/accuracy", "baseline/accuracy"} < result.metrics.keys()
    assert not any(name.endswith("/own") for name in result.metrics)
    assert "test/own is nan: it is left out of the metrics" in result.notes
    assert read_run(result.folder)["metrics"] == result.metrics


def test_a_metric_that_knowing_nothing_has_not_costs_no_training() -> None:
    result = trained(*UNDEFINED, 'metric.kwargs={"below":1e-6}')
    assert result.status == "completed"
    assert result.metrics["test/own"] > 0
    assert "baseline/own" not in result.metrics
    assert "baseline/own is nan: it is left out of the metrics" in result.notes


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("loss=mse",), ConfigError, "loss=mse needs a regression target"),
        (("data=table", "data.path=nowhere.csv", "data.target=y"), DataError, "nowhere.csv"),
    ],
)
def test_words_that_do_not_fit_the_data_write_nothing(
    words: tuple[str, ...], error: type[Exception], said: str
) -> None:
    config = config_of(*words)
    folder = new_folder(config)
    with pytest.raises(error, match=said):
        train(config, folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["config.yaml", "preprocess.json", "run.json"])
def test_folder_in_place_of_a_file_is_told(name: str) -> None:
    config = config_of()
    folder = new_folder(config)
    (folder / name).mkdir()
    with pytest.raises(StorageError, match=rf"cannot write {folder / name}: Is a directory"):
        train(config, folder)


def test_file_in_place_of_the_checkpoints_is_told() -> None:
    config = config_of()
    folder = new_folder(config)
    (folder / "checkpoints").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot make folder .*checkpoints: File exists \(errno 17\)"):
        train(config, folder)
    assert read_run(folder)["status"] == "failed"


def test_score_that_is_never_finite_fails_the_run_and_is_written_as_null() -> None:
    x, y = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32), np.arange(60.0)
    np.savez("data.npz", x=x, y=y)
    words = ("data=array", "data.path=data.npz", "data.task=regression", "loss=poisson", "model=linear")
    x[prepare(config_of(*words)).splits.val[0]] = 1e30
    np.savez("data.npz", x=x, y=y)
    with pytest.raises(DivergenceError, match=r"val/loss became inf in epoch 1, step \d+ \(lr 0.001\)"):
        trained(*words)
    with pytest.raises(DivergenceError, match=r"val/loss was never finite"):
        trained(*words, "trainer.on_nonfinite=skip", "name=going-on")
    written = events(next(Path("outputs").glob("going-on/*")))
    assert [event["val/loss"] for event in written] == [None] * len(written)
    assert all(math.isfinite(event["train/loss"]) for event in written[:-1])


FAILING = ("loss=code", "loss.code=tests.own_code:FailingOnce", "trainer.checkpoint_every=4")


def test_steps_that_were_left_out_are_told_at_once_and_at_the_end_and_counted() -> None:
    watcher = Watcher()
    words = (*FAILING, "trainer.on_nonfinite=skip", 'loss.kwargs={"at":7,"times":3}')
    result = trained(*words, sinks=(watcher,))
    told = "training loss became nan in epoch 2, step 7 (lr 0.001): the step was left out"
    assert watcher.warnings == [f"{told}; 2 more by step 10"]
    assert result.notes[0] == "3 step(s) were left out: they were not finite"
    log = (result.folder / "run.log").read_text()
    assert f"warning: {told}" in log
    assert "  3 step(s) were left out: they were not finite" in log
    assert [event.get("train/skipped_steps") for event in events(result.folder)] == [None, 3.0, 3.0]


def test_a_rollback_is_told_at_once_and_at_the_end_and_counted() -> None:
    watcher = Watcher()
    words = (*FAILING, "trainer.on_nonfinite=rollback", 'loss.kwargs={"at":7}')
    result = trained(*words, sinks=(watcher,))
    assert watcher.warnings == [
        "training loss became nan in epoch 2, step 7 (lr 0.001): "
        "back to step 4, with 0.5 of the learning rate (rollback 1 of 3)"
    ]
    assert result.notes[0] == "rolled back 1 time(s), to 0.5 of the learning rate"
    assert f"warning: {watcher.warnings[0]}" in (result.folder / "run.log").read_text()
    written = events(result.folder)
    assert [(event["step"], event["lr"], event["train/rollbacks"]) for event in written] == [
        (5, 0.0005, 1.0),
        (10, 0.0005, 1.0),
        (15, 0.0005, 1.0),
    ]
    assert [record.step for record in watcher.records] == [5, 10, 15]
