"""The convolutional network against the same computation by hand, and its shapes against torch's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nnkit.geometry import map_sizes
from nnkit.models.cnn import CNN

NEUTRAL: dict[str, Any] = {
    "channels": [4, 6],
    "kernel_size": 3,
    "stride": 1,
    "padding": "same",
    "pooling": "none",
    "pool_size": 2,
    "norm": "none",
    "residual": False,
    "global_pooling": "none",
    "dense": [5],
    "embedding_size": 8,
}


def cnn(sizes: tuple[int, ...], *, dropout: float = 0.0, **chosen: Any) -> CNN:
    torch.manual_seed(0)
    model = CNN(2, sizes, 3, None, **{**NEUTRAL, **chosen}, activation=nn.Tanh, dropout=dropout)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model.double()


def batch(sizes: tuple[int, ...], size: int = 3) -> Tensor:
    """Return images (B, C, H, W) or series (B, T, C)."""
    shape = (size, *sizes, 2) if len(sizes) == 1 else (size, 2, *sizes)
    return torch.randn(shape, dtype=torch.float64)


def by_hand(model: CNN, x: Tensor, sizes: tuple[int, ...], **chosen: Any) -> Tensor:
    """Compute from the named tensors alone; batch norm on the batch's own moments."""
    c, w = {**NEUTRAL, **chosen}, dict(model.named_parameters())
    conv: Any = F.conv1d if len(sizes) == 1 else F.conv2d
    h = x.permute(0, 2, 1) if len(sizes) == 1 else x
    for i in range(len(c["channels"])):
        at = f"blocks.{i}."
        zeros = c["kernel_size"] // 2 if c["padding"] == "same" else c["padding"]
        y = conv(h, w[at + "conv.weight"], w.get(at + "conv.bias"), stride=c["stride"], padding=zeros)
        if c["norm"] != "none":
            axes = [d for d in range(y.dim()) if d != (1 if c["norm"] == "batch" else 0)]
            y = (y - y.mean(axes, keepdim=True)) / (y.var(axes, correction=0, keepdim=True) + 1e-5).sqrt()
            channelwise = (-1, *[1] * len(sizes))
            y = y * w[at + "norm.weight"].view(channelwise) + w[at + "norm.bias"].view(channelwise)
        if c["residual"]:
            mapped = conv(h, w[at + "skip.weight"], stride=c["stride"]) if at + "skip.weight" in w else h
            y = y + overlapping(mapped, y)
        h = pooled(y.tanh(), c["pooling"], c["pool_size"])
    if c["global_pooling"] != "none":
        flat = h.reshape(*h.shape[:2], -1)
        h = flat.sum(2) / flat.shape[2] if c["global_pooling"] == "avg" else flat.max(2).values
    h = h.reshape(len(x), -1)
    for i in range(len(c["dense"])):
        h = (h @ w[f"dense.{i}.linear.weight"].T + w[f"dense.{i}.linear.bias"]).tanh()
    return h @ w["output.weight"].T + w["output.bias"]


