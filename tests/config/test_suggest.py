"""Did you mean: how often the hint is the key that was meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import pytest

from nnkit.config.compose import compose
from nnkit.config.fields import leaves, sections
from nnkit.config.sections.sweeper import SWEEPERS
from nnkit.config.suggest import key_hint, spell
from nnkit.config.synonyms import SYNONYMS, nearest

VALUES = compose(["model=cnn"]).values
KEYS = [key for key in leaves(VALUES) if not key.endswith(".kind")]


def one_letter_typos(key: str) -> Iterator[str]:
    """A letter left out, swapped with the next, replaced, or typed in between, anywhere in the key's last word."""
    head, dot, last = key.rpartition(".")
    for at in range(len(last)):
        before, letter, after = last[:at], last[at], last[at + 1 :]
        for wrong in (after, after[:1] + letter + after[1:], f"q{after}", f"q{letter}{after}"):
            if before + wrong:
                yield head + dot + before + wrong


def test_nineteen_of_twenty_one_letter_typos_are_told_the_key() -> None:
    typos = [(key, typo) for key in KEYS for typo in one_letter_typos(key) if typo not in KEYS][::5]
    told = [key_hint(typo, VALUES, None, sections()) == f"did you mean {key}?" for key, typo in typos]
    assert len(told) > 5 * len(KEYS)
    assert sum(told) / len(told) >= 0.95


@pytest.mark.parametrize("prefix", ["", "trainer.", "nowhere."])
def test_every_synonym_leads_to_its_setting(prefix: str) -> None:
    options = (
        "data=table",
        "data=mnist",
        "data=images",
        "data=masks",
        "data=series",
        "data=text",
        "model=lstm",
        "model=resnet18",
        "loss=cross_entropy",
        "loss=focal",
    )
    sweeper = {f"hydra.sweeper.{field.name}" for schema in SWEEPERS.values() for field in fields(schema)}
    valid = sweeper | {"hydra/sweeper", "hydra/launcher"}
    valid |= {key for option in options for key in leaves(compose([option]).values)} | set(leaves(VALUES))
    for word, target in SYNONYMS.items():
        name = target.partition("=")[0]
        assert name in valid or name in sections(), word
        assert name in key_hint(prefix + word, VALUES, 3, sections()), word


def test_a_value_is_carried_into_the_hint_as_it_would_be_typed() -> None:
    assert key_hint("modell", VALUES, "cnn", sections()) == "did you mean model=cnn?"
    assert key_hint("shufle", VALUES, True) == "did you mean batching.shuffle=true?"
    assert key_hint("gpu", VALUES, 1) == "did you mean trainer.device=cuda?"
    assert key_hint("channel", VALUES, [1, 2]) == "did you mean model.channels?"


@pytest.mark.parametrize(
    ("value", "text"), [(None, "null"), (False, "false"), ([1, [None]], "[1,[null]]"), (0.5, "0.5"), ("a", "a")]
)
def test_a_value_is_spelled_as_on_the_command_line(value: object, text: str) -> None:
    assert spell(value) == text


def test_what_looks_like_nothing_known_has_no_nearest() -> None:
    assert nearest("zzz", ["model", "data"]) is None
    assert key_hint("zzzzzz", VALUES) == "nnkit list shows all groups and settings"
