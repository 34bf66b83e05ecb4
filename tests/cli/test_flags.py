"""Flags behind `nnkit train`."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnkit.cli.flags import read_flags
from nnkit.errors import ConfigError


def test_words_may_stand_on_both_sides_of_flags() -> None:
    flags = read_flags(["model=cnn", "-m", "seed=1", "--cfg", "job", "optimizer.lr=1,2"])
    assert flags.words == ["model=cnn", "seed=1", "optimizer.lr=1,2"]
    assert flags.multirun
    assert flags.hydra == ["--cfg", "job"]


def test_flags_with_values_take_them_from_the_next_word_or_behind_an_equals_sign() -> None:
    flags = read_flags(["--config-dir", "a", "--config-dir=b", "-cn", "other.yaml", "--cfg=job", "-p", "model"])
    assert flags.config_dirs == [Path("a"), Path("b")]
    assert flags.config_name == "other"
    assert flags.hydra == ["--cfg", "job", "--package", "model"]


def test_info_takes_a_topic_only_where_one_follows() -> None:
    assert read_flags(["--info", "model=cnn"]).hydra == ["--info", "all"]
    assert read_flags(["--info", "defaults", "model=cnn"]).hydra == ["--info", "defaults"]


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--dryrun"], "did you mean --dry-run"),
        (["--epochs=3"], "a setting has no dashes: epochs=3"),
        (["--experimental-rerun"], "run code from a pickle"),
        (["--config-path", "x"], "--config-dir"),
        (["-q"], "-q is not a flag"),
        (["--cfg"], "--cfg needs a value"),
        (["--cfg", "jobb"], "--cfg must be one of job, hydra, all, got 'jobb'"),
    ],
)
def test_a_wrong_flag_is_told_what_is_right(argv: list[str], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_flags(argv)
    assert text in " ".join(f"{p.text} {p.hint}" for p in caught.value.problems)


def test_all_wrong_flags_are_reported_together() -> None:
    with pytest.raises(ConfigError) as caught:
        read_flags(["--dryrun", "--runn", "model=cnn"])
    assert len(caught.value.problems) == 2
