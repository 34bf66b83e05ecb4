"""The contract of data and model: what goes in, what comes out, and nothing of how either is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

Task = Literal["classification", "regression"]
InputKind = Literal["features", "series", "image"]


@final
@dataclass(frozen=True, slots=True)
class InputSpec:
    """One tensor that the model takes, without the batch dimension.

    Attributes:
        name: such as "x"; unique among the inputs.
        kind: features (F,), series (T, C) or image (C, H, W).
        shape: the sizes named by the kind.
    """

    name: str
    kind: InputKind
    shape: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class TargetSpec:
    """What the model shall predict.

    Attributes:
        names: one name a target column.
        classes: the class names in the order of their numbers; empty for regression.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class DataSpec:
    """All that a model, a loss and a metric need to know of the data.

    Attributes:
        task: classification (one class a sample) or regression (one or more values).
        inputs: in the order of the model's arguments.
        target: what is predicted.
    """

    task: Task
    inputs: tuple[InputSpec, ...]
    target: TargetSpec

    @property
    def num_classes(self) -> int:
        """The number of classes; 0 for regression."""
        return len(self.target.classes)

    @property
    def num_targets(self) -> int:
        """The number of values a sample that the task asks for: its classes, or its target columns."""
        return self.num_classes if self.task == "classification" else len(self.target.names)
