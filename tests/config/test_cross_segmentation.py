"""Settings of masks that fight each other, that nobody reads, or that do not fit the data."""

from __future__ import annotations

import pytest

from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.cross import DataFacts, data_problems
from nnkit.errors import ConfigError, Problem
from nnkit.spec import DataSpec, InputSpec, TargetSpec
from tests.trained import config_of

IMAGE = InputSpec("image", "image", (3, 8, 8))
MASKS = DataSpec("segmentation", (IMAGE,), TargetSpec(("mask",), ("a", "b")))
MANY = DataSpec("segmentation", (IMAGE,), TargetSpec(("mask",), ("a", "b", "c")))
PICTURES = DataSpec("classification", (IMAGE,), TargetSpec(("y",), ("a", "b")))
VALUES = DataSpec("regression", (IMAGE,), TargetSpec(("y",)))
FACTS = DataFacts(train=100, smallest_target=0.0, devices=("cpu",))
FOLDERS = ("data=masks", "data.images=i", "data.masks=m", "model=unet")
FILE = ("data=masks", "data.images=i.npz", "model=unet")


def refused(*words: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        check(compose(words))
    return [problem.text for problem in raised.value.problems]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("data=masks", "data.images=i", "model=unet"),
            "the folder of the masks of data.images=i, but data.masks is null",
        ),
        ((*FOLDERS, "data.values=[0,1,0]"), "data.values has 0 twice"),
        ((*FOLDERS, "data.values=[0,70000]"), "at most 255 values up to 65535"),
        ((*FOLDERS, "data.values=[0,9]", "data.ignore=9"), "9 is in data.values and is data.ignore"),
        ((*FOLDERS, "data.values=[0,9]", "data.names=[a,b,c]"), "a name for each of 2 data.values, got 3"),
        (
            (*FOLDERS, "data.values=any", "data.names=[a,b,c]"),
            "data.values=any makes two classes, but data.names has 3",
        ),
        ((*FOLDERS, "data.values=any", "data.ignore=0"), "takes 0 for the background, but data.ignore is 0"),
        ((*FOLDERS, "data.names=[a,a]"), "data.names has a twice"),
        ((*FOLDERS, "data.image_array=z"), "data.image_array is set, but a folder of pictures does not read it"),
        ((*FILE, "data.masks=m"), "data.masks is set, but an .npz file does not read it"),
        ((*FILE, "data.mask_suffix=m"), "data.mask_suffix is set, but an .npz file does not read it"),
        (
            (*FILE, "model.kernel_size=4"),
            "model.kernel_size must be odd for model=unet, whose maps keep their size, got 4",
        ),
        ((*FILE, "model.channels=[1,1,1,1,1,1,1,1,1,1,1]"), "model.channels has 11 levels"),
        (("loss=dice",), "loss=dice is for masks, but model=mlp gives one answer a sample"),
        ((*FILE, "data.ignore=-1"), "data.ignore"),
        ((*FILE, "loss=dice", "loss.smooth=0"), "loss.smooth"),
    ],
)
def test_words_that_fight_each_other_are_refused(words: tuple[str, ...], told: str) -> None:
    assert any(told in text for text in refused(*words)), refused(*words)


@pytest.mark.parametrize(
    ("spec", "words", "text", "hint"),
    [
        (
            MASKS,
            ("model=cnn",),
            "model=cnn gives one answer a picture, but data=digits has a class for each pixel",
            "model=unet",
        ),
        (MASKS, ("model=unet", "loss=bce"), "loss=bce is for one output a sample", "loss=dice"),
        (
            MANY,
            ("model=unet", "loss=bce"),
            "loss=bce needs one output, but data=digits has 3 classes",
            "loss=cross_entropy",
        ),
        (
            MASKS,
            ("model=unet", "loss=mse"),
            "loss=mse needs a regression target, but data=digits has 2 classes",
            "loss=cross_entropy",
        ),
        (
            MASKS,
            ("model=unet", "trainer.monitor=val/accuracy"),
            "trainer.monitor must be one of auto, val/loss, val/mean_iou",
            "trainer.monitor=val/pixel_accuracy",
        ),
        (
            MASKS,
            ("model=unet", "batching.sampler=balanced"),
            "batching.sampler=balanced is for classes, not for segmentation",
            "batching.sampler=each_once",
        ),
        (
            MASKS,
            ("model=unet", "trainer.decision_threshold=0.3"),
            "trainer.decision_threshold is for two classes",
            "trainer.decision_threshold=0.5",
        ),
        (
            MANY,
            ("model=unet", "loss=focal", "loss.class_weights=[1,2]"),
            "loss.class_weights must have 3 numbers",
            "loss.class_weights=balanced",
        ),
        (
            PICTURES,
            ("model=unet",),
            "model=unet gives a class for each pixel, but data=digits is for classification",
            "model=cnn",
        ),
        (
            PICTURES,
            ("model=unet", "loss=dice"),
            "loss=dice is for masks, but data=digits is for classification",
            "loss=cross_entropy",
        ),
        (VALUES, ("loss=focal",), "loss=focal needs classes, but data=digits has a regression target", "loss=mse"),
    ],
)
def test_words_that_do_not_fit_the_data_are_refused(
    spec: DataSpec, words: tuple[str, ...], text: str, hint: str
) -> None:
    found = list(data_problems(config_of("data=digits", *words), spec, FACTS))
    assert any(problem.text.startswith(text) and problem.hint == hint for problem in found), found


@pytest.mark.parametrize("loss", ["auto", "cross_entropy", "dice", "focal"])
@pytest.mark.parametrize("spec", [MASKS, MANY])
def test_losses_for_masks_fit(spec: DataSpec, loss: str) -> None:
    words = ("data=digits", "model=unet", f"loss={loss}", "trainer.monitor=val/foreground_iou")
    none: list[Problem] = []
    assert list(data_problems(config_of(*words), spec, FACTS)) == none
