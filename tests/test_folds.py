"""Cross-validation: each fold by itself, what they say together, and a stop at any place."""

from __future__ import annotations

import csv
import json
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnkit
from nnkit.config.schema import Config
from nnkit.data import read, split_by
from nnkit.errors import CheckpointError, ConfigError, DataError, DivergenceError
from nnkit.folds import HELD_OUT, Fold, Watch, cross_validate, fold_sizes, look_at_test, read_cv, summary
from nnkit.infer.evaluate import evaluate
from nnkit.infer.finished import open_run, read_preprocess
from nnkit.infer.labelled import own_rows
from nnkit.run import train
from nnkit.runs import CV, DATA, find_run, new_folder, read_config, read_run
from nnkit.train.stopping import Signals
from tests.own_code import HERE
from tests.trained import Watcher, config_of, events, is_equal, last_weights

pytestmark = pytest.mark.usefixtures("on_one_thread")
THREE = ("cv.folds=3",)


def validated(*words: str, folder: Path | None = None, **given: Any) -> Path:
    config = config_of(*words)
    folder = new_folder(config) if folder is None else folder
    return cross_validate(config, folder, **given).folder


def cv_of(folder: Path) -> dict[str, Any]:
    found = read_cv(folder)
    assert found is not None
    return found


def lines_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / HELD_OUT).read_text().splitlines()))


def of_fold(config: Config, fold: int) -> Config:
    return replace(config, cv=replace(config.cv, fold=fold))


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("iris") / "run"
    folder.mkdir()
    return validated(*THREE, folder=folder)


def test_the_score_is_mean_and_deviation_over_the_rows_held_out(iris: Path) -> None:
    metrics = read_run(iris)["metrics"]
    scores = [read_run(iris / f"fold-{k}")["metrics"]["test/accuracy"] for k in range(3)]
    assert metrics["cv/accuracy"] == statistics.fmean(scores)
    assert metrics["cv/accuracy_sd"] == statistics.stdev(scores)
    found = cv_of(iris)
    assert found["metrics"]["accuracy"] == {
        "mean": statistics.fmean(scores),
        "sd": statistics.stdev(scores),
        "least": min(scores),
        "most": max(scores),
    }
    assert [(each["fold"], each["repeat"], each["folder"]) for each in found["each"]] == [
        (0, 0, "fold-0"),
        (1, 0, "fold-1"),
        (2, 0, "fold-2"),
    ]
    assert {name: found[name] for name in ("format", "kind", "folds", "repeats", "split_seed")} == {
        "format": 1,
        "kind": "stratified",
        "folds": 3,
        "repeats": 1,
        "split_seed": 0,
    }


def test_a_fold_is_the_run_that_its_config_alone_gives(iris: Path) -> None:
    config = of_fold(config_of(*THREE), 1)
    assert read_config(iris / "fold-1")["cv"]["fold"] == 1
    alone = train(config, new_folder(config))
    assert alone.metrics == read_run(iris / "fold-1")["metrics"]
    assert is_equal(last_weights(alone.folder), last_weights(iris / "fold-1"))


def test_the_refit_is_the_run_without_folds_and_predicts(iris: Path) -> None:
    plain = config_of()
    alone = train(plain, new_folder(plain))
    metrics = read_run(iris)["metrics"]
    assert {key: value for key, value in metrics.items() if not key.startswith("cv/")} == alone.metrics
    assert is_equal(last_weights(iris), last_weights(alone.folder))
    x = read(plain.data).inputs[0]
    assert nnkit.load(iris).predict(x).tolist() == nnkit.load(alone.folder).predict(x).tolist()
    assert find_run("last", iris.parent) == iris


