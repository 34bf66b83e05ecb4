"""Power loss: what is promised, and that a careless writer or a trusting reader would be caught."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nnkit.train import checkpoints
from tests.faults.calls import Call
from tests.faults.power import POWER, Disk, File, Folder, left, outcomes, undisturbed
from tests.faults.survival import check
from tests.faults.tried import trusting


def test_no_power_loss_takes_what_was_saved_or_leaves_what_is_damaged(
    record_property: Callable[[str, object], None],
) -> None:
    check(POWER, record_property)


def is_sync_of(kind: type[File | Folder]) -> Callable[[Call, Disk], bool]:
    return lambda call, disk: call.name == "fsync" and isinstance(disk.at(call.path), kind)


@pytest.mark.parametrize(("kind", "said"), [(File, "is damaged"), (Folder, "is lost")])
def test_a_writer_that_does_not_sync_is_caught(kind: type[File | Folder], said: str) -> None:
    left_out = is_sync_of(kind)
    broken = outcomes(undisturbed(), lambda call, disk: not left_out(call, disk))
    assert any(text is not None and said in text for text in broken)


def test_a_reader_that_checks_no_sum_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_verified", trusting)
    assert any(text is not None and "taken for whole" in text for text in outcomes(undisturbed()))


def test_what_was_not_synced_may_be_there_in_part_or_not_at_all() -> None:
    """The model by hand: a name and eight bytes wait, and each may have reached the disk without the other."""
    disk = Disk("/run")
    for call in (
        Call("open", "/run/old"),
        Call("write", "/run/old", data=b"before"),
        Call("fsync", "/run/old"),
        Call("fsync", "/run"),
        Call("open", "/run/new"),
        Call("write", "/run/new", data=b"12345678"),
    ):
        disk.do(call)
    found = {state.get("new") for _, state in left(disk)}
    assert found == {None, b"", b"1234", b"12345678", bytes(8), b"1234567\0"}
    assert all(state["old"] == b"before" for _, state in left(disk))
    disk.do(Call("fsync", "/run/new"))
    assert {state.get("new") for _, state in left(disk)} == {None, b"12345678"}
    disk.do(Call("rename", "/run/new", to="/run/old"))
    assert {(state.get("new"), state["old"]) for _, state in left(disk)} == {
        (None, b"before"),
        (b"12345678", b"before"),
        (None, b"12345678"),
    }
    disk.do(Call("fsync", "/run"))
    assert [state for _, state in left(disk)] == [{"old": b"12345678"}] * 5
