"""From a data section to samples: read, split, scale."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnkit import usercode
from nnkit.config.sections.cv import CvConfig
from nnkit.config.sections.data import (
    ArrayConfig,
    CodeDataConfig,
    DataConfig,
    EmbeddedValuesConfig,
    IdxConfig,
    ImagesConfig,
    MasksConfig,
    TableConfig,
    TorchvisionConfig,
    VisionConfig,
)
from nnkit.config.sections.sequences import (
    AddingConfig,
    ForecastConfig,
    Mnist1dConfig,
    ParityConfig,
    SequenceConfig,
    SeriesConfig,
    SineConfig,
    TextConfig,
    TsConfig,
)
from nnkit.data.array import read_array, source_of_arrays
from nnkit.data.embedded import read_classes, read_diabetes, read_digits
from nnkit.data.frame import ColumnKind
from nnkit.data.generated import read_adding, read_parity, read_sine
from nnkit.data.idx_pair import read_idx_pairs
from nnkit.data.masks import read_masks
from nnkit.data.mnist1d import read_mnist1d
from nnkit.data.pictures import read_pictures
from nnkit.data.series import read_series
from nnkit.data.source import Rows, Source, check_source, keep_classes, keep_some
from nnkit.data.split import Splits, split, split_fold
from nnkit.data.table import read_table
from nnkit.data.text import read_text
from nnkit.data.torchvision_set import read_torchvision
from nnkit.data.ts import read_ts
from nnkit.data.vision import read_vision
from nnkit.errors import DataError

__all__ = ["Rows", "Source", "Splits", "absolute", "read", "read_whole", "split_by"]


def read(config: DataConfig, cv: CvConfig | None = None) -> Source:
    """Return the data that a section names, with its classes and its limit applied.

    Args:
        config: the section.
        cv: whose fold, if it is one, cuts what time cuts; None for no fold.

    Raises:
        DataError: the files are missing, broken, or have nothing to learn.
        ConfigError: a setting does not fit the data.
    """
    source = read_whole(config, cv=cv)
    check_source(source)
    classes, limit = getattr(config, "classes", None), getattr(config, "limit", None)
    if classes is not None:
        source = keep_classes(source, classes)
    return source if limit is None else keep_some(source, limit, getattr(config, "split_seed", 0))


def read_whole(config: DataConfig, kinds: Mapping[str, ColumnKind] | None = None, cv: CvConfig | None = None) -> Source:
    """Return all rows that a section names.

    Args:
        config: the section.
        kinds: of a table's columns, where they are known; others are left alone. None infers them.
        cv: as `read` has it.

    Raises:
        DataError: the files are missing or broken.
        ConfigError: a setting does not fit the data.
    """
    match config:
        case EmbeddedValuesConfig():
            return read_diabetes()
        case VisionConfig():
            return read_vision(config.kind, absolute(config.root or ""), download=config.download)
        case TorchvisionConfig():
            return read_torchvision(config, absolute(config.root or ""))
        case ImagesConfig():
            return read_pictures(config)
        case MasksConfig():
            return read_masks(config)
        case IdxConfig():
            pair = (absolute(config.path), absolute(config.target_path))
            return read_idx_pairs(pair, _pair(config.test_path, config.test_target_path))
        case ArrayConfig():
            target = None if config.target_path is None else absolute(config.target_path)
            return read_array(absolute(config.path), target, kind=config.input, task=config.task)
        case CodeDataConfig():
            return source_of_arrays(f"data.code={config.code}", _called(config), kind=config.input, task=config.task)
        case TableConfig():
            return read_table(config, kinds)
        case (
            SeriesConfig()
            | TsConfig()
            | TextConfig()
            | Mnist1dConfig()
            | AddingConfig()
            | ParityConfig()
            | SineConfig()
        ):
            return _sequences(config, None if cv is None or cv.fold is None else cv)
        case _:
            return read_digits() if config.kind == "digits" else read_classes(config.kind)


def _sequences(config: SequenceConfig, cv: CvConfig | None) -> Source:
    match config:
        case SeriesConfig():
            return read_series(config, cv)
        case TsConfig():
            return read_ts(config)
        case TextConfig():
            return read_text(config)
        case Mnist1dConfig():
            return read_mnist1d()
        case AddingConfig():
            return read_adding(config)
        case ParityConfig():
            return read_parity(config)
        case SineConfig():
            return read_sine(config, cv)


def _called(config: CodeDataConfig) -> dict[str, Any]:
    """Return the arrays that the user's function returns. Raises: DataError, ConfigError."""
    found = usercode.made(config.code, config.kwargs, key="data.code")
    if not isinstance(found, dict):
        what = type(found).__name__
        raise DataError(f"data.code={config.code} must return a dict of arrays x and y, got {what}")
    return found


def _pair(path: str | None, target_path: str | None) -> tuple[Path, Path] | None:
    return None if path is None or target_path is None else (absolute(path), absolute(target_path))


def absolute(path: str) -> Path:
    """Return a user's path, absolute, with `~` being the home folder."""
    return Path(path).expanduser().absolute()


def split_by(config: DataConfig, source: Source, cv: CvConfig | None = None) -> Splits:
    """Split the rows as the sections say. Raises: ConfigError; DataError.

    Args:
        config: the section.
        source: as `read` returns it for both sections.
        cv: whose fold, if it is one, holds out the test part; None for no fold.
    """
    test_fraction = getattr(config, "test_fraction", None)
    seed = 0 if isinstance(config, ForecastConfig) else config.split_seed  # time alone cuts a series
    if cv is None or cv.fold is None:
        return split(source, val_fraction=config.val_fraction, test_fraction=test_fraction, seed=seed)
    return split_fold(source, cv, val_fraction=config.val_fraction, test_fraction=test_fraction, seed=seed)
