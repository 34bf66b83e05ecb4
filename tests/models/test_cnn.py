"""The convolutional network against the same computation by hand, and its shapes against torch's."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nnkit.geometry import map_sizes
from nnkit.models.cnn import CNN
from nnkit.models.layout import SequenceLayout
from tests.models.sequence_nets import dense, padded, randomised

pytestmark = pytest.mark.usefixtures("on_one_thread")

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
        y = convolved(h, conv, w, at + "conv.", c)
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


def convolved(h: Tensor, conv: Any, w: dict[str, Tensor], at: str, c: dict[str, Any]) -> Tensor:
    """Convolve; kernels side by side, which are `same`, give their maps one after the other."""
    names = [at] if at + "weight" in w else [n.removesuffix("weight") for n in w if re.fullmatch(at + r"\d\.weight", n)]
    maps = []
    for name in names:
        weight = w[name + "weight"]
        zeros = weight.shape[-1] // 2 if c["padding"] == "same" else c["padding"]
        maps.append(conv(h, weight, w.get(name + "bias"), stride=c["stride"], padding=zeros))
    return torch.cat(maps, 1)


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
    {"channels": [4, 3], "kernel_size": [[3, 5, 1], 3]},
    {"channels": [4, 2], "kernel_size": [3, [7, 3]], "stride": 2, "norm": "batch", "residual": True},
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


# sequences that vary in length


@given(
    chosen=st.fixed_dictionaries(
        {
            "channels": st.lists(st.integers(1, 3), min_size=1, max_size=3),
            "kernel_size": st.integers(1, 5),
            "stride": st.integers(1, 3),
            "padding": st.sampled_from(["same", 0, 1, 2]),
            "pooling": st.sampled_from(["max", "avg", "none"]),
            "pool_size": st.integers(2, 3),
            "norm": st.sampled_from(["none", "batch"]),
            "residual": st.booleans(),
            "global_pooling": st.sampled_from(["avg", "max"]),
        }
    ),
    vocabulary=st.sampled_from([0, 6]),
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    behind=st.integers(0, 3),
)
@example(  # the residual sum of a stride, where half of what is missing depends on the longest of the batch
    chosen={**NEUTRAL, "channels": [1], "kernel_size": 1, "stride": 3, "padding": 2, "residual": True}
    | {"global_pooling": "avg"},
    vocabulary=0,
    lengths=[2],
    behind=1,
)
@example(
    chosen={**NEUTRAL, "channels": [3, 2], "kernel_size": [[1, 3], [5, 3]], "stride": 2, "residual": True}
    | {"global_pooling": "max", "pooling": "max"},
    vocabulary=6,
    lengths=[9, 1, 4],
    behind=2,
)
@settings(deadline=None, max_examples=150)
def test_the_result_for_a_sequence_does_not_depend_on_what_it_is_batched_with(
    chosen: dict[str, Any], vocabulary: int, lengths: list[int], behind: int
) -> None:
    layout = SequenceLayout(0 if vocabulary else 2, vocabulary, 20, has_lengths=True)
    model = CNN(layout.in_features, (20,), 3, layout, **{**NEUTRAL, **chosen}, activation=nn.ELU, dropout=0.0)
    randomised(model).eval()
    parts: list[Tensor] = [
        torch.randint(vocabulary, (n,), dtype=torch.int32) if vocabulary else torch.randn(n, 2) for n in lengths
    ]
    alone = torch.cat([model(part[None], torch.tensor([len(part)])) for part in parts])
    rows = range(len(parts))
    for order in (list(rows), list(rows)[::-1], sorted(rows, key=lengths.__getitem__)):
        found = model(*padded([parts[k] for k in order], 5 if vocabulary else torch.nan, behind))
        torch.testing.assert_close(found, alone[order], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("chosen", CHOICES[:12], ids=str)
def test_sequences_of_one_length_are_what_they_are_without_lengths(chosen: dict[str, Any]) -> None:
    chosen = {**NEUTRAL, "global_pooling": "max", **chosen}
    if chosen["norm"] == "layer":
        return  # refused where sequences vary: it would count the padding
    varying, even = (
        randomised(CNN(2, (12,), 3, layout, **chosen, activation=nn.Tanh, dropout=0.0))
        for layout in (SequenceLayout(2, steps=12, has_lengths=True), SequenceLayout(2, steps=12))
    )
    x = torch.randn(4, 12, 2)
    torch.testing.assert_close(varying(x, torch.full((4,), 12)), even(x), atol=1e-5, rtol=1e-5)


def test_batch_norm_learns_the_moments_of_what_is_inside_of_the_sequences_alone() -> None:
    layout = SequenceLayout(2, steps=9, has_lengths=True)
    model = CNN(
        2, (9,), 3, layout, **{**NEUTRAL, "norm": "batch", "global_pooling": "avg"}, activation=nn.Tanh, dropout=0.0
    )
    parts = [torch.randn(n, 2) for n in (3, 9, 5)]
    block: Any = model.blocks[0]
    inside = torch.cat([block.conv(part.T[None])[0].T for part in parts])
    model(*padded(parts, torch.nan))
    torch.testing.assert_close(block.norm.running_mean, 0.1 * inside.detach().mean(0), atol=1e-6, rtol=1e-5)
    expected = 0.9 + 0.1 * inside.detach().var(0)
    torch.testing.assert_close(block.norm.running_var, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("pooling", ["max", "avg", "none"])
def test_no_gradient_comes_from_behind_the_end(pooling: str) -> None:
    chosen = {**NEUTRAL, "norm": "batch", "residual": True, "pooling": pooling, "global_pooling": "avg"}
    layout = SequenceLayout(2, steps=9, has_lengths=True)
    model = randomised(CNN(2, (9,), 3, layout, **chosen, activation=nn.Tanh, dropout=0.0)).eval()
    chance = torch.Generator().manual_seed(0)
    x, lengths = padded([torch.randn(n, 2, generator=chance) for n in (4, 8, 1)], torch.nan, behind=2)
    x.requires_grad_()
    model(x, lengths).square().sum().backward()
    assert x.grad is not None
    for row, length in enumerate(lengths.tolist()):  # a maximum may pass by a whole sequence, but not by all of them
        assert (x.grad[row, length:] == 0).all()
    assert (x.grad != 0).any()


def test_what_is_known_of_the_future_goes_to_the_head_beside_the_maps() -> None:
    layout = SequenceLayout(2, steps=8, future=6)
    model = randomised(CNN(2, (8,), 3, layout, **NEUTRAL, activation=nn.Tanh, dropout=0.0))
    x, future = torch.randn(3, 8, 2), torch.randn(3, 3, 2)
    h = x.transpose(1, 2)
    w = dict(model.named_parameters())
    for k in range(2):
        h = F.conv1d(h, w[f"blocks.{k}.conv.weight"], w[f"blocks.{k}.conv.bias"], padding=1).tanh()
    expected = dense(model, torch.cat([h.flatten(1), future.flatten(1)], 1))
    torch.testing.assert_close(model(x, future), expected, atol=1e-5, rtol=1e-5)


def test_words_are_convolved_by_their_vectors_which_dropout_thins_out() -> None:
    layout = SequenceLayout(0, 6, 8)
    model = CNN(0, (8,), 3, layout, **{**NEUTRAL, "embedding_size": 2}, activation=nn.Tanh, dropout=0.5)
    plain = CNN(2, (8,), 3, None, **NEUTRAL, activation=nn.Tanh, dropout=0.0)
    plain.load_state_dict({name: p for name, p in model.state_dict().items() if not name.startswith("embedding")})
    tokens = torch.randint(6, (3, 8), dtype=torch.int32)
    assert model.embedding is not None
    torch.testing.assert_close(model.eval()(tokens), plain(model.embedding.weight[tokens.long()]))
    assert model.train()(tokens[:1].expand(50, -1)).std(0).min() > 0
