"""Pictures that are decoded while training: the same pixels in the same order, whoever decodes them."""

from __future__ import annotations

import gc
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Timer
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.data import stream
from nnkit.data.batches import Batches, Samples
from nnkit.data.decode import decode_all, verify_all
from nnkit.data.picture import ImageFormat
from nnkit.data.scaling import fit_scale
from nnkit.data.stream import ImageFiles, fits_in_memory, stream_batches
from nnkit.errors import DataError, DataWorkerError
from nnkit.processes import STOPPING
from tests.data.pictures import files_of, made, write_classes, write_picture

ROOT = Path("set")
FORM = ImageFormat(6, 7, 3, "crop")


def images_of(num: int = 0) -> ImageFiles:
    """Write so many pictures, and return all that there are."""
    for number in range(num):
        write_picture(
            ROOT / f"{number:02}.png", made(4 + number % 5, 9 - number % 3, 1 + 2 * (number % 2), seed=number)
        )
    return ImageFiles(files_of(ROOT), FORM)


def pixels_of(images: ImageFiles) -> Any:
    return decode_all(images.files, images.form, cache=None, progress=False, on_bad="error").pixels


@pytest.fixture
def workers() -> Any:
    """Return a function that lists the living workers; none may be left at the end."""
    yield multiprocessing.active_children
    gc.collect()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_batches_have_the_pixels_and_the_order_of_the_lists(num_workers: int, workers: Any) -> None:
    images = images_of(12)
    lists = [[3, 0], [11], [5, 5, 1, 2], [4, 10], [9, 8, 7]]
    batches = list(stream_batches(images, lists, num_workers=num_workers))
    expected = pixels_of(images)
    assert len(batches) == len(lists)
    for batch, rows in zip(batches, lists, strict=True):
        assert batch.dtype == torch.uint8
        np.testing.assert_array_equal(batch.numpy(), expected[rows])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 11), min_size=1, max_size=5), max_size=5), st.integers(1, 9), st.integers(1, 9))
def test_a_stream_equals_what_is_decoded_at_once_row_by_row(lists: list[list[int]], height: int, width: int) -> None:
    images = ImageFiles(images_of(12).files, ImageFormat(height, width, 1, "pad"))
    expected = pixels_of(images)
    for batch, rows in zip(stream_batches(images, lists), lists, strict=True):
        np.testing.assert_array_equal(batch.numpy(), expected[rows])


def test_a_few_pictures_start_no_worker(workers: Any) -> None:
    batches = stream_batches(images_of(4), [[0, 1], [2, 3]])
    next(batches)
    assert workers() == []


def test_many_pictures_start_workers_by_themselves(monkeypatch: pytest.MonkeyPatch, workers: Any) -> None:
    monkeypatch.setattr(stream, "FEWEST_FOR_WORKERS", 4)
    batches = stream_batches(images_of(4), [[0, 1], [2, 3]])
    next(batches)
    assert len(workers()) == min(2, os.cpu_count() or 1)
    batches.close()


def test_a_stream_that_is_left_ends_its_workers(workers: Any) -> None:
    batches = stream_batches(images_of(12), [[k] for k in range(12)], num_workers=2)
    next(batches)
    assert len(workers()) == 2
    del batches


def test_a_stream_that_the_collector_ends_waits_for_nobody(workers: Any) -> None:
    batches = stream_batches(images_of(12), [[k] for k in range(12)], num_workers=2)
    next(batches)
    ring: list[Any] = [batches]
    ring.append(ring)
    del batches, ring
    started = time.monotonic()
    gc.collect()
    assert time.monotonic() - started < 4  # the queues were closed before: each worker would be waited for in vain
    assert workers() == []


def test_the_global_random_stream_is_left_alone(workers: Any) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    for num_workers in (0, 1):
        list(stream_batches(images_of(2), [[0], [1]], num_workers=num_workers))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_worker_that_dies_is_named_with_the_way_out(workers: Any) -> None:
    batches = stream_batches(images_of(12), [[k] for k in range(12)] * 20, num_workers=1)
    next(batches)
    os.kill(workers()[0].pid, signal.SIGKILL)
    with pytest.raises(DataWorkerError, match="a process that decodes pictures died: ") as raised:
        list(batches)
    assert raised.value.exit_code == 8
    assert "data.workers=" in raised.value.problems[0].hint
    assert re.search(r"; (awaited was|it was at) set/\d\d\.png$", str(raised.value))


