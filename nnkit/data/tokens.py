"""From text to tokens, characters or words, to their numbers, and back to text."""

# S steps (tokens) in all, N texts, V words of the vocabulary

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Literal

import numpy as np
import numpy.typing as npt

from nnkit.data.sequences import Rows, Sequences
from nnkit.errors import ConfigError

How = Literal["char", "word"]
UNKNOWN = "<unk>"  # number 0 of every vocabulary; no text is cut into this
UNKNOWN_NUMBER = 0
# What belongs to a word where a letter follows: apostrophes, the soft hyphen, the joiners of Persian and Hindi.
_WITHIN_WORDS = "'\u2019\u00ad\u200c\u200d"
_CLOSING = frozenset("\n,.;:!?)]}%'\u2019\u201d\u2026")
_OPENING = frozenset("\n([{\u201c\u2018")


def split_text(text: str, how: How, *, lower: bool = False) -> list[str]:
    """Return the tokens of a text.

    Args:
        text: any; each line feed is a token of its own.
        how: "char" is every character; "word" is letters and digits together (with an apostrophe and the like between
            them), and any other sign alone, without blanks.
        lower: whether capitals are made small first.
    """
    text = text.lower() if lower else text
    return list(text) if how == "char" else _words(text).findall(text)


def _words(*texts: str) -> re.Pattern[str]:
    """Return what finds the words of texts."""
    others = frozenset().union(*(frozenset(text) for text in texts if not text.isascii()))
    return _pattern("".join(sorted(sign for sign in others if unicodedata.category(sign)[0] == "M")))


@lru_cache(maxsize=64)
def _pattern(marks: str) -> re.Pattern[str]:
    """Return what finds words, in which these marks (accents, vowel signs) follow letters."""
    follows = r"[^\W_]+" if not marks else rf"[^\W_](?:[^\W_]|[{re.escape(marks)}])*"
    return re.compile(rf"\n|{follows}(?:[{_WITHIN_WORDS}]{follows})*|[^\s]")


def sequences_of(
    texts: Sequence[str], how: How, *, lower: bool = False, max_length: int | None = None
) -> tuple[Sequences, int]:
    """Return texts as sequences of numbers of tokens, and how many texts were cut off.

    Args:
        texts: N of them. One without a token has length 0 here, and is to be left out.
        how: as in `split_text`.
        lower: as in `split_text`.
        max_length: tokens from which on a text is cut off; None for never.

    Returns:
        Values (S,) int32, and the words that occur in alphabetical order.
    """
    texts = [text.lower() for text in texts] if lower else texts
    found: Sequence[Sequence[str]] = texts if how == "char" else list(map(_words(*texts).findall, texts))
    whole = np.array([len(each) for each in found], np.int64)
    lengths = whole if max_length is None else np.minimum(whole, max_length)
    tokens = chain.from_iterable(each[:max_length] for each in found)
    values, words = _characters("".join(tokens)) if how == "char" else _numbered(list(tokens))
    return Sequences(values, np.cumsum(lengths) - lengths, lengths, words), int(np.count_nonzero(whole > lengths))


def _characters(text: str) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """Return the number of each character (S,), and the characters in order."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    occurs = np.zeros(int(codes.max(initial=0)) + 1, bool)
    occurs[codes] = True
    numbers = np.cumsum(occurs, dtype=np.int32) - np.int32(1)
    return numbers[codes], tuple(map(chr, np.flatnonzero(occurs).tolist()))


def _numbered(tokens: Sequence[str]) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
    """Return the number of each token (S,), and the words in order."""
    words = tuple(sorted(set(tokens)))
    place = {word: number for number, word in enumerate(words)}
    return np.fromiter(map(place.__getitem__, tokens), np.int32, len(tokens)), words


def fit_vocabulary(
    given: Sequences, train: Rows, *, min_frequency: int = 1, max_vocabulary: int | None = None
) -> tuple[str, ...]:
    """Return the words that a model is to know, by what the training texts hold.

    Args:
        given: N texts.
        train: numbers of the training texts; a token in two of them (of overlapping stretches) counts once.
        min_frequency: rarer words are left out.
        max_vocabulary: the most words, UNKNOWN among them; None for all.

    Returns:
        V words: UNKNOWN first, then by falling frequency, and in alphabetical order where that is equal.

    Raises:
        ConfigError: no word is frequent enough.
    """
    counts = np.bincount(given.values[given[train].covered()], minlength=len(given.words))
    kept = np.flatnonzero(counts >= max(1, min_frequency)).tolist()
    if not kept:
        best = int(counts.argmax())
        raise ConfigError(
            f"data.min_frequency={min_frequency} leaves no token: the most frequent one of training, "
            f"{given.words[best]!r}, is there {counts[best]} times",
            hint="data.min_frequency=1",
        )
    kept.sort(key=lambda number: (-counts[number], given.words[number]))
    most = len(kept) if max_vocabulary is None else max_vocabulary - 1
    return (UNKNOWN, *(given.words[number] for number in kept[:most]))


def encode_tokens(given: Sequences, vocabulary: Sequence[str]) -> npt.NDArray[np.int32]:
    """Return the number in the vocabulary (S,) of each token; 0 for those that it does not have."""
    place = {word: number for number, word in enumerate(vocabulary)}
    table = np.array([place.get(word, 0) for word in given.words], np.int32)
    found: npt.NDArray[np.int32] = table[given.values]
    return found


def join_tokens(tokens: Iterable[str], how: How) -> str:
    """Return tokens as a text to be read: words with blanks between them, but none before a comma and the like."""
    if how == "char":
        return "".join(tokens)
    parts, is_open = [], True
    for word in tokens:
        parts.append(word if is_open or word in _CLOSING else f" {word}")
        is_open = word in _OPENING
    return "".join(parts)
