"""What stands around a forecasting network, against the formulas."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from nnkit.models.forecasting import Recursive, WindowNorm
from nnkit.models.linear import Linear
from nnkit.models.lstm import LSTM
from nnkit.models.naive import Naive
from nnkit.spec import DataSpec, InputSpec, TargetSpec
from nnkit.summary import layers
from tests.models.built import built
from tests.models.sequence_nets import randomised

pytestmark = pytest.mark.usefixtures("on_one_thread")

SINE = ("data=sine", "data.window=6", "data.horizon=4")


def linear(steps: int, channels: int, outputs: int) -> Linear:
    return randomised(Linear(steps * channels, outputs))


def spec_of(names: tuple[str, ...], channels: tuple[int, ...], num_channels: int = 2) -> DataSpec:
    target = TargetSpec(names, horizon=4, channels=channels)
    return DataSpec("forecast", (InputSpec("x", "series", (6, num_channels)),), target)


@pytest.mark.parametrize("channels", [[1], [2, 0]])
def test_the_last_value_is_taken_off_and_given_back(channels: list[int]) -> None:
    network = linear(6, 3, 4 * len(channels))
    x = torch.randn(5, 6, 3)
    level = x[:, -1]
    expected = network(x - level[:, None]).view(5, 4, -1) + level[:, None, channels]
    torch.testing.assert_close(WindowNorm(network, channels, "last")(x), expected.flatten(1))


@pytest.mark.parametrize("channels", [[1], [2, 0]])
def test_mean_and_deviation_of_the_window_are_taken_off_and_given_back(channels: list[int]) -> None:
    network = linear(6, 3, 4 * len(channels))
    x = 3 * torch.randn(5, 6, 3) + 7
    mean = x.sum(1) / 6
    size = (((x - mean[:, None]) ** 2).sum(1) / 6 + 1e-5).sqrt()
    told = network((x - mean[:, None]) / size[:, None]).view(5, 4, -1)
    expected = told * size[:, None, channels] + mean[:, None, channels]
    torch.testing.assert_close(WindowNorm(network, channels, "standard")(x), expected.flatten(1))


@pytest.mark.parametrize("mode", ["last", "standard"])
def test_a_constant_window_is_forecast_near_its_level(mode: Literal["last", "standard"]) -> None:
    x = torch.full((2, 6, 1), 100.0)
    found = WindowNorm(linear(6, 1, 4), [0], mode)(x)
    assert bool(found.isfinite().all())
    assert (found - 100).abs().max() < (0.01 if mode == "standard" else 1)


@pytest.mark.parametrize("mode", ["last", "standard"])
@pytest.mark.parametrize("shift", [-50.0, 3.0])
def test_a_series_on_another_level_is_forecast_on_that_level(mode: Literal["last", "standard"], shift: float) -> None:
    model = WindowNorm(linear(6, 2, 4), [1], mode)
    x = torch.randn(5, 6, 2)
    torch.testing.assert_close(model(x + shift), model(x) + shift, atol=1e-4, rtol=1e-4)


def test_what_is_known_of_the_future_goes_through_as_it_is() -> None:
    class Beside(nn.Module):
        def forward(self, x: Tensor, future: Tensor) -> Tensor:
            return x[:, :2, 0] + future[:, :, 0]

    x, future = torch.randn(5, 6, 1), torch.randn(5, 2, 1)
    expected = (x - x[:, -1:])[:, :2, 0] + future[:, :, 0] + x[:, -1]
    torch.testing.assert_close(WindowNorm(Beside(), [0], "last")(x, future), expected)


@pytest.mark.parametrize("channels", [[0, 1, 2], [2, 0, 1]])
def test_a_forecast_is_fed_back_step_by_step(channels: list[int]) -> None:
    network = linear(6, 3, 3)
    model = Recursive(network, 5, channels).eval()
    x = torch.randn(4, 6, 3)
    window, expected = x, []
    for _ in range(5):
        step = network(window)
        expected.append(step)
        row = torch.empty(4, 3)
        for k, channel in enumerate(channels):
            row[:, channel] = step[:, k]
        window = torch.cat([window, row[:, None]], 1)[:, -6:]
    torch.testing.assert_close(model(x), torch.cat(expected, 1))
    torch.testing.assert_close(model.train()(x), network(x))


def test_the_last_value_fed_back_is_the_last_value_again() -> None:
    x = torch.randn(4, 6, 2)
    once, whole = Naive([1, 0], 1, 1, method="last"), Naive([1, 0], 5, 1, method="last")
    assert torch.equal(Recursive(once, 5, [1, 0]).eval()(x), whole(x))


@pytest.mark.parametrize(
    ("words", "outer", "outputs"),
    [
        ((), LSTM, 8),
        (("data.window_norm=last",), WindowNorm, 8),
        (("data.strategy=recursive",), Recursive, 2),
        (("data.strategy=recursive", "data.window_norm=standard"), Recursive, 2),
    ],
)
def test_the_settings_of_the_data_stand_around_the_network(
    words: tuple[str, ...], outer: type[nn.Module], outputs: int
) -> None:
    spec = spec_of(("b", "a"), (1, 0))
    model = built(spec, "model=lstm", "model.hidden_size=5", *SINE, *words)
    assert type(model) is outer
    assert [m.out_features for m in model.modules() if isinstance(m, nn.Linear)] == [outputs]
    assert sum(isinstance(m, WindowNorm) for m in model.modules()) == ("window_norm" in " ".join(words))
    assert model.eval()(torch.randn(3, 6, 2)).shape == (3, 8)


def test_a_network_that_is_fed_back_is_listed_once() -> None:
    spec = spec_of(("b", "a"), (1, 0))
    model = built(spec, "model=mlp", "model.hidden=[5]", *SINE, "data.strategy=recursive")
    assert [layer.name for layer in layers(model, spec) if layer.parameters] == [
        "network.hidden.0.linear",
        "network.output",
    ]
