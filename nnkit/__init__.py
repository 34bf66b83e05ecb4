"""nnkit trains standard neural networks from YAML on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from nnkit.infer.predictor import Predictor

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(run: str | Path, *, trust: bool = False) -> Predictor:
    """Return a finished run as an object with `predict`; see `nnkit.infer.predictor.load`."""
    from nnkit.infer.predictor import load

    return load(run, trust=trust)
