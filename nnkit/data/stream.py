"""Pictures that do not fit in memory: decoded by worker processes while the network trains."""

# N files, B files a batch, C channels, H height, W width

from __future__ import annotations

import math
import multiprocessing
import multiprocessing.context
import multiprocessing.process
import multiprocessing.util
import os
import signal
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from nnkit.data.images import Files, Rows, report
from nnkit.data.picture import BadPictureError, ImageFormat, decode
from nnkit.data.scaling import Scale, scale_of_sums
from nnkit.errors import DataWorkerError, Problem
from nnkit.machine import available_bytes
from nnkit.processes import STOPPING, end_with_parent, start_server

# The first worker waits about two seconds for torch; one process decodes as many pictures of usual size in that time.
FEWEST_FOR_WORKERS = 1_000
MOST_WORKERS = 8
TIMEOUT_S = 300.0  # a network drive may need minutes to answer again; a worker that hangs never does
POLL_S = 5.0  # how soon the death of a worker is seen
NOWHERE = -1  # in place of the row that a worker is at


@final
@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Pictures as files, with what each is made to be.

    Attributes:
        files: N of them.
        form: of all.
        sums: (N, 2, C) int64, the sum and the sum of squares of each channel; None where nobody scales by them.
    """

    files: Files
    form: ImageFormat
    sums: Rows | None = None

    def __len__(self) -> int:
        """N."""
        return len(self.files)

    def __getitem__(self, rows: Any) -> ImageFiles:
        """Return some pictures, in this order: a slice, row numbers, or a mask."""
        return ImageFiles(self.files[rows], self.form, None if self.sums is None else self.sums[rows])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        return len(self), *self.form.shape

    def scale(self, rows: Rows, scaling: str) -> Scale | None:
        """Return the scale of some pictures: what `fit_scale` returns of their pixels, without decoding one.

        Args:
            rows: their numbers.
            scaling: standard, minmax or none.
        """
        assert self.sums is not None, "these pictures were not verified"
        sums, squares = self.sums[rows].sum(axis=0)
        return scale_of_sums(sums, squares, len(rows), self.form.height * self.form.width, scaling)


def fits_in_memory(num: int, form: ImageFormat) -> bool:
    """Tell whether so many pictures take at most a quarter of the memory that is available."""
    return num * math.prod(form.shape) <= available_bytes() // 4  # the parts are copies of the whole


def stream_batches(
    images: ImageFiles,
    index_lists: Sequence[list[int]],
    *,
    num_workers: int | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Generator[Tensor, None, None]:
    """Yield one batch a list, (B, C, H, W) uint8, in the order of the lists, however many workers there are.

    Args:
        images: what to decode.
        index_lists: the rows of each batch.
        num_workers: processes that decode; 0 decodes in this one; None takes 0 for a few pictures, else one a core.
        timeout_s: how long a batch may take that workers decode, in seconds.

    Raises:
        DataError: naming the files of a batch that cannot be decoded.
        DataWorkerError: a worker died, or hangs; it names the file that it was at, or the first file of the batch
            that did not come.
    """
    if num_workers is None:
        few = sum(map(len, index_lists)) < FEWEST_FOR_WORKERS
        num_workers = 0 if few else min(MOST_WORKERS, len(index_lists), os.cpu_count() or 1)
    if multiprocessing.current_process().daemon:
        num_workers = 0  # a process that ends with its parent may have no children
    poll_s = min(POLL_S, timeout_s) if num_workers else 0.0
    context = _fork_server() if num_workers else None
    at = context.RawArray("q", [NOWHERE] * num_workers) if context else ()
    batches = _started(images, index_lists, num_workers, poll_s, context, at)
    # The workers heed no SIGTERM, which is how they would be ended when this process ends in the middle of a stream.
    kill = multiprocessing.util.Finalize(None, _kill, (getattr(batches, "_workers", ()),), exitpriority=0)
    patience = _Patience(timeout_s, kill)
    team = _Team(getattr(batches, "_workers", ()), at, patience, images)
    if num_workers:
        patience.start()
    try:
        for number, rows in enumerate(index_lists):
            patience.awaited = number
            batch = _next(batches, team, rows)
            patience.awaited = None
            if not isinstance(batch, Tensor):
                report([Problem(f"{path} {reason}", "repair or remove it") for path, reason in batch])
            yield batch
    finally:
        patience.is_over.set()
        kill()  # first: where the collector ends this, the queues that would ask them to end may be closed already
        if num_workers:  # not left to the collector: an error's traceback keeps the loader, and with it the workers
            batches._shutdown_workers()


@final
class _Patience(threading.Thread):
    """Kills workers that have let a batch wait too long: whatever waits for them then sees that they have died.

    A worker that stands still keeps this process from more than its next batch: who fetches one that is ready asks the
    worker for its memory. So nobody but another thread is certain to be heard.

    Attributes:
        awaited: the number of the batch that is waited for; None while none is.
        is_lost: whether the workers were killed.
        is_over: set at the end of the stream.
    """

    def __init__(self, timeout_s: float, kill: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.timeout_s, self._kill = timeout_s, kill
        self._tick_s = min(1.0, timeout_s / 4)
        self.awaited: int | None = None
        self.is_lost = False
        self.is_over = threading.Event()

    def run(self) -> None:
        """Count ticks, and at last kill. Not seconds: while a computer sleeps, or a run is stopped, there are none."""
        before, ticks = None, 0
        while not self.is_over.wait(self._tick_s):
            now = self.awaited
            ticks = ticks + 1 if now is not None and now == before else 0
            before = now
            if ticks * self._tick_s >= self.timeout_s:
                self.is_lost = True
                self._kill()
                return


@final
@dataclass(frozen=True, slots=True)
class _Team:
    """The workers of a stream, and at which row each of them is: NOWHERE between two batches."""

    workers: Sequence[multiprocessing.process.BaseProcess]
    at: Sequence[int]
    patience: _Patience
    images: ImageFiles

    def where(self) -> str:
        """Return at which files those stand, or stood, that have died, or that keep a batch waiting."""
        if self.patience.is_lost and self.patience.awaited is not None:
            found = [self.patience.awaited % len(self.workers)]  # batches are dealt out in turn
        else:
            found = [number for number, worker in enumerate(self.workers) if not worker.is_alive()]
        rows = [self.at[number] for number in found if self.at[number] != NOWHERE]
        return " and ".join(self.images.files.place(row) for row in rows)


def _next(batches: Iterator[Any], team: _Team, rows: list[int]) -> Any:
    while True:
        try:
            return next(batches)
        except (RuntimeError, ConnectionError, EOFError, FileNotFoundError) as error:
            # A batch lies in memory that a worker lends: if it dies in between, the connection to it is what fails.
            if isinstance(error, RuntimeError) and not str(error).startswith("DataLoader "):
                raise
            if str(error).startswith("DataLoader timed out") and not team.patience.is_lost:
                continue  # that was no more than a look at who lives
            raise _lost(error, team, rows) from error


def _lost(error: Exception, team: _Team, rows: list[int]) -> DataWorkerError:
    others = f" or one of {len(rows) - 1} behind it" if len(rows) > 1 else ""
    awaited, where = f"{team.images.files.place(rows[0])}{others}", team.where()
    if team.patience.is_lost:
        hangs = f"it hangs at {where or awaited}"
        return DataWorkerError(
            f"a process that decodes pictures has not answered for {team.patience.timeout_s:g} s, {hangs}",
            hint="is its drive gone? If that is slow, more data.worker_timeout_s",
        )
    place = f"it was at {where}" if where else f"awaited was {awaited}"
    return DataWorkerError(
        f"a process that decodes pictures died: {error or 'it closed its connection'}; {place}",
        hint="it may have run out of memory, or of /dev/shm; try fewer with data.workers=1, or 0",
    )


def _kill(workers: Sequence[multiprocessing.process.BaseProcess]) -> None:
    for worker in workers:
        if worker.is_alive():
            worker.kill()


def _fork_server() -> multiprocessing.context.ForkServerContext:
    """Return what starts workers.

    A fork of this process would copy its threads' locks, its handlers of signals and its CUDA context. The server forks
    instead: it has imported torch and nothing else, so that it is slow to start once, and only once.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    start_server()
    return context


