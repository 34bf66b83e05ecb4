"""Hints for values: what other programs call them, and never what undoes the wish."""

from __future__ import annotations

import pytest

from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.synonyms import nearest_metric
from nnkit.errors import ConfigError

IMAGES = ("data=images", "data.path=.", "model=resnet18")


def hints(*words: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check(compose(words))
    return [problem.hint for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("model.weights=null", "model.weights=none"),
        ("model.weights=false", "model.weights=none"),
        ("model.weights=true", "model.weights=DEFAULT"),
        ("model.freeze=true", "model.freeze=backbone"),
        ("model.freeze=false", "model.freeze=none"),
        ("trainer.device=gpu", "trainer.device=cuda"),
        ("trainer.precision=16", "trainer.precision=fp16"),
        ("trainer.precision=float16", "trainer.precision=fp16"),
        ("trainer.precision=16-mixed", "trainer.precision=fp16"),
        ("trainer.precision=bfloat16", "trainer.precision=bf16"),
        ("trainer.precision=32", "trainer.precision=fp32"),
        ("augmentation.flip=true", "augmentation.flip=0.5"),
        ("augmentation.flip=50", "augmentation.flip=0.5"),
        ("augmentation.flip=5", "augmentation.flip=0.05"),
        ("augmentation.flip=2", "augmentation.flip=0.5"),
        ("augmentation.hue=-1", "augmentation.hue=0.05"),
        ("optimizer.layer_decay=2", "optimizer.layer_decay=1.0"),
        ("augmentation.mixup=true", "augmentation.mixup=0.2"),
        ("augmentation.rotation=[-10,10]", "augmentation.rotation=10"),
        ("augmentation.rotation=[-1000,10]", "augmentation.rotation=0.0"),  # beyond what there is: the default
        ("augmentation.policy=true", "augmentation.policy=randaugment"),
        ("regularization.dropout=20", "regularization.dropout=0.2"),
        ("regularization.dropout=1.5", "regularization.dropout=0.0"),  # no percentage
        ("data.size=32", "'data.size=[32,32]'"),
        ("trainer.monitor=val/iou", "trainer.monitor=val/mean_iou"),
        ("trainer.monitor=val/acc", "trainer.monitor=val/accuracy"),
        ("trainer.monitor=iou", "trainer.monitor=val/mean_iou"),
        ("trainer.monitor=accuracy", "trainer.monitor=val/accuracy"),
        ("trainer.monitor=3", "trainer.monitor=auto"),
        ("model.input_size=abc", "model.input_size=auto, or a whole number"),
        ("model.unfreeze_after=1", "model.freeze=backbone, or leave model.unfreeze_after out"),
        ("tracker.wandb.project=x", "tracker=wandb, or leave tracker.wandb.project out"),
    ],
)
def test_the_hint_is_what_was_wanted_and_is_taken(word: str, hint: str) -> None:
    words = IMAGES if not word.startswith("regularization") else ("data=iris",)
    assert hint in hints(*words, word)
    said = hint.partition(", or")[0].strip("'")
    base = () if not hint.endswith(" out") else (word,)
    check(compose([*words, *base, said]))


@pytest.mark.parametrize(
    ("monitor", "wanted"),
    [("val/miou", "val/mean_iou"), ("val/pixel_acc", None), ("val/xyz", None), ("val/los", "val/loss")],
)
def test_a_metric_is_known_by_its_other_names(monitor: str, wanted: str | None) -> None:
    assert nearest_metric(monitor, ["val/loss", "val/mean_iou"]) == wanted
