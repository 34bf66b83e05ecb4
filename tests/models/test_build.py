"""From a config to a network: what is read, what is built, and that it learns."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import nn

from nnkit.config.fields import sections
from nnkit.config.sections.model import TrainableConfig
from nnkit.models import empty_model
from nnkit.models.cnn import CNN
from nnkit.models.gru import GRU
from nnkit.models.linear import Linear
from nnkit.models.lstm import LSTM
from nnkit.models.mlp import MLP
from nnkit.models.naive import Naive
from nnkit.models.rnn import RNN
from nnkit.models.unet import UNet
from nnkit.spec import DataSpec
from tests.models.built import built, config_of, features, images, series

MODELS = {
    "linear": Linear,
    "mlp": MLP,
    "cnn": CNN,
    "unet": UNet,
    "rnn": RNN,
    "lstm": LSTM,
    "gru": GRU,
    "naive": Naive,
}  # and `code`, the user's own: tests/test_usercode.py; and torchvision's: tests/models/test_pretrained.py
CASES = [
    ("linear", features(40)),
    ("mlp", features(10)),
    ("cnn", series(9, 2)),
    ("cnn", images(2, 9, 8)),
    ("rnn", series(9, 2)),
    ("lstm", images(2, 9, 8)),
    ("gru", series(9, 2)),
]
CASE_NAMES = ["linear", "mlp", "cnn-1d", "cnn-2d", "rnn", "lstm", "gru"]


def test_every_kind_of_the_schema_has_its_model() -> None:
    assert set(sections()["model"]) == {*MODELS, "code", "pretrained"}


@pytest.mark.parametrize("kind", MODELS)
def test_a_constructors_choices_are_its_settings_and_the_shared_ones_it_reads(kind: str) -> None:
    section: Any = sections()["model"][kind]
    own = {field.name for field in fields(section)} - {"kind", *(field.name for field in fields(TrainableConfig))}
    shared = {key.rpartition(".")[2] for key in section.reads} & {"activation", "dropout"}
    parameters = inspect.signature(MODELS[kind]).parameters.values()
    assert {p.name for p in parameters if p.kind is p.KEYWORD_ONLY} == own | shared
    assert all(p.default is p.empty for p in parameters)


@pytest.mark.parametrize(("kind", "spec"), CASES, ids=CASE_NAMES)
def test_the_model_of_the_kind_gives_one_number_an_output(kind: str, spec: DataSpec) -> None:
    model = built(spec, f"model={kind}")
    assert type(model) is MODELS[kind]
    assert model(torch.randn(5, *spec.inputs[0].shape)).shape == (5, 3)


def test_linear_and_mlp_take_images_flattened() -> None:
    for kind in ("linear", "mlp"):
        assert built(images(2, 4, 3), f"model={kind}")(torch.randn(5, 2, 4, 3)).shape == (5, 3)


def test_settings_reach_the_model() -> None:
    words = ("model=cnn", "model.channels=[7]", "model.kernel_size=5", "model.stride=2", "model.padding=1")
    more = ("model.pooling=avg", "model.norm=layer", "model.residual=true", "model.dense=[11]", "activation=elu")
    model = built(images(2, 16, 16), *words, *more, "regularization.dropout=0.4")
    assert isinstance(model, CNN)
    block = model.blocks[0]
    assert repr(block.conv) == "Conv2d(2, 7, kernel_size=(5, 5), stride=(2, 2), padding=(1, 1))"
    assert [type(m) for m in (block.norm, block.activation, block.pool)] == [nn.GroupNorm, nn.ELU, nn.AvgPool2d]
    assert block.skip is not None
    assert model.dense[0].linear.out_features == 11
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.4, 0.4]


def test_a_series_of_n_steps_is_convolved_over_time_not_over_channels() -> None:
    model = built(series(9, 2), "model=cnn", "model.channels=[4]", "model.norm=none")
    assert isinstance(model, CNN)
    assert repr(model.blocks[0].conv) == "Conv1d(2, 4, kernel_size=(3,), stride=(1,), padding=(1,))"
    assert model.dense[0].linear.in_features == 4 * (9 // 2)


@pytest.mark.parametrize(("kind", "spec"), CASES, ids=CASE_NAMES)
def test_a_build_is_a_function_of_config_and_seed_alone(kind: str, spec: DataSpec) -> None:
    torch.manual_seed(1)
    first = built(spec, f"model={kind}").state_dict()
    torch.manual_seed(2)
    again, other = built(spec, f"model={kind}").state_dict(), built(spec, f"model={kind}", "seed=1").state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["output.weight"], other["output.weight"])


@pytest.mark.parametrize(("kind", "spec"), CASES, ids=CASE_NAMES)
def test_an_empty_model_moves_no_chance(kind: str, spec: DataSpec) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    empty_model(config_of(f"model={kind}"), spec, 3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("init", "scale"), [("he_normal", 2.0), ("lecun_normal", 1.0)])
def test_the_activations_gain_scales_hidden_layers_where_init_asks_for_it(init: str, scale: float) -> None:
    model = built(features(50), "model.hidden=[400]", f"init={init}", "activation=relu")
    assert isinstance(model, MLP)
    assert model.hidden[0].linear.weight.var().item() * 50 == pytest.approx(scale, rel=0.05)
    assert model.output.weight.var().item() * 400 == pytest.approx(1, rel=0.15)


def square_after(activation: str, *words: str) -> float:
    """Return the mean square of a layer's outputs where the layer before put out N(0, 1)."""
    model = built(features(256), "model.hidden=[256,4096]", "init=he_normal", f"activation={activation}", *words)
    assert isinstance(model, MLP)
    z = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return float(model.hidden[1].linear(model.hidden[0].activation(z)).square().mean())


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "prelu", "gelu", "elu", "swish", "softplus"])
def test_the_automatic_gain_keeps_a_signals_mean_square_from_layer_to_layer(activation: str) -> None:
    assert square_after(activation) == pytest.approx(1, rel=0.1)
    assert square_after(activation, "init.gain=0.5") < 0.6


@pytest.mark.parametrize(("kind", "spec"), CASES, ids=CASE_NAMES)
def test_a_model_learns_sixteen_samples_by_heart(kind: str, spec: DataSpec) -> None:
    model = built(spec, f"model={kind}")
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(16, *spec.inputs[0].shape, generator=chance)
    y = torch.randint(3, (16,), generator=chance)
    assert overfit(model, lambda: F.cross_entropy(model(x), y)) < 0.01


def overfit(model: nn.Module, loss: Callable[[], torch.Tensor]) -> float:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    return loss().item()