def warm(images: ImageFiles) -> None:
    """Let the server of the workers load torch, so that a short time for a batch is enough."""
    list(stream_batches(images, [[0]], num_workers=1))


def test_a_worker_that_hangs_at_a_file_ends_the_stream_in_time_naming_it(workers: Any) -> None:
    images = images_of(6)
    warm(images)
    (ROOT / "04.png").unlink()
    os.mkfifo(ROOT / "04.png")  # nobody writes into it: whoever opens it waits for ever
    batches = stream_batches(images, [[0, 1], [2], [3, 4, 5], [0]], num_workers=1, timeout_s=2.0)
    next(batches)
    next(batches)
    started = time.monotonic()
    with pytest.raises(DataWorkerError) as raised:
        next(batches)
    assert 1.5 < time.monotonic() - started < 12
    assert str(raised.value) == ("a process that decodes pictures has not answered for 2 s, it hangs at set/04.png")
    assert raised.value.exit_code == 8
    assert "data.worker_timeout_s" in raised.value.problems[0].hint


def test_a_worker_that_dies_at_a_file_is_told_with_that_file(workers: Any) -> None:
    images = images_of(6)
    warm(images)
    (ROOT / "04.png").unlink()
    os.mkfifo(ROOT / "04.png")
    batches = stream_batches(images, [[0, 1], [2], [3, 4, 5], [0]], num_workers=1)
    next(batches)
    next(batches)
    while True:
        try:
            writer = os.open(ROOT / "04.png", os.O_WRONLY | os.O_NONBLOCK)  # which it may wait for: it reads on
            break
        except OSError:  # nobody has opened it
            time.sleep(0.01)
    os.kill(workers()[0].pid, signal.SIGKILL)
    with pytest.raises(DataWorkerError, match=r"died: .*; it was at set/04\.png$"):
        list(batches)
    os.close(writer)


def test_a_worker_that_is_stopped_ends_the_stream_in_time_naming_what_did_not_come(workers: Any) -> None:
    images = images_of(4)
    warm(images)
    batches = stream_batches(images, [[k % 4] for k in range(40)], num_workers=1, timeout_s=2.0)
    next(batches)
    os.kill(workers()[0].pid, signal.SIGSTOP)
    with pytest.raises(DataWorkerError, match=r"has not answered for 2 s, it hangs at set/0\d\.png"):
        list(batches)


def test_a_slow_worker_is_waited_for_up_to_its_time(workers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "POLL_S", 0.2)
    images = images_of(4)
    warm(images)
    batches = stream_batches(images, [[k % 4] for k in range(40)], num_workers=1, timeout_s=60.0)
    next(batches)
    pid = workers()[0].pid
    os.kill(pid, signal.SIGSTOP)
    Timer(1.0, os.kill, (pid, signal.SIGCONT)).start()
    assert len(list(batches)) == 39


@pytest.mark.parametrize("number", STOPPING, ids=lambda number: number.name)
def test_signals_are_left_to_the_main_process(number: signal.Signals, workers: Any) -> None:
    images = images_of(12)
    batches = stream_batches(images, [[k] for k in range(12)] * 5, num_workers=1)
    next(batches)
    (worker,) = workers()
    os.kill(worker.pid, number)
    assert len(list(batches)) == 59


def test_an_error_that_is_no_workers_death_keeps_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(stream, "decode", failing)
    with pytest.raises(RuntimeError, match="a bug"):
        list(stream_batches(images_of(2), [[0]]))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_files_that_break_on_the_way_are_named(num_workers: int, workers: Any) -> None:
    images = images_of(5)
    (ROOT / "01.png").write_bytes(b"")
    (ROOT / "03.png").unlink()
    batches = stream_batches(images, [[0], [1, 2, 3]], num_workers=num_workers)
    assert next(batches).shape == (1, 3, 6, 7)
    with pytest.raises(DataError) as raised:
        next(batches)
    assert [problem.text for problem in raised.value.problems] == [
        "set/01.png is empty",
        "set/03.png cannot be decoded: No such file or directory",
    ]


