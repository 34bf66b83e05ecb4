"""The contract of data and model: what goes in, what comes out, and nothing of how either is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

Task = Literal["classification", "multilabel", "regression"]
InputKind = Literal["features", "categories", "series", "image"]


@final
@dataclass(frozen=True, slots=True)
class InputSpec:
    """One tensor that the model takes, without the batch dimension.

    Attributes:
        name: such as "x"; unique among the inputs.
        kind: features (F,), categories (K,), series (T, C) or image (C, H, W).
        shape: the sizes named by the kind.
        sizes: for categories, how many codes each of the K columns has; the model takes codes int32 in [0, size). All
            other kinds are float32, and have none.
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
        names: one name a target column; for multilabel, one a label.
        classes: the class names in the order of their numbers; only for classification.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class DataSpec:
    """All that a model, a loss and a metric need to know of the data.

    Attributes:
        task: classification (one class a sample), multilabel (each label is there or not) or regression (one or more
            values).
        inputs: in the order of the model's arguments.
        target: what is predicted.
    """

    task: Task
    inputs: tuple[InputSpec, ...]
    target: TargetSpec

    @property
    def num_classes(self) -> int:
        """The number of classes; 0 but for classification."""
        return len(self.target.classes)

    @property
    def num_targets(self) -> int:
        """The number of values a sample that the task asks for: its classes, its labels, or its target columns."""
        return self.num_classes if self.task == "classification" else len(self.target.names)
