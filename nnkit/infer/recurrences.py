"""Recurrent layers in an export: kept whole, for any number of steps.

torch unrolls torch.lstm, torch.gru and torch.rnn step by step to learn what shapes come out. That takes seconds for
each hundred of steps, and fixes their number for good. The shapes can be had without.
"""

# B batch, T time, F features, H hidden, D directions, L layers

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch._decomp import decomposition_table

_aten: Any = torch.ops.aten
_RECURRENCES = (_aten.lstm.input, _aten.gru.input, _aten.rnn_tanh.input, _aten.rnn_relu.input)
BIDIRECTIONAL = 5  # its place behind weights, biases, layers, dropout and training
_KEY = torch._C.DispatchKey.CompositeImplicitAutograd


@contextmanager
def recurrences_by_shape() -> Iterator[None]:
    """Let torch take recurrent layers for whole, while it records a network or turns a record into another."""
    tables: list[tuple[MutableMapping[Any, Any], Any]] = [
        *((op.py_kernels, _KEY) for op in _RECURRENCES),
        *((decomposition_table, op) for op in _RECURRENCES),
    ]
    before = [table.get(name) for table, name in tables]
    for table, name in tables:
        table[name] = _empty
    _forget_kernels()
    try:
        yield
    finally:
        for (table, name), kernel in zip(tables, before, strict=True):
            table.pop(name, None)
            if kernel is not None:
                table[name] = kernel
        _forget_kernels()


def _forget_kernels() -> None:
    for op in _RECURRENCES:
        op._dispatch_cache.clear()


def _empty(x: Tensor, state: Tensor | Sequence[Tensor], *choices: Any) -> tuple[Tensor, ...]:
    """Return tensors of the shapes that a recurrent layer returns: (B, T, D * H), and each part of the state."""
    parts = [state] if isinstance(state, Tensor) else state
    width = parts[0].shape[2] * (2 if choices[BIDIRECTIONAL] else 1)
    return x.new_empty((*x.shape[:2], width)), *(part.new_empty(part.shape) for part in parts)


def onnx_recurrences() -> dict[Any, Callable[..., Any]]:
    """Return what stands for plain recurrent layers in ONNX, which torch knows for LSTM and GRU alone."""
    return {_aten.rnn_tanh.input: _onnx_layer("Tanh"), _aten.rnn_relu.input: _onnx_layer("Relu")}


def _onnx_layer(activation: str) -> Callable[..., Any]:
    op: Any = import_module("onnxscript").opset18

    def layer(  # the names are those of torch's operator
        x: Any,
        state: Any,
        params: Sequence[Any],
        has_biases: bool,
        num_layers: int,
        dropout: float,  # noqa: ARG001
        train: bool,  # noqa: ARG001
        bidirectional: bool,
        batch_first: bool,
    ) -> tuple[Any, Any]:
        directions, each = 2 if bidirectional else 1, 4 if has_biases else 2
        options = {
            "activations": [activation] * directions,
            "direction": "bidirectional" if bidirectional else "forward",
            "hidden_size": params[1].shape[1],
        }
        h = op.Transpose(x, perm=[1, 0, 2]) if batch_first else x  # (T, B, F)
        ends = []
        for number in range(num_layers):
            first = number * directions * each
            of_layer = [params[first + d * each : first + (d + 1) * each] for d in range(directions)]
            w, u = (op.Concat(*(op.Unsqueeze(p[k], [0]) for p in of_layer), axis=0) for k in (0, 1))
            biases = [op.Unsqueeze(op.Concat(p[2], p[3], axis=0), [0]) for p in of_layer] if has_biases else []
            bias = op.Concat(*biases, axis=0) if has_biases else None
            begin = op.Slice(state, [number * directions], [(number + 1) * directions], [0])  # (D, B, H)
            y, end = op.RNN(h, w, u, bias, None, begin, **options)  # (T, D, B, H)
            h = op.Reshape(op.Transpose(y, perm=[0, 2, 1, 3]), [0, 0, -1])  # (T, B, D * H)
            ends.append(end)
        out = op.Transpose(h, perm=[1, 0, 2]) if batch_first else h
        return out, op.Concat(*ends, axis=0)

    return layer
