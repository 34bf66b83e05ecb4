"""A training beside trackers that fail or hang: it goes on at its own speed, and the user is told once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from nnkit.track.trackers import hosted
from nnkit.track.trackers.hosted import Trackers
from nnkit.train.sink import RunInfo
from nnkit.train.state import Record
from tests.track.trackers.read_back import scalars, start_of

WANDB = """
import os, subprocess, sys, time
class Settings:
    def __init__(self, **_): pass
class Run:
    summary = {{}}
    def log(self, values, step): {log}
    def finish(self, exit_code): {finish}
def init(**_):
    {init}
    return Run()
"""
HANG, RAISE, DIE = "time.sleep(1000)", "raise ConnectionError('no route to host')", "os.kill(os.getpid(), 9)"


def sink_of(folder: Path, told: list[str], wait_s: float = 0.7, names: tuple[str, ...] = ("wandb",)) -> Trackers:
    sink = Trackers(lambda info, _: start_of(info.folder, wait_s=wait_s), names, told.append)
    sink.start(RunInfo(folder, "mlp on iris", 3, 5, "val/loss"))
    return sink


def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **acts: str) -> None:
    """Put a wandb before the real one that does something else in one of its calls."""
    place = tmp_path / "fakes"
    place.mkdir()
    (place / "wandb.py").write_text(WANDB.format(**{"log": "pass", "finish": "pass", "init": "pass", **acts}))
    monkeypatch.syspath_prepend(place)


@pytest.mark.parametrize("call", ["init", "log", "finish"])
def test_one_that_hangs_is_told_and_ended_in_its_time(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)']); "  # as wandb has its service
    fake(tmp_path, monkeypatch, **{call: child + HANG})
    told: list[str] = []
    sink = sink_of(tmp_path, told)
    pid = sink._hosted["wandb"]._process.pid
    began = time.monotonic()
    for step in range(1, 200):
        sink.write(Record(step, 1, {"val/loss": 0.5}))
    assert time.monotonic() - began < 0.5
    began = time.monotonic()
    sink.close("completed")
    assert 0.6 < time.monotonic() - began < 2.5
    assert told == [
        "tracker=wandb: was not done 0.7 s after the run, and was stopped; "
        f"later: nnkit resume {tmp_path} tracker.wandb.wait_s=4.2"
    ]
    assert nobody_in(pid)


def nobody_in(group: int) -> bool:
    """Tell whether a group of processes is gone; the last of them may take a moment."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        states = [p.read_text().rpartition(")")[2].split() for p in Path("/proc").glob("[0-9]*/stat") if p.exists()]
        if all(state[0] == "Z" for state in states if int(state[2]) == group):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    ("acts", "wanted"),
    [
        ({"init": RAISE}, "ConnectionError: no route to host"),
        ({"log": RAISE}, "ConnectionError: no route to host"),
        ({"finish": RAISE}, "ConnectionError: no route to host"),
        ({"init": DIE}, "its process ended with exit code -9"),
        ({"log": DIE}, "its process ended with exit code -9"),
        ({"finish": DIE}, "its process ended with exit code -9"),
    ],
)
def test_one_that_raises_or_dies_is_told_once(
    acts: dict[str, str], wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, monkeypatch, **acts)
    told: list[str] = []
    sink = sink_of(tmp_path, told, wait_s=10)
    for step in range(1, 30):
        sink.write(Record(step, 1, {"val/loss": 0.5}))
        time.sleep(0.001)
    sink.close("completed")
    assert told[0].replace("; the training goes on", "") == (
        f"tracker=wandb: {wanted}; later: nnkit resume {tmp_path} tracker.wandb.use=true"
    )
    assert len(told) == 1
    assert "finish" not in acts or "goes on" not in told[0]  # it is over


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"settings": {"mode": "online"}}, " --trust tracker.wandb.use=true"),
        ({"settings": {"mode": "offline"}}, " tracker.wandb.use=true"),
        ({"job": "fold"}, None),
    ],
)
def test_the_command_that_tells_it_later_is_named(
    changes: dict[str, object], wanted: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, monkeypatch, finish=RAISE)
    settings = {"project": "p", "entity": None, "experiment": "e", "uri": None, "mode": "auto"}
    given = changes.get("settings")
    start = start_of(tmp_path, wait_s=10)
    start = replace(start, **{**changes, "settings": {**settings, **(given if isinstance(given, dict) else {})}})
    told: list[str] = []
    sink = Trackers(lambda *_: start, ["wandb"], told.append)
    sink.start(RunInfo(tmp_path, "mlp on iris", 3, 5, "val/loss"))
    sink.close("completed")
    assert told[0].endswith(f"later: nnkit resume {tmp_path}{wanted}" if wanted else "no route to host")
    assert sink.failed == {"wandb"}


