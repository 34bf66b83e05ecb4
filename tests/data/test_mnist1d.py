"""MNIST-1D, made by its package."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from nnkit.data import mnist1d
from nnkit.data.mnist1d import read_mnist1d
from nnkit.errors import ConfigError
from nnkit.spec import InputSpec


def test_the_published_set_is_made_and_the_generators_of_the_caller_are_as_before() -> None:
    pytest.importorskip("mnist1d")
    mnist1d._made.cache_clear()
    random.seed(5)
    np.random.seed(5)
    expected = random.random(), np.random.random()
    random.seed(5)
    np.random.seed(5)
    source = read_mnist1d()
    assert (random.random(), np.random.random()) == expected
    (x,) = source.inputs
    assert (x.shape, x.dtype, source.specs) == ((5000, 40, 1), np.float32, (InputSpec("x", "series", (40, 1)),))
    assert source.test_rows is not None
    assert source.test_rows.tolist() == list(range(4000, 5000))
    assert source.classes == tuple("0123456789")
    assert np.bincount(np.asarray(source.target)).tolist() == [500] * 10
    assert abs(float(x.mean())) < 1e-6  # the package scales them all together
    assert float(x.std()) == pytest.approx(1, abs=1e-6)
    x[:] = 0
    assert abs(read_mnist1d().inputs[0]).max() > 0


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ImportError(f"No module named '{name}'")

    mnist1d._made.cache_clear()
    monkeypatch.setattr(mnist1d, "import_module", absent)
    with pytest.raises(
        ConfigError, match=r"data=mnist1d needs the package mnist1d: No module named 'mnist1d\.data'"
    ) as caught:
        read_mnist1d()
    assert caught.value.problems[0].hint == "pip install 'nnkit[mnist1d]'"
