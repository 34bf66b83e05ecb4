"""Texts with labels, read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnkit.config.sections.sequences import TextConfig
from nnkit.data.source import Source
from nnkit.data.text import NO_TOKEN, REPEATED, read_text
from nnkit.errors import DataError
from nnkit.spec import InputSpec
from tests.data.broken_sequences import write_folder


def read(path: str = "x", **settings: Any) -> Source:
    return read_text(TextConfig(kind="text", path=path, val_fraction=0.2, test_fraction=0.2, **settings))


def texts(source: Source) -> list[list[str]]:
    (given,) = source.inputs
    return [[given.words[k] for k in each] for each in given]


def labels(source: Source) -> list[str]:
    return [source.classes[k] for k in np.asarray(source.target)]


def test_texts_are_sequences_of_words_and_labels_are_classes() -> None:
    Path("x").write_text("10 the cat\n9 a Cat!\n10 dog\n")
    source = read()
    assert texts(source) == [["the", "cat"], ["a", "Cat", "!"], ["dog"]]
    assert source.inputs[0].words == ("!", "Cat", "a", "cat", "dog", "the")
    assert source.specs == (InputSpec("tokens", "tokens", (3,), (0,)),)
    assert (source.classes, labels(source)) == (("9", "10"), ["10", "9", "10"])
    assert (source.task, source.target_names, source.val_rows, source.test_rows) == (
        "classification",
        ("label",),
        None,
        None,
    )
    assert (source.rows.rows_in, source.rows.dropped, source.rows.notes, source.numbers) == (3, {}, (), None)


def test_texts_may_be_characters() -> None:
    Path("x").write_text("1 aB c\n0 d\n")
    assert texts(read(tokens="char", lower=True)) == [["a", "b", " ", "c"], ["d"]]


def test_files_for_validation_and_test_are_parts() -> None:
    write_folder(".", {"x": "1 a\n0 b\n", "val": "1 c\n", "test": "0 d\n1 e\n"})
    source = read(val_path="val", test_path="test")
    assert (source.val_rows.tolist(), source.test_rows.tolist()) == ([2], [3, 4])  # type: ignore[union-attr]
    assert read(test_path="test").test_rows.tolist() == [2, 3]  # type: ignore[union-attr]
    assert read(val_path="val").val_rows.tolist() == [2]  # type: ignore[union-attr]


def test_texts_without_a_token_are_left_out_and_counted() -> None:
    write_folder(".", {"x": "1 a\n0\n0 b\n", "test": "1 \n0 c\n"})
    source = read(test_path="test")
    assert (texts(source), labels(source)) == ([["a"], ["b"], ["c"]], ["1", "0", "0"])
    assert (source.rows.rows_in, source.rows.dropped) == (5, {NO_TOKEN: 2})
    assert (source.test_rows.tolist(), source.numbers.tolist()) == ([2], [0, 2, 4])  # type: ignore[union-attr]


def test_texts_that_repeat_one_of_their_class_are_left_out_if_wanted() -> None:
    write_folder(".", {"x": "1 a  b\n0 a b\n1 A b\n1 a b\n1\n", "test": "0 a b\n0 c\n"})
    source = read(test_path="test", deduplicate=True)
    assert texts(source) == [["a", "b"], ["a", "b"], ["A", "b"], ["c"]]
    assert labels(source) == ["1", "0", "1", "0"]
    assert source.rows.dropped == {NO_TOKEN: 1, REPEATED: 2}
    assert (source.test_rows.tolist(), source.numbers.tolist()) == ([3], [0, 1, 2, 6])  # type: ignore[union-attr]
    assert source.inputs[0].covered().all()
    assert read(test_path="test", deduplicate=True, lower=True).rows.dropped == {NO_TOKEN: 1, REPEATED: 3}


def test_repeated_texts_that_are_kept_are_told() -> None:
    Path("x").write_text("1 a\n1 a\n0 a\n")
    source = read()
    assert len(source) == 3
    assert source.rows.notes == ("1 text repeats an earlier one of its class (data.deduplicate=true leaves them out)",)


def test_longer_texts_are_cut_off_and_told() -> None:
    Path("x").write_text("1 a b c\n0 d\n1 e f g h\n")
    source = read(max_length=2)
    assert texts(source) == [["a", "b"], ["d"], ["e", "f"]]
    assert source.inputs[0].words == tuple("abdef")
    assert source.specs[0].shape == (2,)
    assert source.rows.notes == ("2 of 3 texts are longer than data.max_length=2: cut off",)


@pytest.mark.parametrize("text", ["", "\n \n", "1\n0\n"])
def test_files_without_any_text_are_refused(text: str) -> None:
    Path("x").write_text(text)
    with pytest.raises(DataError, match=r"x holds no text of a token or more"):
        read()


def test_a_wrong_encoding_is_told_and_the_right_one_reads() -> None:
    Path("x").write_bytes("1 café\n0 b\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"x, line 1, byte 6 of it: 0xe9 is not utf-8 text"):
        read()
    assert texts(read(encoding="latin-1"))[0] == ["café"]


@pytest.mark.data
@pytest.mark.skipif("NNKIT_DATA" not in os.environ, reason="needs the data sets behind NNKIT_DATA")
def test_real_texts_are_as_their_documentation_says() -> None:
    data = Path(os.environ["NNKIT_DATA"])
    trec = read(f"{data}/sentconv/TREC.train.all", test_path=f"{data}/sentconv/TREC.test.all", encoding="latin-1")
    assert (len(trec), len(trec.test_rows), len(trec.classes)) == (5952, 500, 6)  # type: ignore[arg-type]
    subj = read(f"{data}/sentconv/subj.all", encoding="latin-1")
    assert np.bincount(np.asarray(subj.target)).tolist() == [5000, 5000]
    names = read(f"{data}/names", tokens="char", deduplicate=True)
    assert (len(names), len(names.classes), names.rows.rows_in) == (18_012, 18, 20_050)
    share = np.bincount(np.asarray(names.target)).max() / len(names)
    assert share == pytest.approx(0.519, abs=0.0005)