def overlapping(skip: Tensor, y: Tensor) -> Tensor:
    """The skip in the size of y: both have the same centre, and zeros stand where the skip has nothing."""
    placed, here, there = torch.zeros_like(y), [slice(None)] * 2, [slice(None)] * 2
    for have, want in zip(skip.shape[2:], y.shape[2:], strict=True):
        cut, shift = max(0, -((want - have) // 2)), max(0, (want - have) // 2)
        length = min(have - cut, want - shift)
        there.append(slice(cut, cut + length))
        here.append(slice(shift, shift + length))
    placed[tuple(here)] = skip[tuple(there)]
    return placed


def pooled(h: Tensor, kind: str, size: int) -> Tensor:
    """Pool windows by reshaping; what does not fill a window is left out."""
    for axis in range(2, h.dim()) if kind != "none" else ():
        count = h.shape[axis] // size
        windows = h.narrow(axis, 0, count * size).unflatten(axis, (count, size))
        h = windows.amax(axis + 1) if kind == "max" else windows.mean(axis + 1)
    return h


CHOICES: list[dict[str, Any]] = [
    {},
    {"norm": "batch", "pooling": "max"},
    {"norm": "layer", "pooling": "avg"},
    {"pooling": "max", "pool_size": 3, "channels": [4]},
    {"kernel_size": 4, "pooling": "avg"},
    {"kernel_size": 2, "padding": 0},
    {"stride": 2, "padding": 1},
    {"kernel_size": 5, "padding": 1},
    {"global_pooling": "avg"},
    {"global_pooling": "max", "dense": []},
    {"dense": [5, 4]},
    {"residual": True},
    {"residual": True, "channels": [2, 2, 2]},
    {"residual": True, "channels": [2, 2], "kernel_size": 4, "pooling": "max"},
    {"residual": True, "channels": [2, 2], "padding": 0, "norm": "batch"},
    {"residual": True, "stride": 2, "norm": "layer"},
    {"residual": True, "stride": 2, "kernel_size": 2, "padding": 2},
]


@pytest.mark.parametrize("sizes", [(9, 7), (8, 10), (11,), (12,)], ids=str)
@pytest.mark.parametrize("chosen", CHOICES, ids=lambda c: ",".join(f"{k}={v}" for k, v in c.items()) or "plain")
def test_forward_is_the_formula(sizes: tuple[int, ...], chosen: dict[str, Any]) -> None:
    model = cnn(sizes, **chosen)
    x = batch(sizes)
    torch.testing.assert_close(model(x), by_hand(model, x, sizes, **chosen))


@given(
    sizes=st.lists(st.integers(1, 14), min_size=1, max_size=2).map(tuple),
    chosen=st.fixed_dictionaries(
        {
            "channels": st.lists(st.integers(1, 3), min_size=1, max_size=3),
            "kernel_size": st.integers(1, 5),
            "stride": st.integers(1, 3),
            "padding": st.sampled_from(["same", 0, 1, 2]),
            "pooling": st.sampled_from(["max", "avg", "none"]),
            "pool_size": st.integers(2, 3),
            "norm": st.sampled_from(["none", "batch", "layer"]),
            "residual": st.booleans(),
            "global_pooling": st.sampled_from(["none", "avg", "max"]),
        }
    ),
)
@settings(deadline=None, max_examples=60)
def test_every_geometry_that_leaves_a_map_gives_one_output_a_sample(
    sizes: tuple[int, ...], chosen: dict[str, Any]
) -> None:
    pool = None if chosen["pooling"] == "none" else chosen["pool_size"]
    geometry = {key: chosen[key] for key in ("kernel_size", "stride", "padding")}
    left = [map_sizes(s, blocks=len(chosen["channels"]), pool_size=pool, **geometry) for s in sizes]
    assume(all(min(axis) >= 1 for axis in left))
    assert cnn(sizes, **chosen)(batch(sizes)).shape == (3, 3)


def test_a_convolution_in_front_of_batch_norm_has_no_bias_and_others_have() -> None:
    assert all(block.conv.bias is None for block in cnn((8, 8), norm="batch").blocks)
    assert all(block.conv.bias is not None for norm in ("none", "layer") for block in cnn((8, 8), norm=norm).blocks)


@pytest.mark.parametrize(
    ("chosen", "mapped"),
    [({}, False), ({"channels": [3]}, True), ({"stride": 2}, True), ({"padding": 0}, True), ({"kernel_size": 4}, True)],
    ids=str,
)
def test_the_skip_is_a_map_only_where_the_block_changes_the_shape(chosen: dict[str, Any], mapped: bool) -> None:
    block = cnn((8, 8), **{"channels": [2], "residual": True, **chosen}).blocks[0]
    assert (block.skip is not None) is mapped


def test_dropout_acts_in_the_head_while_training_only() -> None:
    model = cnn((8, 8), dropout=0.5)
    x = batch((8, 8), 1)
    torch.testing.assert_close(model.eval()(x), by_hand(model, x, (8, 8)))
    outputs = model.train()(x.expand(50, -1, -1, -1))
    assert outputs.std(0).min() > 0
    heads = [name for name, module in model.named_modules() if isinstance(module, nn.Dropout)]
    assert heads == ["dropout", "dense.0.dropout"]
