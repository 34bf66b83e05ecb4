"""A network of each kind learns 16 samples by heart, through the real loop."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.run import train
from nnkit.runs import new_folder

SIXTEEN = ["data.limit=24", "data.val_fraction=0.16", "data.test_fraction=0.16", "batching.batch_size=full"]
LONG = ["optimizer.lr=0.02", "trainer.max_epochs=300", "trainer.patience=null", "trainer.threads=1"]


@pytest.mark.parametrize("model", ["linear", "mlp", "cnn"])
@pytest.mark.parametrize("data", ["image", "series"])
def test_sixteen_samples_are_learned_by_heart(model: str, data: str) -> None:
    words = ["data=digits", "data.classes=[0,1,2]"]
    if data == "series":
        rng = np.random.default_rng(0)
        np.savez("x.npz", x=rng.normal(size=(24, 12, 3)), y=np.arange(24) % 3)
        words = ["data=array", "data.path=x.npz"]
    config = check(compose([f"model={model}", *words, *SIXTEEN, *LONG]))
    result = train(config, new_folder(config))
    last = json.loads((result.folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert json.loads((result.folder / "run.json").read_text())["rows"]["train"] == 16
    assert last["train/loss"] < 0.01
