"""Weights & Biases offline: what its own messages hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nnkit.track.trackers.hosted import Trackers
from nnkit.track.trackers.wandb import mode_of
from nnkit.train.sink import RunInfo
from nnkit.train.state import Record
from tests.track.trackers.read_back import start_of, wandb_curve, wandb_records


def told(folder: Path, *steps: int, **changes: object) -> None:
    sink = Trackers(lambda info, _: start_of(info.folder, **changes), ["wandb"], pytest.fail)
    sink.start(RunInfo(folder, "mlp on iris", 3, 5, "val/loss"))
    for step in steps:
        sink.write(Record(step, step // 5, {"val/loss": 1 / step, "lr": 0.1}))
    sink.metrics = {"test/accuracy": 0.75}
    sink.close("completed")


def test_an_offline_run_holds_curves_settings_and_group_and_goes_on_without_a_step_twice(tmp_path: Path) -> None:
    told(tmp_path, 5, 10, 15)
    told(tmp_path, 15, 20, step=10, goes_on=True)  # the checkpoint was behind the last event
    first, second = wandb_records(tmp_path)
    assert wandb_curve(first, "val/loss") == [(5, 0.2), (10, 0.1), (15, pytest.approx(1 / 15))]
    assert wandb_curve(first, "epoch") == [(5, 1), (10, 2), (15, 3)]
    assert wandb_curve(second, "val/loss") == [(20, 0.05)]
    runs = [next(record.run for record in records if record.HasField("run")) for records in (first, second)]
    assert {run.run_id for run in runs} == {"0123456789abcdef"}
    assert [(run.run_group, run.job_type, run.display_name, run.project) for run in runs[:1]] == [
        ("mlp-iris/sweep-1", "trial", "mlp-iris/now", "p")
    ]
    assert list(runs[0].tags) == ["a", "b"]
    config = {item.key: json.loads(item.value_json) for item in runs[0].config.update}
    assert (config["optimizer.lr"], config["model.kind"], config["trainer.plots"]) == (0.1, "mlp", False)
    updates = [item for record in first if record.HasField("summary") for item in record.summary.update]
    summary = {item.key or "/".join(item.nested_key): item.value_json for item in updates}
    assert summary["final/test/accuracy"] == "0.75"
    assert next(record.exit.exit_code for record in first if record.HasField("exit")) == 0


def test_what_wandb_finds_out_by_itself_stays_out(tmp_path: Path) -> None:
    told(tmp_path, 5)
    (records,) = wandb_records(tmp_path)
    run = next(record.run for record in records if record.HasField("run"))
    assert run.host == "hidden"
    assert not run.git.remote_url
    assert not [record for record in records if record.HasField("files") or record.HasField("output_raw")]
    assert not list(tmp_path.rglob("requirements.txt"))
    assert not list(tmp_path.rglob("wandb-metadata.json"))
    assert not [path for path in tmp_path.rglob("*") if path.is_symlink()]  # a run folder with links would be refused


def test_without_a_key_a_run_stays_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    keys = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(keys))
    assert (mode_of("auto"), mode_of("online"), mode_of("offline")) == ("offline", "online", "offline")
    keys.write_text("machine other.org login me password x\n")
    assert mode_of("auto") == "offline"
    keys.write_text("machine api.wandb.ai login user password x\n")
    assert mode_of("auto") == "online"
    keys.unlink()
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert (mode_of("auto"), mode_of("offline")) == ("online", "offline")
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert mode_of("auto") == "offline"
