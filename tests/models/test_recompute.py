"""Blocks that are computed twice: the same bits, and less memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nnkit.models.recompute import recompute
from tests.trained import run_of, state_of, trained

CNN = (
    "data=digits",
    "model=cnn",
    "model.channels=[4,4,6]",
    "model.residual=true",
    "data.limit=64",
    "trainer.precision=fp32",
)
MLP = ("data=digits", "model=mlp", "model.hidden=[16,16,8]", "model.norm=batch", "data.limit=64")
ON = "trainer.activation_checkpointing=true"


class Flat(nn.Module):
    """A chain of single layers, as VGG's."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1), nn.Tanh()]
        self.features = nn.Sequential(*layers, nn.Dropout(0.5), nn.BatchNorm2d(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.features(x).mean((2, 3))  # type: ignore[no-any-return]


class Parts(nn.Module):
    """Neither chain nor list, as Inception's."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Flat()
        self.second = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))  # type: ignore[no-any-return]


def kept(forward: Callable[[], Tensor]) -> int:
    """Return how many bytes a forward pass keeps for the way back."""
    seen: dict[int, int] = {}

    def pack(x: Tensor) -> Tensor:
        seen[x.data_ptr()] = x.numel() * x.element_size()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        forward()
    return sum(seen.values())


def stepped(model: nn.Module) -> dict[str, Tensor]:
    """Return gradients and buffers after a step."""
    torch.manual_seed(1)
    model.train()(torch.randn(8, 1, 6, 6)).square().sum().backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return found | {name: b.clone() for name, b in model.named_buffers()}


@pytest.mark.parametrize("make", [Flat, Parts])
def test_gradients_draws_and_statistics_are_the_same_bits(make: Callable[[], nn.Module]) -> None:
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        models.append(make())
    assert recompute(models[1]) == 1
    plain, again = (stepped(model) for model in models)
    assert plain.keys() == again.keys()
    assert all(torch.equal(plain[name], again[name]) for name in plain)
    assert any(name.endswith("running_mean") for name in plain)
    x = torch.randn(3, 1, 6, 6)
    assert torch.equal(models[0].eval()(x), models[1].eval()(x))


@pytest.mark.parametrize("words", [CNN, MLP], ids=["cnn", "mlp"])
def test_a_training_is_the_same_and_keeps_less(words: tuple[str, ...]) -> None:
    plain, again = (trained(*words, *more, "regularization=dropout", "trainer.max_epochs=2") for more in ((), (ON,)))
    assert plain.metrics == again.metrics
    sizes = []
    for more in ((), (ON,)):
        run = run_of(*words, *more)
        batch = next(run.train.epoch(0))
        run.model.train()
        sizes.append(kept(lambda run=run, batch=batch: run.model(*batch.inputs)))  # type: ignore[misc]
    assert sizes[1] < 0.7 * sizes[0]


def test_the_state_keeps_its_names() -> None:
    assert run_of(*CNN).model.state_dict().keys() == run_of(*CNN, ON).model.state_dict().keys()
    assert state_of(run_of(*CNN, ON)).step == 0


def test_a_model_without_blocks_is_left_alone() -> None:
    assert recompute(nn.Linear(2, 2)) == 0
