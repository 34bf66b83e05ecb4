"""The schema as data."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from nnkit.config.fields import choices_of, describe, leaf_of, leaves, sections, takes_list
from nnkit.config.marks import Count, Fixed, Positive, Probability, Resume, Share
from nnkit.config.schema import Config


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Fixed[Probability], "a number in [0, 1)"),
        (Share, "a number in (0, 1)"),
        (Positive, "a number > 0"),
        (Annotated[float, Field(le=1)], "a number <= 1"),
        (Annotated[float, Field(gt=0, le=1)], "a number in (0, 1]"),
        (Fixed[Count | None], "a whole number >= 1 or null"),
        (list[Count], "a list, each a whole number >= 1"),
        (Literal["a", "b"], "one of a, b"),
        (Literal["auto"] | Positive, "auto or a number > 0"),
        (bool, "true or false"),
        (str, "text"),
        (dict[str, Any], "settings by name"),
    ],
)
def test_an_annotation_is_described_in_words(annotation: object, words: str) -> None:
    assert describe(annotation) == words


def test_choices_and_lists_are_found_inside_unions() -> None:
    assert choices_of(Fixed[Literal["none", "balanced"] | list[Positive]]) == ["none", "balanced"]
    assert takes_list(Fixed[Literal["none"] | list[Positive]])
    assert not takes_list(Count)


def test_every_leaf_of_the_schema_has_a_mark() -> None:
    combinations = [{name: {"kind": kind}} for name, kinds in sections().items() for kind in kinds]
    found = {leaf.key: leaf.mark for values in combinations for leaf in leaves(values).values()}
    assert len(found) > 80
    assert [key for key, mark in found.items() if not isinstance(mark, Resume)] == []


def test_the_kind_of_what_has_state_is_fixed() -> None:
    found = leaves({name: {"kind": next(iter(kinds))} for name, kinds in sections().items()})
    for key in ("model.kind", "optimizer.kind", "scheduler.kind", "data.kind", "seed", "batching.batch_size"):
        assert found[key].mark is Resume.FIXED
    for key in ("trainer.max_epochs", "trainer.patience", "tags"):
        assert found[key].mark is Resume.LIVE
    assert Config.__dataclass_fields__["seed"].default == 0


def test_an_unknown_kind_has_no_leaves() -> None:
    assert not any(key.startswith("model.") for key in leaves({"model": {"kind": "nlp"}}))
    assert not any(key.startswith("model.") for key in leaves({"model": {"kind": ["mlp"]}}))


def test_an_entry_of_a_setting_is_found_with_its_setting() -> None:
    known = leaves({"loss": {"kind": "code"}, "model": {"kind": "code"}})
    assert leaf_of(known, "loss.kwargs.gamma.deep") is leaf_of(known, "loss.kwargs") is known["loss.kwargs"]
    assert known["loss.kwargs"].mark is Resume.OVERRIDE
    assert leaf_of(known, "model.kwargs.width").mark is Resume.FIXED
    with pytest.raises(KeyError):
        leaf_of(known, "nosuch.thing")
