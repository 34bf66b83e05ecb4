"""Texts with labels, or one long text."""

# N texts, S tokens in all

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nnkit.config.sections.sequences import TextConfig
from nnkit.data.sequences import Rows, Sequences
from nnkit.data.source import Account, Source
from nnkit.data.target import class_order
from nnkit.data.text_language import read_language
from nnkit.data.text_layouts import read_labelled
from nnkit.data.tokens import sequences_of
from nnkit.errors import DataError
from nnkit.spec import InputSpec

NO_TOKEN, REPEATED = "no token", "repeats an earlier text of its class"


def read_text(config: TextConfig) -> Source:
    """Return the texts that a section names.

    Repairs, each counted in the account: texts without a token are left out, and with data.deduplicate those that
    repeat an earlier one of their class (of validation and test, too, in this order); texts longer than data.max_length
    are cut off. Line ends within a text become blanks.

    Returns:
        Input of numbers of words (N texts, or segments of a long one), and class numbers, or the next tokens.

    Raises:
        DataError: a file is missing or broken, or a text has no label (with the line).
        ConfigError: a column or an encoding is not known, or a segment is too long.
    """
    return read_language(config) if config.task == "language" else _read_classes(config)


def _read_classes(config: TextConfig) -> Source:
    words = [word for word in (config.path, config.val_path, config.test_path) if word is not None]
    parts = [read_labelled(config, word) for word in words]
    texts = [text for part in parts for text in part.texts]
    labels = [label for part in parts for label in part.labels]
    given, num_cut = sequences_of(texts, config.tokens, lower=config.lower, max_length=config.max_length)
    if not len(given.values):
        raise DataError(f"{parts[0].name} holds no text of a token or more", hint="is it the right file?")
    classes = tuple(class_order(list(set(labels))))
    number = {name: k for k, name in enumerate(classes)}
    target = np.array([number[label] for label in labels], np.int64)
    val_rows, test_rows = _parts(config, [len(part.texts) for part in parts])
    notes = [note for part in parts for note in part.notes]
    if num_cut:
        notes.append(f"{num_cut} of {len(texts)} texts are longer than data.max_length={config.max_length}: cut off")
    source = Source(
        parts[0].name,
        (given,),
        (InputSpec("tokens", "tokens", (given.longest,), (0,)),),
        target,
        (config.target,),
        classes,
        test_rows,
        val_rows,
        account=Account(len(texts), notes=tuple(notes)),
    )
    source = _keeping(source, given.lengths > 0, NO_TOKEN)
    is_repeated = _repeated(source.inputs[0], source.target)
    if config.deduplicate:
        source = _keeping(source, ~is_repeated, REPEATED)
    elif is_repeated.any():
        num = np.count_nonzero(is_repeated)
        told = "1 text repeats an earlier one of its" if num == 1 else f"{num} texts repeat an earlier one of their"
        notes.append(f"{told} class (data.deduplicate=true leaves them out)")
    return replace(source, inputs=(source.inputs[0].compact(),), account=replace(source.rows, notes=tuple(notes)))


def _parts(config: TextConfig, sizes: Sequence[int]) -> tuple[Rows | None, Rows | None]:
    """Return the rows of the files for validation and for the test; None where there are none."""
    rows = [np.arange(stop - size, stop, dtype=np.int64) for size, stop in zip(sizes, np.cumsum(sizes), strict=True)]
    val_rows = rows[1] if config.val_path is not None else None
    return val_rows, (rows[-1] if config.test_path is not None else None)


def _keeping(source: Source, kept: npt.NDArray[np.bool_], reason: str) -> Source:
    return source if kept.all() else source.take(np.flatnonzero(kept).astype(np.int64), reason=reason)


def _repeated(given: Sequences, target: Any) -> npt.NDArray[np.bool_]:
    """Return which texts (N,) an earlier one of the same class is equal to, token by token."""
    seen: set[tuple[int, bytes]] = set()
    found = np.zeros(len(given), bool)
    for row, (label, tokens) in enumerate(zip(target.tolist(), given, strict=True)):
        key = (label, tokens.tobytes())
        found[row] = key in seen
        seen.add(key)
    return found
