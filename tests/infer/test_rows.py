"""What is read for predictions: any order of columns, exact lines of what is bad, everything else kept as it stands."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nnkit.config.sections.data import OnBad
from nnkit.errors import ConfigError, DataError
from nnkit.infer.finished import Finished, open_run
from nnkit.infer.labelled import new_rows, own_rows
from nnkit.infer.predict import Part, Told
from nnkit.infer.predictor import Predictor
from nnkit.infer.rows import array_parts, samples_of, table_parts
from nnkit.run import train
from nnkit.runs import new_folder
from tests.finished import OLD, command, copy_of, data_path, opened, table, unlabelled
from tests.trained import config_of

IN = Path("in.csv")


def read(source: Any, told: Told | None = None, *, kind: str = "binary", on_bad: OnBad = "error") -> list[Part]:
    run = opened(kind)
    encoder = run.preprocess.table
    assert encoder is not None
    source = str(source) if isinstance(source, Path) else source
    return list(table_parts(run, encoder, source, told or Told(), on_bad=on_bad))


def stored(parts: list[Part]) -> np.ndarray[Any, Any]:
    store = opened("binary").preprocess.store
    return np.concatenate([np.concatenate([x.numpy() for x in store(part.inputs)[0]], 1) for part in parts])


def written(frame: pd.DataFrame, path: Path = IN) -> Path:
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray[Any, Any]:
    return stored(read(written(unlabelled(), tmp_path_factory.mktemp("rows") / "in.csv")))


def test_the_order_of_columns_is_free(wanted: np.ndarray[Any, Any]) -> None:
    frame = unlabelled()
    np.testing.assert_array_equal(stored(read(written(frame[frame.columns[::-1]]))), wanted)


def test_files_of_any_form_say_the_same(wanted: np.ndarray[Any, Any]) -> None:
    text = unlabelled().to_csv(index=False)
    Path("a.csv.gz").write_bytes(gzip.compress(text.encode()))
    Path("b.tsv").write_text(unlabelled().to_csv(index=False, sep="\t"))
    unlabelled().to_parquet("c.parquet")
    unlabelled().assign(built=pd.to_datetime(unlabelled()["built"])).to_parquet("d.pq")
    for name in ("a.csv.gz", "b.tsv", "c.parquet", "d.pq"):
        np.testing.assert_array_equal(stored(read(Path(name))), wanted)
    np.testing.assert_array_equal(stored(read(io.BytesIO(text.encode()))), wanted)


def test_a_glob_names_several_files_in_their_order(wanted: np.ndarray[Any, Any]) -> None:
    for i in range(3):
        written(unlabelled().iloc[80 * i : 80 * i + 80], Path(f"part-{i}.csv"))
    parts = read("part-*.csv")
    np.testing.assert_array_equal(stored(parts), wanted)
    assert [x for part in parts for x in part.kept["id"].to_pylist()] == table()["id"].tolist()
    with pytest.raises(DataError, match="no file matches none-"):
        read("none-*.csv")


def test_unknown_columns_go_along_as_they_stand() -> None:
    frame = unlabelled().head(4).assign(note=["NA", " a b ", "", "1.50"], bought=["?", "nan", "no", "x"])
    (part,) = read(written(frame))
    assert {name: column.to_pylist() for name, column in part.kept.items()} == {
        "id": ["r000", "r001", "r002", "r003"],
        "note": ["NA", " a b ", None, "1.50"],
        "bought": ["?", "nan", "no", "x"],
    }


@pytest.mark.parametrize("word", ["", "NA", "nan", "NaN", "null", " ? "])
def test_what_means_missing_is_missing(word: str) -> None:
    frame = unlabelled().head(3).astype({"size": object, "town": object})
    frame.loc[1, ["size", "town", "built"]] = word
    (part,) = read(written(frame))
    for name in ("size", "town", "built"):
        assert part.inputs[0].column(name).missing()[1]


def test_missing_columns_are_all_named_with_the_nearest() -> None:
    written(unlabelled().rename(columns={"size": "sizes", "town": "city"}))
    with pytest.raises(ConfigError) as caught:
        read(IN)
    texts = {p.text.split(" has ")[1]: p.hint for p in caught.value.problems}
    assert texts == {
        "no column size": "did you mean sizes?",
        "no column town": "columns: id, sizes, weight, city, is_new, built",
    }
    assert caught.value.exit_code == 2


def test_a_column_that_is_needed_itself_is_not_proposed_for_another(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 4)), columns=["a width", "b width", "c", "kind"])
    frame.assign(kind=list("xy") * 30).to_csv("train.csv", index=False)
    words = ("data=table", f"data.path={Path('train.csv').absolute()}", "data.target=kind", "trainer.max_epochs=1")
    config = config_of(*words)
    folder = train(config, new_folder(config)).folder
    frame[["a width", "c", "kind"]].to_csv("in.csv", index=False)
    for words in (["predict", str(folder), "in.csv"], ["eval", str(folder), "--data", "in.csv"]):
        code, _, err = command(capsys, *words)
        assert (code, "in.csv has no column b width\nhint: columns: a width, c, kind" in err) == (2, True)


def test_files_of_different_columns_are_refused_before_the_first_row() -> None:
    written(unlabelled(), Path("p1.csv"))
    written(unlabelled().drop(columns="id"), Path("p2.csv"))
    with pytest.raises(DataError, match=r"p2\.csv and .*p1\.csv differ in the columns that go along: id"):
        read("p*.csv")
    written(unlabelled().drop(columns="town"), Path("p2.csv"))
    with pytest.raises(ConfigError, match=r"p2\.csv has no column town"):
        read("p*.csv")


# bad rows


def bad_text() -> str:
    lines = unlabelled().to_csv(index=False).splitlines()
    lines[5] = lines[5].replace(lines[5].split(",")[2], "heavy")  # line 6
    lines[9] = lines[9] + ",more"  # line 10
    lines[20] = lines[20].replace("-15", "-99")  # line 21
    lines.insert(30, "")  # an empty line, which is no row
    cells = lines[40].split(",")
    lines[40] = ",".join(["inf" if i == 1 else "maybe" if i == 4 else c for i, c in enumerate(cells)])  # line 41
    return "\n".join(lines) + "\n"


def test_a_bad_cell_is_told_by_line_and_ends_it() -> None:
    lines = bad_text().splitlines()
    del lines[9]
    IN.write_text("\n".join(lines))
    with pytest.raises(DataError) as caught:
        read(IN)
    assert [p.text.split("in.csv, ")[1] for p in caught.value.problems] == [
        "line 6, column weight: 'heavy' is not a finite number",
        "line 20, column built: '2019-02-99' is not a date like 2026-01-31",
        "line 40, column size: 'inf' is not a finite number",
        "line 40, column is_new: 'maybe' is not true or false",
    ]
    assert caught.value.problems[0].hint == "--on-bad skip leaves it out"
    assert caught.value.exit_code == 3


def test_a_row_of_another_length_is_told_by_line() -> None:
    IN.write_text(bad_text())
    with pytest.raises(DataError, match=r"in\.csv, line 10: 7 values, but there are 6 columns") as caught:
        read(IN)
    assert caught.value.problems[0].hint == "--on-bad skip leaves it out"


@pytest.mark.parametrize("from_stream", [False, True])
def test_bad_rows_are_left_out_and_counted(from_stream: bool) -> None:
    IN.write_text(bad_text())
    told = Told()
    parts = read(io.BytesIO(bad_text().encode()) if from_stream else IN, told, on_bad="skip")
    kept = [x for part in parts for x in part.kept["id"].to_pylist()]
    assert kept == [name for i, name in enumerate(table()["id"]) if i not in (4, 8, 19, 38)]
    assert told.skipped == 4
    places = [line.split(", ", 1)[1].split(":")[0] for line in told.lines]
    cells = ["line 6, column weight", "line 21, column built", "line 41, column size", "line 41, column is_new"]
    assert places == [*cells, "line 10"]
    assert stored(parts).shape[0] == 236


def test_lines_are_right_in_every_block_and_in_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnkit.data.blocks.BLOCK_BYTES", 1000)
    lines = unlabelled().to_csv(index=False).splitlines()
    lines[200] = lines[200].replace("2019-", "then-").replace("201", "xxx")
    for source in (IN, io.BytesIO("\n".join(lines).encode())):
        IN.write_text("\n".join(lines))
        with pytest.raises(DataError, match="line 201, column built"):
            read(source)


def test_a_missing_cell_where_none_may_be_is_told() -> None:
    frame = table()[["size", "town"]].dropna().head(5).reset_index(drop=True)
    frame.loc[2, "size"] = None
    frame.loc[3, "town"] = None
    written(frame)
    with pytest.raises(DataError) as caught:
        read(IN, kind="embedded")
    assert [p.text.split(", ", 1)[1] for p in caught.value.problems] == [
        "line 4, column size: the value is missing",
        "line 5, column town: the value is missing",
    ]
    told = Told()
    assert sum(len(p.inputs[0]) for p in read(IN, told, kind="embedded", on_bad="skip")) == 3
    assert told.skipped == 2


def test_a_row_of_parquet_is_told_by_its_number() -> None:
    unlabelled().astype({"weight": str}).replace({"weight": {str(unlabelled()["weight"][7]): "x"}}).to_parquet("a.pq")
    with pytest.raises(DataError, match=r"a\.pq, (line|row) 8, column weight: 'x' is not a finite number"):
        read(Path("a.pq"))


def test_a_column_of_lists_is_no_column_of_numbers() -> None:
    frame = pa.Table.from_pandas(unlabelled(), preserve_index=False)
    at = frame.schema.names.index("weight")
    frame = frame.set_column(at, "weight", pa.array([[1.0]] * len(frame)))
    pq.write_table(frame, "lists.parquet")
    with pytest.raises(DataError, match=r"lists\.parquet: column weight holds list"):
        read(Path("lists.parquet"))


def test_unseen_categories_are_counted() -> None:
    frame = unlabelled()
    frame.loc[:9, "town"] = "Paris"
    told = Told()
    read(written(frame), told)
    assert told.unseen == {"town": 10}


@pytest.mark.parametrize(("text", "words"), [("", "no row"), ("size,weight,town,is_new,built\n", None)])
def test_a_file_without_rows_has_no_part(text: str, words: str | None) -> None:
    IN.write_text(text)
    if words is None:
        assert read(IN) == []
    else:
        with pytest.raises(DataError, match=words):
            read(IN)


def test_a_folder_is_no_table() -> None:
    Path("photos").mkdir()
    for kind, hint in (("binary", "a table with the columns that the run"), ("array", "a file of numbers, or an .npz")):
        with pytest.raises(DataError, match="photos is a folder") as caught:
            read("photos") if kind == "binary" else arrays(Path("photos").absolute())
        assert caught.value.hint.startswith(hint)


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(DataError, match=r"gone\.csv is not there") as caught:
        read(Path("gone.csv"))
    assert "data." not in caught.value.problems[0].hint
    Path("folder").mkdir()
    with pytest.raises(DataError, match="folder"):
        read(Path("folder"))


def test_a_file_without_header_may_lack_the_target() -> None:
    whole = pd.read_csv(data_path("headerless"), header=None)
    whole.to_csv(IN, index=False, header=False)
    (with_target,) = read(IN, kind="headerless")
    whole.drop(columns=2).to_csv(IN, index=False, header=False)
    (without,) = read(IN, kind="headerless")
    assert with_target.inputs[0].column("c1").values.tolist() == without.inputs[0].column("c1").values.tolist()
    assert list(with_target.kept) == ["c3"]
    assert list(without.kept) == []
    whole.drop(columns=[1, 2]).to_csv(IN, index=False, header=False)
    with pytest.raises(ConfigError, match="1 columns"):
        read(IN, kind="headerless")


# a run and later files


def trained(frame: pd.DataFrame, *words: str, header: bool = True) -> Finished:
    """A finished run on a table, in the working directory."""
    path, folder = Path("train.csv").absolute(), Path("run").absolute()
    frame.to_csv(path, index=False, header=header)
    folder.mkdir()
    train(config_of("data=table", f"data.path={path}", "trainer.max_epochs=1", *words), folder)
    return open_run(folder)


def of_predict(run: Finished, source: Any = IN) -> list[np.ndarray[Any, Any]]:
    """The stored features of all rows, as predict reads them."""
    encoder = run.preprocess.table
    assert encoder is not None
    parts = list(table_parts(run, encoder, source if hasattr(source, "read") else str(source), Told(), on_bad="error"))
    return joined([run.preprocess.store(part.inputs)[0] for part in parts])


def of_eval(run: Finished, source: Any) -> list[np.ndarray[Any, Any]]:
    return joined([run.preprocess.store(source.inputs)[0]])


def joined(parts: list[Any]) -> list[np.ndarray[Any, Any]]:
    return [np.concatenate([x.numpy() for x in each]) for each in zip(*parts, strict=True)]


def assert_same_bits(one: list[np.ndarray[Any, Any]], other: list[np.ndarray[Any, Any]]) -> None:
    assert [x.dtype for x in one] == [x.dtype for x in other]
    assert all(np.array_equal(x.view(np.uint32), y.view(np.uint32)) for x, y in zip(one, other, strict=True))


def people(rows: int = 300) -> pd.DataFrame:
    """A table of the kind of Adult, with one column that needs more digits than float32 has."""
    rng = np.random.default_rng(0)
    age = rng.integers(17, 90, rows)
    return pd.DataFrame(
        {
            "age": age,
            "gain": rng.gamma(2, 1000, rows).round(3),
            "rate": rng.normal(size=rows),
            "stamp": 1e6 + rng.integers(0, 25, rows) / 100,
            "job": rng.choice(["Sales", "Tech-support", "Craft"], rows),
            "income": np.where(age > 40, ">50K", "<=50K"),
        }
    )


def test_eval_and_predict_see_the_same_bits() -> None:
    frame = people()
    run = trained(frame, "data.target=income")
    wanted = of_eval(run, own_rows(run, "all")[0])
    assert_same_bits(of_predict(run, Path("train.csv")), wanted)
    some = frame.head(20).copy()
    some.loc[3, "stamp"] = 0.0  # alone, this column would be kept with fewer digits
    written(some)
    assert_same_bits(of_predict(run), of_eval(run, new_rows(run, IN)[0]))
    data_frame = Predictor(run)._frame(pd.read_csv(IN), run.preprocess.table)  # type: ignore[arg-type]
    assert_same_bits(joined([run.preprocess.store((data_frame,))[0]]), of_predict(run))


def test_a_header_in_a_later_file_holds_although_training_had_none() -> None:
    frame = table()[["weight", "price", "big"]]
    run = trained(frame, "data.target=c3", header=False)
    frame.to_csv(IN, index=False, header=False)
    wanted = of_predict(run)
    named = frame.set_axis(["c1", "c2", "c3"], axis=1)
    for names in (["c1", "c2", "c3"], ["c2", "c3", "c1"], ["c2", "c1"]):
        np.testing.assert_array_equal(of_predict(run, written(named[names])), wanted)
    written(named[["c3", "c2", "c1"]])
    np.testing.assert_array_equal(of_eval(run, new_rows(run, IN)[0]), wanted)


def test_without_a_header_by_the_users_word_every_row_is_one_of_values() -> None:
    run = opened("headerless")
    written(pd.DataFrame({"c2": [1.0], "c1": [2.0], "c3": ["no"]}))
    with pytest.raises(DataError, match=r"in\.csv, line 1, column c1: 'c2' is not a finite number"):
        of_predict(run)


def test_a_header_of_numbers_is_known_by_the_runs_columns() -> None:
    frame = table()[["weight", "price", "big"]].set_axis(["2019", "2020", "y"], axis=1)
    run = trained(frame, "data.target=y")
    wanted = of_eval(run, own_rows(run, "all")[0])
    assert_same_bits(of_predict(run, written(frame[["2020", "2019"]])), wanted)
    text = frame[["2019", "2020"]].to_csv(index=False)
    assert_same_bits(of_predict(run, io.BytesIO(text.encode())), wanted)
    written(frame[["2020", "2019"]].assign(**{"2021": 5}))
    assert_same_bits(of_predict(run), wanted)


def test_a_header_of_numbers_is_known_after_training_on_parquet() -> None:
    frame = table()[["weight", "price", "big"]].set_axis(["2019", "2020", "2021"], axis=1)
    frame.to_parquet("train.parquet")
    run = trained(frame, "data.target='2021'", f"data.path={Path('train.parquet').absolute()}")
    source, rows = new_rows(run, written(frame[["2021", "2020", "2019"]]))
    assert source.row_target[rows].tolist() == frame["2021"].tolist()
    assert_same_bits(of_predict(run), of_eval(run, source))


# arrays


def arrays(path: Path, told: Told | None = None, *, kind: str = "array", on_bad: OnBad = "error") -> list[Any]:
    return [part.inputs[0] for part in array_parts(opened(kind), path, told or Told(), on_bad=on_bad)]


def test_arrays_come_in_parts() -> None:
    x = np.random.default_rng(0).normal(size=(20_000, 4)).astype(np.float32)
    np.save("x.npy", x)
    np.savez("x.npz", x=x, y=np.zeros(3))
    for name in ("x.npy", "x.npz"):
        parts = arrays(Path(name))
        assert len(parts) > 1
        np.testing.assert_array_equal(np.concatenate(parts), x)


def test_an_array_of_another_shape_or_kind_is_told() -> None:
    np.save("x.npy", np.zeros((3, 5)))
    with pytest.raises(DataError, match=r"x has samples of shape \(5,\), but the run was trained on \(4,\)") as more:
        arrays(Path("x.npy"))
    np.save("x.npy", np.zeros((3, 3)))
    with pytest.raises(DataError, match=r"x\.npy: x has samples of shape \(3,\)") as less:
        arrays(Path("x.npy"))
    assert less.value.hint == "the 4 columns of the training, in their order"
    assert more.value.hint == f"{less.value.hint}, without the target"
    np.save("x.npy", np.zeros((3, 4, 4)))
    with pytest.raises(DataError, match=r"x has shape \(3, 4, 4\), which is no features"):
        arrays(Path("x.npy"))
    np.save("x.npy", np.array([["a"] * 4]))
    with pytest.raises(DataError, match="must be numeric"):
        arrays(Path("x.npy"))
    np.savez("z.npz", a=np.zeros((3, 4)), b=np.zeros(3))
    with pytest.raises(DataError, match=r"z\.npz has no array named x, only a, b") as caught:
        arrays(Path("z.npz"))
    assert caught.value.hint == "call the samples x"
    Path("x.npy").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"x\.npy is not an \.npy file"):
        arrays(Path("x.npy"))
    with pytest.raises(DataError, match=r"gone\.npy is not there"):
        arrays(Path("gone.npy"))


def test_samples_that_are_not_finite_are_told_or_left_out() -> None:
    x = np.zeros((5, 4))
    x[1, 2], x[3, 0] = np.nan, np.inf
    np.save("x.npy", x)
    with pytest.raises(DataError, match=r"x\.npy, row 2: a value is not finite; .*row 4"):
        arrays(Path("x.npy"))
    told = Told()
    assert [len(part) for part in arrays(Path("x.npy"), told, on_bad="skip")] == [3]
    assert told.skipped == 2
    np.save("x.npy", x[[1, 3]])
    assert arrays(Path("x.npy"), told, on_bad="skip") == []


def test_text_of_numbers_is_an_array_of_features() -> None:
    IN.write_text("1,2,3,4\n5,6,7,8\n")
    assert [x.tolist() for x in arrays(IN)] == [[[1, 2, 3, 4], [5, 6, 7, 8]]]
    IN.write_text("a,b,c,d\n5,6,7,8\n1,x,3,4\n1,,3,4\n")
    with pytest.raises(DataError, match=r"line 3, column b: 'x' is not a finite number; .*line 4.* missing"):
        arrays(IN)
    told = Told()
    assert [x.tolist() for x in arrays(IN, told, on_bad="skip")] == [[[5, 6, 7, 8]]]
    assert told.skipped == 2
    IN.write_text("1,2,3\n")
    with pytest.raises(DataError, match=r"in\.csv has samples of shape \(3,\)"):
        arrays(IN)
    with pytest.raises(ConfigError, match=r"in\.csv is not an \.npz or \.npy file, which the run takes"):
        arrays(IN, kind="pixels")


def test_a_first_format_run_takes_arrays() -> None:
    run = open_run(copy_of(OLD))
    assert samples_of(run, np.zeros((2, 4)), "x").shape == (2, 4)


def test_bytes_of_pictures_stay_bytes() -> None:
    (x,) = arrays(data_path("pixels"), kind="pixels")
    assert (x.dtype, x.shape) == (np.uint8, (60, 1, 8, 8))
