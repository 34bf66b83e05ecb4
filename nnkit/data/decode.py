"""From many picture files to pixels: on several threads, and once, since what was decoded is kept in a cache."""

# N files, C channels, H height, W width

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt

from nnkit.data.images import Files, Rows, report
from nnkit.data.picture import (
    BadPictureError,
    Channels,
    ImageFormat,
    Pixels,
    Resize,
    decode_quietly,
    quiet,
    read_header,
)
from nnkit.errors import Problem, StorageError
from nnkit.storage import make_folder, remove_folder, remove_temporaries, reporting, write_file, write_json

MOST_SKIPPED = 0.01
# Threads win over processes: the codecs free the interpreter lock, pixels need no way between processes, and nothing
# has to be started. Tiny files gain from neither, and lose by many threads that wait for the lock.
MOST_THREADS = 8
ENTRIES_KEPT = 3
_VERSION = 2  # of the pixels that a file becomes; a change of decoding counts it up, and no old entry is used
_STRETCH = 64  # files that a thread takes at once


@final
@dataclass(frozen=True, slots=True)
class Headers:
    """What the headers of all files say, without a pixel.

    Attributes:
        height: that all have, or else their median, rounded; 0 where no file can be read.
        width: likewise.
        channels: 1 where all are grey, else 3.
        bad: reasons by row, of files that need not be decoded to see that they cannot be.
    """

    height: int
    width: int
    channels: Channels
    bad: dict[int, str]


@final
@dataclass(frozen=True, slots=True)
class Decoded:
    """The pixels of all files that can be read.

    Attributes:
        pixels: (N, C, H, W) uint8; from the cache, its pages are read when they are used.
        rows: (N,) int64, the files' places in what was asked for.
        bad: path and reason of those that were skipped.
        notes: in words for the user.
    """

    pixels: Pixels
    rows: Rows
    bad: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class Verified:
    """What is known of all files that can be read, once each was decoded.

    Attributes:
        digests: (N, 2) int64, of the pixels.
        sums: (N, 2, C) int64: the sum and the sum of squares of each channel.
        rows: (N,) int64, the files' places in what was asked for.
        bad: path and reason of those that were skipped.
        notes: in words for the user.
    """

    digests: Rows
    sums: Rows
    rows: Rows
    bad: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class _Kept:
    """What is kept of each file: values (N, …), rows, bad files and notes as in `Decoded`."""

    values: npt.NDArray[Any]
    rows: Rows
    bad: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def read_headers(files: Files, *, cache: Path | None, progress: bool) -> Headers:
    """Read the header of every file, or what the cache remembers of them.

    Args:
        files: N > 0 of them.
        cache: the folder of caches; None neither reads nor writes one.
        progress: whether a bar shows on standard error, if that is a terminal.
    """
    entry = None if cache is None else _entry(cache, files, "headers", "")
    if entry is not None and (known := _load_headers(entry, len(files))) is not None:
        return known
    sizes = np.zeros((len(files), 2), np.int64)
    grey = np.zeros(len(files), np.bool_)

    def look(row: int) -> None:
        height, width, grey[row] = read_header(files.place(row))
        sizes[row] = height, width

    bad = each(look, range(len(files)), title="headers", progress=progress)
    good = np.delete(np.arange(len(files)), list(bad))
    median = np.rint(np.median(sizes[good], axis=0)).astype(int).tolist() if len(good) else (0, 0)
    headers = Headers(median[0], median[1], 1 if grey[good].all() else 3, bad)
    if entry is not None:
        _keep(entry, asdict(headers), None)
    return headers


def auto_format(
    headers: Headers, *, height: int | None, width: int | None, channels: Channels | None, resize: Resize
) -> ImageFormat:
    """Return the format asked for; what is None is taken from the headers. Raises: DataError, no file can be read."""
    if not headers.height:
        report([Problem("none of the pictures can be read; for one, it " + reason) for reason in headers.bad.values()])
    return ImageFormat(height or headers.height, width or headers.width, channels or headers.channels, resize)


