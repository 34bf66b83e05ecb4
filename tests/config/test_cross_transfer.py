"""Words about first values, freezing and torchvision's networks that fight each other, or that nobody reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.cross_transfer import transfer_data_problems, transfer_problems
from nnkit.errors import ConfigError
from nnkit.spec import DataSpec, InputSpec, TargetSpec
from tests.models.built import config_of, features, images

RESNET = ("model=resnet18", "data=digits")


def problems(*words: str) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        check(compose(words))
    return [(problem.text, problem.hint) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("words", "text", "hint"),
    [
        (["model.weights=DEFAULT"], "model.weights=DEFAULT is for torchvision's networks, but model=mlp", "resnet18"),
        ([*RESNET, "model.weights=default"], "must be DEFAULT, none or a file, got 'default'", "model.weights=DEFAULT"),
        ([*RESNET, "model.weights=None"], "must be DEFAULT, none or a file, got 'None'", "model.weights=none"),
        (["data=mnist", "data.root=.", "data.scaling=weights"], "but model=mlp has none", "data.scaling=auto"),
        (["model.freeze='(a'"], "model.freeze=(a is no pattern (regex): missing )", "model.freeze=backbone"),
        ([f"model.freeze={'a' * 201}"], "a pattern of 201 characters", ""),
        (["model=pretrained", "model.arch=ResNet-50"], "got 'ResNet-50'", "model.arch=resnet50"),
        (
            ["model=inception_v3", "model.input_size=32"],
            "inception_v3 needs pictures of at least 75 pixels, got",
            "auto",
        ),
        (["model=pretrained", "model.arch=vit_b_16", "model.input_size=230"], "a multiple of 16, got", "auto"),
        (["model.freeze=0"], "model.freeze must be one of none, backbone or a whole number >= 1 or text, got 0", ""),
        (["model.unfreeze_after=0", "model.freeze=1"], "model.unfreeze_after must be", ""),
        (["optimizer.layer_decay=1.5"], "optimizer.layer_decay must be a number in (0, 1], got 1.5", ""),
        (["optimizer.backbone_lr_factor=0"], "optimizer.backbone_lr_factor must be a number > 0, got 0", ""),
    ],
)
def test_words_that_cannot_be_are_refused(words: list[str], text: str, hint: str) -> None:
    assert any(text in told and hint in hinted for told, hinted in problems(*words)), problems(*words)


@pytest.mark.parametrize(
    ("words", "key", "by"),
    [
        (["model.unfreeze_after=2"], "model.unfreeze_after", "model.freeze=none"),
        (["model.freeze=1", "model.unfreeze_layers=2"], "model.unfreeze_layers", "model.unfreeze_after=null"),
        (["model.from_run=a", "model.weights=b"], "model.weights", "model.from_run"),
        (
            ["model.freeze=backbone", "optimizer.backbone_lr_factor=0.1"],
            "optimizer.backbone_lr_factor",
            "model.freeze=backbone",
        ),
        (["model.freeze=backbone", "optimizer.layer_decay=0.5"], "optimizer.layer_decay", "model.freeze=backbone"),
        (["model=linear", "optimizer.layer_decay=0.5"], "optimizer.layer_decay", "model=linear"),
        (["model=naive", "data=sine", "optimizer.backbone_lr_factor=0.5"], "optimizer.backbone_lr_factor", "naive"),
        ([*RESNET, "init=he_normal"], "init", "model=pretrained"),
        ([*RESNET, "activation=gelu"], "activation", "model=pretrained"),
        ([*RESNET, "regularization=dropout"], "regularization", "model=pretrained"),
    ],
)
def test_a_setting_that_nobody_reads_is_told(words: list[str], key: str, by: str) -> None:
    assert any(told.startswith(f"{key} is set, but") and by in told for told, _ in problems(*words)), problems(*words)


@pytest.mark.parametrize(
    ("words", "spec", "text"),
    [
        (RESNET, features(4), "model.arch=resnet18 takes pictures of 1 or 3 channels, got features of 4"),
        (RESNET, images(2, 8, 8), "got image of 2x8x8 from data=digits"),
        (
            ("model=inception_v3", "model.input_size=none"),
            images(3, 80, 74),
            "inception_v3 needs pictures of at least 75 pixels, got 80x74",
        ),
        (("model=pretrained", "model.arch=fcn_resnet50"), images(3, 80, 74), "answers for each pixel, but the task is"),
        (
            ("model=pretrained", "model.arch=vit_b_16", "model.input_size=none"),
            images(3, 32, 48),
            "square pictures whose side is a multiple of 16, got 32x48",
        ),
    ],
)
def test_data_that_does_not_fit_a_network_of_torchvision_is_told(
    words: tuple[str, ...], spec: DataSpec, text: str
) -> None:
    (problem,) = transfer_data_problems(config_of(*words), spec)
    assert text in problem.text


def test_a_picture_with_more_beside_it_is_no_picture_alone() -> None:
    spec = images(3, 8, 8)
    more = replace(spec, inputs=(*spec.inputs, InputSpec("y", "features", (2,))), target=TargetSpec(("a",)))
    assert len(list(transfer_data_problems(config_of(*RESNET), more))) == 1


@pytest.mark.parametrize(
    ("word", "hint"),
    [("pretrained=true", "model.weights=DEFAULT"), ("freeze_backbone=true", "model.freeze=backbone")],
)
def test_what_people_type_first_leads_to_the_setting(word: str, hint: str) -> None:
    assert any(hint in hinted for _, hinted in problems(word))


def test_a_folder_of_a_run_as_weights_is_the_run_that_is_meant(tmp_path: Path) -> None:
    text = f"model.weights={tmp_path} is a folder, not a file of weights"
    assert problems(f"model.weights={tmp_path}") == [(text, "a .safetensors or .pth file in it")]
    (tmp_path / "none").mkdir()  # a word of ours, whatever lies here
    check(compose(["model.weights=none"]))
    (tmp_path / "run.json").write_text("{}")
    assert problems(f"model.weights={tmp_path}") == [(text, f"model.from_run={tmp_path}")]


@pytest.mark.parametrize(
    ("data", "arch", "hint"),
    [
        ("digits", "deeplab", "such as model.arch=alexnet; nnkit list model.arch names them all"),
        ("digits", "resnet-5", "model.arch=resnet50"),
        ("digits", "xyzzy", "such as model.arch=alexnet; nnkit list model.arch names them all"),
        ("masks", "resnet_50_fcn", "model.arch=fcn_resnet50"),
        ("masks", "fcn", "model.arch=fcn_resnet50"),
        ("masks", "deeplab", "model.arch=deeplabv3_resnet50"),
        ("masks", "xyzzy", "such as model.arch=deeplabv3_mobilenet_v3_large; nnkit list model.arch names them all"),
    ],
)
def test_a_network_of_that_name_which_fits_the_data_is_named(data: str, arch: str, hint: str) -> None:
    words = [f"data={data}", *(["data.images=a", "data.masks=b"] if data == "masks" else [])]
    config = check(compose([*words, "model=pretrained", "model.arch=resnet18"]))
    wrong = replace(config, model=replace(config.model, arch=arch))  # type: ignore[call-arg]
    assert [problem.hint for problem in transfer_problems(wrong)] == [hint]
