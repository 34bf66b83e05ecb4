"""From a column of text to numbers or categories, and what kind of column it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np

from nnkit.data.frame import ColumnKind

if TYPE_CHECKING:
    import pyarrow as pa

Inferred = Literal["numeric", "boolean", "date", "categorical", "text", "empty"]
MOST_BAD = 0.05  # share of cells that may be no numbers in a column that is taken for one of numbers
FEWEST_TEXT = 20  # a column of so few different texts is categorical, even if all of them differ
TRUE, FALSE = frozenset({"true", "yes", "t", "y"}), frozenset({"false", "no", "f", "n"})
LARGEST = 3.0e38  # what 32 bits can hold
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf|infinity)$"
_DATE = r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?)?$"
_SMALLEST = 2.0**-149  # the step of 32 bits near 0
_DECIMAL_COMMA = r"^[+-]?\d+(,\d+)+$"
_BLANKS = " \t"  # what may stand around a number, whatever data.strip says
_OF_NUMBERS = frozenset("+-.0123456789eE")  # what data.strip leaves alone in a number
_SECONDS_A_DAY = 86_400


@final
@dataclass(frozen=True, slots=True)
class Cells:
    """A stretch of a column.

    Attributes:
        values: (N,) float64 with NaN for missing; categorical: (N,) int32 numbers of `categories`, -1 for missing.
        categories: the texts behind the numbers.
        bad: (N,) true where a cell is there but is no such value; None where all are right.
    """

    values: Any
    categories: tuple[str, ...] = ()
    bad: Any = None


def cleaned(column: pa.Array, *, strip: str, missing: Sequence[str]) -> pa.Array:
    """Return a column of text with the ends of its cells cut, and null for what means missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim(column, strip) if strip else column
    return pc.if_else(pc.is_in(trimmed, pa.array(missing, pa.string())), pa.scalar(None, pa.string()), trimmed)


