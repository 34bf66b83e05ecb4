"""A long text in segments."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.config.sections.sequences import TextConfig
from nnkit.data.sequences import Sequences
from nnkit.data.source import Source
from nnkit.data.text import read_text
from nnkit.data.text_language import _segments, _stretches
from nnkit.errors import ConfigError, DataError
from nnkit.spec import InputSpec
from tests.data.broken_sequences import write_folder


def config(path: str = "x.txt", **settings: Any) -> TextConfig:
    given = {"val_fraction": 0.2, "test_fraction": 0.2, "tokens": "char", "segment": 3, **settings}
    return TextConfig(kind="text", path=path, task="language", **given)


def texts(given: Any) -> list[str]:
    return ["".join(given.words[k] for k in each) for each in given]


def rows(source: Source) -> tuple[list[int], list[int]]:
    assert source.val_rows is not None
    assert source.test_rows is not None
    return source.val_rows.tolist(), source.test_rows.tolist()


def test_segments_follow_each_other_and_the_target_is_one_token_further() -> None:
    Path("x.txt").write_text("abcdefghijklmnopqrst")
    source = read_text(config())
    # training a to l, validation m to p, test q to t; no segment or target goes beyond its part
    assert texts(source.inputs[0]) == ["abc", "def", "ghi", "mno", "qrs"]
    assert texts(source.target) == ["bcd", "efg", "hij", "nop", "rst"]
    assert rows(source) == ([3], [4])
    assert isinstance(source.target, Sequences)
    assert source.target.values is source.inputs[0].values
    assert source.inputs[0].follows.tolist() == [False, True, True, False, False]
    assert (source.task, source.specs) == ("language", (InputSpec("tokens", "tokens", (3,), (0,)),))
    assert source.rows.notes == ("2 tokens at the ends of parts and files fill no segment: left out",)  # k and l


def test_tokens_are_all_that_occur_with_line_ends_among_them() -> None:
    Path("x.txt").write_bytes(b"\xef\xbb\xbf" + b"We know't,\r\nwe\r\n" * 4)
    found = read_text(config(tokens="word", segment=1, lower=True)).inputs[0]
    assert found.words == ("\n", ",", "know't", "we")
    assert found.values.tolist() == [3, 2, 1, 0, 3, 0] * 4


def test_files_are_joined_by_name_and_no_segment_lies_in_two() -> None:
    write_folder("f", {"b.txt": "ijklmnopqr", "a.txt": "abcdefgh", "c.md": "x"})
    source = read_text(config("f", segment=2))
    assert texts(source.inputs[0]) == ["ab", "cd", "ef", "kl", "op"]  # i and j are training, too
    assert rows(source) == ([3], [4])
    assert source.inputs[0].follows.tolist() == [False, True, True, False, False]
    assert source.rows.notes[0] == "1 file is no .txt file, left out: c.md"


def test_parts_may_have_files_of_their_own() -> None:
    write_folder(".", {"x.txt": "abcdefghij", "val.txt": "klmn", "test.txt": "opqz"})
    source = read_text(config(val_path="val.txt", test_path="test.txt"))
    assert texts(source.inputs[0]) == ["abc", "def", "ghi", "klm", "opq"]
    assert rows(source) == ([3], [4])
    assert "z" in source.inputs[0].words
    source = read_text(config(test_path="test.txt", val_fraction=0.4))  # the last 0.4 of x.txt
    assert (texts(source.inputs[0]), rows(source)) == (["abc", "ghi", "opq"], ([1], [2]))


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("abcdefghij", {}, r"x\.txt: validation has 2 tokens in a row, but data\.segment=3 needs 4"),
        ("a" * 20, {"segment": 12}, r"training has 12 tokens in a row, but data\.segment=12 needs 13"),
        ("a" * 20, {"test_fraction": 0.1}, r"test has 2 tokens in a row, but data\.segment=3 needs 4"),
        ("a" * 20, {"val_fraction": 0.9, "test_fraction": 0.9}, r"training has 0 tokens in a row"),
        ("", {}, r"x\.txt: training has 0 tokens in a row"),
    ],
)
def test_a_part_without_a_segment_is_told(text: str, settings: Any, message: str) -> None:
    Path("x.txt").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_text(config(**settings))


def test_an_empty_file_of_a_part_is_told() -> None:
    write_folder(".", {"x.txt": "a" * 20, "test.txt": ""})
    with pytest.raises(ConfigError, match="test has 0 tokens in a row"):
        read_text(config(test_path="test.txt"))


def test_a_text_that_cannot_be_read_is_told() -> None:
    Path("x.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"x\.txt, line 1, byte 4 of it: 0xe9"):
        read_text(config())


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=4), st.integers(1, 6), st.floats(0.05, 0.5), st.floats(0.05, 0.5)
)
def test_no_token_is_in_two_parts_and_none_is_left_out_without_need(
    lengths: list[int], segment: int, val: float, test: float
) -> None:
    stretches = _stretches(config(val_fraction=val, test_fraction=test), lengths, [0] * len(lengths))
    starts, part_of, parts = _segments(stretches, segment)
    assert sum(stop - start for _, start, stop in stretches) == sum(lengths)
    owner = np.repeat(np.arange(len(stretches)), [stop - start for _, start, stop in stretches])
    file_of = np.repeat(np.arange(len(lengths)), lengths)
    for start, stretch in zip(starts, part_of, strict=True):
        own = slice(start, start + segment + 1)  # with the target of its last token
        assert len(owner[own]) == segment + 1
        assert set(owner[own]) == {stretch}
        assert len(set(file_of[own])) == 1
    for k, (part, start, stop) in enumerate(stretches):
        assert stop - start - 1 - segment * np.count_nonzero(part_of == k) < segment
        assert set(parts[part_of == k]) <= {part}


@pytest.mark.data
@pytest.mark.skipif("NNKIT_DATA" not in os.environ, reason="needs the data sets behind NNKIT_DATA")
def test_shakespeare_is_as_its_documentation_says() -> None:
    path = Path(os.environ["NNKIT_DATA"]) / "tinyshakespeare" / "input.txt"
    source = read_text(config(str(path), segment=256, val_fraction=0.05, test_fraction=0.05))
    (tokens,) = source.inputs
    assert (len(tokens.values), len(tokens.words)) == (1_115_394, 65)
    assert texts(tokens[:1])[0].startswith("First Citizen:\nBefore we proceed")
    assert texts(source.target)[0].startswith("irst Citizen:\nBefore we proceed")
