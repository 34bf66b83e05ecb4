"""What was fitted on the training rows, kept as plain data: it is applied unchanged to every row that comes later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from nnkit.data.frame import Frame
from nnkit.data.scaling import Scale, fit_scale, scale_of
from nnkit.data.sequence_encoder import SequenceEncoder, fit_steps
from nnkit.data.sequences import Sequences
from nnkit.data.source import Rows, Source
from nnkit.data.tabular import Rules, TableEncoder, fit_table
from nnkit.data.times import Step
from nnkit.data.tokens import fit_vocabulary
from nnkit.errors import DataError
from nnkit.spec import DataSpec, InputSpec, TargetSpec, Task

FORMAT = 3


@final
@dataclass(frozen=True, slots=True)
class ArrayEncoder:
    """The encoding of an array: floats are scaled once, bytes when a batch is made of them.

    Attributes:
        spec: what the model takes.
        scale: None leaves the values as they are.
        is_bytes: whether the values are those of pictures, 0 to 255; then a file of a picture can be predicted.
    """

    spec: InputSpec
    scale: Scale | None
    is_bytes: bool = False

    @property
    def specs(self) -> tuple[InputSpec, ...]:
        """What the model takes."""
        return (self.spec,)

    def store(self, x: Any) -> tuple[Tensor, ...]:
        """Return an array's rows as they wait for their batch: (N, …) float32 or uint8."""
        stored = torch.from_numpy(x)
        if stored.dtype == torch.uint8:
            return (stored,)
        return (stored.float() if self.scale is None else self.scale.apply(stored),)

    def prepare(self, stored: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the model's inputs of a batch from its stored form."""
        (x,) = stored
        if x.dtype != torch.uint8:
            return stored
        return (x.float() if self.scale is None else self.scale.apply(x),)

    def to_plain(self) -> dict[str, Any]:
        """Return plain data for preprocess.json."""
        return {
            "kind": "array",
            "spec": asdict(self.spec),
            "scale": None if self.scale is None else asdict(self.scale),
            "is_bytes": self.is_bytes,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> ArrayEncoder:
        """Return the encoder that `to_plain` described. Raises: KeyError, TypeError where it is none."""
        given = plain["spec"]
        spec = InputSpec(given["name"], given["kind"], tuple(given["shape"]), tuple(given["sizes"]))
        return cls(spec, scale_of(plain["scale"]), plain["is_bytes"])


Encoder = ArrayEncoder | TableEncoder | SequenceEncoder
# The encoders by what preprocess.json calls them.
ENCODERS: dict[str, type[Encoder]] = {"array": ArrayEncoder, "table": TableEncoder, "sequences": SequenceEncoder}


@final
@dataclass(frozen=True, slots=True)
class Preprocess:
    """All that was fitted on the training rows.

    Attributes:
        inputs: one encoder an input of the source.
        target: of a regression target, or of a forecast's channels, undone in every metric and prediction; None where
            it is not scaled.
        task: what is learned.
        target_names: names of the target columns.
        classes: names by number; of a language, its vocabulary.
        horizon: of a forecast.
        channels: of a forecast, where its targets stand among the input's.
        step: of a forecast, from one time of the training to the next; None where it has no times, and of runs that
            older versions left behind.
    """

    inputs: tuple[Encoder, ...]
    target: Scale | None
    task: Task
    target_names: tuple[str, ...]
    classes: tuple[str, ...]
    horizon: int = 1
    channels: tuple[int, ...] = ()
    step: Step | None = None

    @property
    def spec(self) -> DataSpec:
        """The contract of data and model."""
        given = tuple(spec for encoder in self.inputs for spec in encoder.specs)
        return DataSpec(self.task, given, TargetSpec(self.target_names, self.classes, self.horizon, self.channels))

    @property
    def table(self) -> TableEncoder | None:
        """The encoder of the table, where the input is one."""
        return next((encoder for encoder in self.inputs if isinstance(encoder, TableEncoder)), None)

    @property
    def sequences(self) -> SequenceEncoder | None:
        """The encoder of the sequences, where the first input is such."""
        first = self.inputs[0]
        return first if isinstance(first, SequenceEncoder) else None

    def store(self, inputs: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Return each input's rows as they wait for their batch."""
        return [encoder.store(x) for encoder, x in zip(self.inputs, inputs, strict=True)]

    def prepare(self, stored: tuple[Any, ...]) -> tuple[Tensor, ...]:
        """Return the model's inputs of a batch from its stored form."""
        if len(self.inputs) == 1:
            return self.inputs[0].prepare(stored)
        parts = [self.inputs[i].prepare((x,)) for i, x in enumerate(stored)]  # several inputs are arrays
        return tuple(x for part in parts for x in part)

    def to_plain(self) -> dict[str, Any]:
        """Return plain data for preprocess.json."""
        return {
            "format": FORMAT,
            "task": self.task,
            "target_names": list(self.target_names),
            "classes": list(self.classes),
            "horizon": self.horizon,
            "channels": list(self.channels),
            "step": None if self.step is None else asdict(self.step),
            "target": None if self.target is None else asdict(self.target),
            "inputs": [encoder.to_plain() for encoder in self.inputs],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Preprocess | None:
        """Return what `to_plain` described; None for a run of the first format, which kept too little of it.

        Raises:
            DataError: it is damaged, or of a newer format.
        """
        try:
            if plain.get("format", 1) == 1:
                return None
            if plain["format"] > FORMAT:
                raise DataError(
                    f"preprocess.json has format {plain['format']}, newer than {FORMAT}", hint="update nnkit"
                )
            inputs = tuple(ENCODERS[each["kind"]].from_plain(each) for each in plain["inputs"])
            if not inputs:
                raise DataError("preprocess.json is damaged: it has no inputs")
            names, classes = tuple(plain["target_names"]), tuple(plain["classes"])
            # Format 2 knew no forecast, and the first runs of format 3 no step.
            step = None if plain.get("step") is None else Step(**plain["step"])
            ahead = (plain.get("horizon", 1), tuple(plain.get("channels", ())), step)
            return cls(inputs, scale_of(plain["target"]), plain["task"], names, classes, *ahead)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"preprocess.json is damaged: {error!r}") from error


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WordRules:
    """Which words of training have a number of their own: those frequent enough, and so many at most."""

    min_frequency: int = 1
    max_vocabulary: int | None = None


def fit_preprocess(
    source: Source,
    train: Rows,
    *,
    scaling: str,
    target_scaling: str,
    rules: Rules | WordRules | None = None,
    pixels: Scale | None = None,
) -> Preprocess:
    """Fit filling, scaling and encoding on the training rows.

    Args:
        source: the data.
        train: the training rows; no other row is looked at.
        scaling: standard (mean 0, deviation 1), minmax (to [0, 1]), robust (median 0, quartile range 1) or none.
        target_scaling: standard or none; only regression targets have one. A forecast's is that of its channels.
        rules: of a table's columns, or of a text's words; `scaling` is the one named here.
        pixels: of pictures, where it is not fitted, but that of others; None fits it.

    Raises:
        DataError: a table has no column to learn from, or a language one token only.
    """
    specs = iter(source.specs)
    inputs: list[Encoder] = []
    for x in source.inputs:
        if isinstance(x, Frame):
            inputs.append(fit_table(x, train, rules if isinstance(rules, Rules) else Rules(scaling=scaling)))
        elif isinstance(x, Sequences):
            words = rules if isinstance(rules, WordRules) else WordRules()
            inputs.append(_fit_sequences(source, x, next(specs), train, scaling, words))
        else:
            spec, is_array = next(specs), isinstance(x, np.ndarray)
            scale = pixels
            if scale is None:
                scale = fit_scale(x[train], spec.kind, scaling) if is_array else x.scale(train, scaling)
            inputs.append(ArrayEncoder(spec, scale, not is_array or x.dtype == np.uint8))
    scale, first, ahead = _fit_target(source, train, scaling, target_scaling), inputs[0], source.target
    classes = source.classes
    if source.task == "language" and isinstance(first, SequenceEncoder):
        classes = first.vocabulary
        if len(classes) < 3:  # the unknown one is among them
            told = f"the training part of {source.name} holds one token only ({classes[1]!r}): nothing to foretell"
            hint = "another text" if rules in (None, WordRules()) else "data.min_frequency=1 data.max_vocabulary=null"
            raise DataError(told, hint=hint)
    horizon = ahead.longest if source.task == "forecast" and isinstance(ahead, Sequences) else 1
    names, channels = source.target_names, source.channels
    return Preprocess(tuple(inputs), scale, source.task, names, classes, horizon, channels, source.step)


def _fit_sequences(
    source: Source, x: Sequences, spec: InputSpec, train: Rows, scaling: str, words: WordRules
) -> SequenceEncoder:
    """Fit the encoder of sequences; texts are taken to vary, even if those at hand do not."""
    has_lengths = not x.is_even or (spec.kind == "tokens" and x.part_of is None)
    longest = max(1, x[train].longest)
    if spec.kind == "tokens":
        found = fit_vocabulary(x, train, min_frequency=words.min_frequency, max_vocabulary=words.max_vocabulary)
        return SequenceEncoder(replace(spec, shape=(longest,), sizes=(len(found),)), None, found, has_lengths)
    ahead = source.target if source.task == "forecast" else None
    scale = fit_steps(x, train, scaling, ahead if isinstance(ahead, Sequences) else None)
    return SequenceEncoder(replace(spec, shape=(longest, *spec.shape[1:])), scale, (), has_lengths)


def _fit_target(source: Source, train: Rows, scaling: str, target_scaling: str) -> Scale | None:
    if isinstance(source.target, Sequences):
        ahead = source.task == "forecast"
        return fit_steps(source.target, train, scaling, source.inputs[0]) if ahead else None
    return fit_scale(source.target[train], "features", target_scaling) if source.task == "regression" else None
