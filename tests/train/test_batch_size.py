"""The largest batch that fits in memory."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from nnkit.assemble import assemble, prepare
from nnkit.config.check import check
from nnkit.config.origin import Composed
from nnkit.errors import ConfigError, OutOfMemoryError
from nnkit.run import resume
from nnkit.runs import read_config
from nnkit.train import batch_size
from nnkit.train.batch_size import (
    SHARE,
    TIMES_KEPT,
    bytes_a_sample,
    bytes_of_change,
    check_measured,
    largest_batch,
    search,
)
from tests.trained import Watcher, config_of, is_equal, last_weights, run_of, trained

AUTO = "batching.auto_batch_size=true"


@pytest.mark.parametrize(
    ("first", "most", "limit", "expected"),
    [(8, 100, 1000, 64), (8, 64, 1000, 64), (8, 100, 20, 16), (8, 100, 5, 4), (8, 100, 1, 1), (8, 100, 0, None)],
)
def test_sizes_are_doubled_while_they_fit_and_halved_until_they_do(
    first: int, most: int, limit: int, expected: int | None
) -> None:
    assert search(lambda size: size <= limit, first=first, most=most) == expected


def test_what_a_sample_keeps_is_what_its_layers_put_out() -> None:
    wide = run_of("model.hidden=[1000,500]")  # 4 inputs, and what each ReLU leaves, in 4 bytes
    assert bytes_a_sample(wide) == pytest.approx(4 * (4 + 1000 + 500), rel=0.02)


@pytest.mark.parametrize(("available", "expected"), [(1e12, 80), (1.0, 1)])
def test_the_count_holds_the_batch_to_a_share_of_the_memory(
    available: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_size, "available_bytes", lambda: int(available))
    assert largest_batch(run_of("model.hidden=[8]"), config_of(), first=20, most=98) == expected


def test_the_count_is_exact_at_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    each = bytes_a_sample(run_of())
    for available, expected in ((40 * each * TIMES_KEPT / SHARE + 8, 40), (40 * each * TIMES_KEPT / SHARE - 8, 20)):
        monkeypatch.setattr(batch_size, "available_bytes", lambda given=available: given)
        assert largest_batch(run_of(), config_of(), first=20, most=98) == expected


def test_what_augmentation_needs_for_a_moment_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("data=digits", "data.limit=200", "model=linear")
    plain = run_of(*words)
    assert bytes_of_change(plain) == 0
    mirrored = run_of(*words, "augmentation.flip=0.5")
    picture, numbers = 4 * 8 * 8, 4 * 25  # bytes: it is mirrored, and one of the two chosen, by its row of numbers
    assert 2 * picture <= bytes_of_change(mirrored) <= 2 * picture + numbers
    shifted = run_of(*words, "augmentation.crop=7")
    each = bytes_of_change(shifted)
    assert each > 4 * 22 * 22  # with seven pixels of black on each side
    assert each > TIMES_KEPT * bytes_a_sample(shifted)
    for available, expected in ((40 * each / SHARE + 8, 40), (40 * each / SHARE - 8, 20)):
        monkeypatch.setattr(batch_size, "available_bytes", lambda given=available: given)
        assert largest_batch(shifted, config_of(), first=20, most=98) == expected


def test_both_losses_of_mixed_samples_are_counted() -> None:
    words = ("data=digits", "data.limit=200", "model=linear")
    outputs = 4 * 10 + 8 + 4  # log probabilities, the target and the weight
    more = bytes_a_sample(run_of(*words, "augmentation.mixup=0.3")) - bytes_a_sample(run_of(*words))
    assert 4 * 10 <= more <= 2 * outputs


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError()])
def test_a_size_whose_step_runs_out_of_memory_is_halved(error: Exception) -> None:
    run = run_of()

    def refuse(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if len(inputs[0]) > 16:
            raise error

    run.model.register_forward_pre_hook(refuse)
    assert largest_batch(run, config_of(), first=20, most=98) == 10


def test_a_batch_that_is_measured_is_tried_too_before_the_training() -> None:
    run = run_of("batching.eval_batch_size=20")

    def refuse(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if len(inputs[0]) >= 20 and not model.training:
            assert not torch.is_grad_enabled()
            raise MemoryError

    run.model.register_forward_pre_hook(refuse)
    with pytest.raises(
        OutOfMemoryError, match=r"^out of memory measuring with batching.eval_batch_size=20: "
    ) as caught:
        check_measured(run)
    assert caught.value.problems[0].hint == "batching.eval_batch_size=5"
    check_measured(run_of("data=sine", "model=gru", "data.steps=200", "data.window=8"))


def test_where_not_even_one_sample_fits_the_run_ends() -> None:
    run = run_of()

    def refuse(*_: object) -> None:
        raise MemoryError

    run.model.register_forward_pre_hook(refuse)
    with pytest.raises(OutOfMemoryError, match=r"batching.batch_size=20: not even one sample fits") as caught:
        largest_batch(run, config_of(), first=20, most=3)  # too few to be counted
    assert caught.value.exit_code == 7


def test_other_errors_keep_their_name() -> None:
    run = run_of()
    run.model.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        largest_batch(run, config_of(), first=20, most=98)


def test_a_batch_is_made_of_the_longest_samples() -> None:
    run = run_of("data=adding", "data.min_length=5", "data.length=20", "data.samples=60", "model=lstm")
    lengths = run.train.samples.lengths
    assert lengths is not None
    batch = run.train.longest(7)
    assert batch.inputs[1].tolist() == sorted(lengths.tolist(), reverse=True)[:7]
    assert run_of().train.longest(3).index.tolist() == [0, 1, 2]


def test_the_size_is_written_and_told_and_a_resume_is_exact() -> None:
    watcher = Watcher()
    whole = trained(AUTO, "batching.batch_size=4", "data.val_fraction=0.3", sinks=(watcher,))
    written = yaml.safe_load((whole.folder / "config.yaml").read_text())["batching"]
    assert (written["batch_size"], written["auto_batch_size"]) == (64, False)
    assert watcher.info is not None
    assert ", batches of 64, " in watcher.info.picks
    assert "batching.batch_size=64, of 4 doubled or halved, fits in memory" in watcher.info.notes[0]
    part = trained(AUTO, "batching.batch_size=4", "data.val_fraction=0.3", "trainer.max_steps=2", "name=part")
    values = read_config(part.folder)
    values["trainer"]["max_steps"] = None
    done = resume(check(Composed(values)), part.folder)
    assert done.steps == whole.steps
    assert is_equal(last_weights(done.folder), last_weights(whole.folder))


def test_what_does_not_fit_the_size_is_told() -> None:
    with pytest.raises(ConfigError, match=r"scheduler\.warmup_steps=8 is the whole training of 6 steps"):
        prepare(config_of(AUTO, "batching.batch_size=2", "scheduler.warmup_steps=8"))


def test_a_network_with_nothing_to_learn_keeps_its_size() -> None:
    data = ("data=sine", "model=naive", "batching.batch_size=7")
    assert prepare(config_of(*data, AUTO)).config.batching.batch_size == 7


def peak() -> int:
    """Return the most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.usefixtures("on_one_thread")
@pytest.mark.parametrize("words", [("model.hidden=[2000,2000]",), ("model=cnn", "model.channels=[32,64]")])
def test_a_step_of_the_size_keeps_to_the_memory_that_there_was(words: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    np.savez("d.npz", x=rng.random((6000, 16, 16), dtype=np.float32), y=np.arange(6000) % 3)
    given = 400 << 20
    prepared = prepare(config_of("data=array", "data.path=d.npz", "data.input=image", "trainer.threads=1", *words))
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.close(read)
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        run = assemble(prepared, None)
        batch_size.available_bytes = lambda: given
        before = peak()
        size = largest_batch(run, prepared.config, first=20, most=4000)
        os.write(write, f"{size} {peak() - before}".encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    size, taken = map(int, os.read(read, 100).split())
    os.close(read)
    assert 20 < size < 4000
    assert given / 16 < taken <= given
