"""The sets that scikit-learn's package carries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets

from nnkit.data import embedded
from nnkit.data.embedded import read_classes, read_diabetes, read_digits
from nnkit.errors import DataError


def test_digits_equal_the_loader_of_scikit_learn() -> None:
    expected, source = datasets.load_digits(), read_digits()
    np.testing.assert_array_equal(source.inputs[0], expected.images[:, None])
    np.testing.assert_array_equal(source.target, expected.target)
    assert source.classes == tuple(map(str, expected.target_names))


def test_digits_are_images_of_floats() -> None:
    source = read_digits()
    assert source.inputs[0].dtype == np.float32
    assert source.row_target.dtype == np.int64
    assert (source.task, source.specs[0].kind, source.specs[0].shape) == ("classification", "image", (1, 8, 8))


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_a_table_of_classes_equals_the_loader_of_scikit_learn(name: str) -> None:
    expected, source = getattr(datasets, f"load_{name}")(), read_classes(name)
    np.testing.assert_array_equal(source.inputs[0], expected.data.astype(np.float32))
    np.testing.assert_array_equal(source.target, expected.target)
    assert source.classes == tuple(expected.target_names)
    assert source.specs[0].shape == (expected.data.shape[1],)


def test_diabetes_equals_the_unscaled_loader_of_scikit_learn() -> None:
    expected, source = datasets.load_diabetes(scaled=False), read_diabetes()
    np.testing.assert_array_equal(source.inputs[0], expected.data.astype(np.float32))
    np.testing.assert_array_equal(source.target, expected.target[:, None])
    assert (source.task, source.target_names, source.classes) == ("regression", ("progression",), ())


@pytest.mark.parametrize("is_installed", [True, False])
def test_a_missing_file_of_scikit_learn_is_named(monkeypatch: pytest.MonkeyPatch, is_installed: bool) -> None:
    spec = type("Spec", (), {"origin": str(Path.cwd() / "sklearn" / "__init__.py")})
    monkeypatch.setattr(embedded, "find_spec", lambda name: spec if is_installed else None)
    with pytest.raises(DataError, match=r"file wine_data\.csv is not there") as raised:
        read_classes("wine")
    assert raised.value.problems[0].hint == "pip install scikit-learn"
