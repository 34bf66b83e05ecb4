"""What an evaluation finds, whatever the task."""

# N rows, M answers

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nnkit.data.sequences import Sequences
from nnkit.data.source import Rows
from nnkit.data.times import Layout
from nnkit.infer.answers import Answers


@final
@dataclass(frozen=True, slots=True)
class Windows:
    """Where the windows of a forecast lie in their series.

    Attributes:
        past: (N) windows of what the network sees, in the series' own units.
        times: (S,) of the steps, datetime64 or whole numbers; None where they have only their numbers, from 1.
        channels: where the targets stand among the channels of the past.
        layout: how the times are written.
    """

    past: Sequences
    times: npt.NDArray[Any] | None
    channels: tuple[int, ...]
    layout: Layout | None = None

    @property
    def firsts(self) -> Rows:
        """(N,) the step behind each window: the first one that is forecast."""
        return self.past.starts + self.past.lengths

    def stamps(self, count: int) -> list[Any]:
        """Return when the first steps of the series are: their times as the file writes them, or their numbers."""
        if self.times is None or self.layout is None:
            return list(range(1, count + 1))
        return self.layout.written(self.times[:count])


@final
@dataclass(frozen=True, slots=True)
class Masked:
    """Masks, and what they are of.

    Attributes:
        confusions: (N, C, C) the pixels of each true and each predicted class, of those that count.
        pixels: (N, C, H, W) the pictures.
        names: N of them; empty where they have none.
    """

    confusions: Any
    pixels: Any
    names: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured.

    Attributes:
        rows: (N,) the numbers of the evaluated rows in the files, from 0, of those that have the right length.
        metrics: plain values by name, as scikit-learn defines them; and the run's own metric, where it has one.
        intervals: of 95 % by bootstrap, for the metrics that have one.
        target: (N,) class numbers, or (N, L) or (N, K); of a forecast (N, H, K). Where each step has an answer, (M,)
            class numbers, those of all rows, row after row; where each pixel has one, (N, H, W).
        answers: of the network.
        unseen: cells of categories that training has not, by column.
        lengths: (N,) steps of each row, where each step has an answer; None elsewhere.
        unknown: words of a text that training has not, and how often they are there.
        tokens: of all texts together.
        windows: of a forecast.
        masked: where each pixel has an answer.
        notes: what the user should know.
    """

    rows: Rows
    metrics: Mapping[str, Any]
    intervals: Mapping[str, list[float]]
    target: Any
    answers: Answers
    unseen: Mapping[str, int] = field(default_factory=dict)
    lengths: Rows | None = None
    unknown: Mapping[str, int] = field(default_factory=dict)
    tokens: int = 0
    windows: Windows | None = None
    masked: Masked | None = None
    notes: tuple[str, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        steps = {} if self.lengths is None else {"steps": int(self.lengths.sum())}
        return {"rows": len(self.rows), **steps, "metrics": dict(self.metrics), "intervals": dict(self.intervals)}

    def places(self) -> tuple[Rows, Rows]:
        """Return row and step (M,) of each answer, from 1, where each step has one."""
        assert self.lengths is not None
        firsts = self.lengths.cumsum() - self.lengths
        steps = np.arange(int(self.lengths.sum())) - firsts.repeat(self.lengths)
        return self.rows.repeat(self.lengths) + 1, steps + 1
