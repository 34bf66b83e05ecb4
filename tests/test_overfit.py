"""A network of each kind learns 16 samples by heart, and each task of sequences is learned, through the real loop."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.run import train
from nnkit.runs import new_folder
from tests.trained import trained

pytestmark = pytest.mark.no_cover  # its lines are counted elsewhere, and counting takes half of the time

SIXTEEN = ["data.limit=24", "data.val_fraction=0.16", "data.test_fraction=0.16", "batching.batch_size=full"]
LONG = ["optimizer.lr=0.02", "trainer.max_epochs=300", "trainer.patience=null", "trainer.threads=1"]
LONG += ["trainer.validate_every=50"]


@pytest.mark.parametrize("model", ["linear", "mlp", "cnn", "rnn", "lstm", "gru"])
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


# tasks of sequences, on samples that training has not seen

BATCHES_OF_32 = ("batching.batch_size=32", "trainer.patience=null", "trainer.threads=1", "trainer.clip_norm=1")


@pytest.mark.parametrize("lengths", [(), ("data.min_length=3",)], ids=["one length", "varying"])
def test_the_parity_of_bits_is_told_at_each_step(lengths: tuple[str, ...]) -> None:
    data = ("data=parity", "data.samples=300", "data.length=8", *lengths)
    found = trained(*data, "model=lstm", "model.hidden_size=16", "optimizer.lr=0.03", *BATCHES_OF_32, epochs(40))
    assert found.metrics["test/accuracy"] > 0.95
    assert found.metrics["baseline/accuracy"] < 0.6


def epochs(number: int) -> str:
    return f"trainer.max_epochs={number}"


def test_two_marked_numbers_of_a_sequence_of_any_length_are_added() -> None:
    data = ("data=adding", "data.samples=600", "data.length=10", "data.min_length=4", "scheduler=cosine")
    found = trained(*data, "model=gru", "model.hidden_size=24", "optimizer.lr=0.02", *BATCHES_OF_32, epochs(30))
    assert found.metrics["test/rmse"] < 0.1
    assert found.metrics["baseline/rmse"] > 0.3


@pytest.mark.parametrize("how", ["data.strategy=direct", "data.strategy=recursive", "data.window_norm=last"])
def test_a_wave_is_forecast_better_than_by_its_last_season(how: str) -> None:
    data = ("data=sine", "data.steps=600", "data.window=25", "data.horizon=5", "data.noise=0.05", how)
    found = trained(*data, "model=gru", "model.hidden_size=16", "optimizer.lr=0.01", *BATCHES_OF_32, epochs(10))
    assert found.metrics["test/scaled_mse"] < 0.2 * found.metrics["baseline/scaled_mse"]


@pytest.mark.parametrize("batching", [(), ("batching.stateful=true", "batching.shuffle=false")], ids=str)
def test_a_text_that_repeats_itself_is_foretold(batching: tuple[str, ...]) -> None:
    Path("x.txt").write_text("the cat sat on the mat. " * 60)
    data = ("data=text", "data.path=x.txt", "data.task=language", "data.tokens=char", "data.segment=12")
    model = ("model=lstm", "model.hidden_size=32", "model.embedding_size=8", "optimizer.lr=0.02")
    found = trained(*data, *model, *BATCHES_OF_32, "batching.batch_size=8", *batching, epochs(15))
    # Without a carried state the first letters of a segment have to be guessed.
    assert found.metrics["test/perplexity"] < (1.05 if batching else 1.5)
    assert found.metrics["baseline/perplexity"] > 5


@pytest.mark.parametrize("model", ["cnn", "gru", "rnn"])
def test_texts_of_any_length_are_told_apart_by_one_word(model: str) -> None:
    rng = np.random.default_rng(0)
    lines = []
    for k in range(200):
        words = rng.choice(["one", "two", "three", "four"], rng.integers(2, 9)).tolist()
        words[rng.integers(len(words))] = ("good", "bad")[k % 2]
        lines.append(f"{('yes', 'no')[k % 2]} {' '.join(words)}\n")
    Path("x.txt").write_text("".join(lines))
    summary = "model.global_pooling=max" if model == "cnn" else "model.summary=max"
    data = ("data=text", "data.path=x.txt", "data.layout=lines", f"model={model}", summary)
    found = trained(*data, "model.embedding_size=8", "optimizer.lr=0.02", *BATCHES_OF_32, epochs(12))
    assert found.metrics["test/accuracy"] > 0.95