def decode_all(
    files: Files, form: ImageFormat, *, cache: Path | None, progress: bool, on_bad: Literal["error", "skip"]
) -> Decoded:
    """Return the pixels of all files, decoded or from the cache.

    All headers are read before the first picture is decoded, so that most of what is wrong is said soon.

    Args:
        files: what to read.
        form: what each picture is made to be.
        cache: the folder of caches; None neither reads nor writes one.
        progress: whether a bar shows on standard error, if that is a terminal.
        on_bad: error (name all files that cannot be decoded) or skip (leave out up to one in a hundred).

    Raises:
        DataError: files that cannot be decoded, all together.
    """
    kept = _decode(files, form, "pixels", cache=cache, progress=progress, on_bad=on_bad)
    return Decoded(kept.values, kept.rows, kept.bad, kept.notes)


def verify_all(
    files: Files, form: ImageFormat, *, cache: Path | None, progress: bool, on_bad: Literal["error", "skip"]
) -> Verified:
    """Decode all files, as `decode_all` does, but keep no pixel: they are read anew while training.

    Args, raises: as `decode_all`.
    """
    kept = _decode(files, form, "verified", cache=cache, progress=progress, on_bad=on_bad)
    sums = kept.values[:, 2:].reshape(-1, 2, form.channels)
    return Verified(kept.values[:, :2], sums, kept.rows, kept.bad, kept.notes)


def decode_each(paths: Sequence[str], form: ImageFormat) -> tuple[Pixels, dict[int, str]]:
    """Return the pixels of the files that can be read, (N, C, H, W) uint8, and the reasons of the others by place."""
    pixels = np.empty((len(paths), *form.shape), np.uint8)

    def read(row: int) -> None:
        pixels[row] = decode_quietly(paths[row], form)

    bad = each(read, range(len(paths)), title="pictures", progress=False)
    return np.delete(pixels, list(bad), axis=0) if bad else pixels, bad


def digests_of(pixels: Pixels) -> Rows:
    """Return 128 bits of BLAKE2b of each picture, (N, 2) int64: pictures (N, C, H, W) uint8 differ where these do."""
    found = b"".join(hashlib.blake2b(np.ascontiguousarray(one).data, digest_size=16).digest() for one in pixels)
    return np.frombuffer(found, np.int64).reshape(len(pixels), 2)


def _summary(pixels: Pixels) -> Rows:
    """Return (2 + 2 C,) int64: digest, sums and sums of squares of one picture (C, H, W)."""
    values = pixels.reshape(len(pixels), -1).astype(np.int64)
    return np.concatenate([digests_of(pixels[None])[0], values.sum(axis=1), np.einsum("cp,cp->c", values, values)])


def _decode(
    files: Files,
    form: ImageFormat,
    kind: Literal["pixels", "verified"],
    *,
    cache: Path | None,
    progress: bool,
    on_bad: Literal["error", "skip"],
) -> _Kept:
    shape: tuple[int, ...] = form.shape if kind == "pixels" else (2 + 2 * form.channels,)
    dtype: npt.DTypeLike = np.uint8 if kind == "pixels" else np.int64
    entry = None if cache is None else _entry(cache, files, kind, str(form))
    if entry is not None and (known := _load_values(entry, shape, dtype, len(files))) is not None:
        values, bad = known
        return _judged(files, values, bad, on_bad, ())
    bad = read_headers(files, cache=cache, progress=progress).bad
    _judge(files, bad, on_bad)
    values = np.empty((len(files), *shape), dtype)

    def read(row: int) -> None:
        pixels = decode_quietly(files.place(row), form)
        values[row] = pixels if kind == "pixels" else _summary(pixels)

    rows = [row for row in range(len(files)) if row not in bad]
    bad = dict(sorted((bad | each(read, rows, title="pictures", progress=progress)).items()))
    _judge(files, bad, on_bad)
    if bad:
        values = np.delete(values, list(bad), axis=0)
    note = None if entry is None else _keep(entry, {"bad": bad}, values)
    return _judged(files, values, bad, on_bad, (note,) if note else ())


def _judged(files: Files, values: Any, bad: dict[int, str], on_bad: str, notes: tuple[str, ...]) -> _Kept:
    _judge(files, bad, on_bad)
    rows = np.delete(np.arange(len(files), dtype=np.int64), list(bad))
    named = tuple((files.paths[row], reason) for row, reason in bad.items())
    if named:
        text = f"{len(named)} of {len(files)} pictures cannot be read, left out: {named[0][0]} {named[0][1]}"
        notes = (*notes, text + (", …" if len(named) > 1 else ""))
    return _Kept(values, rows, named, notes)


