"""Recurrent networks in a few words, torch's own beside them, and batches of sequences that vary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nnkit.models.gru import GRU
from nnkit.models.layout import SequenceLayout
from nnkit.models.lstm import LSTM
from nnkit.models.recurrent import Recurrent
from nnkit.models.rnn import RNN
from nnkit.models.scan import State

Net = TypeVar("Net", bound=nn.Module)

NEUTRAL: dict[str, Any] = {
    "hidden_size": 5,
    "num_layers": 1,
    "bidirectional": False,
    "norm": "none",
    "summary": "last",
    "embedding_size": 4,
    "recurrent_init": "default",
    "dense": [],
    "dropout": 0.0,
}
LENGTHS = [4, 7, 1, 6, 7]


def recurrent(kind: str, layout: SequenceLayout, out_features: int = 3, **chosen: Any) -> Recurrent:
    """Return a network of the kind rnn, lstm or gru with random weights, the same ones each time."""
    settings = {**NEUTRAL, "activation": nn.Tanh, **chosen}
    torch.manual_seed(0)
    model: Recurrent
    if kind == "rnn":
        model = RNN(layout, out_features, **{"nonlinearity": "tanh", **settings})
    elif kind == "lstm":
        model = LSTM(layout, out_features, **{"forget_bias": 1.0, **settings})
    else:
        model = GRU(layout, out_features, **settings)
    return randomised(model)


def randomised(model: Net) -> Net:
    """Give every parameter, and what batch norm remembers, a random value."""
    chance = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.7, 0.7, generator=chance)
        for name, buffer in model.named_buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.5 if name.endswith("var") else -0.5, 1.5, generator=chance)
    return model


def as_torch(model: Recurrent, **settings: Any) -> nn.RNNBase:
    """Return torch's module of the same kind with the same weights; the names of the weights must be the same, too."""
    layers = model.rnn
    kinds: dict[str, Any] = {"lstm": nn.LSTM, "gru": nn.GRU}
    theirs = kinds.get(layers.kind, nn.RNN)(
        layers.weights(0, "")[0].shape[1],
        layers.hidden_size,
        layers.num_layers,
        batch_first=True,
        bidirectional=len(layers.suffixes) == 2,
        **({"nonlinearity": layers.kind.removeprefix("rnn_")} if layers.kind.startswith("rnn") else {}),
        **settings,
    )
    theirs.load_state_dict(layers.state_dict(), strict=True)
    return theirs.to(next(layers.parameters()).dtype)  # type: ignore[no-any-return]


def by_torch(theirs: nn.RNNBase, x: Tensor, lengths: Tensor | None, state: State | None) -> tuple[Tensor, State]:
    """Return torch's outputs (B, T, D), and the state of each layer and direction in the order of ours."""
    first: Any = None
    if state is not None:
        is_lstm = isinstance(theirs, nn.LSTM)
        first = (torch.stack(state[::2]), torch.stack(state[1::2])) if is_lstm else torch.stack(state)
    if lengths is None:
        out, last = theirs(x, first)
    else:
        packed, last = theirs(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False), first)
        out = pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])[0]
    parts = last if isinstance(last, tuple) else (last,)
    return out, tuple(part[k] for k in range(len(parts[0])) for part in parts)


def assert_equals_torch(kind: str, *, varying: bool, with_state: bool = False, **chosen: Any) -> None:
    """Compare outputs, states at the end and all gradients of the layers with torch's."""
    model = recurrent(kind, SequenceLayout(3), **chosen).double()
    layers, theirs = model.rnn, as_torch(model)
    chance = torch.Generator().manual_seed(2)
    x = torch.randn(len(LENGTHS), max(LENGTHS), 3, generator=chance, dtype=torch.float64)
    lengths = torch.tensor(LENGTHS) if varying else None
    num_states = len(layers.suffixes) * layers.num_layers * (2 if kind == "lstm" else 1)
    states = [torch.randn(len(x), 5, generator=chance, dtype=torch.float64) for _ in range(num_states * with_state)]

    def results(run: Callable[[Tensor, State | None], tuple[Tensor, State]], module: nn.Module) -> list[Tensor]:
        given = [t.clone().requires_grad_() for t in (x, *states)]
        out, last = run(given[0], tuple(given[1:]) or None)
        # Each number of the result has a weight of its own, so that no gradient is the sum of two that cancel.
        total = sum((torch.sin(torch.arange(t.numel())).view_as(t) * t).sum() for t in (out, *last))
        parameters = dict(module.named_parameters())
        assert isinstance(total, Tensor)
        return [out, *last, *torch.autograd.grad(total, [*given, *(parameters[name] for name in sorted(parameters))])]

    ours = results(lambda x, state: layers(x, lengths, state, []), layers)
    wanted = results(lambda x, state: by_torch(theirs, x, lengths, state), theirs)
    for found, expected in zip(ours, wanted, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)


def padded(parts: Sequence[Tensor], value: float, behind: int = 0) -> tuple[Tensor, Tensor]:
    """Return sequences (T, …) as one batch filled up with a value, and their lengths; `behind` steps more than any."""
    lengths = torch.tensor([len(part) for part in parts])
    x = parts[0].new_full((len(parts), int(lengths.max()) + behind, *parts[0].shape[1:]), value)
    for row, part in enumerate(parts):
        x[row, : len(part)] = part
    return x, lengths


def dense(model: nn.Module, x: Tensor) -> Tensor:
    """Return what a head of one hidden layer with tanh says of (…, F), from its named tensors."""
    w = dict(model.named_parameters())
    h = (x @ w["dense.0.linear.weight"].T + w["dense.0.linear.bias"]).tanh()
    return h @ w["output.weight"].T + w["output.bias"]
