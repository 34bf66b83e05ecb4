"""A long text in segments, each to tell the tokens one further."""

# S tokens in all, N segments

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from nnkit.config.sections.sequences import TextConfig
from nnkit.data.sequences import Rows, Sequences
from nnkit.data.source import Account, Source
from nnkit.data.split import PARTS
from nnkit.data.tables import name_of_all
from nnkit.data.text_lines import left_out, read_whole, text_files
from nnkit.data.tokens import sequences_of
from nnkit.errors import ConfigError
from nnkit.spec import InputSpec


def read_language(config: TextConfig) -> Source:
    """Return the long text of a section in segments of data.segment tokens, and as target the tokens one further.

    Files are joined in the order of their names. The last data.test_fraction of all tokens are the test part, those
    before them validation, unless these have files of their own; a fraction of 0 is for no such part. No segment, nor
    its target, crosses from a part or a file into the next; what is left at their ends is too short for a segment, and
    counted in a note.

    Raises:
        DataError: a file is missing or broken.
        ConfigError: a part is shorter than one segment and its target.
    """
    paths: list[Path] = []
    parts_of: list[int] = []  # of each file
    others: list[str] = []
    for fixed, word in enumerate((config.path, config.val_path, config.test_path)):
        if word is not None:
            files, beside = text_files(word)
            paths += files
            others += beside
            parts_of += [fixed] * len(files)
    name = name_of_all(paths)
    texts = [read_whole(path, config.encoding) for path in paths]
    given, _ = sequences_of(texts, config.tokens, lower=config.lower)
    stretches = _stretches(config, given.lengths.tolist(), parts_of)
    starts, part_of, part = _segments(stretches, config.segment)
    wanted = [True, bool(config.val_path or config.val_fraction), bool(config.test_path or config.test_fraction)]
    _check_parts(name, stretches, part, wanted, config.segment)
    lengths = np.full(len(starts), config.segment, np.int64)
    tokens = Sequences(given.values, starts, lengths, given.words, part_of)
    following = Sequences(given.values, starts + 1, lengths, given.words, part_of)
    notes = left_out(others, "file is no .txt file", "files are no .txt files")
    if unused := len(given.values) - len(starts) * config.segment - len(set(part_of.tolist())):
        notes += (f"{unused} tokens at the ends of parts and files fill no segment: left out",)
    return Source(
        name,
        (tokens,),
        (InputSpec("tokens", "tokens", (config.segment,), (0,)),),
        following,
        ("token",),
        test_rows=np.flatnonzero(part == 2).astype(np.int64),
        val_rows=np.flatnonzero(part == 1).astype(np.int64),
        account=Account(len(starts), notes=notes),
    )


def _stretches(config: TextConfig, lengths: list[int], parts_of: list[int]) -> list[tuple[int, int, int]]:
    """Return (part, start, stop) of the stretches of tokens that lie in one file and in one part."""
    own = sum(length for length, part in zip(lengths, parts_of, strict=True) if part == 0)
    num_test = 0 if config.test_path is not None else round(own * (config.test_fraction or 0))
    num_val = 0 if config.val_path is not None else round(own * config.val_fraction)
    edges = (0, own - num_test - num_val, own - num_test, own)
    found, start = [], 0
    for length, fixed in zip(lengths, parts_of, strict=True):
        stop = start + length
        if fixed:
            found.append((fixed, start, stop))
        else:
            cuts = ((k, max(start, low), min(stop, high)) for k, (low, high) in enumerate(pairwise(edges)))
            found += [cut for cut in cuts if cut[1] < cut[2]]
        start = stop
    return found


def _segments(stretches: list[tuple[int, int, int]], segment: int) -> tuple[Rows, Rows, Rows]:
    """Return of each segment (N,) where it starts, which stretch it is cut from, and which part it is in."""
    counts = [max(0, stop - start - 1) // segment for _, start, stop in stretches]
    places = [start + segment * np.arange(count) for (_, start, _), count in zip(stretches, counts, strict=True)]
    starts = np.concatenate([np.empty(0), *places]).astype(np.int64)  # perhaps there is no stretch at all
    part_of = np.repeat(np.arange(len(stretches)), counts)
    parts = np.array([part for part, _, _ in stretches], np.int64)
    return starts, part_of.astype(np.int64), parts[part_of]


def _check_parts(
    name: str, stretches: list[tuple[int, int, int]], part: Rows, wanted: list[bool], segment: int
) -> None:
    """Raise: ConfigError, naming the first part that is wanted and has no segment."""
    for number, called in enumerate(PARTS):
        if wanted[number] and not (part == number).any():
            most = max((stop - start for k, start, stop in stretches if k == number), default=0)
            hint = f"data.segment={max(1, (most - 1) // 4)}" if most > 1 else "larger fractions, or a longer text"
            of_part = f"{called} has" if sum(wanted) > 1 else "it has"
            raise ConfigError(
                f"{name}: {of_part} {most} tokens in a row, but data.segment={segment} needs {segment + 1}", hint=hint
            )
