"""The contract of data and model: what goes in, what comes out, and nothing of how either is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

Task = Literal["classification", "multilabel", "regression", "tagging", "forecast", "language", "segmentation"]
InputKind = Literal["features", "categories", "series", "image", "tokens", "lengths"]
PER_STEP = frozenset({"tagging", "language"})  # tasks with an answer for each step of a sequence


@final
@dataclass(frozen=True, slots=True)
class InputSpec:
    """One tensor that the model takes, without the batch dimension.

    Attributes:
        name: such as "x"; unique among the inputs.
        kind: features (F,), categories (K,), series (T, C), image (C, H, W), tokens (T,) or lengths ().
        shape: the sizes named by the kind. Where lengths follow a series or tokens, T is the longest of training, and a
            batch is as long as its longest sequence.
        sizes: for categories, how many codes each of the K columns has, for tokens the size of the vocabulary; the
            model takes codes int32 in [0, size). Lengths are int64, from 1. All other kinds are float32, and have none.
    """

    name: str
    kind: InputKind
    shape: tuple[int, ...]
    sizes: tuple[int, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class TargetSpec:
    """What the model shall predict.

    Attributes:
        names: one name a target column; for multilabel, one a label; for a forecast, one a channel.
        classes: the class names in the order of their numbers; for language, the vocabulary.
        horizon: for a forecast, how many steps ahead; 1 for all other tasks.
        channels: for a forecast, where each target stands among the channels of the first input.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...] = ()
    horizon: int = 1
    channels: tuple[int, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class DataSpec:
    """All that a model, a loss and a metric need to know of the data.

    Attributes:
        task: of a sample, classification (one class), multilabel (each label is there or not) or regression (one or
            more values); of each step of a sequence, tagging (a class) or language (the next token); forecast (the
            next steps of a series); of each pixel of an image, segmentation (a class), for which a model gives logits
            (B, C, H, W) at the image's own size.
        inputs: in the order of the model's arguments.
        target: what is predicted.
    """

    task: Task
    inputs: tuple[InputSpec, ...]
    target: TargetSpec

    @property
    def num_classes(self) -> int:
        """The number of classes; 0 where values are predicted, or labels."""
        return len(self.target.classes)

    @property
    def is_per_step(self) -> bool:
        """Whether there is an answer for each step of a sequence."""
        return self.task in PER_STEP

    @property
    def is_per_pixel(self) -> bool:
        """Whether there is an answer for each pixel of an image."""
        return self.task == "segmentation"

    @property
    def has_lengths(self) -> bool:
        """Whether the sequences vary in length."""
        return any(given.kind == "lengths" for given in self.inputs)

    @property
    def num_targets(self) -> int:
        """The number of values a sample, or a step, that the task asks for: classes, labels, columns, or H * K."""
        return self.num_classes or len(self.target.names) * self.target.horizon
