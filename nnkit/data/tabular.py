"""From the columns of a table to what a network takes: filling, scaling, encoding; fitted on the training rows."""

# N rows, F features, K categorical columns

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nnkit.data.frame import Column, ColumnKind, Frame, translated
from nnkit.data.scaling import statistics
from nnkit.errors import DataError
from nnkit.spec import InputSpec

Values = npt.NDArray[Any]
OTHER = 0  # the bucket of categories that are rare in training, or never seen there
MOST_RARE = 10_000  # rare categories of a column that are remembered by name
MISSING = "missing"  # how the bucket of missing cells is called
_WEEK, _YEAR = 7.0, 365.2425


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How columns are encoded: the settings of `data` that say so."""

    scaling: str = "standard"
    missing_numeric: str = "mean"
    missing_categorical: str = "indicator"
    fill_value: float = 0.0
    max_categories: int = 100
    categories: Literal["one_hot", "embedding"] = "one_hot"


@final
@dataclass(frozen=True, slots=True)
class NumberCode:
    """The encoding of a numeric, boolean or date column: fill, then (x - shift) / size.

    Attributes:
        name: of the column.
        kind: of the column. A date gives four more features: the place in the year and in the week, each as sine and
            cosine.
        fill: what a missing cell becomes; None refuses it.
        shift: of the scale.
        size: of the scale, never 0.
        indicator: whether one more feature says that the cell was missing.
        dtype: of the column in training; values are rounded to it, however many of their digits a later reader kept.
    """

    name: str
    kind: ColumnKind
    fill: float | None
    shift: float
    size: float
    indicator: bool = False
    dtype: Literal["float32", "float64"] = "float64"

    @property
    def width(self) -> int:
        """The number of features."""
        return (5 if self.kind == "date" else 1) + self.indicator

    def write(self, column: Column, features: Values) -> None:
        """Write the features of a column into (N, width) float32. Raises: DataError for a cell that must not miss."""
        rounded = column.values.astype(self.dtype, copy=False)
        missing, values = column.missing(), rounded.astype(np.float64)  # a large shift costs no digits
        if missing.any():
            if self.fill is None:
                raise MissingCellError(self.name, int(np.argmax(missing)))
            values = np.where(missing, self.fill, values)
        features[:, 0] = (values - self.shift) / self.size
        if self.kind == "date":
            for place, period in ((1, _YEAR), (3, _WEEK)):
                angle = values * (2 * np.pi / period)
                features[:, place], features[:, place + 1] = np.sin(angle), np.cos(angle)
            features[missing, 1:5] = 0
        if self.indicator:
            features[:, -1] = missing


@final
@dataclass(frozen=True, slots=True)
class CategoryCode:
    """The encoding of a categorical column: bucket 0 for other categories, perhaps one for missing, then one each.

    Attributes:
        name: of the column.
        categories: in the order of their buckets.
        missing: the bucket of a missing cell; None refuses it.
        has_missing_bucket: whether that bucket is its own, before those of the categories.
        num_rare: how many more categories training has, which fall into the bucket of the others.
        rare: their names; empty where there are too many to remember.
    """

    name: str
    categories: tuple[str, ...]
    missing: int | None
    has_missing_bucket: bool
    num_rare: int
    rare: tuple[str, ...]

    @property
    def size(self) -> int:
        """The number of buckets."""
        return 1 + self.has_missing_bucket + len(self.categories)

    @property
    def buckets(self) -> tuple[str, ...]:
        """The names of the buckets."""
        return ("other", *([MISSING] if self.has_missing_bucket else []), *self.categories)

    def numbers(self, column: Column) -> Values:
        """Return (N,) int32 bucket numbers. Raises: DataError for a cell that must not miss."""
        if self.missing is None and (missing := column.missing()).any():
            raise MissingCellError(self.name, int(np.argmax(missing)))
        start = 1 + self.has_missing_bucket
        table = {name: start + i for i, name in enumerate(self.categories)}
        return translated(column, table, absent=OTHER, missing=self.missing if self.missing is not None else OTHER)


class MissingCellError(DataError):
    """A cell is missing in a column whose rule is `error`."""

    def __init__(self, name: str, row: int) -> None:
        """Take the column and the row within the frame, from 0."""
        super().__init__(
            f"column {name}: row {row + 1} has no value",
            hint="data.missing_numeric=mean, data.missing_categorical=indicator, or fill it in",
        )
        self.name, self.row = name, row


@final
@dataclass(frozen=True, slots=True)
class _Places:
    """Where the buckets of all columns, one after the other, stand among the features.

    Attributes:
        features: the feature of each bucket; `width` where it has none.
        starts: the first bucket of each column.
        width: number of features.
    """

    features: Tensor
    starts: Tensor
    width: int


@final
@dataclass(frozen=True, slots=True)
class TableEncoder:
    """The encoding of a whole table.

    Attributes:
        numbers: of the columns that become features, in the table's order.
        categories: of the categorical columns.
        embedded: whether the model takes bucket numbers; otherwise each bucket is a feature of 0 or 1.
    """

    numbers: tuple[NumberCode, ...]
    categories: tuple[CategoryCode, ...]
    embedded: bool
    _places: dict[torch.device, _Places] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return (*(code.name for code in self.numbers), *(code.name for code in self.categories))

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """The kind of each column that it reads."""
        found: dict[str, ColumnKind] = {code.name: code.kind for code in self.numbers}
        return found | dict.fromkeys((code.name for code in self.categories), "categorical")

    @property
    def needed(self) -> frozenset[str]:
        """The columns in which no cell may be missing."""
        numbers = (code.name for code in self.numbers if code.fill is None)
        return frozenset([*numbers, *(code.name for code in self.categories if code.missing is None)])

    @property
    def specs(self) -> tuple[InputSpec, ...]:
        """What the model takes: features, or categories, or both in this order."""
        width = sum(code.width for code in self.numbers)
        if not self.embedded:
            width += len(self._feature_of_bucket()[1])
        sizes = tuple(code.size for code in self.categories) if self.embedded else ()
        specs = [InputSpec("features", "features", (width,))] if width else []
        return (*specs, *([InputSpec("categories", "categories", (len(sizes),), sizes)] if sizes else []))

    def feature_names(self) -> tuple[str, ...]:
        """Return a name for each of the F features."""
        names: list[str] = []
        for code in self.numbers:
            parts = ("", "_year_sin", "_year_cos", "_week_sin", "_week_cos") if code.kind == "date" else ("",)
            names += [code.name + part for part in parts] + ([f"{code.name}_missing"] if code.indicator else [])
        return (*names, *([] if self.embedded else self._feature_of_bucket()[1]))

    def store(self, frame: Frame) -> tuple[Tensor, ...]:
        """Return a frame's rows as compact tensors: features (N, ·) float32 and bucket numbers (N, K) int32."""
        stored = []
        if self.numbers:
            features = np.empty((len(frame), sum(code.width for code in self.numbers)), dtype=np.float32)
            start = 0
            for code in self.numbers:
                code.write(frame.column(code.name), features[:, start : start + code.width])
                start += code.width
            stored.append(torch.from_numpy(features))
        if self.categories:
            buckets = np.stack([code.numbers(frame.column(code.name)) for code in self.categories], axis=1)
            stored.append(torch.from_numpy(np.ascontiguousarray(buckets)))
        return tuple(stored)

    def prepare(self, stored: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the model's inputs of a batch from its stored form: the buckets become features of 0 and 1."""
        if self.embedded or not self.categories:
            return stored
        *before, buckets = stored
        places = self._places_on(buckets.device)
        hot = torch.zeros(len(buckets), places.width + 1, device=buckets.device)  # the last one is for no feature
        hot.scatter_(1, places.features[buckets.long() + places.starts], 1.0)
        return (torch.cat([*before, hot[:, :-1]], 1),)

    def _places_on(self, device: torch.device) -> _Places:
        """Return the places of the buckets among the features, made once a device."""
        if device not in self._places:
            features, names = self._feature_of_bucket()
            sizes = [code.size for code in self.categories]
            starts = torch.tensor([0, *np.cumsum(sizes)[:-1]], device=device)
            self._places[device] = _Places(torch.tensor(features, device=device), starts, len(names))
        return self._places[device]

    def _feature_of_bucket(self) -> tuple[list[int], list[str]]:
        """Return the feature of each bucket of each column, and the features' names.

        The bucket of the others has one only where training has rows in it: a weight that nothing trains would add
        noise to the rows of a category that was never seen.
        """
        features: list[int] = []
        names: list[str] = []
        for code in self.categories:
            for number, bucket in enumerate(code.buckets):
                has_feature = number != OTHER or code.num_rare > 0
                features.append(len(names) if has_feature else -1)
                names += [f"{code.name}={bucket}"] if has_feature else []
        return [len(names) if f < 0 else f for f in features], names

    @property
    def forgetful(self) -> frozenset[str]:
        """The columns with too many rare categories to tell them from those that training has not seen."""
        return frozenset(code.name for code in self.categories if code.num_rare > len(code.rare))

    def unseen(self, frame: Frame) -> dict[str, int]:
        """Return how many cells of each categorical column have a category that training has not, where there are.

        In the columns of `forgetful`, cells of rare categories count too.
        """
        found = {}
        for code in self.categories:
            column, known = frame.column(code.name), {*code.categories, *code.rare}
            counts = np.bincount(column.values[column.values >= 0], minlength=len(column.categories))
            unseen = sum(int(n) for n, name in zip(counts, column.categories, strict=False) if name not in known)
            if unseen:
                found[code.name] = unseen
        return found

    def to_plain(self) -> dict[str, Any]:
        """Return plain data for preprocess.json."""
        return {
            "kind": "table",
            "numbers": [asdict(code) for code in self.numbers],
            "categories": [asdict(code) for code in self.categories],
            "embedded": self.embedded,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> TableEncoder:
        """Return the encoder that `to_plain` described. Raises: KeyError, TypeError where it is none."""
        numbers = tuple(NumberCode(**code) for code in plain["numbers"])
        categories = tuple(
            CategoryCode(**{**code, "categories": tuple(code["categories"]), "rare": tuple(code["rare"])})
            for code in plain["categories"]
        )
        return cls(numbers, categories, plain["embedded"])


def fit_table(frame: Frame, train: Any, rules: Rules) -> TableEncoder:
    """Fit the encoding of a table.

    Args:
        frame: the table.
        train: the training rows; no other row is looked at.
        rules: the settings.

    Columns without a single value in training are left out.

    Raises:
        DataError: no column has a value.
    """
    numbers: list[NumberCode] = []
    categories: list[CategoryCode] = []
    for column in frame.columns:
        part = Column(column.name, column.kind, column.values[train], column.categories)
        if part.missing().all():
            continue
        if column.kind == "categorical":
            categories.append(_fit_categories(part, rules))
        else:
            numbers.append(_fit_numbers(part, rules))
    if not numbers and not categories:
        raise DataError("no column has a value in the training rows: there is nothing to learn from")
    return TableEncoder(tuple(numbers), tuple(categories), rules.categories == "embedding" and bool(categories))


def _fit_numbers(column: Column, rules: Rules) -> NumberCode:
    missing = column.missing()
    present = column.values[~missing].astype(np.float64)
    shift, size = 0.0, 1.0
    if column.kind != "boolean" and rules.scaling != "none":
        shift, size = (float(v[0]) for v in statistics(present[:, None], rules.scaling))
    has_indicator = rules.missing_numeric == "indicator" and bool(missing.any())
    dtype: Any = column.values.dtype.name
    return NumberCode(column.name, column.kind, _filling(present, rules), shift, size, has_indicator, dtype)


def _filling(present: Values, rules: Rules) -> float | None:
    """Return what a missing cell becomes, from the cells (N,) that are there; None refuses it."""
    match rules.missing_numeric:
        case "error":
            return None
        case "constant":
            return rules.fill_value
        case "most_frequent":
            values, counts = np.unique(present, return_counts=True)
            return float(values[np.argmax(counts)])
        case "median":
            return float(np.median(present))
        case _:
            return float(present.mean())


def _fit_categories(column: Column, rules: Rules) -> CategoryCode:
    counts = np.bincount(column.values[column.values >= 0], minlength=len(column.categories))
    order = sorted(np.flatnonzero(counts), key=lambda k: (-counts[k], column.categories[k]))
    names = tuple(column.categories[k] for k in order)
    kept, rare = names[: rules.max_categories], names[rules.max_categories :]
    rule = rules.missing_categorical
    own = rule == "constant" or (rule == "indicator" and bool(column.missing().any()))
    # Without a missing cell in training, a later one falls among the others, as an unseen category does.
    bucket = {"error": None, "most_frequent": 1, "indicator": 1 if own else OTHER, "constant": 1}[rule]
    return CategoryCode(column.name, kept, bucket, own, len(rare), rare if len(rare) <= MOST_RARE else ())


def column_notes(encoder: TableEncoder, frame: Frame) -> Sequence[str]:
    """Return what the user should know of the encoding, in words."""
    notes = [
        f"column {c.name} has no value in training and is left out"
        for c in frame.columns
        if c.name not in encoder.names
    ]
    rare = [c for c in encoder.categories if c.num_rare]
    return [
        *notes,
        *(
            f"column {c.name}: the {len(c.categories)} most frequent categories are kept, all others share "
            "one bucket (data.max_categories)"
            for c in rare
        ),
    ]
