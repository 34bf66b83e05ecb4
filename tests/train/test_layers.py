"""Which layers learn when, and that what is frozen stays what it was."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from nnkit.errors import ConfigError
from nnkit.facts import counts_of
from nnkit.models.head import head_of
from nnkit.optim.flat import Pace
from nnkit.train.layers import Frozen, layers_of, paces_of
from nnkit.train.loop import fit
from nnkit.train.state import TrainState
from tests.models.built import built, images
from tests.trained import config_of, run_of, state_of

DEEP = ("model.hidden=[6,5,4]", "model.norm=batch")


def net_of(*words: str) -> nn.Module:
    return run_of(*DEEP, *words).model


def first_epochs(*words: str) -> dict[str, int | None]:
    """Return from which epoch on each frozen layer learns."""
    found = paces_of(net_of(), config_of(*DEEP, *words)).opens
    return {name.removesuffix(".linear.weight"): first for name, first in found.items() if "linear.weight" in name}


def test_a_layer_is_a_matrix_or_kernel_with_the_norm_behind_it() -> None:
    assert [layer[0] for layer in layers_of(net_of())] == [
        *(f"hidden.{k}.linear.weight" for k in range(3)),
        "output.weight",
    ]
    assert [len(layer) for layer in layers_of(net_of())] == [4, 4, 4, 2]


def test_the_head_of_a_cnn_is_all_that_is_dense() -> None:
    head = head_of(built(images(1, 8, 8), "model=cnn"))
    assert head == {"dense.0.linear.weight", "dense.0.linear.bias", "output.weight", "output.bias"}


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("model.freeze=2",), {"hidden.0": None, "hidden.1": None}),
        (("model.freeze=backbone", "model.unfreeze_after=2"), {f"hidden.{k}": 2 for k in range(3)}),
        (
            ("model.freeze=backbone", "model.unfreeze_after=1", "model.unfreeze_layers=1"),
            {"hidden.0": 3, "hidden.1": 2, "hidden.2": 1},
        ),
        (
            ("model.freeze=backbone", "model.unfreeze_after=1", "model.unfreeze_layers=2"),
            {"hidden.0": 2, "hidden.1": 1, "hidden.2": 1},
        ),
        (("model.freeze=n.1.linear",), {"hidden.1": None}),
    ],
)
def test_the_words_say_from_which_epoch_on_a_layer_learns(
    words: tuple[str, ...], wanted: dict[str, int | None]
) -> None:
    assert first_epochs(*words) == wanted


def test_rates_fall_from_layer_to_layer_away_from_the_head() -> None:
    words = ("optimizer.layer_decay=0.5", "optimizer.backbone_lr_factor=0.1")
    found = paces_of(net_of(), config_of(*DEEP, *words)).learning
    factors = {name: pace.factor for name, pace in found.items() if "linear.weight" in name}
    assert factors == pytest.approx({f"hidden.{k}.linear.weight": 0.1 * 0.5 ** (3 - k) for k in range(3)})
    assert found["hidden.2.norm.bias"] == Pace(0, 0.05)
    assert "output.weight" not in found


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("model.freeze=blocks",), "model.freeze=blocks matches none of 14 parameters: hidden.0.linear.weight"),
        (("model.freeze=bias|weight",), "model.freeze=bias.weight leaves nothing to learn: it matches all 14"),
        (("model.freeze=4",), r"model.freeze=4 leaves nothing to learn: the network has 4 layer\(s\)"),
        (("model.hidden=[]", "model.norm=none", "model.freeze=backbone"), "for networks with layers in front"),
        (
            ("model.hidden=[]", "model.norm=none", "optimizer.layer_decay=0.5"),
            "layer_decay=0.5 is for networks with layers in front",
        ),
    ],
)
def test_words_that_freeze_nothing_or_everything_are_refused(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run_of(*DEEP, *words)


def test_a_word_for_all_but_the_head_is_recognised() -> None:
    with pytest.raises(ConfigError) as caught:
        run_of(*DEEP, "model.freeze=backbon")
    assert caught.value.problems[0].hint == "model.freeze=backbone"


def test_a_users_network_without_a_last_layer_of_that_name_cannot_be_cut() -> None:
    with pytest.raises(ConfigError, match="no module of the network is called output"):
        paces_of(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), config_of("model.freeze=backbone"))


def test_what_is_frozen_keeps_values_and_batch_statistics_until_it_opens() -> None:
    words = ("model.freeze=backbone", "model.unfreeze_after=1", "model.unfreeze_layers=2", "regularization=max_norm")
    run = run_of(*DEEP, *words, "regularization.max_norm=0.1", "trainer.max_epochs=3", "optimizer.weight_decay=0.1")
    state = state_of(run)
    at_start: dict[int, dict[str, torch.Tensor]] = {}

    def stop(_: TrainState) -> str | None:
        at_start.setdefault(state.epoch, {k: v.clone() for k, v in run.model.state_dict().items()})
        return "enough" if state.epoch == 3 else None

    fit(run, state, [], stop)
    changed = [
        {name.rpartition(".")[0] for name, value in before.items() if not torch.equal(value, after[name])}
        for before, after in itertools.pairwise(at_start[epoch] for epoch in range(4))
    ]
    last = {f"hidden.{k}.{part}" for k in (1, 2) for part in ("linear", "norm")}
    assert changed[0] == {"output"}
    assert changed[1] == {"output", *last}
    assert changed[2] == {"output", *last, "hidden.0.linear", "hidden.0.norm"}


TIED = ("model=code", "model.code=tests.own_code:Tied", "trainer.max_epochs=2")


@pytest.mark.parametrize("freeze", ["backbone", "again|there", "1"])
def test_a_shared_matrix_is_frozen_once_and_a_norm_without_parameters_with_the_layer_before_it(freeze: str) -> None:
    run = run_of(*TIED, f"model.freeze={freeze}")
    before = {name: x.clone() for name, x in run.model.state_dict().items()}
    state = state_of(run)
    fit(run, state, [], lambda state: "enough" if state.epoch == 2 else None)
    changed = {name for name, x in run.model.state_dict().items() if not torch.equal(x, before[name])}
    assert changed == {"output.weight", "output.bias"}
    assert layers_of(run.model) == [["there.weight", "there.bias", "again.bias"], ["output.weight", "output.bias"]]


def test_a_norm_without_parameters_learns_again_with_its_layer() -> None:
    run = run_of(*TIED, "model.freeze=backbone", "model.unfreeze_after=1")
    before = run.model.get_buffer("norm.running_mean").clone()
    fit(run, state_of(run), [], lambda state: "enough" if state.epoch == 2 else None)
    assert not torch.equal(before, run.model.get_buffer("norm.running_mean"))


def test_frozen_for_good_needs_neither_gradient_nor_optimizer_state() -> None:
    run = run_of(*DEEP, "model.freeze=backbone")
    assert run.parameters.names == ["output.weight", "output.bias"]
    assert run.optimizer.state["mean"].numel() == 4 * 3 + 3
    assert counts_of(run, 0) == (4 * 6 + 6 + 6 * 5 + 5 + 5 * 4 + 4 + 2 * 15 + 15, 15)


def test_counts_follow_the_epoch() -> None:
    run = run_of(*DEEP, "model.freeze=1", "model.unfreeze_after=2")
    whole, at_first = counts_of(run, 0)
    assert whole - at_first == 4 * 6 + 6 + 12
    assert counts_of(run, 2) == (whole, whole)


def test_what_learns_is_a_function_of_the_epoch_alone() -> None:
    model = net_of()
    frozen = Frozen(model, {"hidden.0.norm.weight": 1, "hidden.0.norm.bias": None})
    norm = model.get_submodule("hidden.0.norm")
    for epoch, wanted in ((2, True), (0, False), (1, True)):
        frozen.hold(epoch)
        assert model.get_parameter("hidden.0.norm.weight").requires_grad is wanted
        assert norm.training is wanted
    assert not model.get_parameter("hidden.0.norm.bias").requires_grad