IN_A_CHILD = """
import multiprocessing, sys
from pathlib import Path
from nnkit.data.images import list_folder
from nnkit.data.picture import ImageFormat
from nnkit.data.scaling import fit_scale
from nnkit.data.stream import ImageFiles, stream_batches

def count(root, done):
    images = ImageFiles(list_folder(root).files, ImageFormat(4, 4, 1, "squash"))
    done.put(sum(len(batch) for batch in stream_batches(images, [[0, 1], [2]], num_workers=2)))

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    done = context.SimpleQueue()
    child = context.Process(target=count, args=(Path("set"), done), daemon=True)
    child.start()
    print(done.get())
"""


def test_a_process_that_may_have_no_children_decodes_by_itself() -> None:
    write_classes(ROOT, {"a": 2, "b": 1})
    Path("child.py").write_text(IN_A_CHILD)
    done = subprocess.run([sys.executable, "child.py"], capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout, done.returncode) == ("3\n", 0), done.stderr


WITHOUT_A_GUARD = """
from pathlib import Path
from nnkit.data.images import list_folder
from nnkit.data.picture import ImageFormat
from nnkit.data.stream import ImageFiles, stream_batches

images = ImageFiles(list_folder(Path("set")).files, ImageFormat(4, 4, 1, "squash"))
list(stream_batches(images, [[0, 1], [2]], num_workers=1))
"""


