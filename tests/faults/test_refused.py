"""A full or broken disk: what is promised, on a real one, too, and that a careless writer would be caught."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from nnkit import storage
from nnkit.track.jsonl import JsonLines
from nnkit.train import loop
from tests.faults.child import in_child
from tests.faults.refused import NOT_PERMITTED, REFUSED, Fault, bears, on_a_small_disk, trained
from tests.faults.survival import check, not_tried
from tests.faults.tried import empty_place, tried, whole_run


def test_a_disk_that_refuses_takes_nothing_that_was_saved(record_property: Callable[[str, object], None]) -> None:
    check(REFUSED, record_property)


def of(name: str, path: str, *, from_then_on: bool = False) -> Fault:
    """A full disk at the first such call."""
    calls = whole_run()[0]
    number = next(n for n, call in enumerate(calls) if call.name == name and call.path.endswith(path))
    return Fault(number, errno.ENOSPC, from_then_on)


def broken_by(fault: Fault) -> str | None:
    return tried(lambda: trained(fault), lambda place, ended: bears(fault, place, ended))


def test_a_writer_that_does_not_tidy_up_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = of("fsync", "state.pt", from_then_on=True)
    assert broken_by(fault) is None
    monkeypatch.setattr(storage, "_or_nothing", lambda *_: nullcontext())
    assert "was left" in str(broken_by(fault))


def test_a_line_that_is_given_up_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    fault, write = of("write", "metrics.jsonl"), JsonLines._write

    def forgets(self: JsonLines) -> None:
        try:
            write(self)
        finally:
            self._waiting.clear()

    assert broken_by(fault) is None
    monkeypatch.setattr(JsonLines, "_write", forgets)
    assert broken_by(fault) is not None


def test_a_training_that_ends_with_the_first_refusal_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = of("fsync", "state.pt")
    monkeypatch.setattr(loop, "save", loop.commit)
    assert "one refusal ended the run" in str(broken_by(fault))


def test_a_run_on_a_disk_that_is_full_goes_on_where_there_is_room_again(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with empty_place():  # all is loaded
        ended = in_child(on_a_small_disk, tmp_path)
    if ended.value == NOT_PERMITTED:
        not_tried("a real disk (tmpfs) that becomes full", "mounting is not permitted", record_property)
    assert (ended.code, ended.value) == (0, None), ended.said
    assert "No space left on device (errno 28)" in ended.said
    assert "step-" in ended.said
