"""Recurrent networks: layers that carry a state along the steps, a summary of the steps, a dense head."""

# B batch, T time, F features of a step, D directions * H hidden, L layers

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Sequence
from typing import Literal, final

import torch
from torch import Tensor, nn

from nnkit.config.sections.model import Summary
from nnkit.models.activations import ActivationFactory
from nnkit.models.embeddings import TokenEmbedding
from nnkit.models.layout import SequenceLayout
from nnkit.models.mlp import dense_blocks
from nnkit.models.pooling import AttentionPooling, last_of, masked_max, masked_mean
from nnkit.models.scan import Kind, State, scan

RecurrentInit = Literal["orthogonal", "identity", "default"]
GATES: dict[Kind, int] = {"rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "lstm": 4}
FORGET = 1  # the place of the forget gate among the LSTM's


@final
class RecurrentLayers(nn.Module):
    """L layers, each in one direction or in both, with the parameter names of torch.nn.RNN, LSTM and GRU."""

    def __init__(
        self,
        kind: Kind,
        in_features: int,
        hidden_size: int,
        num_layers: int,
        *,
        bidirectional: bool,
        recurrent_init: RecurrentInit,
        forget_bias: float = 0.0,
    ) -> None:
        """Take the cell and the sizes, then the choices; `forget_bias` is the LSTM's."""
        super().__init__()
        self.kind, self.hidden_size, self.num_layers = kind, hidden_size, num_layers
        self.suffixes = ("", "_reverse") if bidirectional else ("",)
        self.out_features = hidden_size * len(self.suffixes)
        self._init, self._forget_bias = recurrent_init, forget_bias
        rows = GATES[kind] * hidden_size
        for layer in range(num_layers):
            width = self.out_features if layer else in_features
            for suffix in self.suffixes:
                shapes = {"weight_ih": (rows, width), "weight_hh": (rows, hidden_size), "bias_ih": (rows,)}
                for name, shape in {**shapes, "bias_hh": (rows,)}.items():
                    self.register_parameter(f"{name}_l{layer}{suffix}", nn.Parameter(torch.empty(shape)))
        self.reset_parameters()

    def weights(self, layer: int, suffix: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the weights of one layer in one direction: input, recurrent, and their biases."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        w, u, b, c = (getattr(self, f"{name}_l{layer}{suffix}") for name in names)
        return w, u, b, c

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Give the weights their first values, gate by gate: Xavier for the input's, orthogonal for the recurrence.

        Source: Saxe et al. 2014 (orthogonal), Le et al. 2015 (identity), Jozefowicz et al. 2015 (forget bias); and
        `default` is torch's uniform draw in +-1/sqrt(H) for everything.
        """
        for layer in range(self.num_layers):
            for suffix in self.suffixes:
                w, u, b, c = self.weights(layer, suffix)
                if self._init == "default":
                    bound = 1 / math.sqrt(self.hidden_size)
                    for each in (w, u, b, c):
                        each.uniform_(-bound, bound)
                else:
                    for gate in w.chunk(GATES[self.kind]):
                        nn.init.xavier_uniform_(gate)
                    for gate in u.chunk(GATES[self.kind]):
                        (nn.init.orthogonal_ if self._init == "orthogonal" else nn.init.eye_)(gate)
                    b.zero_()
                    c.zero_()
                if self.kind == "lstm":
                    b.chunk(4)[FORGET].add_(self._forget_bias)

    def forward(
        self, x: Tensor, lengths: Tensor | None, state: State | None, between: Sequence[nn.Module]
    ) -> tuple[Tensor, State]:
        """Return what the top layer says at each step, and all layers' states at the end.

        Args:
            x: (B, T, F).
            lengths: (B,) steps of each sequence; None where all have T.
            state: from an earlier call; None is zero. Both directions cannot be carried on.
            between: what stands between one layer and the next, L - 1 modules on (B, T, D).

        Returns:
            (B, T, D), zero behind the end of a sequence; and for each layer and direction h (B, H), or h and c.
        """
        per_cell = 2 if self.kind == "lstm" else 1
        ends: list[Tensor] = []
        for layer in range(self.num_layers):
            found = []
            for number, suffix in enumerate(self.suffixes):
                begin = None if state is None else state[len(ends) : len(ends) + per_cell]
                weights = self.weights(layer, suffix)
                h, end = scan(self.kind, x, weights, lengths=lengths, state=begin, is_reversed=number == 1)
                found.append(h)
                ends += end
            x = found[0] if len(found) == 1 else torch.cat(found, 2)  # (B, T, D)
            if layer < len(between):
                x = between[layer](x)
        return x, tuple(ends)

    def flops(self, steps: int) -> int:
        """Return the multiplications and additions for one sequence."""
        return 2 * steps * sum(p.numel() for p in self.parameters() if p.dim() == 2)


class Recurrent(nn.Module, ABC):
    """Embedding of tokens, recurrent layers, a summary of the steps (or none, for an answer a step), a dense head."""

    def __init__(
        self,
        kind: Kind,
        layout: SequenceLayout,
        out_features: int,
        *,
        hidden_size: int,
        num_layers: int,
        bidirectional: bool,
        norm: Literal["none", "layer"],
        summary: Summary,
        embedding_size: int,
        recurrent_init: RecurrentInit,
        dense: Sequence[int],
        activation: ActivationFactory,
        dropout: float,
        forget_bias: float = 0.0,
    ) -> None:
        """Take the cell, the input's layout and the number of outputs, then the choices."""
        super().__init__()
        self.layout, self.summary = layout, summary
        self.embedding = TokenEmbedding(layout.vocabulary, embedding_size) if layout.vocabulary else None
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        width = embedding_size if layout.vocabulary else layout.in_features
        self.rnn = RecurrentLayers(
            kind,
            width,
            hidden_size,
            num_layers,
            bidirectional=bidirectional,
            recurrent_init=recurrent_init,
            forget_bias=forget_bias,
        )
        wide = self.rnn.out_features
        self.between = nn.ModuleList(_between(wide, norm, dropout) for _ in range(num_layers - 1))
        self.norm = nn.LayerNorm(wide) if norm == "layer" else nn.Identity()
        self.attention = AttentionPooling(wide) if summary == "attention" and not layout.per_step else None
        flat = wide * (layout.steps if summary == "all" and not layout.per_step else 1) + layout.future
        self.dense = dense_blocks(flat, dense, norm="none", residual=False, activation=activation, dropout=dropout)
        self.output = nn.Linear([flat, *dense][-1], out_features)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return logits or values, (B, out_features), or (B, T, out_features) where each step has an answer.

        Args:
            inputs: steps (B, T, C), tokens (B, T), or images (B, C, H, W), whose rows are steps; then lengths (B,)
                where the layout has them, or what is known of the future (B, H, F).
        """
        return self.step(*inputs)[0]

    def step(self, *inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return the outputs as `forward` does, starting from a state, and the state at each sequence's end."""
        x, lengths, future = self.layout.named(inputs)
        if self.embedding is not None:
            x = self.dropout(self.embedding(x))
        h, state = self.rnn(x, lengths, state, list(self.between))
        h = self.norm(h)
        if self.layout.per_step:
            answers = self.output(self.dense(self.dropout(h.flatten(0, 1))))
            return answers.unflatten(0, h.shape[:2]), state
        s = self._summed_up(h, lengths)
        if future is not None:
            s = torch.cat([s, future], 1)
        return self.output(self.dense(self.dropout(s))), state

    def _summed_up(self, h: Tensor, lengths: Tensor | None) -> Tensor:
        """Return (B, D) of the steps (B, T, D); of all of them, (B, T * D)."""
        match self.summary:
            case "mean":
                return masked_mean(h, lengths)
            case "max":
                return masked_max(h, lengths)
            case "all":
                return h.flatten(1)
            case "attention":
                assert self.attention is not None
                return self.attention(h, lengths)  # type: ignore[no-any-return]
        size = self.rnn.hidden_size
        forward = last_of(h[..., :size], lengths)
        return forward if h.shape[2] == size else torch.cat([forward, h[:, 0, size:]], 1)


def _between(width: int, norm: str, dropout: float) -> nn.Module:
    modules = [nn.LayerNorm(width)] if norm == "layer" else []
    return nn.Sequential(*modules, *([nn.Dropout(dropout)] if dropout else []))
