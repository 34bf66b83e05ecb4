"""Writing again before it is given up."""

from __future__ import annotations

import pytest

from nnkit.errors import StorageError
from nnkit.train import persist
from nnkit.train.persist import TRIES, persistently


@pytest.mark.parametrize("refusals", [0, 1, 2, 3, 4])
def test_a_write_is_tried_three_times(refusals: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persist, "WAIT_S", 0.0)
    tried: list[int] = []
    told: list[str] = []

    def write() -> None:
        tried.append(1)
        if len(tried) <= refusals:
            raise StorageError(f"refused {len(tried)}")

    if refusals >= TRIES:
        with pytest.raises(StorageError, match="refused 3"):
            persistently(write, told.append)
    else:
        persistently(write, told.append)
    assert len(tried) == min(refusals + 1, TRIES)
    assert told == [f"refused {number}; trying again" for number in range(1, min(refusals, TRIES - 1) + 1)]


def test_it_waits_between_two_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)

    def write() -> None:
        raise StorageError("refused")

    with pytest.raises(StorageError, match="refused"):
        persistently(write, lambda _: None)
    assert waited == [1.0, 1.0]