def test_without_a_key_the_run_can_be_kept_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, monkeypatch, init="raise ValueError('No API key configured. Use `wandb login`')")
    told: list[str] = []
    sink = sink_of(tmp_path, told, wait_s=10)
    sink.close("completed")
    assert told[0].endswith(f"; later: nnkit resume {tmp_path} tracker.wandb.mode=offline")


def test_what_was_told_before_is_told_again_where_it_was_not_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosted, "MOST_WAITING", 2)
    before = [Record(step, step // 5, {"val/loss": 1 / step}) for step in range(5, 105, 5)]
    for goes_on in (False, True):  # its files keep what they have been told
        told: list[str] = []
        start = start_of(tmp_path, step=100, goes_on=goes_on)
        sink = Trackers(lambda *_, start=start: start, ["tensorboard"], told.append, lambda _: before)
        sink.start(RunInfo(tmp_path, "mlp on iris", 3, 5, "val/loss", step=100, records=20))
        sink.close("completed")
        assert told == []
        assert scalars(tmp_path)["val/loss"] == [(each.step, pytest.approx(1 / each.step)) for each in before]


def test_what_does_not_fit_is_left_out_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, monkeypatch, init=HANG)
    monkeypatch.setattr(hosted, "MOST_WAITING", 5)
    told: list[str] = []
    sink = sink_of(tmp_path, told)
    for step in range(1, 100):
        sink.write(Record(step, 1, {f"val/{n}": 0.5 for n in range(300)}))
    assert len(told) == 1
    assert "does not keep up; from step" in told[0]
    assert len(sink._hosted["wandb"]._waiting) <= 5
    sink.close("completed")
    assert len(told) == 1


def test_a_tracker_that_hangs_leaves_the_others_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, monkeypatch, log=HANG)
    told: list[str] = []
    sink = sink_of(tmp_path, told, wait_s=3, names=("wandb", "tensorboard"))
    for step in (5, 10):
        sink.write(Record(step, 1, {"val/loss": 0.5}))
    sink.close("completed")
    assert scalars(tmp_path)["val/loss"] == [(5, 0.5), (10, 0.5)]
    assert [text.partition(":")[0] for text in told] == ["tracker=wandb"]


def test_no_process_at_all_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    told: list[str] = []
    sink = sink_of(tmp_path, told)
    sink.write(Record(5, 1, {}))
    sink.close("completed")
    assert len(told) == 1
    assert "cannot be started: [Errno 2]" in told[0]


def test_a_rollback_goes_to_the_step_of_the_last_event_that_counts(tmp_path: Path) -> None:
    told: list[str] = []
    sink = Trackers(lambda info, _: start_of(info.folder, step=info.step), ["tensorboard"], told.append)
    sink.start(RunInfo(tmp_path, "mlp on iris", 3, 5, "val/loss", step=12, records=2))
    for step in (15, 20, 25):
        sink.write(Record(step, step // 5, {"val/loss": 1.0}))
    sink.go_back(3)
    sink.write(Record(20, 4, {"val/loss": 2.0}))
    sink.go_back(2)
    sink.write(Record(15, 3, {"val/loss": 3.0}))
    sink.close("completed")
    assert told == []
    assert scalars(tmp_path)["val/loss"] == [(15, 3.0)]


def test_a_training_that_is_killed_before_its_tracker_has_begun_ends_it(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()  # its number is that of no process now: of a training that has died meanwhile
    words = ["tensorboard", "0.2", json.dumps([str(Path(__file__).parents[3]), *sys.path]), str(ended.pid)]
    tracker = subprocess.Popen(
        [sys.executable, "-c", hosted.CODE, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert tracker.wait(timeout=20) == -signal.SIGKILL  # though its messages have not ended
    for pipe in (tracker.stdin, tracker.stdout):
        assert pipe is not None
        pipe.close()


def test_a_training_that_is_killed_ends_its_trackers(tmp_path: Path) -> None:
    code = (
        f"import sys, time; sys.path[:] = {[str(Path(__file__).parents[3]), *sys.path]!r}\n"
        "from pathlib import Path\n"
        "from tests.track.trackers.test_hosted import sink_of\n"
        "from nnkit.train.state import Record\n"
        f"sink = sink_of(Path({str(tmp_path)!r}), [], wait_s=5, names=('tensorboard',))\n"
        "sink.write(Record(5, 1, {'val/loss': 0.5}))\n"
        "print(sink._hosted['tensorboard']._process.pid, flush=True)\n"
        "time.sleep(100)\n"
    )
    training = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert training.stdout is not None
    with training.stdout as out:
        group = int(out.readline())
    training.send_signal(signal.SIGKILL)
    training.wait()
    assert nobody_in(group)
    assert scalars(tmp_path)["val/loss"] == [(5, 0.5)]
