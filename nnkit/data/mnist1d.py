"""MNIST-1D, as its package makes it."""

from __future__ import annotations

import random
from functools import cache
from importlib import import_module

import numpy as np
import numpy.typing as npt

from nnkit.data.source import Source
from nnkit.errors import ConfigError
from nnkit.spec import InputSpec

NUM_TEST = 1000  # the last ones, as published


def read_mnist1d() -> Source:
    """Return 5,000 series (N, 40, 1) float32 in 10 classes; the last 1,000 are the published test set.

    Raises:
        ConfigError: the package mnist1d is not installed.
    """
    x, y = (array.copy() for array in _made())  # so that nobody changes what the next one gets
    test_rows = np.arange(len(x) - NUM_TEST, len(x), dtype=np.int64)
    classes = tuple(str(digit) for digit in range(10))
    spec = InputSpec("x", "series", x.shape[1:])
    return Source("data=mnist1d", (x,), (spec,), y, ("digit",), classes, test_rows)


@cache
def _made() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return series and digits; making them takes a second, so it is done once in a process."""
    # the package seeds the global generators, which are the caller's
    before = random.getstate(), np.random.get_state()
    try:
        package = import_module("mnist1d.data")
        made = package.make_dataset(package.get_dataset_args())
    except ImportError as error:
        raise ConfigError(
            f"data=mnist1d needs the package mnist1d: {error}", hint="pip install 'nnkit[mnist1d]'"
        ) from error
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
    x = np.concatenate([made["x"], made["x_test"]])[..., None].astype(np.float32)
    y = np.concatenate([made["y"], made["y_test"]]).astype(np.int64)
    return x, y
