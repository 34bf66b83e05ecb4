"""Runs that tell a tracker: where they belong, and how they go on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nnkit.cli import main
from nnkit.config.schema import Config
from nnkit.final import look_at_test
from nnkit.folds import cross_validate
from nnkit.run import resume, train
from nnkit.runs import new_folder, read_run
from nnkit.storage import remove_folder
from nnkit.tracking import TRACKER, place_of, settings_told, tell_metrics, trackers, where_to_look
from nnkit.train.sink import RunInfo
from nnkit.train.state import Record
from nnkit.train.stopping import Signals
from tests.track.trackers.read_back import scalars, texts
from tests.trained import Watcher, config_of, events

BOARD = "tracker=tensorboard"


def curve(folder: Path) -> list[tuple[int, float]]:
    return [(int(line["step"]), pytest.approx(line["val/loss"])) for line in events(folder) if "val/loss" in line]


def test_a_run_tells_its_curves_and_final_metrics() -> None:
    config = config_of(BOARD)
    folder = new_folder(config)
    result = train(config, folder)
    found = scalars(folder)
    assert found["val/loss"] == curve(folder)
    assert {name: values[-1][1] for name, values in found.items() if name.startswith("final/")} == {
        f"final/{name}": pytest.approx(value) for name, value in result.metrics.items()
    }


def test_a_run_that_was_stopped_in_an_epoch_goes_on_with_its_curve() -> None:
    config = config_of(BOARD, "trainer.checkpoint_every=7")
    folder, signals = new_folder(config), Signals()
    assert train(config, folder, [Watcher(signals=signals, at_save=1)], signals).status == "interrupted"
    assert resume(config, folder).status == "completed"
    assert scalars(folder)["val/loss"] == curve(folder)
    assert len(list((folder / "tensorboard").iterdir())) == 2


def test_a_run_that_is_stopped_before_its_first_save_begins_its_curve_anew() -> None:
    config = config_of(BOARD)
    folder = new_folder(config)
    with pytest.raises(RuntimeError, match="stop"):
        train(config, folder, [_Stopping()])
    assert not list(folder.glob("checkpoints/step-*"))
    assert resume(config, folder).status == "completed"
    assert scalars(folder)["val/loss"] == curve(folder)


class _Stopping(Watcher):
    def write(self, record: Record) -> None:
        raise RuntimeError("stop")


def test_a_rollback_leaves_one_curve() -> None:
    words = ("optimizer.lr=1e37", "trainer.on_nonfinite=rollback", "trainer.rollback_factor=1e-39")
    config = config_of(BOARD, *words, "trainer.checkpoint_every=5")
    folder = new_folder(config)
    train(config, folder)
    assert read_run(folder)["status"] == "completed"
    assert [step for step, _ in scalars(folder)["val/loss"]] == [step for step, _ in curve(folder)]


def test_folds_are_runs_of_their_own_and_belong_together() -> None:
    config = config_of(BOARD, "cv.folds=2", "trainer.max_epochs=1")
    folder = new_folder(config)
    cross_validate(config, folder)
    for place, name in ((folder / "fold-0", f"{folder.name}/fold-0"), (folder / "fold-1", f"{folder.name}/fold-1")):
        assert place_of(place) == (name, f"mlp-iris/{folder.name}", "fold")
        assert scalars(place)["val/loss"] == curve(place)
    assert place_of(folder) == (f"mlp-iris/{folder.name}", "", "train")
    assert scalars(folder)["val/loss"] == curve(folder)


def test_trials_of_two_processes_belong_to_their_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data=iris", "model.hidden=[2]", "trainer.max_epochs=2", "trainer.plots=false", "seed=1,2"]
    assert main(["train", "-m", *words, "hydra.sweeper.jobs=2", "tracker=tensorboard"]) == 0
    sweep = Path(capsys.readouterr().out.strip())
    for folder in sorted(sweep.glob("0*")):
        assert place_of(folder) == (folder.name, f"mlp-iris/{sweep.name}", "trial")
        assert scalars(folder)["val/loss"] == curve(folder)
    assert "tracker" not in (sweep / "best.yaml").read_text()


def test_the_winner_of_a_sweep_tells_its_test_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data=iris", "trainer.max_epochs=2", "trainer.plots=false", "model.hidden=[2],[9]", "optimizer.lr=0.05"]
    assert main(["train", "-m", *words, "tracker=tensorboard"]) == 0
    sweep = Path(capsys.readouterr().out.strip())
    best = json.loads((sweep / "sweep.json").read_text())["best"]
    for folder in sorted(sweep.glob("0*")):
        found, metrics = scalars(folder), read_run(folder)["metrics"]
        assert found["val/loss"] == curve(folder)
        told = {name.removeprefix("final/"): values[-1][1] for name, values in found.items() if "final/" in name}
        assert told == {name: pytest.approx(value) for name, value in metrics.items()}
        assert ("test/accuracy" in told) == (folder.name == best)
        tables = texts(folder, "config")
        assert len(tables) == 1 + (folder.name == best)
        assert len({*tables}) == 1  # with each pick in place of its auto


@pytest.mark.parametrize(
    ("harm", "text"),
    [
        ("tensorboard", "tracker=tensorboard: StorageError: "),
        ("run.json", "its trackers could not be told its test metrics: "),
    ],
)
def test_what_keeps_the_winner_from_telling_costs_nothing_else(
    harm: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def look(config: Config, folder: Path) -> dict[str, float]:
        metrics = look_at_test(config, folder)
        if (folder / harm).is_dir():
            remove_folder(folder / harm)
        (folder / harm).write_text("")
        return metrics

    monkeypatch.setattr("nnkit.sweep.run.look_at_test", look)
    words = ["data=iris", "trainer.max_epochs=1", "trainer.plots=false", "model.hidden=[2],[3]", BOARD]
    assert main(["train", "-m", *words]) == 0
    told = capsys.readouterr()
    sweep = Path(told.out.strip())
    facts = json.loads((sweep / "sweep.json").read_text())
    number = int(facts["best"][:3])
    assert f"warning: trial {number}: {text}" in told.err
    assert f"warning: {text}" in (sweep / facts["best"] / "run.log").read_text()
    assert "test/accuracy" in facts["test"]


def test_a_tracker_that_the_winner_cannot_reach_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data=iris", "trainer.max_epochs=1", "trainer.plots=false", "seed=1,2", "tracker=tensorboard"]
    assert main(["train", "-m", *words, "name=sweep"]) == 0
    sweep = Path(capsys.readouterr().out.strip())
    told: list[str] = []
    folder = next(sweep.glob("000*"))
    remove_folder(folder / "tensorboard")
    (folder / "tensorboard").write_text("")
    tell_metrics(config_of(BOARD, "name=sweep"), folder, {"test/loss": 1.0}, told.append)
    assert len(told) == 1
    assert told[0].startswith("tracker=tensorboard: StorageError: ")
    tell_metrics(config_of(), folder, {"test/loss": 1.0}, told.append)
    assert len(told) == 1


def test_a_tracker_is_told_the_settings_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "a-canary-of-mine")
    config = config_of("tags=[x-a-canary-of-mine]", BOARD)
    told = settings_told(replace(config, model=replace(config.model)))
    assert told["optimizer.lr"] == config.optimizer.lr
    assert told["model.hidden"] == "[8]"
    assert told["tags"] == "[x-***]"
    assert not [key for key in told if key.startswith("tracker.")]


def test_a_name_that_cannot_be_kept_is_told_and_a_torn_one_begins_anew(tmp_path: Path) -> None:
    config: Config = config_of(BOARD)
    told: list[str] = []
    (tmp_path / TRACKER).write_text('{"tensorboard": "../../x"')
    for identities in (1, 2):
        sink = trackers(config, tmp_path, told.append)
        sink.start(RunInfo(tmp_path, "mlp on iris", 3, 5, "val/loss"))
        sink.close("completed")
        assert len(list((tmp_path / "tensorboard").iterdir())) == identities
    assert told == []
    identity = json.loads((tmp_path / TRACKER).read_text())["tensorboard"]
    assert len(identity) == 32
    (tmp_path / TRACKER).unlink()
    (tmp_path / TRACKER).mkdir()
    sink = trackers(config, tmp_path, told.append)
    sink.start(RunInfo(tmp_path, "mlp on iris", 3, 5, "val/loss"))
    sink.close("completed")
    assert len(told) == 1
    assert "begins a new curve with tracker=tensorboard" in told[0]


def test_a_tracker_that_missed_a_run_is_told_all_of_it_later(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data=iris", "model.hidden=[2]", "trainer.max_epochs=3", "trainer.plots=false"]
    assert main(["train", *words]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert main(["resume", str(folder), "tracker.tensorboard.use=true"]) == 0
    assert scalars(folder)["val/loss"] == curve(folder)
    told = capsys.readouterr().err
    assert f"note: tracker=tensorboard: tensorboard --logdir {folder}\n" in told
    assert main(["resume", str(folder), "tracker.tensorboard.use=true"]) == 0  # asked for once more
    assert "the run has ended" not in capsys.readouterr().err
    assert scalars(folder)["val/loss"] == curve(folder)


def test_a_sweep_says_where_to_look(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data=iris", "model.hidden=[2]", "trainer.max_epochs=1", "trainer.plots=false", "seed=1,2"]
    assert main(["train", "-m", *words, BOARD]) == 0
    shown = capsys.readouterr()
    assert shown.err.count("tensorboard --logdir") == 1
    assert f"note: tracker=tensorboard: tensorboard --logdir {shown.out.strip()}\n" in shown.err


def test_what_is_typed_to_look_at_a_run_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def shown(*words: str, failed: tuple[str, ...] = (), uri: str | None = None) -> list[str]:
        config = config_of(*words)
        told = replace(config.tracker, mlflow=replace(config.tracker.mlflow, uri=uri))
        return list(where_to_look(replace(config, tracker=told), tmp_path, failed))

    assert shown(BOARD) == []  # nothing was written
    assert shown() == []
    assert shown("tracker=wandb") == ["tracker=wandb was sent to the project nnkit"]
    assert shown("tracker=wandb", failed=("wandb",)) == []
    first = tmp_path / "wandb" / "offline-run-1"
    first.mkdir(parents=True)
    assert shown("tracker=wandb") == [f"tracker=wandb is offline; to send it: wandb sync {first}"]
    (tmp_path / "wandb" / "offline-run-2").mkdir()
    pattern = f"{tmp_path}/wandb/offline-run-*"
    assert shown("tracker=wandb") == [f"tracker=wandb is offline; to send it: wandb sync --append {pattern}"]
    store = Path("outputs/mlruns").absolute()
    ui = f"MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri {store}"
    assert shown("tracker=mlflow") == [f"tracker=mlflow: {ui}"]
    assert shown("tracker=mlflow", failed=("mlflow",)) == []
    assert shown("tracker=mlflow", uri="http://host:5000") == ["tracker=mlflow was sent to http://host:5000"]
    database = shown("tracker=mlflow", uri="sqlite:///x.db")
    assert database == ["tracker=mlflow: mlflow ui --backend-store-uri sqlite:///x.db"]


def test_offline_runs_of_several_trials_are_sent_by_one_command(tmp_path: Path) -> None:
    for trial in ("000", "001"):
        (tmp_path / trial / "wandb" / "offline-run-1").mkdir(parents=True)
    (line,) = where_to_look(config_of("tracker=wandb"), tmp_path)
    assert line == f"tracker=wandb is offline; to send it: wandb sync {tmp_path}/*/wandb/offline-run-*"