def test_scaling_is_fitted_on_the_training_rows_of_the_fold(iris: Path) -> None:
    config = config_of(*THREE)
    x = read(config.data).inputs[0].astype(np.float64)
    for fold in range(3):
        preprocess = read_preprocess(iris / f"fold-{fold}", {})
        assert preprocess is not None
        train_rows = split_by(config.data, read(config.data), of_fold(config, fold).cv).train
        (scaled,) = preprocess.store((x[train_rows].astype(np.float32),))[0]
        np.testing.assert_allclose(scaled.numpy().mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(scaled.numpy().std(0), 1, atol=1e-5)


def test_each_row_is_predicted_once_by_the_fold_that_held_it_out(iris: Path) -> None:
    source, lines = read(config_of().data), lines_of(iris)
    outside = set(range(1, 151)) - {row + 1 for row in own_rows(open_run(iris), "test")[1].tolist()}
    assert sorted(int(line["row"]) for line in lines) == sorted(outside)
    for fold in range(3):
        mine = [line for line in lines if line["fold"] == str(fold)]
        rows = [int(line["row"]) - 1 for line in mine]
        run = nnkit.load(iris / f"fold-{fold}")
        assert [line["prediction"] for line in mine] == run.predict(source.inputs[0][rows]).tolist()
        assert [line["target"] for line in mine] == [source.classes[k] for k in source.row_target[rows]]
        proba = [[float(line[f"probability_{name}"]) for name in source.classes] for line in mine]
        np.testing.assert_allclose(proba, run.predict_proba(source.inputs[0][rows]), atol=1e-6)
        right = np.mean([line["prediction"] == line["target"] for line in mine])
        assert right == pytest.approx(read_run(iris / f"fold-{fold}")["metrics"]["test/accuracy"])


def test_the_data_is_looked_at_once_and_told_before_the_first_fold() -> None:
    told: list[str] = []
    watch = Watch(lambda report: told.append(report.name), lambda fold: told.append(f"fold {fold.number}"))
    watcher, last = Watcher(), Watcher()
    folder = validated(*THREE, sinks=[last], watch=replace(watch, sinks=[watcher]))
    assert told == ["data=iris", "fold 0", "fold 1", "fold 2"]
    assert (folder / DATA).exists()
    assert not (folder / "fold-0" / DATA).exists()
    assert last.info is not None
    assert last.info.report is None
    assert len(watcher.records) == 9


def test_repeats_hold_out_each_row_again_by_other_folds() -> None:
    folder = validated("cv.folds=2", "cv.repeats=2", "cv.final=none", "data.test_fraction=null")
    found = cv_of(folder)
    assert [each["repeat"] for each in found["each"]] == [0, 0, 1, 1]
    lines = lines_of(folder)
    assert sorted(int(line["row"]) for line in lines) == sorted([*range(1, 151)] * 2)
    facts = read_run(folder)
    assert (facts["status"], facts["reason"], facts["best"]) == ("completed", "folds", None)
    assert set(facts["metrics"]) == {
        f"cv/{name}{sd}" for name in ("loss", "accuracy", "macro_f1") for sd in ("", "_sd")
    }
    assert facts["epochs"] == 12
    with pytest.raises(CheckpointError, match=r"no network of its own.*cv\.final=none"):
        open_run(folder)


@pytest.mark.parametrize("words", [(), ("data=diabetes",), ("data=breast_cancer", "loss=bce")])
def test_an_ensemble_answers_with_the_mean_of_its_folds(words: tuple[str, ...]) -> None:
    config = config_of(*words, "cv.folds=2", "cv.repeats=2", "cv.final=ensemble")
    folder = new_folder(config)
    result = cross_validate(config, folder)
    source, run = read(config.data), nnkit.load(folder)
    folds = [nnkit.load(folder / f"fold-{fold}") for fold in range(4)]
    x = source.inputs[0]
    if source.classes:
        mean = np.mean([fold.predict_proba(x) for fold in folds], axis=0)
        np.testing.assert_allclose(run.predict_proba(x), mean, atol=1e-6)
        wanted = np.array(source.classes, object)[mean.argmax(1)]
        assert run.predict(x).tolist() == wanted.tolist()
    else:
        np.testing.assert_allclose(run.predict(x), np.mean([fold.predict(x) for fold in folds], axis=0))
    rows = own_rows(run.run, "test")[1]
    found = evaluate(run.run, source, rows).metrics
    name = "accuracy" if source.classes else "rmse"
    assert result.metrics[f"test/{name}"] == pytest.approx(found[name])
    assert f"baseline/{name}" in result.metrics
    assert not any(key.startswith(("train/", "val/")) for key in result.metrics)
    assert read_run(folder)["metrics"] == result.metrics


def test_an_ensemble_says_that_a_label_is_there_where_the_mean_is_above_a_half() -> None:
    x = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    np.savez("labels.npz", x=x, y=(x[:, :3] > 0).astype(np.int64))
    words = ("data=array", "data.path=labels.npz", "data.task=multilabel", "cv.folds=2", "cv.final=ensemble")
    folder = validated(*words)
    mean = np.mean([nnkit.load(folder / f"fold-{fold}").predict_proba(x) for fold in range(2)], axis=0)
    assert nnkit.load(folder).predict(x).tolist() == (mean > 0.5).astype(int).tolist()


def test_the_winner_of_a_sweep_is_tested_afterwards_whatever_answers() -> None:
    for words in (("cv.final=ensemble",), ("cv.final=refit",)):
        whole = read_run(validated("cv.folds=2", *words))["metrics"]
        config = config_of("cv.folds=2", *words)
        folder = new_folder(config)
        cross_validate(config, folder, test=False)
        assert "test/accuracy" not in read_run(folder)["metrics"]
        assert look_at_test(config, folder).items() <= whole.items()
        assert read_run(folder)["metrics"] == whole
    none = config_of("cv.folds=2", "cv.final=none")
    assert look_at_test(none, validated("cv.folds=2", "cv.final=none")) == {}


def test_code_of_the_users_own_is_run_and_wants_trust_afterwards() -> None:
    own = (f"loss.code={HERE}:Focal", "cv.final=ensemble")
    folder = validated("cv.folds=2", "loss=code", *own)
    with pytest.raises(ConfigError, match="loss runs code of its own"):
        open_run(folder)
    assert len(open_run(folder, trust=True).members) == 2


def test_an_ensemble_whose_folds_have_not_ended_does_not_answer() -> None:
    folder = stopped((*THREE, "cv.final=ensemble"), at_record=4)
    with pytest.raises(CheckpointError, match=f"not all folds of {folder} have ended"):
        open_run(folder)


def test_without_a_test_part_the_refit_has_no_test_metrics() -> None:
    folder = validated("cv.folds=2", "data.test_fraction=null")
    metrics = read_run(folder)["metrics"]
    assert "val/accuracy" in metrics
    assert not [name for name in metrics if name.startswith(("test/", "baseline/"))]
    assert look_at_test(config_of("cv.folds=2", "data.test_fraction=null"), folder) == {}
    with pytest.raises(ConfigError, match=r"has no test part: data\.test_fraction is null"):
        own_rows(open_run(folder), "test")
    assert len(nnkit.load(folder).predict(read(config_of().data).inputs[0])) == 150


def test_the_test_set_is_left_alone_where_that_is_asked_for() -> None:
    metrics = read_run(validated("cv.folds=2", test=False))["metrics"]
    assert "cv/accuracy" in metrics
    assert "test/accuracy" not in metrics


@pytest.mark.parametrize(
    "words",
    [
        ("data=diabetes", "cv.folds=2"),
        ("data=sine", "data.steps=200", "data.window=10", "data.horizon=3", "cv.folds=2", "data.test_fraction=null"),
        ("data=parity", "data.samples=60", "data.min_length=5", "model=gru", "cv.folds=2", "data.test_fraction=null"),
    ],
)
def test_other_tasks_have_held_out_predictions_too(words: tuple[str, ...]) -> None:
    folder = validated(*words, "trainer.max_epochs=1")
    lines = lines_of(folder)
    assert {line["fold"] for line in lines} == {"0", "1"}
    assert all(value != "" for line in lines for value in line.values())
    if "data=diabetes" in words:
        errors = [float(x["target"]) - float(x["prediction"]) for x in lines if x["fold"] == "0"]
        rmse = read_run(folder / "fold-0")["metrics"]["test/rmse"]
        assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(rmse, rel=1e-5)
        assert cv_of(folder)["kind"] == "kfold"
    if "data=sine" in words:
        assert cv_of(folder)["kind"] == "time"
        steps = [{int(line["time"]) for line in lines if line["fold"] == fold} for fold in "01"]
        assert max(steps[0]) < min(steps[1])


def stopped(words: tuple[str, ...], *, at_record: int, in_refit: bool = False) -> Path:
    signals = Signals()
    watcher = Watcher(signals=signals, at_record=at_record)
    config = config_of(*words)
    folder = new_folder(config)
    sinks, watch = ([watcher], None) if in_refit else ([], Watch(sinks=[watcher]))
    result = cross_validate(config, folder, sinks, signals, watch=watch)
    assert (result.status, result.reason, result.metrics) == ("interrupted", "signal", {})
    assert read_run(folder)["status"] == "interrupted"
    return folder


@pytest.mark.parametrize(("at_record", "in_refit"), [(1, False), (3, False), (5, False), (9, False), (2, True)])
def test_a_stop_anywhere_changes_nothing(iris: Path, at_record: int, in_refit: bool) -> None:
    folder = stopped(THREE, at_record=at_record, in_refit=in_refit)
    facts = {path: json.loads(path.read_text()) for path in sorted(folder.glob("fold-*/run.json"))}
    before = {path: path.read_bytes() for path, of_fold in facts.items() if of_fold["status"] == "completed"}
    assert len(before) == (3 if in_refit else (at_record - 1) // 3)
    validated(*THREE, folder=folder)
    assert {path: path.read_bytes() for path in before} == before
    for name in (CV, HELD_OUT):
        assert (folder / name).read_bytes() == (iris / name).read_bytes()
    assert read_run(folder)["metrics"] == read_run(iris)["metrics"]
    assert is_equal(last_weights(folder), last_weights(iris))
    assert events(folder) == events(iris)


@pytest.mark.parametrize("in_refit", [False, True])
def test_what_changes_at_a_resume_is_recorded_by_the_run_and_its_folds(in_refit: bool) -> None:
    folder = stopped(THREE, at_record=2, in_refit=in_refit)
    changed = {"batching.eval_batch_size": 7}
    cross_validate(config_of(*THREE, "batching.eval_batch_size=7"), folder, changes=changed)
    changes = [each["changes"] for each in read_run(folder)["resumed"]]
    assert changes == [changed]
    if not in_refit:
        assert [each["changes"] for each in read_run(folder / "fold-0")["resumed"]] == [changed]
        assert "resumed" not in read_run(folder / "fold-1")


def test_a_kill_between_a_checkpoint_and_its_pointer_loses_nothing(iris: Path) -> None:
    folder = stopped(THREE, at_record=2)
    (folder / "fold-0" / "checkpoints" / "last").unlink()
    for torn in (folder / ".tmp-cv.json-1", folder / "fold-0" / ".tmp-run.json-1"):
        torn.write_text("{")
    validated(*THREE, folder=folder)
    assert "resumed" in read_run(folder / "fold-0")
    assert (folder / CV).read_bytes() == (iris / CV).read_bytes()
    assert not list(folder.rglob(".tmp-*"))


@pytest.mark.parametrize("last", [0, 2])
def test_a_signal_between_two_trainings_starts_no_other(iris: Path, last: int) -> None:
    signals = Signals()

    def tell(fold: Fold) -> None:
        signals.number = 15 if fold.number == last else 0

    config = config_of(*THREE)
    folder = new_folder(config)
    assert cross_validate(config, folder, (), signals, watch=Watch(fold=tell)).status == "interrupted"
    assert not (folder / f"fold-{last + 1}").exists()
    assert not (folder / "checkpoints").exists()
    validated(*THREE, folder=folder)
    assert (folder / CV).read_bytes() == (iris / CV).read_bytes()
    assert read_run(folder)["metrics"] == read_run(iris)["metrics"]


def test_a_fold_that_was_killed_before_its_first_save_starts_again(iris: Path) -> None:
    folder = stopped(THREE, at_record=3)
    (folder / "fold-1").mkdir(exist_ok=True)
    (folder / "fold-1" / "config.yaml").write_text("half")
    validated(*THREE, folder=folder)
    assert (folder / CV).read_bytes() == (iris / CV).read_bytes()


def test_an_error_in_a_fold_names_it_and_is_kept() -> None:
    config = config_of("cv.folds=2", "optimizer=sgd", "optimizer.lr=1e30")
    folder = new_folder(config)
    with pytest.raises(DivergenceError, match="fold 0: training loss became"):
        cross_validate(config, folder)
    facts = read_run(folder)
    assert facts["status"] == "failed"
    assert "fold 0" in facts["error"]
    assert "fold 0: training loss became" in (folder / "run.log").read_text()


def test_ctrl_c_twice_leaves_an_interrupted_run() -> None:
    config = config_of("cv.folds=2")
    folder = new_folder(config)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(config, folder, watch=Watch(sinks=[Watcher(at_record=1, error=KeyboardInterrupt())]))
    assert read_run(folder)["status"] == "interrupted"


def test_other_data_than_that_of_the_folds_is_refused() -> None:
    folder = stopped(THREE, at_record=3)
    with pytest.raises(DataError, match="has changed since the run started"):
        validated(*THREE, "data.limit=100", folder=folder)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("cv.folds=41",), r"cv\.folds=41 is more than the smallest class: setosa of data=iris has 40 rows[^(]*$"),
        (("data=diabetes", "cv.folds=2", "cv.kind=stratified"), r"cv\.kind=stratified keeps the shares of classes"),
        (("cv.folds=2", "scheduler.warmup_steps=10"), r"warmup_steps=10 is the whole training of 9 steps$"),
        (
            ("data=sine", "data.steps=120", "data.window=30", "data.horizon=3", "cv.folds=3"),
            r"data\.window=30 .* but the training part of data=sine has 20 \(in fold 0\)",
        ),
    ],
)
def test_what_cannot_be_is_told_before_the_first_training(words: tuple[str, ...], text: str) -> None:
    config = config_of(*words)
    folder = new_folder(config)
    with pytest.raises(ConfigError, match=text):
        cross_validate(config, folder)
    assert list(folder.iterdir()) == []


