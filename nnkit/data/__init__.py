"""From a data section to samples: read, split, scale."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnkit import usercode
from nnkit.config.sections.data import (
    ArrayConfig,
    CodeDataConfig,
    DataConfig,
    EmbeddedValuesConfig,
    IdxConfig,
    ImagesConfig,
    TableConfig,
    TorchvisionConfig,
    VisionConfig,
)
from nnkit.data.array import read_array, source_of_arrays
from nnkit.data.embedded import read_classes, read_diabetes, read_digits
from nnkit.data.frame import ColumnKind
from nnkit.data.idx_pair import read_idx_pairs
from nnkit.data.pictures import read_pictures
from nnkit.data.source import Source, check_source, keep_classes, keep_some
from nnkit.data.split import Splits, split
from nnkit.data.table import read_table
from nnkit.data.torchvision_set import read_torchvision
from nnkit.data.vision import read_vision
from nnkit.errors import ConfigError, DataError

__all__ = ["Source", "Splits", "absolute", "read", "read_whole", "split_by"]


def read(config: DataConfig) -> Source:
    """Return the data that a section names, with its classes and its limit applied.

    Raises:
        DataError: the files are missing, broken, or have nothing to learn.
        ConfigError: a setting does not fit the data.
    """
    source = read_whole(config)
    check_source(source)
    if not isinstance(config, EmbeddedValuesConfig) and config.classes is not None:
        source = keep_classes(source, config.classes)
    return source if config.limit is None else keep_some(source, config.limit, config.split_seed)


def read_whole(config: DataConfig, kinds: Mapping[str, ColumnKind] | None = None) -> Source:
    """Return all rows that a section names.

    Args:
        config: the section.
        kinds: of a table's columns, where they are known; others are left alone. None infers them.

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
        case _:
            return read_digits() if config.kind == "digits" else read_classes(config.kind)


def _called(config: CodeDataConfig) -> dict[str, Any]:
    """Return the arrays that the user's function returns. Raises: DataError, ConfigError."""
    try:
        found = usercode.load(config.code, key="data.code")(**config.kwargs)
    except (ConfigError, DataError):
        raise
    except Exception as error:
        raise DataError(f"data.code={config.code} failed: {type(error).__name__}: {error}") from error
    if not isinstance(found, dict):
        what = type(found).__name__
        raise DataError(f"data.code={config.code} must return a dict of arrays x and y, got {what}")
    return found


def _pair(path: str | None, target_path: str | None) -> tuple[Path, Path] | None:
    return None if path is None or target_path is None else (absolute(path), absolute(target_path))


def absolute(path: str) -> Path:
    """Return a user's path, absolute, with `~` being the home folder."""
    return Path(path).expanduser().absolute()


def split_by(config: DataConfig, source: Source) -> Splits:
    """Split the rows as the section says. Raises: ConfigError; DataError."""
    test_fraction = None if isinstance(config, VisionConfig) else config.test_fraction
    return split(source, val_fraction=config.val_fraction, test_fraction=test_fraction, seed=config.split_seed)
