"""`nnkit.load`: the run as an object of Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import nnkit
from nnkit.errors import ConfigError, DataError
from nnkit.infer.generate import generate
from nnkit.infer.predictor import Predictor
from tests.finished import (
    OLD,
    command,
    copy_of,
    data_path,
    folder_of,
    load_table,
    opened,
    own_folder,
    table,
    unlabelled,
)


def of(kind: str) -> Predictor:
    return Predictor(opened(kind))


def test_a_frame_is_answered_as_its_file_is(capsys: pytest.CaptureFixture[str]) -> None:
    frame = unlabelled()
    frame.to_csv("in.csv", index=False)
    command(capsys, "predict", folder_of("binary"), "in.csv", "-o", "out.csv", "--proba")
    wanted = pd.read_csv("out.csv")
    loaded = nnkit.load(folder_of("binary"))
    assert loaded.classes == ("no", "yes, gladly")
    for rows in (frame, frame[frame.columns[::-1]].assign(more=1), "in.csv", Path("in.csv")):
        assert loaded.predict(rows).tolist() == wanted["prediction"].tolist()
        np.testing.assert_allclose(loaded.predict_proba(rows), wanted[wanted.columns[2:]], rtol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"town": lambda f: f["town"].astype("category")},
        {"town": lambda f: f["town"].astype("string")},
        {"built": lambda f: pd.to_datetime(f["built"])},
        {"is_new": lambda f: f["is_new"] == "yes"},
        {"weight": lambda f: f["weight"].astype(str)},
        {"size": lambda f: f["size"].astype("Float64")},
        {"weight": lambda f: f["weight"].astype("float32").astype(object)},
    ],
)
def test_columns_of_pandas_may_be_of_any_type(change: dict[str, Any]) -> None:
    frame = unlabelled()
    wanted = of("binary").predict_proba(frame)
    np.testing.assert_allclose(of("binary").predict_proba(frame.assign(**change)), wanted, rtol=1e-4)


def test_the_index_of_a_frame_is_left_alone() -> None:
    frame = unlabelled()
    chosen = frame[frame["weight"] > 5]
    whole = of("binary").predict(frame)[(frame["weight"] > 5).to_numpy()]
    assert of("binary").predict(chosen).tolist() == whole.tolist()


def test_values_and_labels_have_the_shape_of_their_task() -> None:
    values = of("values").predict(unlabelled())
    assert (values.shape, values.dtype) == ((240,), np.float64)
    assert values.mean() > 100_000
    assert of("several").predict(unlabelled()).shape == (240, 2)
    labels = of("labels").predict(unlabelled())
    assert labels.shape == (240, 2)
    assert set(np.unique(labels)) <= {0, 1}
    assert of("labels").classes == ("red", "big")
    assert of("values").classes == ()
    assert (of("labels").predict_proba(unlabelled()) > 0.5).astype(int).tolist() == labels.tolist()
    with pytest.raises(ConfigError, match="a regression has no probabilities"):
        of("values").predict_proba(unlabelled())


def test_arrays_are_answered() -> None:
    with np.load(data_path("array")) as arrays:
        x, y = arrays["x"], arrays["y"]
    found = of("array").predict(x)
    assert found.dtype == object
    assert (found == y.astype(str)).mean() > 0.5
    assert of("array").predict(x[:3].tolist()).tolist() == found[:3].tolist()
    assert of("array").predict(pd.DataFrame(x[:3])).tolist() == found[:3].tolist()
    assert of("array").predict(x[::-1][:3]).tolist() == found[::-1][:3].tolist()
    with np.load(data_path("pixels")) as arrays:
        pixels = arrays["x"]
    channels_last = pixels.transpose(0, 2, 3, 1)
    for images in (pixels, channels_last, pixels.astype(float)):
        assert of("pixels").predict(images).tolist() == [str(i % 2) for i in range(60)]


def test_a_first_format_run_and_own_code_are_loaded() -> None:
    assert set(nnkit.load(copy_of(OLD)).predict(np.zeros((2, 4)))) <= {"setosa", "versicolor", "virginica"}
    with pytest.raises(ConfigError, match="model runs code of its own"):
        nnkit.load(own_folder())
    assert len(nnkit.load(own_folder(), trust=True).predict(np.zeros((2, 4)))) == 2


def test_a_run_is_named_by_any_word_that_commands_take(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Path("outputs").mkdir()
    moved = copy_of(folder_of("array")).rename(tmp_path / "outputs" / "one")
    monkeypatch.setenv("HOME", str(tmp_path))
    for word in ("last", str(moved), moved, "~/outputs/one", "outputs/one"):
        assert nnkit.load(word).run.folder == moved
    with pytest.raises(ConfigError, match="nowhere is not a run folder"):
        nnkit.load("nowhere")


def test_errors_carry_their_hints_and_no_flag_of_a_command() -> None:
    with pytest.raises(ConfigError, match=r"(?s)nowhere is not a run folder.*\nhint: last, or a folder"):
        nnkit.load("nowhere")
    with pytest.raises(ConfigError, match=r"(?s)model runs code of its own.*\nhint: trust=True"):
        nnkit.load(own_folder())
    unlabelled().assign(weight="x").to_csv("bad.csv", index=False)
    with pytest.raises(DataError, match="column weight") as raised:
        of("binary").predict("bad.csv")
    assert "--on-bad" not in str(raised.value)
    with pytest.raises(ConfigError, match=r'(?s)predicts a list of texts, got str\nhint: \["a text"\]'):
        of("reviews").predict("a fine film")


def test_a_run_shows_what_it_is() -> None:
    folder = folder_of("binary")
    assert repr(of("binary")).startswith("<nnkit classification by ")
    assert repr(of("binary")).endswith(f" on table (no, yes, gladly), in {folder}>")


@pytest.mark.parametrize(
    ("kind", "rows", "error", "text"),
    [
        ("binary", np.zeros((3, 5)), ConfigError, "a run on a table predicts a DataFrame, got ndarray"),
        ("binary", unlabelled("size", "town"), ConfigError, "the DataFrame has no column weight; .*is_new.*built"),
        ("binary", unlabelled().head(0), DataError, "there is no row to predict"),
        ("binary", unlabelled().assign(weight="x"), DataError, "the DataFrame, row 1, column weight: 'x' is not a"),
        ("binary", unlabelled().assign(weight=[1, "x"] * 120), DataError, "the DataFrame"),
        ("binary", "gone.csv", DataError, "gone.csv is not there"),
        ("embedded", table().assign(size=None), DataError, "row 1, column size: the value is missing"),
        ("array", np.zeros((3, 5)), DataError, r"the array has samples of shape \(5,\), but the run was trained on"),
        ("array", np.zeros((0, 4)), DataError, "there is no row to predict"),
        ("array", np.full((3, 4), np.nan), DataError, "the array: row 1 is not finite"),
        ("array", [["a", "b", "c", "d"]], DataError, "must be numeric"),
        ("array", "x.png", ConfigError, "pictures"),
        ("array", ["x.png"], ConfigError, "pictures"),
        ("array", [], DataError, "there is no row to predict"),
        ("pixels", ["x.png", Image.new("L", (8, 8))], DataError, "paths alone, .* got str in row 1, Image in row 2"),
        ("pixels", [Image.new("L", (8, 8)), 3], DataError, "got Image in row 1, int in row 2"),
    ],
)
def test_rows_that_cannot_be_answered_are_told(kind: str, rows: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        of(kind).predict(rows)


def test_series_of_many_lengths_are_answered_one_by_one() -> None:
    rng = np.random.default_rng(0)
    series = [rng.normal(size=(length, 2)) for length in (5, 3, 8)]
    found = of("vowels").predict_proba(series)
    assert found.shape == (3, 2)
    for row, each in enumerate(series):
        np.testing.assert_allclose(of("vowels").predict_proba([each])[0], found[row], rtol=1e-5)
    assert set(of("vowels").predict(series)) <= {"a", "b"}
    np.testing.assert_allclose(of("vowels").predict_proba(np.stack([series[0]] * 2))[1], found[0], rtol=1e-5)
    assert of("adding").predict([np.zeros((6, 2)), np.zeros((4, 2))]).shape == (2,)
    assert len(of("steps").predict([np.zeros((6, 2))] * 3)) == 3


def test_each_step_of_a_series_is_answered() -> None:
    series = [np.zeros((length, 1)) for length in (3, 5)]
    classes, proba = of("bits").predict(series), of("bits").predict_proba(series)
    assert [each.shape for each in classes] == [(3,), (5,)]
    assert [each.shape for each in proba] == [(3, 2), (5, 2)]
    assert set(classes[0]) <= {"even", "odd"}
    np.testing.assert_allclose(proba[0], proba[1][:3], rtol=1e-5)
    assert [each.shape for each in of("even").predict(np.zeros((2, 6, 1)))] == [(6,), (6,)]


def test_texts_are_answered() -> None:
    texts = ["a fine film", "dull and slow"]
    found = of("reviews").predict_proba(texts)
    assert found.shape == (2, 2)
    np.testing.assert_allclose(of("reviews").predict_proba(texts[::-1]), found[::-1], rtol=1e-5)
    assert of("reviews").predict(pd.Series(texts)).tolist() == of("reviews").predict(texts).tolist()


def test_a_file_is_forecast_from_as_the_command_does() -> None:
    load_table().to_csv("past.csv", index=False)
    for path in ("past.csv", Path("past.csv"), Path("past.csv").absolute()):
        np.testing.assert_allclose(of("load").predict(path), of("load").predict(load_table()), rtol=1e-6)
    np.save("past.npy", load_table()[["load", "gas", "holiday"]].to_numpy())
    np.testing.assert_allclose(of("load").predict("past.npy"), of("load").predict(load_table()), rtol=1e-6)
    with pytest.raises(DataError, match=r"gone\.csv is not there"):
        of("load").predict("gone.csv")


def test_the_past_is_forecast_from() -> None:
    frame = load_table().copy()
    found = of("load").predict(frame)
    assert (found.shape, found.dtype) == ((6, 2), np.float64)
    values = frame[["load", "gas", "holiday"]].to_numpy()
    np.testing.assert_allclose(of("load").predict(values), found, rtol=1e-6)
    np.testing.assert_allclose(of("load").predict(values[-24:].tolist()), found, rtol=1e-6)
    assert of("sine").predict(np.zeros(30)).shape == (4,)
    frame.loc[294:, ["load", "gas"]] = np.nan
    assert of("known").predict(frame).shape == (6,)


def test_a_text_is_continued() -> None:
    loaded = of("letters")
    found = loaded.generate("the cat", 20, temperature=0.5, top_k=5, seed=3)
    assert found == "".join(generate(loaded.run, "the cat", length=20, temperature=0.5, top_k=5, seed=3))
    assert len(loaded.generate()) == 200
    assert loaded.classes[0] == "<unk>"


@pytest.mark.parametrize(
    ("kind", "rows", "error", "text"),
    [
        ("vowels", [np.zeros((3, 2)), np.zeros((3, 1))], DataError, r"the list has series of \[1, 2\] channels"),
        ("vowels", [np.zeros((3, 1))], DataError, "the list has 1 channels a step, but the run was trained on 2"),
        (
            "vowels",
            [np.zeros((3, 2)), np.zeros(3)],
            DataError,
            r"must hold numbers \(T, C\), .* of shape \(3,\) in row 2",
        ),
        ("vowels", [np.zeros((0, 2))], DataError, r"got float64 of shape \(0, 2\) in row 1"),
        ("vowels", [np.full((3, 2), "x")], DataError, "the list must hold numbers .*, got <U1 of shape"),
        ("vowels", [np.zeros((3, 2)), np.full((3, 2), np.nan)], DataError, "the array: row 2 is not finite"),
        ("vowels", [], DataError, "there is no row to predict"),
        ("even", np.zeros((2, 7, 1)), DataError, "row 1 has 7 steps, but the run was trained on 6"),
        ("reviews", "a fine film", ConfigError, "a run on texts predicts a list of texts, got str"),
        ("reviews", [1, 2], ConfigError, "a run on texts predicts a list of texts, got list"),
        ("reviews", ["fine", " "], DataError, "row 2: the text is empty"),
        ("reviews", [], DataError, "there is no row to predict"),
        ("load", np.zeros((3, 3)), DataError, "the array has 3 steps, fewer than the window of 24"),
        ("letters", ["the"], ConfigError, "a language model continues a text, and has no predictions of rows"),
    ],
)
def test_sequences_that_cannot_be_answered_are_told(kind: str, rows: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        of(kind).predict(rows)


def test_forecasts_have_no_probabilities() -> None:
    with pytest.raises(ConfigError, match="a forecast has no probabilities"):
        of("load").predict_proba(load_table())
    with pytest.raises(ConfigError, match="is no language model"):
        of("load").generate("the")
