"""The numbers by which a language model's text is drawn, as far as they mean the same for every run."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nnkit.errors import Problem


def sampling_problems(length: int, temperature: float, top_k: int | None) -> Iterator[Problem]:
    """Yield what is wrong with numbers that `nnkit.infer.generate.generate` takes."""
    if length < 1:
        yield Problem(f"length must be a whole number from 1, got {length}", "--length 200")
    if not (math.isfinite(temperature) and temperature >= 0):
        told = "0 for the most likely token, or a number above it"
        yield Problem(f"temperature must be {told}, got {temperature}", "--temperature 1")
    if top_k is not None and top_k < 1:
        yield Problem(f"top-k must be a whole number from 1, got {top_k}", "--top-k 5")
