"""From a data section to samples: read, split, scale."""

from __future__ import annotations

from pathlib import Path

from nnkit.config.sections.data import ArrayConfig, DataConfig, EmbeddedValuesConfig, TableConfig, VisionConfig
from nnkit.data.array import read_array
from nnkit.data.embedded import read_classes, read_diabetes, read_digits
from nnkit.data.source import Source, check_source, keep_classes, keep_some
from nnkit.data.split import Splits, split
from nnkit.data.table import read_table
from nnkit.data.vision import read_vision

__all__ = ["Source", "Splits", "absolute", "read", "split_by"]


def read(config: DataConfig) -> Source:
    """Return the data that a section names, with its classes and its limit applied.

    Raises:
        DataError: the files are missing, broken, or have nothing to learn.
        ConfigError: a setting does not fit the data.
    """
    source = _read(config)
    check_source(source)
    if not isinstance(config, EmbeddedValuesConfig) and config.classes is not None:
        source = keep_classes(source, config.classes)
    return source if config.limit is None else keep_some(source, config.limit, config.split_seed)


def _read(config: DataConfig) -> Source:
    match config:
        case EmbeddedValuesConfig():
            return read_diabetes()
        case VisionConfig():
            return read_vision(config.kind, absolute(config.root or ""), download=config.download)
        case ArrayConfig():
            return read_array(absolute(config.path), kind=config.input, task=config.task)
        case TableConfig():
            return read_table(absolute(config.path), target=config.target, task=config.task)
        case _:
            return read_digits() if config.kind == "digits" else read_classes(config.kind)


def absolute(path: str) -> Path:
    """Return a user's path, absolute, with `~` being the home folder."""
    return Path(path).expanduser().absolute()


def split_by(config: DataConfig, source: Source) -> Splits:
    """Split the rows as the section says. Raises: ConfigError; DataError."""
    test_fraction = None if isinstance(config, VisionConfig) else config.test_fraction
    return split(source, val_fraction=config.val_fraction, test_fraction=test_fraction, seed=config.split_seed)
