"""What the trials of a sweep have in common, and what decides whether two sweeps are one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nnkit.config.compose import hydra_overrides, opened
from nnkit.config.options import find_groups, search_dirs
from nnkit.config.points import bases, probes
from nnkit.config.sections.sweeper import BayesConfig
from nnkit.config.space import Space
from nnkit.config.words import read_words


@pytest.fixture(autouse=True)
def hydra() -> Iterator[None]:
    with opened(search_dirs()):
        yield


def space(*words: str) -> Space:
    dirs = search_dirs()
    groups = find_groups(dirs)
    return Space(hydra_overrides(read_words(words, groups, multirun=True), dirs), "train", groups)


def test_the_bases_have_all_that_decides_but_what_is_swept() -> None:
    found = bases(space("model=mlp,linear", "optimizer.lr=0.1,0.2", "data=table", "data.path=a.csv", "data.target=y"))
    assert set(found) == {"model=mlp", "model=linear"}
    base = found["model=mlp"]
    assert base["data.path"] == "a.csv"  # live in a run, for the same data may be moved; here it may be other data
    assert base["trainer.max_epochs"] == 100
    assert "model.hidden" in base
    assert "optimizer.lr" not in base
    assert not {"trainer.threads", "trainer.plots", "trainer.device", "name", "output_dir", "tags"} & set(base)


def test_a_space_that_proposes_is_probed_at_its_ends_and_at_each_value() -> None:
    points = probes(space("optimizer.lr=interval(0.1,0.5)", "model=mlp,linear", "model.hidden=[4],[8]"), BayesConfig())
    changed = [dict(point.changed) for point in points]
    assert {"optimizer.lr": "0.5", "model": "mlp", "model.hidden": "[4]"} in changed
    assert {"optimizer.lr": "0.1", "model": "mlp", "model.hidden": "[8]"} in changed
    assert {"optimizer.lr": "0.1", "model": "linear"} in changed
    assert len(changed) == 4
