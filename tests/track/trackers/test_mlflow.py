"""MLflow on a folder: what its files hold, and its own client finds."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from nnkit.track.trackers import mlflow
from nnkit.track.trackers.hosted import Trackers
from nnkit.track.trackers.mlflow import check_answers, folder_of
from nnkit.train.sink import RunInfo
from nnkit.train.state import Record
from tests.track.trackers.read_back import mlflow_runs, start_of


def told(folder: Path, *steps: int, status: str = "completed", **changes: object) -> None:
    sink = Trackers(lambda info, _: start_of(info.folder, **changes), ["mlflow"], pytest.fail)
    sink.start(RunInfo(folder, "mlp on iris", 3, 5, "val/loss"))
    for step in steps:
        sink.write(Record(step, step // 5, {"val/loss": 1 / step}))
    sink.metrics = {"test/accuracy": 0.75}
    sink.close(status)


def test_a_folder_holds_curves_settings_and_group_and_a_run_goes_on_without_a_step_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    told(tmp_path, 5, 10, 15, status="interrupted")
    settings = {"optimizer.lr": 0.2, "seed": 3, "model.kind": "mlp", "trainer.plots": False}
    told(tmp_path, 15, 20, step=10, goes_on=True, config=settings)
    (run,) = mlflow_runs(tmp_path / "mlruns")
    assert run["metrics"]["val/loss"] == [(5, 0.2), (10, 0.1), (15, pytest.approx(1 / 15)), (20, 0.05)]
    assert [step for step, _ in run["metrics"]["epoch"]] == [5, 10, 15, 20]
    assert run["metrics"]["final/test/accuracy"][-1] == (20, 0.75)
    assert (run["params"]["optimizer.lr"], run["params"]["trainer.plots"]) == ("0.1", "False")
    changed = {name: text for name, text in run["tags"].items() if "changed" in name}
    assert changed == {"nnkit.changed.optimizer.lr": "0.2 from step 10"}  # a parameter keeps its first value
    assert (run["tags"]["nnkit.group"], run["tags"]["nnkit.job"]) == ("mlp-iris/sweep-1", "trial")
    assert (run["tags"]["nnkit.tags"], run["tags"]["nnkit.status"]) == ("a, b", "completed")
    assert "run_name: mlp-iris/now" in run["meta"]
    assert "status: 3" in run["meta"]  # FINISHED


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("/a/b c", "/a/b c"),
        ("file:///a/b%20c", "/a/b c"),
        ("http://host:5000", None),
        ("sqlite:///x.db", None),
        ("databricks", None),
        ("databricks://profile", None),
    ],
)
def test_an_address_is_a_folder_or_a_server(uri: str, wanted: str | None) -> None:
    assert folder_of(uri) == (None if wanted is None else Path(wanted))


def test_a_relative_folder_lies_where_one_is(tmp_path: Path) -> None:
    assert folder_of("mlruns") == tmp_path / "mlruns"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_a_server_that_does_not_answer_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow, "getproxies", dict)
    uri, told = f"http://127.0.0.1:{free_port()}", list[str]()
    start = start_of(tmp_path)
    start = start_of(tmp_path, settings={**start.settings, "uri": uri})
    sink = Trackers(lambda *_: start, ["mlflow"], told.append)
    begun = time.monotonic()
    sink.start(RunInfo(tmp_path, "mlp on iris", 3, 5, "val/loss"))
    sink.close("completed")
    assert time.monotonic() - begun < 15  # a start of Python beside other tests
    way = f"nnkit resume {tmp_path} --trust tracker.mlflow.use=true"
    assert told == [f"tracker=mlflow: ConnectionError: no answer from {uri} (connection refused); later: {way}"]


def test_who_answers_is_not_asked_twice_and_a_proxy_is_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow, "getproxies", dict)
    with socket.create_server(("127.0.0.1", 0)) as server:
        check_answers(f"http://127.0.0.1:{server.getsockname()[1]}")
    check_answers("sqlite:///here.db")
    closed = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ConnectionError, match="connection refused"):
        check_answers(closed)
    monkeypatch.setattr(mlflow, "getproxies", lambda: {"http": "http://proxy"})
    check_answers(closed)
