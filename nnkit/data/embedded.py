"""The sets that scikit-learn's package carries; its files are read by path, since importing it costs a second."""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from nnkit.data.source import Source
from nnkit.errors import DataError
from nnkit.spec import InputSpec

_CLASSES = {
    "iris": ("iris.csv", ("setosa", "versicolor", "virginica")),
    "wine": ("wine_data.csv", ("class_0", "class_1", "class_2")),
    "breast_cancer": ("breast_cancer.csv", ("malignant", "benign")),
}


def read_digits() -> Source:
    """Return 1,797 grey images of 8x8 pixels in 0..16, (N, 1, 8, 8) float32, 10 classes."""
    with gzip.open(_path("digits.csv.gz"), "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    images = table[:, :-1].reshape(-1, 1, 8, 8)
    spec = InputSpec("image", "image", (1, 8, 8))
    return Source(
        "data=digits", (images,), (spec,), table[:, -1].astype(np.int64), ("digit",), tuple(str(d) for d in range(10))
    )


def read_classes(name: str) -> Source:
    """Return iris, wine or breast_cancer: features (N, F) float32, 2 or 3 classes."""
    file, classes = _CLASSES[name]
    table = np.loadtxt(_path(file), delimiter=",", skiprows=1)
    features = table[:, :-1].astype(np.float32)
    spec = InputSpec("features", "features", features.shape[1:])
    return Source(f"data={name}", (features,), (spec,), table[:, -1].astype(np.int64), ("class",), classes)


def read_diabetes() -> Source:
    """Return 442 patients: features (N, 10) float32, target (N, 1) in 25..346."""
    features = np.loadtxt(_path("diabetes_data_raw.csv.gz")).astype(np.float32)
    target = np.loadtxt(_path("diabetes_target.csv.gz"))[:, None]
    spec = InputSpec("features", "features", features.shape[1:])
    return Source("data=diabetes", (features,), (spec,), target, ("progression",))


def _path(name: str) -> Path:
    package = find_spec("sklearn")
    path = Path(package.origin or "").parent / "datasets" / "data" / name if package else Path(name)
    if not path.is_file():
        raise DataError(f"scikit-learn's file {name} is not there", hint="pip install scikit-learn")
    return path
