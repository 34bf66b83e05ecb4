"""metrics.jsonl, line by line."""

from __future__ import annotations

import errno
import json
import math
import os
from pathlib import Path

import pytest

from nnkit.errors import StorageError
from nnkit.track.jsonl import METRICS, JsonLines, lost_events, read_events
from nnkit.train.sink import RunInfo
from nnkit.train.state import Record


def opened(folder: Path, records: int = 0) -> JsonLines:
    sink = JsonLines()
    sink.start(RunInfo(folder, "mlp on iris", 3, 5, "val/loss", records=records))
    return sink


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def test_each_event_is_a_line_at_once(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    sink.write(Record(5, 1, {"train/loss": 0.5, "val/loss": math.nan, "lr": math.inf}))
    assert lines(tmp_path) == [{"step": 5, "epoch": 1, "train/loss": 0.5, "val/loss": None, "lr": None}]
    sink.write(Record(10, 2, {}))
    sink.sync()
    sink.close("completed")
    assert [line["step"] for line in lines(tmp_path)] == [5, 10]


def test_going_on_cuts_back_to_what_a_save_has_counted(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    for step in (5, 10, 15):
        sink.write(Record(step, step // 5, {}))
    sink.close("failed")
    with (tmp_path / METRICS).open("a") as file:
        file.write('{"step": 2')  # torn by a power loss
    again = opened(tmp_path, records=2)
    again.write(Record(15, 3, {"lr": 0.1}))
    again.close("completed")
    assert [line["step"] for line in lines(tmp_path)] == [5, 10, 15]
    assert lines(tmp_path)[-1]["lr"] == 0.1


@pytest.mark.parametrize(("left", "has"), [('{"step": 5, "epoch": 1}\n{"step": 10, "ep', 1), ("", 0), (None, 0)])
def test_going_on_behind_lost_lines_joins_nothing_and_counts_on(tmp_path: Path, left: str | None, has: int) -> None:
    if left is not None:
        (tmp_path / METRICS).write_text(left)
    wanted = f"{tmp_path / METRICS} has {has} of 2 events that were written; the curves go without the others"
    assert lost_events(tmp_path, 2) == wanted
    sink = opened(tmp_path, records=2)
    for step in (15, 20):
        sink.write(Record(step, step // 5, {}))
    sink.close("failed")
    again = opened(tmp_path, records=3)  # of the lines of before, two count as they did
    again.write(Record(20, 4, {}))
    again.close("completed")
    assert [event.step for event in read_events(tmp_path)] == [5, 15, 20][1 - has :]
    assert lost_events(tmp_path, 4) is not None


def test_events_that_are_all_there_are_not_lost(tmp_path: Path) -> None:
    assert lost_events(tmp_path, 0) is None
    sink = opened(tmp_path)
    sink.write(Record(5, 1, {}))
    sink.close("completed")
    assert lost_events(tmp_path, 1) is None


def test_closing_before_the_start_does_nothing(tmp_path: Path) -> None:
    JsonLines().close("failed")
    assert list(tmp_path.iterdir()) == []


def test_folder_in_place_of_the_file_is_told(tmp_path: Path) -> None:
    (tmp_path / METRICS).mkdir()
    with pytest.raises(StorageError, match=r"cannot write .*metrics.jsonl: Is a directory"):
        opened(tmp_path)


def test_a_line_that_is_refused_waits_and_comes_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    sink = opened(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        for step in (5, 10):
            sink.write(Record(step, 1, {}))
        with pytest.raises(StorageError, match=r"cannot write .*metrics.jsonl: No space left on device \(errno 28\)"):
            sink.sync()
    assert lines(tmp_path) == []
    sink.write(Record(15, 1, {}))
    assert [line["step"] for line in lines(tmp_path)] == [5, 10, 15]
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        sink.write(Record(20, 1, {}))
        sink.close("failed")  # no save has counted it
    assert [line["step"] for line in lines(tmp_path)] == [5, 10, 15]


def test_events_are_read_back_but_for_damaged_lines(tmp_path: Path) -> None:
    lines = ['{"step": 5, "epoch": 1, "val/loss": 0.5}', '{"step": 10, "epoch": 2, "val/loss": null}', "{", "[]"]
    lines[1:1] = ['{"step": 7', '{"step": 1e999, "epoch": 1}', '{"step": 8, "epoch": 1, "lr": %s}' % ("9" * 400), ""]
    (tmp_path / METRICS).write_text("\n".join(lines))
    first, second = read_events(tmp_path)
    assert first == Record(5, 1, {"val/loss": 0.5})
    assert (second.step, second.epoch, math.isnan(second.values["val/loss"])) == (10, 2, True)
    assert list(read_events(tmp_path, 2)) == [first]
    assert list(read_events(tmp_path / "nowhere", 0)) == []
