"""Checks across sections that concern cross-validation, of the words alone."""

from __future__ import annotations

from collections.abc import Iterator

from nnkit.config.schema import Config
from nnkit.config.sections.data import TableConfig
from nnkit.config.sections.metric import CodeMetricConfig
from nnkit.config.sections.sequences import ForecastConfig, SeriesConfig, TextConfig
from nnkit.errors import Problem

OF_FOLDS = ("kind", "repeats", "split_seed", "final", "fold")


def fold_problems(config: Config) -> Iterator[Problem]:
    """Yield what is wrong with the folds, whatever the data."""
    cv, data = config.cv, config.data
    if cv.folds is None:
        if getattr(data, "test_fraction", 1.0) is None and getattr(data, "test_path", None) is None:
            text = "data.test_fraction=null leaves no test part, which only a cross-validation does without"
            yield Problem(text, "data.test_fraction=0.2, or cv.folds=5")
        return
    if cv.fold is not None and cv.fold >= cv.count:
        yield Problem(f"cv.fold must be in [0, {cv.count}), got {cv.fold}", f"cv.fold={cv.count - 1}")
    if isinstance(data, TextConfig) and data.task == "language":
        text = "cv.folds needs rows that do not depend on each other, but data.task=language is one long text"
        yield Problem(text, "cv.folds=null")
    elif isinstance(data, ForecastConfig):
        yield from _time_problems(config, data)
    elif cv.kind == "time":
        yield Problem(f"cv.kind=time needs rows that are ordered in time, but data={data.kind} is not", "cv.kind=auto")
    yield from _group_problems(config)
    if cv.is_ensemble:
        yield from _ensemble_problems(config)


def _time_problems(config: Config, data: ForecastConfig) -> Iterator[Problem]:
    cv = config.cv
    if cv.kind not in ("auto", "time"):
        text = f"cv.kind={cv.kind} would train on the future, and on windows that overlap those held out"
        yield Problem(f"{text}: data={data.kind} is ordered in time", "cv.kind=time")
    if cv.repeats > 1:
        text = f"cv.repeats={cv.repeats} draws folds again, but time cuts data={data.kind}, always in the same places"
        yield Problem(text, "cv.repeats=1")
    if isinstance(data, SeriesConfig) and data.parts is not None:
        yield Problem("data.parts fixes the parts, but each fold has its own", "data.parts=null, or cv.folds=null")


def _group_problems(config: Config) -> Iterator[Problem]:
    kind, data = config.cv.kind, config.data
    group = data.group if isinstance(data, TableConfig) else None
    if kind == "group" and group is None:
        what = "data.group is null" if isinstance(data, TableConfig) else f"data={data.kind} has no groups"
        hint = "data.group=COLUMN" if isinstance(data, TableConfig) else "cv.kind=auto"
        yield Problem(f"cv.kind=group keeps groups whole, but {what}", hint)
    if kind in ("kfold", "stratified") and group is not None:
        yield Problem(f"cv.kind={kind} would tear the groups of data.group={group}", "cv.kind=group")


def _ensemble_problems(config: Config) -> Iterator[Problem]:
    if isinstance(config.data, ForecastConfig):
        text = f"cv.final=ensemble is for folds alike, but of data={config.data.kind} each has seen more than the one"
        yield Problem(f"{text} before", "cv.final=refit")
    if isinstance(config.trainer.decision_threshold, str):
        text = f"trainer.decision_threshold={config.trainer.decision_threshold} is tuned for one network, but"
        yield Problem(f"{text} cv.final=ensemble has many", "trainer.decision_threshold=0.5, or cv.final=refit")
    if isinstance(config.metric, CodeMetricConfig):
        text = "metric=code measures the outputs of one network, but cv.final=ensemble has a mean of probabilities"
        yield Problem(text, "cv.final=refit")


def unread_of_folds(config: Config) -> dict[str, str]:
    """Return the settings of folds that nobody reads, and why."""
    if config.cv.folds is None:
        return dict.fromkeys((f"cv.{name}" for name in OF_FOLDS), "cv.folds=null")
    unread = {"cv.split_seed": "cv.kind=time"} if isinstance(config.data, ForecastConfig) else {}
    return unread if config.cv.fold is None else unread | {"cv.final": f"cv.fold={config.cv.fold}"}
