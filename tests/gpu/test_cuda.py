"""What only a CUDA device shows: that a run trains there, resumes there, and agrees with the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.errors import DivergenceError
from nnkit.final import Result
from nnkit.run import resume, train
from nnkit.runs import new_folder
from nnkit.train import checkpoints

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]
QUICK = ["model=cnn", "trainer.max_epochs=4", "trainer.device=cuda"]


def trained(words: list[str]) -> Result:
    config = check(compose(words))
    return train(config, new_folder(config))


def last_weights(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoints.read_weights(checkpoints.pointed(folder / "checkpoints", "last"))


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_each_precision_trains(precision: str) -> None:
    result = trained([*QUICK, f"trainer.precision={precision}"])
    assert result.metrics["test/accuracy"] > 0.9


def test_the_first_epoch_agrees_with_the_cpu() -> None:
    words = ["trainer.max_epochs=1", "trainer.precision=fp32"]
    there, here = (trained([*words, f"trainer.device={device}"]) for device in ("cuda", "cpu"))
    assert there.metrics["val/loss"] == pytest.approx(here.metrics["val/loss"], rel=1e-3)


def test_a_run_goes_on_where_it_stopped() -> None:
    words = [*QUICK, "trainer.deterministic=true", "trainer.precision=fp32", "regularization=dropout"]
    whole = trained(words)
    part = trained([*words, "trainer.max_steps=30"])
    config = check(compose([*words, f"output_dir={part.folder.parent}"]))
    done = resume(config, part.folder)
    assert done.steps == whole.steps
    for name, value in last_weights(whole.folder).items():
        assert torch.equal(value, last_weights(done.folder)[name]), name


def test_a_divergence_is_caught_at_the_next_look() -> None:
    with pytest.raises(DivergenceError, match=r"training loss became|a weight became"):
        trained(["optimizer=sgd", "optimizer.lr=1e8", "trainer.device=cuda"])


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru", "cnn"])
def test_sequences_that_vary_agree_with_the_cpu(model: str) -> None:
    words = ["data=adding", "data.min_length=5", f"model={model}", "trainer.max_epochs=1", "trainer.precision=fp32"]
    words += ["model.global_pooling=max"] if model == "cnn" else ["model.bidirectional=true"]
    there, here = (trained([*words, f"trainer.device={device}"]) for device in ("cuda", "cpu"))
    assert there.metrics["val/loss"] == pytest.approx(here.metrics["val/loss"], rel=1e-3)


def test_a_carried_state_agrees_with_the_cpu() -> None:
    Path("text.txt").write_text("to be or not to be, that is the question. " * 200)
    words = ["data=text", "data.path=text.txt", "data.task=language", "data.tokens=char", "data.segment=32"]
    words += ["model=gru"]
    words += ["batching.stateful=true", "batching.shuffle=false", "batching.batch_size=16", "trainer.tbptt_steps=16"]
    words += ["trainer.max_epochs=2", "trainer.precision=fp32"]
    there, here = (trained([*words, f"trainer.device={device}"]) for device in ("cuda", "cpu"))
    assert there.metrics["val/loss"] == pytest.approx(here.metrics["val/loss"], rel=1e-3)


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize(
    "words",
    [
        ["data=adding", "data.samples=300", "data.min_length=5", "model.bidirectional=true", "model.num_layers=2"],
        ["data=parity", "data.samples=300", "data.min_length=5", "trainer.tbptt_steps=4"],
    ],
    ids=["both directions", "truncated"],
)
def test_a_recurrent_network_agrees_with_the_cpu(model: str, words: list[str]) -> None:
    words = [*words, f"model={model}", "trainer.max_epochs=2", "trainer.precision=fp32"]
    there, here = (trained([*words, f"trainer.device={device}"]) for device in ("cuda", "cpu"))
    assert there.metrics["val/loss"] == pytest.approx(here.metrics["val/loss"], rel=1e-2)
