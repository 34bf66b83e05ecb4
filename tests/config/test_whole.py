"""What run.json keeps of a config.yaml, and what is told of one that lacks something."""

from __future__ import annotations

import pytest

from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.origin import flatten
from nnkit.config.schema import to_plain
from nnkit.config.whole import cut_short, lost_since, names_of


def a_config(*words: str) -> dict[str, object]:
    return to_plain(check(compose(list(words))))


def test_all_names_are_kept_by_section_and_kind() -> None:
    values = a_config("optimizer=sgd")
    kept = names_of(values)
    assert kept[""] == "name seed tags output_dir"
    assert kept["optimizer=sgd"].startswith("kind lr ")
    listed = {
        f"{label.partition('=')[0]}.{name}".lstrip(".") for label, names in kept.items() for name in names.split()
    }
    assert listed == {key for key, _ in flatten(values)}


@pytest.mark.parametrize("key", ["seed", "optimizer.lr", "optimizer.kind", "tracker.wandb.mode", "cv.fold", "cv"])
def test_each_setting_is_missed(key: str) -> None:
    values = a_config()
    kept = names_of(values)
    *above, name = key.split(".")
    section: dict[str, object] = values
    for part in above:
        section = section[part]  # type: ignore[assignment]
    del section[name]
    assert lost_since(values, kept) == [key]


def test_what_a_hand_has_changed_is_not_missed() -> None:
    values = a_config()
    kept = names_of(values)
    values["optimizer"] = {"kind": "sgd", "lr": 0.1}
    values["seed"], values["tags"] = 7, ["mine"]
    assert lost_since(values, kept) == []


@pytest.mark.parametrize("kept", [None, [], "x", {"": 3}, {"optimizer=adam": None}])
def test_runs_of_before_and_what_is_no_record_miss_nothing(kept: object) -> None:
    assert lost_since(a_config(), kept) == []


def test_a_long_list_is_cut() -> None:
    values = a_config()
    kept = names_of(values)
    values["trainer"] = {"max_epochs": 3}
    told = cut_short(values, b"\n", kept)
    assert told is not None
    assert told.startswith("it lacks trainer.max_steps, trainer.max_time_s, ")
    assert told.endswith(" more, which it had when the run began")
