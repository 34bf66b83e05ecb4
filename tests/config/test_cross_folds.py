"""Words on cross-validation that fight each other, before any data is read."""

from __future__ import annotations

import pytest

from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.origin import Composed
from nnkit.config.schema import to_plain
from nnkit.config.sections.cv import CvConfig
from nnkit.errors import ConfigError

TABLE = ["data=table", "data.path=x.csv", "data.target=y", "cv.folds=3"]
SERIES = ["data=series", "data.path=x.csv", "data.time=t", "data.target=y", "data.window=8", "data.horizon=3"]


@pytest.mark.parametrize(
    ("words", "text", "hint"),
    [
        (["cv.folds=1"], "cv.folds must be a whole number >= 2 or null, got 1", "give a value: cv.folds=…"),
        (["cv.folds=2.5"], "cv.folds must be a whole number >= 2 or null, got 2.5", "give a value: cv.folds=…"),
        (["cv.folds=3", "cv.kind=k_fold"], "cv.kind must be one of auto, kfold, stratified, group, time, got", "kfold"),
        (["cv.folds=3", "cv.final=no"], "cv.final must be one of refit, ensemble, none, got", ""),
        (["cv.folds=3", "cv.split_seed=-1"], "cv.split_seed must be a whole number in [0, 4294967296), got -1", ""),
        (["cv.folds=3", "cv.fold=6", "cv.repeats=2"], "cv.fold must be in [0, 6), got 6", "cv.fold=5"),
        (["cv.fold=0"], "cv.fold is set, but cv.folds=null does not read it", "leave cv.fold out"),
        (["cv.kind=kfold"], "cv.kind is set, but cv.folds=null does not read it", "leave cv.kind out"),
        (["cv.repeats=2"], "cv.repeats is set, but cv.folds=null does not read it", "leave cv.repeats out"),
        (["cv.folds=3", "cv.fold=0", "cv.final=none"], "cv.final is set, but cv.fold=0 does not read it", "leave"),
        (["cv.folds=3", "cv.shuffle=true"], "cv.shuffle is not a setting of cv", "did you mean batching.shuffle=true?"),
        (["cv=5"], "cv must be a section, got 5", ""),
        (
            ["cv.folds=3", "cv.kind=time"],
            "cv.kind=time needs rows that are ordered in time, but data=digits is not",
            "",
        ),
        (
            ["data=sine", "cv.folds=3", "cv.kind=kfold"],
            "cv.kind=kfold would train on the future, and on windows that overlap those held out: data=sine is ordered",
            "cv.kind=time",
        ),
        (
            ["data=sine", "cv.folds=3", "cv.repeats=2"],
            "cv.repeats=2 draws folds again, but time cuts data=sine, always in the same places",
            "cv.repeats=1",
        ),
        (["data=sine", "cv.folds=3", "cv.split_seed=1"], "cv.split_seed is set, but cv.kind=time does not read it", ""),
        (
            [*SERIES, "cv.folds=3", "data.parts=[50,20,20]"],
            "data.parts fixes the parts, but each fold has its own",
            "data.parts=null, or cv.folds=null",
        ),
        (
            ["data=text", "data.path=x.txt", "data.task=language", "model=lstm", "cv.folds=3"],
            "cv.folds needs rows that do not depend on each other, but data.task=language is one long text",
            "cv.folds=null",
        ),
        ([*TABLE, "cv.kind=group"], "cv.kind=group keeps groups whole, but data.group is null", "data.group=COLUMN"),
        (["cv.folds=3", "cv.kind=group"], "cv.kind=group keeps groups whole, but data=digits has no groups", ""),
        (
            [*TABLE, "data.group=g", "cv.kind=stratified"],
            "cv.kind=stratified would tear the groups of data.group=g",
            "cv.kind=group",
        ),
        ([*TABLE, "data.group=g", "cv.kind=kfold"], "cv.kind=kfold would tear the groups", "cv.kind=group"),
        (
            ["data=sine", "cv.folds=3", "cv.final=ensemble"],
            "cv.final=ensemble is for folds alike, but of data=sine each has seen more than the one before",
            "cv.final=refit",
        ),
        (
            ["data=breast_cancer", "cv.folds=3", "cv.final=ensemble", "trainer.decision_threshold=f1"],
            "trainer.decision_threshold=f1 is tuned for one network, but cv.final=ensemble has many",
            "trainer.decision_threshold=0.5, or cv.final=refit",
        ),
        (
            ["cv.folds=3", "cv.final=ensemble", "metric=code", "metric.code=m:N"],
            "metric=code measures the outputs of one network, but cv.final=ensemble has a mean of probabilities",
            "cv.final=refit",
        ),
        (
            ["data.test_fraction=null"],
            "data.test_fraction=null leaves no test part, which only a cross-validation does without",
            "data.test_fraction=0.2, or cv.folds=5",
        ),
    ],
)
def test_what_cannot_be_is_named_with_a_way_out(words: list[str], text: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(compose(words))
    matching = [problem for problem in caught.value.problems if problem.text.startswith(text)]
    assert matching, caught.value
    assert hint in matching[0].hint


@pytest.mark.parametrize(
    "words",
    [
        ["cv.folds=3", "cv.kind=stratified", "cv.repeats=2", "cv.split_seed=3", "cv.final=none"],
        ["data.test_fraction=null", "cv.folds=2", "cv.fold=1"],
        ["data=sine", "cv.folds=3", "cv.kind=time"],
        [*TABLE, "data.group=g"],
        [*TABLE, "data.group=g", "cv.kind=group", "cv.repeats=2"],
    ],
)
def test_what_fits_passes(words: list[str]) -> None:
    assert check(compose(words)).cv.folds


def test_a_config_of_before_has_no_folds() -> None:
    values = to_plain(check(compose([])))
    del values["cv"]
    config = check(Composed(values))
    assert config.cv == CvConfig()
    assert not config.cv.is_on


def test_a_fold_is_a_run_of_its_own() -> None:
    assert CvConfig(folds=3, repeats=2).is_on
    assert CvConfig(folds=3, repeats=2).count == 6
    assert not CvConfig(folds=3, fold=0).is_on
