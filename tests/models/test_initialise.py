"""First values against torch.nn.init, in distribution and under the same seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from nnkit.config.sections.init import ConstantInitConfig, DefaultInitConfig, InitConfig, ScaledInitConfig
from nnkit.models.cnn import CNN
from nnkit.models.initialise import initialise
from nnkit.models.mlp import MLP
from nnkit.seeding import derive

GAIN = 1.5
KINDS = [
    "xavier_uniform",
    "xavier_normal",
    "he_uniform",
    "he_normal",
    "orthogonal",
    "lecun_uniform",
    "lecun_normal",
]
TORCH: dict[str, Callable[[Tensor], Tensor]] = {
    "xavier_uniform": partial(nn.init.xavier_uniform_, gain=math.sqrt(2)),
    "xavier_normal": partial(nn.init.xavier_normal_, gain=math.sqrt(2)),
    "he_uniform": partial(nn.init.kaiming_uniform_, nonlinearity="relu"),
    "he_normal": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
    "orthogonal": partial(nn.init.orthogonal_, gain=math.sqrt(2)),
    "lecun_uniform": partial(nn.init.kaiming_uniform_, nonlinearity="relu"),
    "lecun_normal": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
}
LAYERS: list[Callable[[], nn.Module]] = [
    lambda: nn.Linear(60, 90),
    lambda: nn.Conv1d(20, 40, 3),
    lambda: nn.Conv2d(10, 30, 3),
]
CONFIGS: list[InitConfig] = [
    DefaultInitConfig(kind="default"),
    ConstantInitConfig(kind="constant", value=0.3, bias=-0.2),
    *(ScaledInitConfig(kind=kind, bias=0.7) for kind in KINDS),  # type: ignore[arg-type]
]


def scaled(kind: str, gain: float | None = None, bias: float = 0.0) -> ScaledInitConfig:
    return ScaledInitConfig(kind=kind, gain="auto" if gain is None else gain, bias=bias)  # type: ignore[arg-type]


def mlp(*hidden: int) -> MLP:
    return MLP(
        6, 3, (), hidden=hidden, norm="batch", residual=True, embedding_size="auto", activation=nn.PReLU, dropout=0.1
    )


def cnn() -> CNN:
    return CNN(
        2,
        (8, 8),
        3,
        None,
        channels=[4, 5],
        kernel_size=3,
        stride=1,
        padding="same",
        pooling="max",
        pool_size=2,
        norm="layer",
        residual=True,
        global_pooling="none",
        dense=[6],
        embedding_size=8,
        activation=nn.PReLU,
        dropout=0.1,
    )


@pytest.mark.parametrize("layer", LAYERS, ids=["linear", "conv1d", "conv2d"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_scheme_draws_what_torch_draws_from_the_same_stream(kind: str, layer: Callable[[], nn.Module]) -> None:
    model = nn.ModuleDict({"a": layer()})
    initialise(model, scaled(kind), 3, gain=math.sqrt(2))
    weight = model["a"].weight
    assert isinstance(weight, Tensor)
    torch.manual_seed(derive(3, "init", "a"))
    torch.testing.assert_close(weight.detach(), TORCH[kind](torch.empty_like(weight)))


@pytest.mark.parametrize("layer", LAYERS, ids=["linear", "conv1d", "conv2d"])
@pytest.mark.parametrize("kind", [k for k in KINDS if k != "orthogonal"])
def test_weights_have_the_variance_and_the_bounds_of_the_scheme(kind: str, layer: Callable[[], nn.Module]) -> None:
    model = nn.ModuleDict({"a": layer()})
    initialise(model, scaled(kind, GAIN), 0, gain=99.0)
    weight = model["a"].weight
    assert isinstance(weight, Tensor)
    positions = weight[0, 0].numel()
    fan_out, fan_in = weight.shape[0] * positions, weight.shape[1] * positions
    variance = GAIN**2 * (2 / (fan_in + fan_out) if kind.startswith("xavier") else 1 / fan_in)
    assert weight.var().item() == pytest.approx(variance, rel=0.1)
    assert weight.mean().item() == pytest.approx(0, abs=5 * math.sqrt(variance / weight.numel()))
    if kind.endswith("uniform"):
        assert 0.98 < weight.abs().max().item() / math.sqrt(3 * variance) <= 1


@pytest.mark.parametrize("shape", [(4, 9), (9, 4)], ids=["wide", "tall"])
def test_orthogonal_weights_are_orthogonal_times_the_gain(shape: tuple[int, int]) -> None:
    model = nn.ModuleDict({"a": nn.Linear(shape[1], shape[0])})
    initialise(model, scaled("orthogonal", GAIN), 0, gain=99.0)
    weight = model["a"].weight
    product = weight @ weight.T if shape[0] < shape[1] else weight.T @ weight
    torch.testing.assert_close(product.detach(), GAIN**2 * torch.eye(4), atol=1e-5, rtol=0)


def test_auto_gives_the_activations_gain_to_hidden_layers_and_one_to_the_output() -> None:
    auto, one = mlp(8, 8), mlp(8, 8)
    initialise(auto, scaled("he_normal"), 0, gain=3.0)
    initialise(one, scaled("he_normal", 1.0), 0, gain=99.0)
    for name, weight in auto.named_parameters():
        if name.endswith("linear.weight"):
            torch.testing.assert_close(weight, 3.0 * one.get_parameter(name))
    torch.testing.assert_close(auto.output.weight, one.output.weight)


def test_a_written_gain_holds_for_the_output_too() -> None:
    two, one = mlp(8), mlp(8)
    initialise(two, scaled("lecun_uniform", 2.0), 0, gain=99.0)
    initialise(one, scaled("lecun_uniform", 1.0), 0, gain=99.0)
    torch.testing.assert_close(two.output.weight, 2 * one.output.weight)


@pytest.mark.parametrize("make", [lambda: mlp(8, 5), cnn], ids=["mlp", "cnn"])
def test_every_bias_of_a_layer_gets_the_given_value(make: Callable[[], nn.Module]) -> None:
    model = make()
    initialise(model, scaled("he_normal", bias=0.25), 0, gain=1.0)
    layers = [m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d)) and m.bias is not None]
    assert len(layers) > 2
    assert all((layer.bias == 0.25).all() for layer in layers if layer.bias is not None)


@pytest.mark.parametrize("make", [lambda: mlp(8, 5), cnn], ids=["mlp", "cnn"])
def test_constant_gives_every_layer_the_same_weights(make: Callable[[], nn.Module]) -> None:
    model = make()
    initialise(model, ConstantInitConfig(kind="constant", value=0.5, bias=-1.0), 0, gain=99.0)
    for layer in (m for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))):
        assert (layer.weight == 0.5).all()
        assert layer.bias is None or (layer.bias == -1).all()


@pytest.mark.parametrize("make", [lambda: mlp(8, 5), cnn], ids=["mlp", "cnn"])
def test_default_is_what_each_torch_module_draws_for_itself(make: Callable[[], nn.Module]) -> None:
    model, other = make(), make()
    initialise(model, DefaultInitConfig(kind="default"), 5, gain=99.0)
    for name, module in other.named_modules():
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.BatchNorm1d, nn.GroupNorm, nn.PReLU)):
            torch.manual_seed(derive(5, "init", name))
            module.reset_parameters()
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.kind)
@pytest.mark.parametrize("make", [lambda: mlp(8, 5), cnn], ids=["mlp", "cnn"])
def test_no_parameter_or_buffer_keeps_an_old_value(make: Callable[[], nn.Module], config: InitConfig) -> None:
    model, fresh = make(), make()
    for value in model.state_dict().values():
        value.fill_(math.nan if value.is_floating_point() else 77)
    initialise(model, config, 0, gain=1.3)
    initialise(fresh, config, 0, gain=1.3)
    for name, value in model.state_dict().items():
        assert value.isfinite().all(), name
        assert torch.equal(value, fresh.state_dict()[name]), name


def test_norms_start_neutral_and_prelu_at_its_own_slope() -> None:
    model = MLP(
        6,
        3,
        (),
        hidden=(4,),
        norm="batch",
        residual=False,
        embedding_size="auto",
        activation=partial(nn.PReLU, 1, 0.4),
        dropout=0.0,
    )
    for value in model.state_dict().values():
        value.fill_(9)
    initialise(model, scaled("he_normal", bias=0.5), 0, gain=1.0)
    state = model.state_dict()
    assert state["hidden.0.norm.weight"].tolist() == [1] * 4
    assert state["hidden.0.norm.bias"].tolist() == [0] * 4
    assert state["hidden.0.norm.running_mean"].tolist() == [0] * 4
    assert state["hidden.0.norm.running_var"].tolist() == [1] * 4
    assert state["hidden.0.norm.num_batches_tracked"].item() == 0
    assert state["hidden.0.activation.weight"].tolist() == pytest.approx([0.4])


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.kind)
def test_another_layer_changes_no_other_layers_values(config: InitConfig) -> None:
    short, long = mlp(8, 8), mlp(8, 8, 8)
    initialise(short, config, 0, gain=1.3)
    initialise(long, config, 0, gain=1.3)
    for name, value in short.state_dict().items():
        assert torch.equal(value, long.state_dict()[name]), name


def test_two_layers_of_one_shape_and_two_seeds_draw_different_values() -> None:
    first, second = mlp(6, 6), mlp(6, 6)
    initialise(first, scaled("he_normal"), 0, gain=1.0)
    initialise(second, scaled("he_normal"), 1, gain=1.0)
    assert not torch.equal(first.hidden[0].linear.weight, first.hidden[1].linear.weight)
    assert not torch.equal(first.output.weight, second.output.weight)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.kind)
def test_torchs_own_chance_is_neither_used_nor_moved(config: InitConfig) -> None:
    first, second = mlp(8), mlp(8)
    torch.manual_seed(1)
    expected = torch.rand(4)
    torch.manual_seed(1)
    initialise(first, config, 0, gain=1.0)
    assert torch.equal(torch.rand(4), expected)
    initialise(second, config, 0, gain=1.0)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
