"""Augmentation that means nothing for the data, or cannot work with it, is an error; what fits is none."""

from __future__ import annotations

import pytest

from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.cross import DataFacts, data_problems
from nnkit.config.cross_augmentation import augmentation_data_problems
from nnkit.errors import ConfigError
from nnkit.spec import DataSpec, InputSpec, TargetSpec

CLASSES = TargetSpec(("y",), ("a", "b", "c"))
LENGTHS = InputSpec("lengths", "lengths", ())
ARRAY = ("data=array", "data.path=x.npz")
FACTS = DataFacts(train=100, smallest_target=0.0, devices=("cpu",))


def spec(kind: str, shape: tuple[int, ...], task: str = "classification", *others: InputSpec) -> DataSpec:
    given = InputSpec("x", kind, shape)  # type: ignore[arg-type]
    return DataSpec(task, (given, *others), CLASSES if task != "forecast" else TargetSpec(("y",)))  # type: ignore[arg-type]


def said(*words: str) -> list[str]:
    try:
        check(compose(words))
    except ConfigError as error:
        return [problem.text for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ("data=iris", "augmentation=standard"),
            "augmentation is set, but data=iris, which has a table, does not read it",
        ),
        (("data=iris", "augmentation.flip=0.5"), "augmentation"),
        (("data=iris", "augmentation.mixup=1", "augmentation.crop=1"), "augmentation.crop is set, but data=iris"),
        (("data=digits", "augmentation.jitter=1"), "augmentation"),
        (("data=digits", "augmentation=light", "augmentation.jitter=1"), "augmentation.jitter is set, but data=digits"),
        (
            ("data=digits", "augmentation=light", "augmentation.hue=0.1"),
            "augmentation.hue is set, but data=digits, which is grey,",
        ),
        (
            ("data=images", "data.path=x", "data.channels=1", "augmentation.saturation=1"),
            "which is grey, does not read it",
        ),
        (
            ("data=adding", "model=gru", "augmentation=light", "augmentation.zoom=0.1"),
            "augmentation.zoom is set, but data=adding",
        ),
        (("data=text", "data.path=x", "model=gru", "augmentation=light"), "augmentation is set, but data=text"),
        (
            ("data=sine", "model=naive", "augmentation.jitter=1"),
            "augmentation.jitter is set, but model=naive does not read it",
        ),
        (("augmentation.mixup=1", "batching.batch_size=1"), "augmentation.mixup mixes the samples of a step, but"),
        (("augmentation.flip=1.5",), "augmentation.flip must be a number in [0, 1], got 1.5"),
        (("augmentation.zoom=1",), "augmentation.zoom must be a number in [0, 1), got 1"),
        (("augmentation.rotation=-5",), "augmentation.rotation must be a number in [0, 180], got -5"),
        (("augmentation.hue=0.6",), "augmentation.hue must be a number in [0, 0.5], got 0.6"),
        (("augmentation.crop=0.5",), "augmentation.crop must be a whole number >= 0, got 0.5"),
        (("augmentation.mixup=-1",), "augmentation.mixup must be a number in [0, 100], got -1"),
        (("augmentation.policy=trivial",), "augmentation.policy must be one of none, autoaugment, randaugment"),
    ],
)
def test_words_that_mean_nothing_are_told(words: tuple[str, ...], text: str) -> None:
    assert any(text in each for each in said(*words)), said(*words)


@pytest.mark.parametrize(
    "words",
    [
        ("data=iris", "augmentation=none"),
        ("data=iris", "augmentation.mixup=0.2"),
        ("data=digits", "augmentation=strong"),
        ("data=adding", "model=gru", "augmentation=strong"),
        (
            "data=cifar10",
            "data.root=x",
            "augmentation=strong",
            "augmentation.hue=0.1",
            "augmentation.policy=randaugment",
        ),
        (*ARRAY, "augmentation=strong", "augmentation.jitter=1", "augmentation.flip=1"),
        ("augmentation.mixup=1", "batching.batch_size=1", "batching.accumulate=8"),
    ],
)
def test_words_that_may_mean_something_are_taken(words: tuple[str, ...]) -> None:
    assert said(*words) == []


@pytest.mark.parametrize(
    ("switches", "given", "text"),
    [
        (("flip=0.5",), spec("series", (9, 2)), "augmentation (flip) changes nothing of data=array: series 9x2"),
        (("jitter=0.5",), spec("image", (3, 8, 8)), "augmentation (jitter) changes nothing of data=array: image 3x8x8"),
        (("hue=0.5",), spec("image", (1, 8, 8)), "augmentation (hue) changes nothing"),
        (
            ("mixup=1",),
            spec("series", (9, 2), "tagging"),
            "augmentation.mixup mixes two samples and their answers, but",
        ),
        (("mixup=1",), spec("series", (9, 2), "forecast"), "data=array is a task of forecast"),
        (("mixup=1",), spec("series", (9, 2), "classification", LENGTHS), "sequences of data=array vary in length"),
        (("cutmix=1",), spec("image", (1, 8, 8), "segmentation"), "data=array is a task of segmentation"),
        (
            ("mixup=1",),
            spec("features", (9,), "classification", InputSpec("c", "categories", (1,), (3,))),
            "has categories that are embedded, of which there is no half",
        ),
        (("crop=8",), spec("image", (3, 8, 9)), "augmentation.crop=8 must be less than the 8 pixels of a side"),
        (
            ("policy=randaugment",),
            spec("image", (4, 8, 8)),
            "augmentation.policy is for grey or coloured pictures (1 or 3 channels), but those of data=array have 4",
        ),
        (("window_crop=0.1",), spec("series", (9, 2), "tagging"), "augmentation.window_crop moves the steps"),
    ],
)
def test_what_does_not_fit_the_data_is_told(switches: tuple[str, ...], given: DataSpec, text: str) -> None:
    config = check(compose([*ARRAY, *(f"augmentation.{each}" for each in switches)]))
    found = [problem.text for problem in augmentation_data_problems(config, given, is_bytes=True)]
    assert any(text in each for each in found), found


def test_pictures_of_other_values_have_no_policy_and_no_hue() -> None:
    config = check(compose([*ARRAY, "augmentation.policy=autoaugment", "augmentation.hue=0.1", "augmentation.flip=1"]))
    pictures = spec("image", (3, 8, 8))
    assert list(data_problems(config, pictures, FACTS)) == []
    other = DataFacts(train=100, smallest_target=0.0, devices=("cpu",), is_bytes=False)
    texts = sorted(problem.text for problem in data_problems(config, pictures, other))
    assert [text.partition(" ")[0] for text in texts] == ["augmentation.hue", "augmentation.policy"]


def test_a_forecast_is_not_multiplied() -> None:
    config = check(compose(["data=sine", "model=gru", "augmentation.scaling=0.1", "augmentation.jitter=0.1"]))
    (problem,) = data_problems(config, spec("series", (24, 1), "forecast"), FACTS)
    assert "augmentation.scaling changes what goes in" in problem.text
