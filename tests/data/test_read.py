"""From a data section to rows and splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnkit.config.sections.data import (
    ArrayConfig,
    EmbeddedClassesConfig,
    EmbeddedValuesConfig,
    TableConfig,
    VisionConfig,
)
from nnkit.data import read, split_by
from nnkit.errors import ConfigError, DataError
from tests.data.idx_files import write_images

SHARES: dict[str, Any] = {"val_fraction": 0.2, "test_fraction": 0.2}


@pytest.mark.parametrize(
    ("kind", "num_rows", "shape"),
    [("digits", 1797, (1, 8, 8)), ("iris", 150, (4,)), ("wine", 178, (13,)), ("breast_cancer", 569, (30,))],
)
def test_embedded_classes_are_read_by_name(kind: Any, num_rows: int, shape: tuple[int, ...]) -> None:
    source = read(EmbeddedClassesConfig(kind=kind, **SHARES))
    assert (source.name, len(source), source.specs[0].shape) == (f"data={kind}", num_rows, shape)


def test_embedded_values_are_read_and_limited() -> None:
    config = EmbeddedValuesConfig(kind="diabetes", limit=100, **SHARES)
    assert len(read(config)) == 100
    assert read(config).task == "regression"


def test_classes_are_chosen_before_the_limit() -> None:
    source = read(EmbeddedClassesConfig(kind="digits", classes=[3, "8"], limit=50, **SHARES))
    assert (source.classes, len(source), set(source.row_target.tolist())) == (("3", "8"), 50, {0, 1})


def test_the_split_seed_draws_limit_and_parts() -> None:
    def drawn(seed: int) -> tuple[str, list[int]]:
        config = EmbeddedClassesConfig(kind="iris", limit=60, split_seed=seed, **SHARES)
        source = read(config)
        return source.fingerprint(), split_by(config, source).test.tolist()

    assert drawn(1) == drawn(1)
    assert drawn(1)[0] != drawn(2)[0]
    assert drawn(1)[1] != drawn(2)[1]


def test_an_array_file_is_read_and_split_by_its_fractions() -> None:
    np.savez("my.npz", x=np.random.default_rng(0).normal(size=(20, 5, 2)), y=np.arange(20) % 2)
    config = ArrayConfig(kind="array", path="my.npz", **SHARES)
    source = read(config)
    splits = split_by(config, source)
    assert source.specs[0].kind == "series"
    assert (len(splits.train), len(splits.val), len(splits.test)) == (12, 4, 4)


def test_a_table_is_read_by_its_target_and_task() -> None:
    Path("my.csv").write_text("a,y\n" + "".join(f"{k},{k % 2}\n" for k in range(10)))
    config = TableConfig(kind="table", path="my.csv", target="y", task="regression", **SHARES)
    assert read(config).task == "regression"


def test_a_vision_set_keeps_its_published_test_set_whatever_the_limit() -> None:
    for part, num_rows in (("train", 40), ("t10k", 10)):
        images, labels = np.zeros((num_rows, 2, 2)), np.arange(num_rows) % 10
        write_images(Path("sets/MNIST/raw"), part, images=images, labels=labels)
    config = VisionConfig(kind="mnist", root="sets", classes=["1", "2", "3"], limit=9, val_fraction=0.3)
    source = read(config)
    splits = split_by(config, source)
    assert len(source) == 12
    assert (len(splits.train), len(splits.val), len(splits.test)) == (6, 3, 3)
    assert sorted(source.row_target[splits.test].tolist()) == [0, 1, 2]


def test_without_a_root_the_current_folder_is_searched() -> None:
    with pytest.raises(DataError, match=f"data=mnist has no files in {Path.cwd()}/MNIST/raw"):
        read(VisionConfig(kind="mnist", val_fraction=0.2))


def test_what_was_read_is_checked() -> None:
    np.savez("my.npz", x=np.array([[1.0], [np.nan], [2.0]]), y=np.array([0, 1, 0]))
    with pytest.raises(DataError, match=r"my\.npz has 1 values that are not finite; the first is nan in row 2"):
        read(ArrayConfig(kind="array", path="my.npz", **SHARES))


def test_classes_of_a_regression_target_are_refused() -> None:
    np.savez("my.npz", x=np.ones((4, 1)), y=np.array([0.5, 1.5, 2.5, 3.5]))
    with pytest.raises(ConfigError, match="picks classes, but the target is a number"):
        read(ArrayConfig(kind="array", path="my.npz", classes=["a", "b"], **SHARES))
