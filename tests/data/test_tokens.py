"""From text to tokens and back, and the words that a model is to know."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.data.sequences import Sequences
from nnkit.data.tokens import UNKNOWN, How, encode_tokens, fit_vocabulary, join_tokens, sequences_of, split_text
from nnkit.errors import ConfigError

# letters of several scripts, marks, joiners, signs, blanks and line ends
TEXTS = st.text(alphabet="abÉß1_ '\u2019-.,!()\n\t\u2028\u0301\u093f\u200d\xad\u0085漢é😀", max_size=30)
HOW: tuple[How, ...] = ("char", "word")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What's the U.S. price, $5?", ["What's", "the", "U", ".", "S", ".", "price", ",", "$", "5", "?"]),
        ("don\u2019t 'quote' me", ["don\u2019t", "'", "quote", "'", "me"]),
        ("snake_case x-ray 3.14 ---", ["snake", "_", "case", "x", "-", "ray", "3", ".", "14", "-", "-", "-"]),
        ("two\nlines\n\n", ["two", "\n", "lines", "\n", "\n"]),
        ("a\u2028b\x85c\xa0d\te", ["a", "b", "c", "d", "e"]),  # blanks, but no ends of lines
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),  # vowel signs are no letters to Python
        ("cafe\u0301 co\xadop", ["cafe\u0301", "co\xadop"]),
        ("漢字 😀!", ["漢字", "😀", "!"]),
        ("", []),
        (" \t ", []),
    ],
)
def test_words_are_letters_and_digits_together_and_signs_alone(text: str, words: list[str]) -> None:
    assert split_text(text, "word") == words


def test_characters_are_all_there_is() -> None:
    assert split_text("A b\n", "char") == ["A", " ", "b", "\n"]


def test_capitals_are_made_small_if_wanted() -> None:
    assert split_text("The Old", "word", lower=True) == ["the", "old"]
    found, _ = sequences_of(["Aa", "bA"], "char", lower=True)
    assert found.words == ("a", "b")


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from(HOW), st.booleans())
def test_sequences_hold_the_tokens_of_each_text(texts: list[str], how: How, lower: bool) -> None:
    found, num_cut = sequences_of(texts, how, lower=lower)
    assert [[found.words[k] for k in each] for each in found] == [split_text(t, how, lower=lower) for t in texts]
    assert num_cut == 0
    assert list(found.words) == sorted({token for text in texts for token in split_text(text, how, lower=lower)})
    assert found.values.dtype == np.int32


@given(st.text(max_size=50))
def test_characters_make_the_text_again(text: str) -> None:
    found, _ = sequences_of([text], "char")
    assert join_tokens([found.words[k] for k in found.values], "char") == text


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_words_that_are_joined_are_the_same_words(text: str) -> None:
    words = split_text(text, "word")
    assert split_text(join_tokens(words, "word"), "word") == words


def test_words_are_joined_as_people_write() -> None:
    text = "Who's there?\n\nHe (the old one) said: “no…”, twice!\n"
    assert join_tokens(split_text(text, "word"), "word") == text


@pytest.mark.parametrize("how", HOW)
def test_longer_texts_are_cut_off_and_counted(how: How) -> None:
    texts = ["a b", "c", "d e"] if how == "word" else ["ab", "c", "de"]
    found, num_cut = sequences_of(texts, how, max_length=1)
    assert (found.lengths.tolist(), found.words, num_cut) == ([1, 1, 1], ("a", "c", "d"), 2)
    assert sequences_of(texts, how, max_length=2)[1] == 0


def test_a_megabyte_takes_well_under_a_second() -> None:
    start = time.perf_counter()
    sequences_of(["To be, or not to be: that is\n" * 35_000], "char")
    assert time.perf_counter() - start < 0.5


def numbered(*texts: str) -> Sequences:
    return sequences_of(texts, "word")[0]


def rows(*numbers: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


def test_the_vocabulary_is_the_words_of_training_by_frequency_and_alphabet() -> None:
    found = numbered("b a c c", "a b d", "e e e e e")
    assert fit_vocabulary(found, rows(0, 1)) == (UNKNOWN, "a", "b", "c", "d")
    assert fit_vocabulary(found, rows(0, 1), min_frequency=2) == (UNKNOWN, "a", "b", "c")
    assert fit_vocabulary(found, rows(0, 1), max_vocabulary=3) == (UNKNOWN, "a", "b")
    assert fit_vocabulary(found, rows(2)) == (UNKNOWN, "e")


def test_a_token_that_lies_in_two_stretches_counts_once() -> None:
    whole = numbered("a b b c c c")
    found = Sequences(whole.values, rows(0, 1), rows(3, 3), whole.words)
    assert fit_vocabulary(found, rows(0, 1), min_frequency=2) == (UNKNOWN, "b")  # and c is covered once


def test_words_that_are_not_known_share_number_0() -> None:
    found = numbered("b a c")
    np.testing.assert_array_equal(encode_tokens(found, (UNKNOWN, "a", "b")), [2, 1, 0])
    assert encode_tokens(found, (UNKNOWN, "a")).dtype == np.int32


def test_a_vocabulary_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.min_frequency=4 leaves no token: .* 'c', is there 3 times"):
        fit_vocabulary(numbered("a b b c c c"), rows(0), min_frequency=4)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=6), min_size=2, max_size=5),
    st.integers(1, 3),
    st.integers(2, 6),
)
def test_the_vocabulary_agrees_with_a_counter(texts: list[list[str]], least: int, most: int) -> None:
    found = numbered(*(" ".join(text) for text in texts))
    counts = Counter(word for text in texts[1:] for word in text)
    expected = sorted((w for w in counts if counts[w] >= least), key=lambda w: (-counts[w], w))[: most - 1]
    train = np.arange(1, len(texts), dtype=np.int64)
    if not expected:
        with pytest.raises(ConfigError, match=f"data.min_frequency={least}"):
            fit_vocabulary(found, train, min_frequency=least, max_vocabulary=most)
        return
    vocabulary = fit_vocabulary(found, train, min_frequency=least, max_vocabulary=most)
    assert vocabulary == (UNKNOWN, *expected)
    known = [word if word in expected else UNKNOWN for text in texts for word in text]
    assert [vocabulary[k] for k in encode_tokens(found, vocabulary)] == known
