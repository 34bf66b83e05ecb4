"""Filters: what each takes, and what is said of one that cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest

from nnkit.catalog.entry import Entry
from nnkit.catalog.filters import chosen, looks_like_filter, read_filters
from nnkit.errors import ConfigError

SETTINGS: dict[str, Any] = {
    "name": None,
    "seed": 3,
    "tags": ["long", "night"],
    "model.kind": "mlp",
    "model.hidden": [256, 128],
    "model.residual": False,
    "data.kind": "iris",
    "optimizer.lr": 0.001,
    "model.kwargs.width": 7,
}
FACTS = {"started": "2026-11-20T10:00:00+00:00", "epochs": 12, "metrics": {"val/accuracy": 0.91, "val/top2": 0.5}}
RUN = Entry("mlp-iris/1", "run", "stopped_early", FACTS, [SETTINGS])
EMPTY = Entry("x/1", "run", "damaged", {})


@pytest.mark.parametrize(
    ("word", "taken"),
    [
        ("model=mlp", True),
        ("model=cnn", False),
        ("model=cnn,mlp", True),
        ("model.kind==mlp", True),
        ("model!=cnn,mlp", False),
        ("status=stopped_early", True),
        ("status=stop*", True),
        ("name=mlp-*", True),
        ("name=?lp-iris", True),
        ("seed=3.0", True),
        ("seed!=3", False),
        ("tags=night", True),
        ("tags=day", False),
        ("model.hidden=[256,128]", True),
        ("model.hidden=[256,128],[1]", True),
        ("model.hidden=[256]", False),
        ("model.residual=false", True),
        ("optimizer.lr<0.01", True),
        ("optimizer.lr < 1e-3", False),
        ("optimizer.lr<=1e-3", True),
        ("epochs>10", True),
        ("epochs>=12", True),
        ("epochs>12", False),
        ("epochs=1?", True),
        ("val/accuracy>=0.9", True),
        ("val/top2>0.9", False),
        ("test/accuracy>0", False),
        ("test/accuracy!=0", True),
        ("started>=2026-11-20", True),
        ("started>2026-11-20", False),
        ("started<2026-11-20 11:00", True),
        ("started=2026-11", True),
        ("started=*-11-*", True),
        ("data.limit=null", True),
        ("data.limit=5", False),
        ("model.kwargs.width=7", True),
        ("run=mlp-iris/*", True),
    ],
)
def test_a_filter_takes_a_run(word: str, taken: bool) -> None:
    assert chosen([RUN], read_filters([word], [RUN])) == ([RUN] if taken else [])


def test_filters_must_all_hold_and_a_run_without_the_value_fulfils_none() -> None:
    assert chosen([RUN, EMPTY], read_filters(["model=mlp", "epochs>1"], [RUN])) == [RUN]
    assert chosen([RUN, EMPTY], read_filters(["model=mlp", "epochs>90"], [RUN])) == []
    assert chosen([RUN, EMPTY], read_filters(["model!=cnn"], [RUN])) == [RUN, EMPTY]


@pytest.mark.parametrize(
    ("word", "text", "hint"),
    [
        ("lr<0.1", "lr is not a filter", "did you mean optimizer.lr<0.1?"),
        ("accuracy>0.9", "accuracy is not a filter", "did you mean val/accuracy>0.9?"),
        ("wd=0", "wd is not a filter", "did you mean optimizer.weight_decay=0?"),
        ("statsu=failed", "statsu is not a filter", "did you mean status=failed?"),
        ("optimizer.lrr=1", "optimizer.lrr is not a filter", "did you mean optimizer.lr=1?"),
        ("model.kwargs.widht=7", "model.kwargs.widht is not a filter", "did you mean model.kwargs.width=7?"),
        ("qqqqqq=1", "qqqqqq is not a filter", "status, model, val/accuracy"),
        ("status=finished", "status=finished: no run can have status finished", "one of completed"),
        ("status=complete", "status=complete: no run can", "did you mean status=completed?"),
        ("model=cmn", "model=cmn: no run can have model cmn", "did you mean model=cnn?"),
        ("epochs>many", "epochs>many: many is not a number", "epochs=many"),
        ("epochs>", "epochs> needs a value", "epochs>0"),
        ("epochs", "epochs is neither a filter nor a folder", "quote words with < or >"),
    ],
)
def test_a_filter_that_cannot_be_meant_is_an_error(word: str, text: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_filters([word, "also_wrong=1"], [RUN])
    first, second = caught.value.problems
    assert text in first.text
    assert hint in first.hint
    assert "also_wrong" in second.text


def test_what_looks_like_a_filter() -> None:
    assert [word for word in ("a=1", "a<1", "a", "=1", "../x", "a b=1") if looks_like_filter(word)] == ["a=1", "a<1"]