def kind_of(column: pa.Array, *, strip: str = " ", missing: Sequence[str] = ()) -> Inferred:
    """Return what a column of text holds, by the cells that are there.

    At most one cell in twenty, or a single one of four or more, may be no number in a column that is taken for one of
    numbers: it is told later, with its line. So it is with dates. A column of text is categorical, unless most of its
    cells differ.
    """
    import pyarrow.compute as pc

    text = cleaned(column, strip=strip, missing=missing)
    present = text.drop_null()
    if not len(present):
        return "empty"
    if _mostly(pc.match_substring_regex(_trimmed_numbers(column.filter(text.is_valid()), strip), _NUMBER)):
        return "numeric"
    if _mostly(pc.match_substring_regex(present, _DATE)):
        return "date"
    different = pc.unique(present)
    if len(different) <= 4 and {word.lower() for word in different.to_pylist()} <= TRUE | FALSE:
        return "boolean"
    is_text = len(different) > max(FEWEST_TEXT, len(present) // 2)
    return "text" if is_text else "categorical"


def _trimmed_numbers(column: pa.Array, strip: str) -> pa.Array:
    """Return a column of text with the ends of its cells cut, but for what may stand in a number."""
    import pyarrow.compute as pc

    return pc.utf8_trim(column, _BLANKS + "".join(c for c in strip if c not in _OF_NUMBERS))


def _mostly(is_such: pa.Array) -> bool:
    """Tell whether so few cells are not such that they are mistakes."""
    import pyarrow.compute as pc

    count = len(is_such) - (pc.sum(is_such).as_py() or 0)
    return bool(count <= MOST_BAD * len(is_such) or (count == 1 and len(is_such) > 3))


def read_cells(column: pa.Array, kind: ColumnKind, *, strip: str, missing: Sequence[str]) -> Cells:
    """Return a column of text as values.

    Args:
        column: of strings, perhaps with nulls.
        kind: what it shall be.
        strip: characters cut off both ends of each cell.
        missing: what a cell without a value may hold.
    """
    if kind == "categorical":
        return _categories(column, strip, missing)
    if kind == "boolean":
        return _booleans(_categories(column, strip, missing))
    return _numbers(column, strip, missing) if kind == "numeric" else _dates(column, strip, missing)


def plain(column: pa.Array) -> pa.Array:
    """Return a column without the wrapping that an extension type or a dictionary is."""
    import pyarrow as pa

    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column


def as_text(column: pa.Array) -> pa.Array | None:
    """Return a plain column as strings; None for what has no text (lists, structures, bytes)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    types, kind = pa.types, column.type
    if types.is_string(kind):
        return column
    are_bytes = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
    if types.is_nested(kind) or any(is_bytes(kind) for is_bytes in are_bytes):
        return None
    try:
        return pc.cast(column, pa.string())
    except pa.ArrowNotImplementedError:
        return None


def values_of(column: pa.Array, kind: ColumnKind) -> Cells | None:
    """Return a plain column of numbers, booleans or dates as values; None where its text must be read for that."""
    import pyarrow as pa
    import pyarrow.compute as pc

    types, stored = pa.types, column.type
    if kind == "date" and (types.is_date(stored) or types.is_timestamp(stored)):
        return Cells(days(column))
    if kind not in ("numeric", "boolean"):
        return None
    if types.is_boolean(stored):
        return Cells(pc.cast(pc.cast(column, pa.uint8()), pa.float64()).to_numpy(zero_copy_only=False))
    if not (types.is_integer(stored) or types.is_floating(stored) or types.is_decimal(stored)):
        return None
    if not types.is_float64(stored):
        column = pc.cast(column, pa.float64(), safe=False)
    values = column.to_numpy(zero_copy_only=False)
    if kind == "numeric":
        return Cells(values, (), _beyond(values))
    bad = ~(np.isnan(values) | (values == 0) | (values == 1))
    return Cells(values, (), bad if bad.any() else None)


def _numbers(column: pa.Array, strip: str, missing: Sequence[str]) -> Cells:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        values, bad = _as_floats(column), None
    except pa.ArrowInvalid:  # blanks, or something that is no number: look closer
        is_missing = cleaned(column, strip=strip + _BLANKS, missing=missing).is_null()
        column = cleaned(_trimmed_numbers(column, strip), strip="", missing=missing)
        is_number = pc.fill_null(pc.match_substring_regex(column, _NUMBER), True)
        bad = np.asarray(pc.invert(pc.or_(is_number, is_missing)))
        column = pc.if_else(is_number, column, pa.scalar(None, pa.string()))
        values = _as_floats(column)
    beyond = _beyond(values)
    if np.count_nonzero(np.isnan(values)) > column.null_count:  # "nan", where that is no word for missing
        beyond = (np.isnan(values) & np.asarray(column.is_valid())) | (False if beyond is None else beyond)
    if beyond is not None:
        bad = beyond if bad is None else bad | beyond
    return Cells(values, (), bad if bad is not None and bad.any() else None)


def _as_floats(column: pa.Array) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)


def _beyond(values: Any) -> Any:
    """Return where values are larger than 32 bits can hold; None where none is."""
    if not len(values) or max(np.fmax.reduce(values), -np.fmin.reduce(values)) <= LARGEST or np.isnan(values).all():
        return None
    with np.errstate(invalid="ignore"):
        return np.abs(values) > LARGEST


def has_decimal_commas(column: pa.Array, *, strip: str, missing: Sequence[str]) -> bool:
    """Tell whether most cells of a column are numbers with commas in them: a reader of text takes none for a number."""
    import pyarrow.compute as pc

    text = as_text(plain(column))
    if text is None:
        return False
    present = cleaned(text, strip=strip + _BLANKS, missing=missing).drop_null()
    is_number = pc.match_substring_regex(present, _NUMBER)
    has_comma = pc.match_substring_regex(present, _DECIMAL_COMMA)
    return bool(_mostly(pc.or_(is_number, has_comma)) and pc.any(has_comma).as_py())


def _dates(column: pa.Array, strip: str, missing: Sequence[str]) -> Cells:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = cleaned(column, strip=strip, missing=missing)
    is_date = pc.fill_null(pc.match_substring_regex(column, _DATE), True)
    bad = np.asarray(pc.invert(is_date))
    try:
        stamps = pc.cast(pc.if_else(is_date, column, pa.scalar(None, pa.string())), pa.timestamp("us"))
        values = days(stamps)
    except pa.ArrowInvalid:  # the 30th of February
        values = np.full(len(column), np.nan)
        for row, cell in enumerate(column.to_pylist()):
            try:
                values[row] = days(pc.cast(pa.array([cell], pa.string()), pa.timestamp("us")))[0]
            except pa.ArrowInvalid:
                bad[row] = True
    return Cells(values, (), bad if bad.any() else None)


def days(stamps: pa.Array) -> Any:
    """Return days since 1970-01-01, with a fraction, (N,) float64 with NaN for null, from dates or time stamps."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_date32(stamps.type):
        return pc.cast(pc.cast(stamps, pa.int32()), pa.float64()).to_numpy(zero_copy_only=False)
    units = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
    unit = units["ms" if pa.types.is_date64(stamps.type) else stamps.type.unit]
    counts = pc.cast(pc.cast(stamps, pa.int64()), pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return counts / (_SECONDS_A_DAY * unit)


def _categories(column: pa.Array, strip: str, missing: Sequence[str]) -> Cells:
    """Return the numbers of the texts; only the different ones are cleaned, which are few."""
    encoded = column.dictionary_encode()
    texts = cleaned(encoded.dictionary, strip=strip, missing=missing).to_pylist()
    numbers: dict[str, int] = {}
    table = [-1 if text is None else numbers.setdefault(text, len(numbers)) for text in texts]
    codes = encoded.indices.fill_null(len(table)).to_numpy(zero_copy_only=False)
    return Cells(np.array([*table, -1], dtype=np.int32)[codes], tuple(numbers))


def _booleans(cells: Cells) -> Cells:
    words = [word.lower() for word in cells.categories]
    table = [1.0 if w in TRUE or w == "1" else 0.0 if w in FALSE or w == "0" else np.nan for w in words]
    values = np.array([*table, np.nan])[cells.values]
    bad = np.isnan(values) & (cells.values >= 0)
    return Cells(values, (), bad if bad.any() else None)


def compact(values: Any) -> Any:
    """Return values as float32 where that changes them by less than a hundred-thousandth of their spread.

    Whole numbers beyond 2**24 stay float64, so that identifiers stay different.
    """
    if not len(values):
        return values.astype(np.float32)
    with np.errstate(all="ignore"):
        low, high = np.fmin.reduce(values), np.fmax.reduce(values)
        top = max(abs(low), abs(high))
        if not np.isfinite(top):
            return values.astype(np.float32) if np.isnan(values).all() else values
        is_fine = top <= LARGEST and max(top * 2.0**-24, _SMALLEST) <= 1e-5 * (high - low)
        if top > 2**24 and (np.isnan(values) | (values == np.floor(values))).all():
            return values
        return values.astype(np.float32) if is_fine or (low == high and float(np.float32(low)) == low) else values
