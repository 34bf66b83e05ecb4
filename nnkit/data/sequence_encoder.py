"""The encoding of sequences: numbers are scaled, words become their places in a vocabulary; both once."""

# S steps in all, N sequences, B of them in a batch, T steps of the longest, C channels

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from nnkit.data.ragged import Ragged
from nnkit.data.scaling import Scale, scale_of, statistics
from nnkit.data.sequences import Rows, Sequences
from nnkit.data.tokens import encode_tokens
from nnkit.spec import InputSpec


@final
@dataclass(frozen=True, slots=True)
class SequenceEncoder:
    """The encoding of sequences.

    Attributes:
        spec: what the model takes: a series (T, C) or tokens (T,).
        scale: of a series; None leaves the values as they are.
        vocabulary: the words by number, where tokens are meant; number 0 is that of all others.
        has_lengths: whether sequences vary, so that the model takes their lengths, too.
    """

    spec: InputSpec
    scale: Scale | None = None
    vocabulary: tuple[str, ...] = ()
    has_lengths: bool = False

    @property
    def specs(self) -> tuple[InputSpec, ...]:
        """What the model takes."""
        return (self.spec, InputSpec("lengths", "lengths", ())) if self.has_lengths else (self.spec,)

    def store(self, x: Sequences) -> tuple[Ragged, ...]:
        """Return sequences as they wait for their batch."""
        kept = x.compact()
        return (Ragged.of(kept, self._encoded(kept)),)

    def _encoded(self, x: Sequences) -> Tensor:
        if self.vocabulary:
            return torch.from_numpy(encode_tokens(x, self.vocabulary))
        values = torch.from_numpy(x.values)
        return values.float() if self.scale is None else self.scale.apply(values)

    def prepare(self, stored: tuple[Ragged, ...]) -> tuple[Tensor, ...]:
        """Return the model's inputs of a batch: (B, T, C) float32 or (B, T) int32, and lengths (B,) int64."""
        (x,) = stored
        padded = x.padded()
        return (padded, x.lengths.to(padded.device)) if self.has_lengths else (padded,)

    def unknown(self, x: Sequences) -> dict[str, int]:
        """Return the words of sequences that the vocabulary lacks, and how often they occur."""
        if not self.vocabulary:
            return {}
        counts = np.bincount(x.values[x.covered()], minlength=len(x.words))
        known = set(self.vocabulary)
        return {word: int(n) for word, n in zip(x.words, counts.tolist(), strict=True) if n and word not in known}

    def to_plain(self) -> dict[str, Any]:
        """Return plain data for preprocess.json."""
        return {
            "kind": "sequences",
            "spec": asdict(self.spec),
            "scale": None if self.scale is None else asdict(self.scale),
            "vocabulary": list(self.vocabulary),
            "has_lengths": self.has_lengths,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> SequenceEncoder:
        """Return the encoder that `to_plain` described. Raises: KeyError, TypeError where it is none."""
        given = plain["spec"]
        spec = InputSpec(given["name"], given["kind"], tuple(given["shape"]), tuple(given["sizes"]))
        return cls(spec, scale_of(plain["scale"]), tuple(plain["vocabulary"]), plain["has_lengths"])


def fit_steps(given: Sequences, rows: Rows, scaling: str, also: Sequences | None = None) -> Scale | None:
    """Return the scale of sequences, by channel, from the steps that the rows cover; each step counts once.

    Args:
        given: the sequences.
        rows: those of training.
        scaling: standard, minmax, robust or none.
        also: further stretches of the same steps: what a window forecasts belongs to training as well.
    """
    if scaling == "none":
        return None
    covered = given[rows].covered()
    if also is not None:
        covered |= also[rows].covered()
    shift, size = statistics(given.values[covered].astype(np.float64), scaling)
    return Scale("series", tuple(shift.tolist()), tuple(size.tolist()))
