"""What is predicted of sequences: .ts files, texts, padded arrays; and what is wrong with them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nnkit.data.sequences import Sequences
from nnkit.errors import ConfigError, DataError
from nnkit.infer.evaluate import evaluate
from nnkit.infer.labelled import new_rows
from nnkit.infer.predict import Part, Told, predict_parts
from nnkit.infer.rows import array_parts
from nnkit.infer.sequences import text_parts, ts_parts
from tests.finished import opened, sequence_path, ts_text


def texts(kind: str, source: Any, on_bad: Any = "error") -> tuple[list[Part], Told]:
    told = Told()
    return list(text_parts(opened(kind), source, told, on_bad=on_bad)), told


def words_of(part: Part) -> list[str]:
    given: Sequences = part.inputs[0]
    return [" ".join(given.words[k] for k in each) for each in given]


def answered(kind: str, parts: Any) -> pd.DataFrame:
    batches = [batch.to_pandas() for batch in predict_parts(opened(kind), iter(parts), Told(), proba=True)]
    return pd.concat(batches, ignore_index=True)


@pytest.mark.parametrize("labels", [True, False])
def test_series_with_labels_and_without_are_answered_as_they_are_measured(labels: bool) -> None:
    Path("new.ts").write_text(ts_text(varies=True, labels=labels))
    Path("labelled.ts").write_text(ts_text(varies=True))
    run = opened("vowels")
    wanted = evaluate(run, *new_rows(run, Path("labelled.ts"))).answers.probabilities
    found = answered("vowels", ts_parts(run, Path("new.ts")))
    np.testing.assert_allclose(found[["probability_a", "probability_b"]], wanted, rtol=1e-5)


def test_files_of_one_length_are_taken_by_a_run_on_many_and_back() -> None:
    Path("even.ts").write_text(ts_text(varies=False))
    Path("varying.ts").write_text(ts_text(varies=True))
    assert len(answered("vowels", ts_parts(opened("vowels"), Path("even.ts")))) == 60
    assert len(answered("steps", ts_parts(opened("steps"), Path("even.ts")))) == 60
    with pytest.raises(DataError, match=r"varying\.ts: row \d+ has \d steps, but the run was trained on 6"):
        list(ts_parts(opened("steps"), Path("varying.ts")))
    with pytest.raises(DataError, match=r"varying\.ts: row \d+ has \d steps, but the run was trained on 6"):
        new_rows(opened("steps"), Path("varying.ts"))


def test_series_are_not_for_other_runs() -> None:
    Path("new.ts").write_text(ts_text(varies=True))
    with pytest.raises(ConfigError, match="holds series, but the run was trained on tokens"):
        list(ts_parts(opened("reviews"), Path("new.ts")))
    with pytest.raises(DataError, match="dimensions"):
        list(ts_parts(opened("bits"), Path("new.ts")))


def test_a_text_a_line_is_cut_as_those_of_training_were() -> None:
    Path("new.txt").write_text("  a fine, film \nDull\n")
    (part,), told = texts("reviews", "new.txt")
    assert words_of(part) == ["a fine , film", "Dull"]
    assert part.kept["line"].to_pylist() == [1, 2]
    assert told.unknown == {"a": 1, ",": 1, "Dull": 1}
    assert told.tokens == 5
    assert list(answered("reviews", [part]).columns) == ["line", "prediction", "probability_bad", "probability_good"]


def test_a_text_is_answered_as_it_was_measured() -> None:
    run, lines = opened("reviews"), sequence_path("reviews").read_text().splitlines()
    Path("new.txt").write_text("".join(line.partition(" ")[2] + "\n" for line in lines))
    wanted = evaluate(run, *new_rows(run, sequence_path("reviews"))).answers.probabilities
    found = answered("reviews", texts("reviews", "new.txt")[0])
    np.testing.assert_allclose(found[["probability_bad", "probability_good"]], wanted, rtol=1e-5)


def test_empty_texts_are_told_or_left_out() -> None:
    Path("new.txt").write_text("fine\n\n  \ndull\n\n")
    with pytest.raises(DataError, match=r"new\.txt, line 2: the text is empty") as caught:
        texts("reviews", "new.txt")
    assert [problem.hint for problem in caught.value.problems] == ["--on-bad skip leaves it out", "", ""]
    (part,), told = texts("reviews", "new.txt", "skip")
    assert part.kept["line"].to_pylist() == [1, 4]
    assert told.skipped == 3
    assert "line 5: the text is empty" in told.lines[2]
    Path("empty.txt").write_text("\n")
    assert texts("reviews", "empty.txt", "skip")[0] == []


def test_texts_are_answered_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("new.txt").write_text("".join(f"fine n{i}\n" for i in range(9)))
    whole = answered("reviews", texts("reviews", "new.txt")[0])
    run = opened("reviews")
    batching = replace(run.config.batching, eval_batch_size=2)
    small = replace(run, config=replace(run.config, batching=batching))
    monkeypatch.setattr("nnkit.infer.sequences.AT_ONCE", 2)
    parts = list(text_parts(small, "new.txt", Told(), on_bad="error"))
    assert [len(part.inputs[0]) for part in parts] == [4, 4, 1]
    pd.testing.assert_frame_equal(answered("reviews", parts), whole)


def test_other_columns_of_a_table_go_along() -> None:
    pd.DataFrame({"id": [7, 8], "review": ["a fine\nfilm", "dull"], "n": ["x", "y"]}).to_csv("new.csv", index=False)
    (part,), _ = texts("opinions", "new.csv")
    assert words_of(part) == ["a fine film", "dull"]
    assert {name: column.to_pylist() for name, column in part.kept.items()} == {"id": ["7", "8"], "n": ["x", "y"]}
    assert texts("opinions", str(sequence_path("opinions")))[0][0].kept.keys() == {"label", "id"}


def test_what_is_wrong_with_a_table_of_texts_is_told() -> None:
    pd.DataFrame({"id": [1, 2, 3], "review": ["fine", None, "dull"]}).to_csv("new.csv", index=False)
    with pytest.raises(DataError, match=r"new\.csv, line 3: the text is empty"):
        texts("opinions", "new.csv")
    (part,), told = texts("opinions", "new.csv", "skip")
    assert part.kept["id"].to_pylist() == ["1", "3"]
    assert told.skipped == 1
    with pytest.raises(ConfigError, match=r"new\.csv has no column text"):
        texts("reviews", "new.csv")
    Path("ragged.csv").write_text("id,review\n1,fine\n2,dull,slow\n3,great\n")
    (part,), told = texts("opinions", "ragged.csv", "skip")
    assert part.kept["id"].to_pylist() == ["1", "3"]
    assert "ragged.csv, line 3" in told.lines[0]
    pd.DataFrame({"review": [["a"]]}).to_parquet("lists.parquet")
    with pytest.raises(DataError, match=r"column review holds list.*, not text"):
        texts("opinions", "lists.parquet")


@pytest.mark.parametrize(
    ("kind", "data", "wanted"),
    [
        ("reviews", b"a fine film\r\ndull\n", ["a fine film", "dull"]),
        ("opinions", b"id,review\n1,fine\n2,dull\n", ["fine", "dull"]),
    ],
)
def test_standard_input_has_the_form_of_the_runs_data(kind: str, data: bytes, wanted: list[str]) -> None:
    (part,), _ = texts(kind, io.BytesIO(data))
    assert words_of(part) == wanted
    assert part.kept.keys() == ({"line"} if kind == "reviews" else {"id"})


def test_files_that_hold_no_text_are_told() -> None:
    Path("folder").mkdir()
    with pytest.raises(DataError, match="folder is a folder"):
        texts("reviews", "folder")
    with pytest.raises(DataError, match=r"gone\.txt is not there"):
        texts("reviews", "gone.txt")
    Path("latin.txt").write_bytes("schön\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.txt, line 1, byte 4 of it: 0xf6 is not utf-8 text") as caught:
        texts("reviews", "latin.txt")
    assert "data." not in caught.value.problems[0].hint
    with pytest.raises(DataError, match="standard input, line 1"):
        texts("reviews", io.BytesIO(b"\xff\n"))


def test_long_texts_are_cut_off_as_those_of_training_were() -> None:
    run = opened("reviews")
    short = replace(run, config=replace(run.config, data=replace(run.config.data, max_length=2)))  # type: ignore[type-var]
    Path("new.txt").write_text("a fine film\ndull\n")
    told = Told()
    (part,) = text_parts(short, "new.txt", told, on_bad="error")
    assert words_of(part) == ["a fine", "dull"]
    assert told.cut == 1


def padded(make: Callable[[Any], None] = lambda x: None, **arrays: Any) -> Path:
    x = np.random.default_rng(0).normal(size=(3, 7, 1)).astype(np.float32)
    make(x)
    np.savez("new.npz", x=x, **arrays)
    return Path("new.npz")


def test_padded_series_are_answered_for_the_steps_that_they_have() -> None:
    run = opened("bits")
    found = answered("bits", array_parts(run, padded(lengths=[3, 7, 1]), Told(), on_bad="error"))
    assert found["row"].tolist() == [1] * 3 + [2] * 7 + [3]
    assert found["step"].tolist() == [1, 2, 3, 1, 2, 3, 4, 5, 6, 7, 1]
    full = answered("bits", array_parts(run, padded(), Told(), on_bad="error"))
    assert len(full) == 21
    names = ["probability_even", "probability_odd"]
    np.testing.assert_allclose(found[found["row"] == 1][names], full[:3][names], rtol=1e-5)


def spoil(x: Any) -> None:
    x[1, 4] = np.nan


def test_values_that_are_not_finite_are_told_where_they_count() -> None:
    run = opened("bits")
    with pytest.raises(DataError, match=r"new\.npz, row 2: a value is not finite"):
        list(array_parts(run, padded(spoil, lengths=[3, 7, 1]), Told(), on_bad="error"))
    told = Told()
    found = answered("bits", array_parts(run, padded(spoil, lengths=[3, 7, 1]), told, on_bad="skip"))
    assert found["row"].tolist() == [1, 1, 1, 3]
    assert told.skipped == 1
    found = answered("bits", array_parts(run, padded(spoil, lengths=[3, 4, 1]), Told(), on_bad="error"))
    assert len(found) == 8


@pytest.mark.parametrize(
    ("kind", "arrays", "error", "text"),
    [
        ("bits", {"lengths": [3, 8, 1]}, DataError, "lengths must be from 1 to 7, got 8 in row 2"),
        ("bits", {"lengths": [3, 8]}, DataError, r"lengths must be \(3,\) whole numbers for series"),
        ("even", {}, DataError, "row 1 has 7 steps, but the run was trained on 6, the same for every row"),
        ("even", {"lengths": [6, 6, 5]}, DataError, "row 3 has 5 steps, but the run was trained on 6"),
        ("vowels", {}, DataError, "has 1 channels a step, but the run was trained on 2"),
        ("reviews", {}, ConfigError, r"new\.npz: x is an array, but the run was trained on texts"),
    ],
)
def test_arrays_that_are_unlike_the_training_are_told(
    kind: str, arrays: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        list(array_parts(opened(kind), padded(**arrays), Told(), on_bad="error"))


def test_what_a_run_on_series_takes_is_told() -> None:
    Path("new.csv").write_text("a\n1\n")
    with pytest.raises(ConfigError, match=r"is not a \.ts, \.npz or \.npy file, which the run takes"):
        list(array_parts(opened("vowels"), Path("new.csv"), Told(), on_bad="error"))