def test_the_sizes_of_the_folds_are_those_of_their_parts(iris: Path) -> None:
    rows = [read_run(iris / f"fold-{fold}")["rows"] for fold in range(3)]
    assert fold_sizes(config_of(*THREE)) == [(each["train"], each["val"], each["test"]) for each in rows]
    assert sum(each["test"] for each in rows) == 120


def test_the_summary_is_that_of_statistics() -> None:
    folds = [Fold(k, {"metrics": {"test/rmse": value, "val/rmse": 9.0}}) for k, value in enumerate((1.0, 2.0, 6.0))]
    assert summary(folds) == {"rmse": {"mean": 3.0, "sd": 7**0.5, "least": 1.0, "most": 6.0}}


def test_the_summary_leaves_out_what_a_fold_could_not_measure() -> None:
    metrics = [{"test/rmse": 1.0, "test/own": 1.0}, {"test/rmse": 2.0}]
    assert list(summary([Fold(k, {"metrics": each}) for k, each in enumerate(metrics)])) == ["rmse"]


def test_a_broken_cv_json_is_named(tmp_path: Path) -> None:
    assert read_cv(tmp_path) is None
    (tmp_path / CV).write_text("{")
    with pytest.raises(DataError, match=r"cv\.json cannot be read"):
        read_cv(tmp_path)


def test_cv_json_has_no_times(iris: Path) -> None:
    assert "seconds" not in json.dumps(cv_of(iris))
