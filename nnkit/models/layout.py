"""What a network on sequences needs to know of its input, beside how many numbers a step has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from torch import Tensor

from nnkit.spec import DataSpec


@final
@dataclass(frozen=True, slots=True)
class SequenceLayout:
    """The input of a network on sequences.

    Attributes:
        in_features: numbers a step; 0 for tokens.
        vocabulary: tokens there are; 0 for numbers.
        steps: of a sequence; of the longest in training, where they vary.
        has_lengths: whether they vary.
        future: numbers that are known of the steps to be forecast, all together.
        per_step: whether there is an answer for each step.
    """

    in_features: int
    vocabulary: int = 0
    steps: int = 1
    has_lengths: bool = False
    future: int = 0
    per_step: bool = False

    @classmethod
    def of(cls, spec: DataSpec) -> SequenceLayout:
        """Return the layout of a spec; the rows of an image are its steps."""
        given, *others = spec.inputs
        future = sum(each.shape[0] * each.shape[1] for each in others if each.kind == "series")
        kinds: dict[str, Any] = {"has_lengths": spec.has_lengths, "future": future, "per_step": spec.is_per_step}
        if given.kind == "tokens":
            return cls(0, given.sizes[0], given.shape[0], **kinds)
        if given.kind == "image":
            channels, height, width = given.shape
            return cls(channels * width, 0, height, **kinds)
        return cls(given.shape[-1], 0, given.shape[0], **kinds)

    def named(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return a model's inputs as steps (B, T, C) or tokens (B, T), lengths (B,) and future (B, F), or None each."""
        x, *others = inputs
        if x.dim() == 4:
            x = x.permute(0, 2, 1, 3).flatten(2)  # (B, H, C * W)
        lengths = others[0] if self.has_lengths else None
        return x, lengths, others[0].flatten(1) if self.future else None
