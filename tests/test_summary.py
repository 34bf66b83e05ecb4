"""The counts of a network against torch's own counter and hand calculations."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nnkit.spec import DataSpec
from nnkit.summary import Layer, flops_per_sample, layers
from tests.models.built import built, features, images, series

NETWORKS: list[tuple[DataSpec, tuple[str, ...]]] = [
    (features(13), ("model=linear",)),
    (features(13), ("model=mlp", "model.hidden=[8,8,5]", "model.norm=layer", "model.residual=true")),
    (features(13), ("model=mlp", "model.hidden=[]")),
    (images(3, 9, 7), ("model=cnn", "model.channels=[4,6]", "model.residual=true", "activation=prelu")),
    (images(1, 8, 8), ("model=cnn", "model.stride=2", "model.pooling=none", "model.dense=[]")),
    (series(12, 2), ("model=cnn", "model.kernel_size=4", "model.global_pooling=avg")),
]
NAMES = ["linear", "mlp", "mlp-empty", "cnn-residual", "cnn-stride", "cnn-1d"]


@pytest.mark.parametrize(("spec", "words"), NETWORKS, ids=NAMES)
def test_flops_are_those_of_torchs_counter(spec: DataSpec, words: tuple[str, ...]) -> None:
    model = built(spec, *words)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(torch.zeros(1, *spec.inputs[0].shape))
    assert flops_per_sample(model, spec) == counter.get_total_flops()


@pytest.mark.parametrize(("spec", "words"), NETWORKS, ids=NAMES)
def test_the_parameters_of_the_layers_are_all_there_are(spec: DataSpec, words: tuple[str, ...]) -> None:
    model = built(spec, *words)
    assert sum(layer.parameters for layer in layers(model, spec)) == sum(p.numel() for p in model.parameters())


def test_layers_are_the_leaves_in_the_order_in_which_they_run() -> None:
    words = ("model=cnn", "model.channels=[4]", "model.norm=batch", "model.dense=[5]", "regularization.dropout=0.1")
    assert layers(built(images(2, 9, 7), *words), images(2, 9, 7)) == [
        Layer("blocks.0.conv", "Conv2d", (4, 9, 7), 4 * 2 * 9, 2 * (2 * 9) * (4 * 9 * 7)),
        Layer("blocks.0.norm", "BatchNorm2d", (4, 9, 7), 2 * 4, 0),
        Layer("blocks.0.activation", "ReLU", (4, 9, 7), 0, 0),
        Layer("blocks.0.pool", "MaxPool2d", (4, 4, 3), 0, 0),
        Layer("dropout", "Dropout", (48,), 0, 0),
        Layer("dense.0.linear", "Linear", (5,), 48 * 5 + 5, 2 * 48 * 5),
        Layer("dense.0.activation", "ReLU", (5,), 0, 0),
        Layer("dense.0.dropout", "Dropout", (5,), 0, 0),
        Layer("output", "Linear", (3,), 5 * 3 + 3, 2 * 5 * 3),
    ]


@pytest.mark.parametrize("words", [("model=mlp", "model.hidden=[]"), ("model=linear",)], ids=["mlp", "linear"])
def test_an_empty_row_of_blocks_is_no_layer(words: tuple[str, ...]) -> None:
    assert [layer.name for layer in layers(built(features(4), *words), features(4))] == ["output"]


@pytest.mark.parametrize("training", [False, True])
def test_counting_leaves_the_model_as_it_was(training: bool) -> None:
    spec = images(1, 8, 8)
    model = built(spec, "model=cnn", "model.norm=batch").train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    layers(model, spec)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training is training and not module._forward_hooks for module in model.modules())


def test_a_model_that_fails_is_left_without_hooks() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(5, 3)).train()
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        layers(model, features(4))
    assert all(module.training and not module._forward_hooks for module in model.modules())
