"""The second stage: words against data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.cross import DataFacts, data_problems
from nnkit.errors import ConfigError
from nnkit.spec import DataSpec, InputSpec, TargetSpec

CLASSES = TargetSpec(("y",), tuple("0123456789"))
IMAGES = DataSpec("classification", (InputSpec("x", "image", (1, 8, 8)),), CLASSES)
BINARY = DataSpec("classification", (InputSpec("x", "features", (5,)),), TargetSpec(("y",), ("no", "yes")))
VALUES = DataSpec("regression", (InputSpec("x", "features", (5,)),), TargetSpec(("y",)))
SERIES = DataSpec("regression", (InputSpec("x", "series", (6, 2)),), TargetSpec(("y",)))
LABELS = DataSpec("multilabel", (InputSpec("x", "features", (5,)),), TargetSpec(("u", "v")))
CATEGORIES = InputSpec("categories", "categories", (2,), (3, 4))
EMBEDDED = DataSpec("classification", (InputSpec("features", "features", (5,)), CATEGORIES), CLASSES)
TABLE = ("data=table", "data.path=x", "data.target=y")
OWN_METRIC = ("metric=code", "metric.code=m:N", "metric.name=top2")
FACTS = DataFacts(train=100, smallest_target=0.0, devices=("cpu",))


def found(words: list[str], spec: DataSpec, facts: DataFacts = FACTS) -> list[str]:
    return [problem.text for problem in data_problems(check(compose(words)), spec, facts)]


@pytest.mark.parametrize(
    ("words", "spec", "text"),
    [
        (["loss=bce"], IMAGES, "loss=bce needs one output, but data=digits has 10 classes"),
        (["loss=bce"], VALUES, "loss=bce needs one output, but data=digits has a regression target"),
        (["loss=cross_entropy"], VALUES, "loss=cross_entropy needs classes, but data=digits has a regression target"),
        (["loss=mse"], BINARY, "loss=mse needs a regression target, but data=digits has 2 classes"),
        (["loss=huber"], BINARY, "loss=huber needs a regression target"),
        (["loss=cross_entropy", "loss.class_weights=[1,2]"], IMAGES, "loss.class_weights must have 10 numbers"),
        (
            ["data=table", "data.path=x", "data.target=y", "data.categories=embedding", "model.embedding_size=[3]"],
            EMBEDDED,
            "model.embedding_size must have one width for each of 2 columns, got 1",
        ),
        (["model=cnn"], BINARY, "model=cnn expects images or series, got 5 features from data=digits"),
        (
            ["model=cnn", "model.channels=[4,4,4,4]"],
            IMAGES,
            "model.channels has 4 blocks, but 4 of them leave nothing of 8",
        ),
        (
            ["model=cnn", "model.channels=[4,4,4]"],
            SERIES,
            "model.channels has 3 blocks, but 3 of them leave nothing of 6",
        ),
        (
            ["trainer.monitor=val/rmse"],
            IMAGES,
            "trainer.monitor must be one of auto, val/loss, val/accuracy, val/macro_f1",
        ),
        (["trainer.monitor=val/accuracy"], VALUES, "trainer.monitor must be one of auto, val/loss, val/rmse, val/mae"),
        (["scheduler.warmup_steps=200"], IMAGES, "scheduler.warmup_steps=200 is the whole training of 200 steps"),
        (
            ["data=table", "data.path=x", "data.target=y", "data.target_scaling=standard"],
            BINARY,
            "data.target_scaling=standard is for",
        ),
        (["trainer.device=cuda"], IMAGES, "trainer.device=cuda is not available: this machine has cpu"),
        (
            ["batching.drop_last=true", "batching.batch_size=101"],
            IMAGES,
            "batching.drop_last=true leaves no batch: 100",
        ),
        (["loss=mse"], LABELS, "loss=mse is not for labels, but data=digits has 2"),
        (["loss=cross_entropy"], LABELS, "loss=cross_entropy is not for labels"),
        (
            [*TABLE, "data.target_scaling=standard"],
            LABELS,
            "data.target_scaling=standard is for numbers, but data=table",
        ),
        (["trainer.monitor=val/rmse"], LABELS, "trainer.monitor must be one of auto, val/loss, val/accuracy"),
        (
            ["trainer.decision_threshold=0.3"],
            IMAGES,
            "trainer.decision_threshold is for two classes, but data=digits has 10",
        ),
        (
            ["trainer.decision_threshold=f1"],
            VALUES,
            "trainer.decision_threshold is for two classes, but data=digits has task",
        ),
        (["trainer.decision_threshold=0.3"], LABELS, "trainer.decision_threshold is for two classes"),
        (["batching.sampler=balanced"], VALUES, "batching.sampler=balanced is for classes, not for regression"),
        (["batching.sampler=balanced"], LABELS, "batching.sampler=balanced is for classes, not for multilabel"),
        (["model=cnn"], EMBEDDED, "model=cnn takes no categories to embed"),
        (["model=linear"], EMBEDDED, "model=linear takes no categories to embed"),
        (
            [*OWN_METRIC, "trainer.monitor=val/rmse"],
            IMAGES,
            "trainer.monitor must be one of auto, val/loss, val/accuracy, val/macro_f1, val/top2 for classification",
        ),
        (["batching.drop_last=true", "batching.accumulate=2"], IMAGES, "batching.drop_last=true leaves no batch: 100"),
        (
            ["batching.accumulate=3"],
            IMAGES,
            "batching.accumulate=3 is more than an epoch has: 100 training samples",
        ),
    ],
)
def test_words_that_do_not_fit_the_data_are_named(words: list[str], spec: DataSpec, text: str) -> None:
    (problem,) = found(words, spec)
    assert problem.startswith(text)


@pytest.mark.parametrize("policy", ["stop", "skip"])
@pytest.mark.parametrize("word", ["trainer.rollback_factor=0.1", "trainer.max_rollbacks=5"])
def test_settings_of_rollbacks_are_read_by_rollbacks_alone(policy: str, word: str) -> None:
    with pytest.raises(ConfigError, match=f"trainer.on_nonfinite={policy} does not read it") as told:
        check(compose([f"trainer.on_nonfinite={policy}", word]))
    name = word.partition("=")[0]
    assert told.value.problems[0].hint == f"trainer.on_nonfinite=rollback, or leave {name} out"
    check(compose(["trainer.on_nonfinite=rollback", word]))


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("trainer.on_nonfinite=halt", "trainer.on_nonfinite must be one of stop, skip, rollback, got 'halt'"),
        ("trainer.rollback_factor=1", r"trainer.rollback_factor must be a number in \(0, 1\), got 1"),
        ("trainer.rollback_factor=0", r"trainer.rollback_factor must be a number in \(0, 1\), got 0"),
        ("trainer.max_rollbacks=0", "trainer.max_rollbacks must be a whole number >= 1, got 0"),
        ("trainer.max_rollbacks=null", "trainer.max_rollbacks must be a whole number >= 1, got null"),
    ],
)
def test_wrong_words_about_what_is_not_finite_are_refused(word: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        check(compose(["trainer.on_nonfinite=rollback", word]))


@pytest.mark.parametrize(
    ("word", "by"), [("data.in_memory=true", "data.in_memory=true"), ("data.workers=0", "data.workers=0")]
)
def test_the_time_of_a_worker_is_read_where_there_are_workers(word: str, by: str) -> None:
    words = ["data=images", "data.path=x", "data.worker_timeout_s=20"]
    check(compose(words))
    with pytest.raises(ConfigError, match=f"data.worker_timeout_s is set, but {by} does not read it"):
        check(compose([*words, word]))
    with pytest.raises(ConfigError, match=r"data\.worker_timeout_s must be a number > 0, got 0"):
        check(compose(["data=images", "data.path=x", "data.worker_timeout_s=0"]))


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("batching.batch_size=full", "doubles a number, but batching.batch_size=full is all samples already"),
        ("batching.accumulate=2", "takes what fits as one step, but batching.accumulate=2"),
        ("batching.stateful=true", "changes which segments follow each other, but batching.stateful=true"),
    ],
)
def test_a_batch_size_by_memory_is_refused_where_the_size_means_more(word: str, text: str) -> None:
    stateful = ["data=text", "data.path=x", "data.task=language", "model=gru", "batching.shuffle=false"]
    words = ["batching.auto_batch_size=true", *(stateful if "stateful" in word else ())]
    check(compose(words))
    with pytest.raises(ConfigError, match=f"batching.auto_batch_size=true {text}"):
        check(compose([*words, word]))


def test_poisson_needs_counts_as_they_are() -> None:
    words = ["data=diabetes", "loss=poisson", "data.target_scaling=standard"]
    negative = DataFacts(train=100, smallest_target=-2.0, devices=("cpu",))
    assert [text[:30] for text in found(words, VALUES, negative)] == [
        "loss=poisson needs counts >= 0",
        "loss=poisson needs counts as t",
    ]
    assert found(["data=diabetes", "loss=poisson"], VALUES) == []


def test_fp16_is_for_processors_that_have_it() -> None:
    without = DataFacts(train=100, smallest_target=0.0, devices=("cpu",), computes_fp16=False)
    (problem,) = found(["trainer.precision=fp16"], IMAGES, without)
    assert problem.startswith("trainer.precision=fp16 is not for this processor")
    beside_a_gpu = replace(without, devices=("cpu", "cuda"))
    assert found(["trainer.precision=fp16"], IMAGES, beside_a_gpu) == []
    assert len(found(["trainer.precision=fp16", "trainer.device=cpu"], IMAGES, beside_a_gpu)) == 1


def test_one_training_sample_is_too_few_for_batch_norm() -> None:
    one = DataFacts(train=1, smallest_target=0.0, devices=("cpu",))
    assert found(["model.norm=batch"], IMAGES, one) == ["model.norm=batch needs at least 2 training samples, got 1"]
    assert found(["model.norm=layer"], IMAGES, one) == []


def test_all_problems_of_the_stage_come_together() -> None:
    assert len(found(["loss=mse", "trainer.device=cuda", "trainer.monitor=val/r2"], IMAGES)) == 3


@pytest.mark.parametrize(
    ("words", "spec"),
    [
        ([], IMAGES),
        (["model=cnn"], IMAGES),
        (["loss=bce"], BINARY),
        (["model=cnn", "model.channels=[3]"], SERIES),
        ([], LABELS),
        (["loss=bce"], LABELS),
        (["trainer.monitor=val/macro_f1"], LABELS),
        (["trainer.decision_threshold=0.3"], BINARY),
        (["trainer.decision_threshold=balanced_accuracy"], BINARY),
        (["batching.sampler=balanced"], IMAGES),
        (["model=mlp"], EMBEDDED),
        (["model=code", "model.code=m:N"], EMBEDDED),
        (["loss=code", "loss.code=m:N"], LABELS),
        (["loss=code", "loss.code=m:N"], IMAGES),
        ([*OWN_METRIC, "trainer.monitor=val/top2"], VALUES),
    ],
)
def test_what_fits_passes(words: list[str], spec: DataSpec) -> None:
    assert found(words, spec) == []