def test_a_script_without_a_guard_is_told_of_it() -> None:
    write_classes(ROOT, {"a": 2, "b": 1})
    Path("bare.py").write_text(WITHOUT_A_GUARD)
    done = subprocess.run([sys.executable, "bare.py"], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "DataWorkerError: " in done.stderr.splitlines()[-1]


IN_THE_MIDDLE = """
import multiprocessing, sys
from pathlib import Path
from nnkit.data.images import list_folder
from nnkit.data.picture import ImageFormat
from nnkit.data.scaling import fit_scale
from nnkit.data.stream import ImageFiles, stream_batches

if __name__ == "__main__":
    images = ImageFiles(list_folder(Path("set")).files, ImageFormat(4, 4, 1, "squash"))
    batches = stream_batches(images, [[0], [1], [2]] * 50, num_workers=2)
    next(batches)
    print(*(worker.pid for worker in multiprocessing.active_children()))
    sys.exit(5)
"""


def test_a_process_that_ends_in_the_middle_of_a_stream_takes_its_workers_along() -> None:
    write_classes(ROOT, {"a": 2, "b": 1})
    Path("middle.py").write_text(IN_THE_MIDDLE)
    done = subprocess.run([sys.executable, "middle.py"], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (5, "")
    workers = done.stdout.split()
    assert len(workers) == 2
    deadline = time.monotonic() + 30
    while any(Path("/proc", worker).exists() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path("/proc", worker).exists() for worker in workers)


# What is known without decoding


def test_rows_of_pictures_are_pictures() -> None:
    images = images_of(5)
    assert (len(images), images.shape) == (5, (5, 3, 6, 7))
    assert images[np.array([4, 0])].files.paths == ("04.png", "00.png")
    assert images[1:3].files.paths == ("01.png", "02.png")
    np.testing.assert_array_equal(pixels_of(images[[2]]), pixels_of(images)[[2]])


@pytest.mark.parametrize("scaling", ["standard", "minmax", "none"])
def test_the_scale_of_pictures_is_that_of_their_pixels_bit_by_bit(scaling: str) -> None:
    files = images_of(12).files
    verified = verify_all(files, FORM, cache=None, progress=False, on_bad="error")
    images = ImageFiles(files, FORM, verified.sums)[::-1]
    rows = np.array([1, 4, 5, 11])
    assert images.scale(rows, scaling) == fit_scale(pixels_of(images)[rows], "image", scaling)


def test_the_scale_of_one_colour_is_one() -> None:
    write_picture(ROOT / "a.png", np.full((6, 7), 200, np.uint8))
    files = files_of(ROOT)
    verified = verify_all(files, FORM, cache=None, progress=False, on_bad="error")
    scale = ImageFiles(files, FORM, verified.sums).scale(np.array([0]), "standard")
    assert scale is not None
    assert (scale.shift, scale.size) == ((200.0,) * 3, (1.0,) * 3)


def test_what_fits_in_a_quarter_of_the_memory_fits() -> None:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    large = ImageFormat(1024, 1024, 1, "squash")
    assert fits_in_memory(1, large)
    assert not fits_in_memory(total // (4 << 20) + 1, large)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/proc/meminfo": "MemTotal: 9 kB\nMemAvailable:    4000 kB\n"}, 4000 * 1024),
        ({"/proc/meminfo": "MemAvailable: 4000 kB\n", "/proc/self/cgroup": "0::/\n"}, 4000 * 1024),
        (
            {
                "/proc/meminfo": "MemAvailable: 4000 kB\n",
                "/proc/self/cgroup": "0::/job/1\n",
                "/sys/fs/cgroup/job/1/memory.max": "1000000\n",
            },
            1_000_000,
        ),
        (
            {
                "/proc/meminfo": "MemAvailable: 4000 kB\n",
                "/proc/self/cgroup": "1:cpu:/x\n0::/\n",
                "/sys/fs/cgroup/memory.max": "max\n",
            },
            4000 * 1024,
        ),
        (
            {
                "/proc/meminfo": "MemAvailable: 4000 kB\n",
                "/proc/self/cgroup": "0::/job/1\n",
                "/sys/fs/cgroup/job/1/memory.max": "1000000\n",
                "/sys/fs/cgroup/job/1/memory.current": "700000\n",
                "/sys/fs/cgroup/job/1/memory.stat": "anon 500000\ninactive_file 200000\n",
            },
            500_000,
        ),
        ({}, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")),
    ],
    ids=["no group", "a group without a limit file", "a limit", "no limit", "a limit and what is in use", "macOS"],
)
def test_the_memory_is_what_the_system_and_the_group_leave(
    files: dict[str, str], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_text(path: Path) -> str:
        if str(path) not in files:
            raise FileNotFoundError(path)
        return files[str(path)]

    monkeypatch.setattr(Path, "read_text", read_text)
    one_byte = ImageFormat(1, 1, 1, "squash")
    assert fits_in_memory(expected // 4, one_byte)
    assert not fits_in_memory(expected // 4 + 1, one_byte)


def test_an_epoch_goes_on_behind_an_event_and_starts_anew_elsewhere() -> None:
    images = images_of(12)
    places = torch.arange(12)
    samples = Samples((), places, torch.ones(12), files=images)
    found = Batches(samples, size=2, shuffle=True, drop_last=False, seed=0, workers=0)
    whole = [batch.index.tolist() for batch in found.epoch(0)]
    first = found.epoch(0)
    assert [next(iter(first)).index.tolist() for _ in range(2)] == whole[:2]
    assert found.epoch(0, 2) is first
    assert [batch.index.tolist() for batch in found.epoch(0, 2)] == whole[2:]
    assert [batch.index.tolist() for batch in found.epoch(0, 4)] == whole[4:]
    assert [batch.index.tolist() for batch in found.epoch(1)] != whole


def test_an_epoch_that_is_closed_ends_its_workers_whoever_still_holds_it(workers: Any) -> None:
    images = images_of(12)
    warm(images)
    samples = Samples((), torch.arange(12), torch.ones(12), files=images)
    found = Batches(samples, size=1, shuffle=True, drop_last=False, seed=0, workers=1)
    held = found.epoch(0)
    next(iter(held))
    assert workers() != []
    gc.disable()
    try:
        found.close()
        assert workers() == []
    finally:
        gc.enable()
    with pytest.raises(StopIteration):
        next(iter(held))
