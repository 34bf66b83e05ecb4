"""LSTM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, final

from nnkit.config.sections.model import Summary
from nnkit.models.activations import ActivationFactory
from nnkit.models.layout import SequenceLayout
from nnkit.models.recurrent import Recurrent, RecurrentInit


@final
class LSTM(Recurrent):
    """Long short-term memory; the forget gate starts with a bias, so that the cell remembers.

    Source: Hochreiter & Schmidhuber 1997; Gers et al. 2000; Jozefowicz et al. 2015.
    """

    def __init__(
        self,
        layout: SequenceLayout,
        out_features: int,
        *,
        hidden_size: int,
        num_layers: int,
        bidirectional: bool,
        forget_bias: float,
        norm: Literal["none", "layer"],
        summary: Summary,
        embedding_size: int,
        recurrent_init: RecurrentInit,
        dense: Sequence[int],
        activation: ActivationFactory,
        dropout: float,
    ) -> None:
        """Take the input's layout and the number of outputs, then the choices."""
        super().__init__(
            "lstm",
            layout,
            out_features,
            hidden_size=hidden_size,
            num_layers=num_layers,
            bidirectional=bidirectional,
            norm=norm,
            summary=summary,
            embedding_size=embedding_size,
            recurrent_init=recurrent_init,
            dense=dense,
            activation=activation,
            dropout=dropout,
            forget_bias=forget_bias,
        )
