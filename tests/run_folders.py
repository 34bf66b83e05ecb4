"""Run folders that were not trained: files as a run writes them, with what a test wants to be in them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.schema import to_plain
from nnkit.runs import CONFIG, FORMAT, RUN, SWEEP

ROOT = Path("outputs")


@cache
def _text(model: str, data: str) -> str:
    return yaml.safe_dump(to_plain(check(compose([f"model={model}", f"data={data}"]))), sort_keys=False)


def made(
    name: str, settings: dict[str, Any] | None = None, *, model: str = "mlp", data: str = "iris", **facts: Any
) -> Path:
    """Write a run below outputs/ and return its folder; facts that are None are left out of run.json."""
    folder = ROOT / name
    folder.mkdir(parents=True)
    values = yaml.safe_load(_text(model, data))
    for key, value in (settings or {}).items():
        section, _, last = key.rpartition(".")
        (values[section] if section else values)[last] = value
    (folder / CONFIG).write_text(yaml.safe_dump(values, sort_keys=False))
    (folder / "lock").write_text("")
    told = {
        "format": FORMAT,
        "status": "completed",
        "started": f"2026-11-{1 + len(list(ROOT.rglob(RUN))):02d}T10:00:00.000000+00:00",
        "data_fingerprint": data,
        "epochs": 5,
        "seconds": 1.5,
        "metrics": {"val/loss": 0.5, "val/accuracy": 0.9, "test/accuracy": 0.8},
        **facts,
    }
    (folder / RUN).write_text(json.dumps({key: value for key, value in told.items() if value is not None}))
    return folder


def scored(accuracy: float, test: float | None = None, loss: float = 0.5) -> dict[str, float]:
    """Metrics of a classification."""
    found = {"val/loss": loss, "val/accuracy": accuracy}
    return found if test is None else {**found, "test/accuracy": test}


def sweep(name: str, **facts: Any) -> Path:
    """Write the sweep.json of a folder whose trials were made."""
    (ROOT / name / SWEEP).write_text(json.dumps({"format": 1, **facts}))
    return ROOT / name