def _judge(files: Files, bad: dict[int, str], on_bad: str) -> None:
    if not bad or (on_bad == "skip" and len(bad) <= MOST_SKIPPED * len(files)):
        return
    counted = f"{len(bad)} of {len(files)} pictures cannot be read"
    if on_bad == "skip":
        first = Problem(f"{counted}, more than the {MOST_SKIPPED:.0%} that may be skipped", "repair or remove them")
    else:
        first = Problem(counted, "repair or remove them, or leave them out with data.on_bad=skip")
    report([first, *(Problem(f"{files.place(row)} {reason}") for row, reason in sorted(bad.items()))])


def each(work: Callable[[int], None], rows: Sequence[int], *, title: str, progress: bool) -> dict[int, str]:
    """Call `work` with every row, on several threads; return why it raised a BadPictureError, by row."""
    from tqdm import tqdm

    def stretch(part: Sequence[int]) -> dict[int, str]:
        bad = {}
        for row in part:
            try:
                work(row)
            except BadPictureError as error:
                bad[row] = error.reason
        return bad

    bad: dict[int, str] = {}
    parts = [rows[start : start + _STRETCH] for start in range(0, len(rows), _STRETCH)]
    pool = ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1))
    with quiet(), tqdm(total=len(rows), desc=title, leave=False, disable=not (progress and sys.stderr.isatty())) as bar:
        try:
            for part, found in zip(parts, pool.map(stretch, parts), strict=True):
                bad |= found
                bar.update(len(part))
        finally:
            pool.shutdown(cancel_futures=True)
    return bad


# The cache: CACHE/pictures/<hash of the root>/<kind>-<hash of all that decides the content>/{values.npy, entry.json}


def _entry(cache: Path, files: Files, kind: str, words: str) -> Path:
    """Return the folder of an entry; its name changes with any file's name, size or time, and with the format."""
    import PIL

    root, key = (
        hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=12).hexdigest()
        for text in (str(files.root), f"{_VERSION} {PIL.__version__} {words} {files.stamp()}")
    )
    return cache / "pictures" / root / f"{kind}-{key}"


def _keep(entry: Path, facts: dict[str, Any], values: npt.NDArray[Any] | None) -> str | None:
    """Write an entry, or return why that failed.

    Entries of the same root and kind are then removed, but for the newest few: a file that changes, or a format that
    is tried once, leaves an entry that nobody asks for again.
    """
    try:
        make_folder(entry)
        remove_temporaries(entry)
        if values is not None:
            write_file(entry / "values.npy", lambda file: np.save(file, values))
        write_json(entry / "entry.json", facts)  # last: without it, the folder is no entry
        with reporting("read", entry.parent):
            kin = entry.parent.glob(f"{entry.name.partition('-')[0]}-*")
            by_age = sorted(kin, key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for old in by_age[ENTRIES_KEPT:]:
            remove_folder(old)
    except StorageError as error:
        return f"the pictures were not cached: {error}"
    return None


def _load_facts(entry: Path, num: int) -> tuple[dict[str, Any], dict[int, str]] | None:
    """Return an entry's facts and its bad files, or None where there is no whole entry."""
    try:
        facts = json.loads((entry / "entry.json").read_bytes())
        bad = {int(row): str(reason) for row, reason in facts["bad"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return (facts, bad) if all(0 <= row < num for row in bad) else None


def _load_headers(entry: Path, num: int) -> Headers | None:
    known = _load_facts(entry, num)
    if known is None:
        return None
    facts, bad = known
    height, width = facts.get("height"), facts.get("width")
    if not isinstance(height, int) or not isinstance(width, int):
        return None
    return Headers(height, width, 1 if facts.get("channels") == 1 else 3, bad)


def _load_values(
    entry: Path, shape: tuple[int, ...], dtype: npt.DTypeLike, num: int
) -> tuple[npt.NDArray[Any], dict[int, str]] | None:
    """Return an entry's values, mapped, and its bad files, or None where it is not there, damaged or short."""
    known = _load_facts(entry, num)
    if known is None:
        return None
    bad = known[1]
    path = entry / "values.npy"
    try:
        # Mapped, several runs share the pages, and what is not used is not read. Copy on write, so that nobody who
        # changes pixels changes the cache.
        values = np.load(path, mmap_mode="c", allow_pickle=False)
        whole = path.stat().st_size == values.offset + values.nbytes
    except (OSError, ValueError, EOFError, SyntaxError):
        return None
    fits = values.dtype == dtype and values.shape == (num - len(bad), *shape)
    return (np.asarray(values), bad) if whole and fits else None