def _started(
    images: ImageFiles, index_lists: Sequence[list[int]], num_workers: int, poll_s: float, context: Any, at: Any
) -> Any:
    """Return the iterator of a loader; its workers, if any, are at work, and write into `at` at which row they are."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="This DataLoader will create")  # who asks for many gets many
        loader: DataLoader[Any] = DataLoader(
            _Decoding(images.files, images.form, at),
            batch_sampler=index_lists,
            num_workers=num_workers,
            timeout=poll_s,
            collate_fn=_as_it_is,
            worker_init_fn=_as_a_worker,
            multiprocessing_context=context,
            generator=torch.Generator(),  # or the loader would draw from the global stream
        )
        try:
            return iter(loader)
        except (ConnectionError, EOFError) as error:
            raise DataWorkerError(
                f"the processes that decode pictures did not start: {error}",
                hint="data.workers=0; or, in a script of your own, train below if __name__ == '__main__'",
            ) from error


@final
class _Decoding(Dataset[Any]):
    """Decodes the rows of a batch."""

    def __init__(self, files: Files, form: ImageFormat, at: Any) -> None:
        self._files, self._form, self._at = files, form, at

    def __getitems__(self, rows: Sequence[int]) -> Tensor | list[tuple[str, str]]:
        """Return a batch, or path and reason of each file that cannot be decoded: errors lose their type on the way."""
        files, form = self._files, self._form
        batch, bad = np.empty((len(rows), *form.shape), np.uint8), []
        worker = get_worker_info()
        for place, row in enumerate(rows):
            if worker is not None:
                self._at[worker.id] = row
            try:
                batch[place] = decode(files.place(row), form)
            except BadPictureError as error:
                bad.append((error.path, error.reason))
        if worker is not None:
            self._at[worker.id] = NOWHERE
        return bad or torch.from_numpy(batch)


def _as_it_is(batch: Any) -> Any:
    return batch


def _as_a_worker(_: int) -> None:
    end_with_parent()
    # Sent to a whole group of processes, they are for the main one: it ends its step, saves, and ends its workers.
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
