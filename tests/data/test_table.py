"""`data=table`: features, targets, roles, parts, and where every row went."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nnkit import data
from nnkit.config.sections.data import TableConfig
from nnkit.data.source import Source
from nnkit.data.table import read_contents
from nnkit.errors import ConfigError, DataError, NnkitError
from tests.data.broken_tables import outcome

ROWS = "a,b,y\n" + "".join(f"{i}.5,{'xyz'[i % 3]},{i % 2}\n" for i in range(12))
TEST = Path("test.csv")


def config(**words: Any) -> TableConfig:
    given = {"kind": "table", "path": "my.csv", "target": "y", "val_fraction": 0.2, "test_fraction": 0.2}
    return TableConfig(**{**given, **words})


def read(text: str | bytes, **words: Any) -> Source:
    Path("my.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return data.read(config(**words))


def message(error: NnkitError) -> str:
    return error.problems[0].text.replace(f"{Path.cwd()}/", "")


def columns(source: Source) -> dict[str, Any]:
    frame = source.inputs[0]
    return {c.name: [c.categories[v] if c.categories else v for v in c.values.tolist()] for c in frame.columns}


def test_all_columns_but_the_target_are_features_in_their_order() -> None:
    source = read("b,kind,a\n1.5,dog,-2\n0,cat,1e3\n2,cat,NA\n", target="kind")
    assert [column.name for column in source.inputs[0].columns] == ["b", "a"]
    np.testing.assert_array_equal(source.inputs[0].column("a").values, [-2, 1000, np.nan])
    assert (source.row_target.tolist(), source.classes, source.target_names) == ([1, 0, 0], ("cat", "dog"), ("kind",))
    assert source.name == str(Path("my.csv").absolute())
    assert source.rows.rows_in == len(source) == 3


@pytest.mark.parametrize(
    ("cells", "words", "task", "classes"),
    [
        (["0.5", "1.5", "2"], {}, "regression", ()),
        (["1", "0", "1"], {}, "classification", ("0", "1")),
        (["1", "0", "1"], {"task": "regression"}, "regression", ()),
        (["10", "9", "9"], {"categorical": ["y"]}, "classification", ("9", "10")),
        (["no", "yes", "no"], {}, "classification", ("no", "yes")),
        (["True", "False", "True"], {}, "classification", ("False", "True")),
        (["2020-01-01", "2020-01-02", "2020-01-02"], {}, "classification", ("2020-01-01", "2020-01-02")),
        (["u;v", "", "v"], {"target_separator": ";"}, "multilabel", ()),
        (["1", "0", "1"], {"task": "multilabel"}, "multilabel", ()),
    ],
)
def test_the_task_is_read_off_the_target_or_given(
    cells: list[str], words: dict[str, Any], task: str, classes: tuple[str, ...]
) -> None:
    source = read("a,y\n" + "".join(f'{i},"{cell}"\n' for i, cell in enumerate(cells)), **words)
    assert (source.task, source.classes) == (task, classes)


def test_several_targets_are_values_or_labels() -> None:
    source = read("a,u,v\n1,2,3.5\n4,5,6\n7,8,9\n", target=["u", "v"])
    assert (source.row_target.tolist(), source.target_names) == ([[2, 3.5], [5, 6], [8, 9]], ("u", "v"))
    source = read("a,u,v\n1,0,1\n4,1,1\n7,0,0\n", target=["v", "u"])
    assert (source.task, source.row_target.tolist()) == ("multilabel", [[1, 0], [1, 1], [0, 0]])
    source = read("a,u,v\n1,no,yes\n4,yes,yes\n7,no,no\n", target=["u", "v"])
    assert (source.task, source.row_target.tolist()) == ("multilabel", [[0, 1], [1, 1], [0, 0]])


def test_labels_in_one_cell_are_cut_apart() -> None:
    source = read("a,y\n1,u; v\n2,\n3,v;\n4,w\n", target_separator=";")
    assert (source.target_names, source.row_target.tolist()) == (
        ("u", "v", "w"), [[1, 1, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]]
    )  # fmt: skip


def test_columns_with_a_part_to_play_are_no_features() -> None:
    text = "id,w,g,junk,a,y\n" + "".join(f"k{i},{i}.5,g{i // 4},x,{i},{i % 2}\n" for i in range(12))
    source = read(text, id="id", drop=["junk"], sample_weight="w", group="g")
    assert list(columns(source)) == ["a"]
    assert source.weight is not None
    assert source.weight.tolist() == [i + 0.5 for i in range(12)]
    assert source.group is not None
    assert source.group.tolist() == [i // 4 for i in range(12)]
    assert source.rows.left_out == {"id": "data.id", "junk": "data.drop"}


def test_a_column_says_the_parts() -> None:
    words = ["train", "Training", "val", "test", "dev", "testing"] * 2
    text = "a,s,y\n" + "".join(f"{i},{word},{i // 6}\n" for i, word in enumerate(words))
    source = read(text, split_column="s")
    assert source.val_rows is not None
    assert source.test_rows is not None
    assert (source.val_rows.tolist(), source.test_rows.tolist()) == ([2, 4, 8, 10], [3, 5, 9, 11])
    source = read(text.replace("test", "train").replace("training", "train"), split_column="s")
    assert source.test_rows is None


def test_files_say_the_parts_by_name_whatever_their_order() -> None:
    TEST.write_text("y,more,b,a\n1,7,x,2\n\n0,7,new,3\n")
    pq.write_table(pa.table({"b": ["x"], "y": [1], "a": [9]}), "val.parquet")
    source = read(ROWS, val_path="val.parquet", test_path=str(TEST))
    assert source.val_rows is not None
    assert source.test_rows is not None
    assert (source.val_rows.tolist(), source.test_rows.tolist()) == ([12], [13, 14])
    assert columns(source)["a"][12:] == [9, 2, 3]
    assert columns(source)["b"][12:] == ["x", "x", "new"]
    assert source.row_target[12:].tolist() == [1, 1, 0]
    assert source.rows.rows_in == 15


def test_a_list_a_glob_and_packed_files_are_one_table() -> None:
    Path("part-1.csv").write_text(ROWS)
    Path("part-2.csv.gz").write_bytes(gzip.compress(ROWS.encode()))
    once = read(ROWS)
    for path in ("part-*", ["part-1.csv", "part-2.csv.gz"]):
        source = data.read(config(path=path))
        assert columns(source)["a"] == columns(once)["a"] * 2
        assert source.name == f"{Path('part-1.csv').absolute()} and 1 more"


def test_rows_of_classes_that_are_not_wanted_are_counted() -> None:
    source = read(ROWS.replace("x,0", "x,maybe"), classes=["0", "1"])
    assert source.rows.rows_in == len(source) + sum(source.rows.dropped.values())
    assert source.rows.dropped == {"not among data.classes": 2}


@pytest.mark.parametrize(
    ("text", "words", "error", "expected"),
    [
        (ROWS, {"target": "Y"}, ConfigError, "my.csv has no column Y"),
        (ROWS, {"group": "bb", "drop": ["q"]}, ConfigError, "my.csv has no column bb"),
        (ROWS, {"names": ["a"]}, ConfigError, "my.csv, line 1: 3 columns, but data.names has 1"),
        (ROWS, {"encoding": "utf8x"}, ConfigError, "data.encoding=utf8x is not known"),
        (ROWS, {"delimiter": ";"}, ConfigError, "my.csv has no column y"),
        (ROWS, {"path": "mz.csv"}, DataError, "mz.csv is not there"),
        (ROWS, {"path": "*.tsv"}, DataError, "no file matches *.tsv"),
        (ROWS, {"numeric": ["b"]}, DataError, "my.csv, line 2, column b: 'x' is not a finite number"),
        (ROWS, {"target": "b", "task": "regression"}, DataError,
         "my.csv: column b must be numbers for regression, got text such as 'x'"),
        (ROWS, {"target": ["a", "b"]}, DataError, "my.csv: the target column b is text, but several"),
        (ROWS.replace("3.5", "-3"), {"sample_weight": "a"}, DataError, "my.csv, line 5, column a: '-3' is not a"),
        (ROWS.replace("3.5", ""), {"sample_weight": "a"}, DataError, "my.csv, line 5, column a: the value is missing"),
        ("a,w,y\n1,0,0\n2,0,1\n3,0,1\n", {"sample_weight": "w"}, DataError, "my.csv: column w holds weights of 0"),
        ("a,s,y\n1,train,0\n\n2,tset,1\n3,val,1\n", {"split_column": "s"}, DataError,
         "my.csv, line 4, column s: 'tset' is none of train, val, test"),
        ("a,s,y\n1,val,0\n2,test,1\n3,val,1\n", {"split_column": "s"}, DataError,
         "my.csv: column s has no row of train"),
        ("a,s,y\n1,train,0\n2,train,0\n3,val,new\n", {"split_column": "s"}, DataError,
         "my.csv, line 4, column y: no training row is of the class 'new'"),
        ("a,y\n1,\n2,NA\n3,\n", {}, DataError, "my.csv: column y holds no value in the first 3 rows"),
        ("a,y\n1,0\n2,NA\n3,1\n", {}, DataError, "my.csv, line 3, column y: the value is missing"),
        ("a,y\n1,;\n2,;\n3,;\n", {"target_separator": ";"}, DataError, "my.csv: column y holds no label"),
        ("y\n1\n0\n1\n", {}, DataError, "my.csv has no column beside the target y that can be learned from"),
        ("a,y\n,1\n,0\n,1\n", {}, DataError, "my.csv has no column beside the target y that can be learned from"),
        ("a,y\n1,0\n", {}, DataError, "my.csv has 1 rows, but training, validation and test need one each"),
        ("a,y\n", {}, DataError, "my.csv holds no row"),
        ("a,y\n1,x\n2,x\n3,x\n", {}, DataError, "my.csv has one class only (x)"),
        ("a,u,v\n" + "".join(f"1,word {i},2\n" for i in range(30)), {"target": ["u", "v"]}, DataError,
         "my.csv: column u is no target: text: most cells differ"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(text: str, words: dict[str, Any], error: type[NnkitError], expected: str) -> None:
    with pytest.raises(error) as raised:
        read(text, **words)
    assert message(raised.value).startswith(expected)


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("y,b\n1,x\n", "test.csv has no column a"),
        ("y,b,a\n", "test.csv holds no row"),
        ("y,b,a\n1,x,2\n0,x,q\n", "test.csv, line 3, column a: 'q' is not a finite number"),
        ("y,b,a\n1,x,2\n\n5,y,3\n", "test.csv, line 4, column y: no training row is of the class '5'"),
        ("y,b,a\n1,x,2\n,y,3\n", "test.csv, line 3, column y: the value is missing"),
        ("y,b,a\n1,x\n", "test.csv, line 2: 2 values, but there are 3 columns"),
    ],
)
@pytest.mark.parametrize("part", ["test_path", "val_path"])
def test_what_does_not_fit_in_another_file_is_named(test: str, expected: str, part: str) -> None:
    TEST.write_text(test)
    with pytest.raises(DataError) as raised:
        read(ROWS, **{part: str(TEST)})
    assert message(raised.value) == expected


def test_kinds_that_a_run_has_fixed_are_kept() -> None:
    from nnkit.data.table import read_table

    Path("my.csv").write_text("a,b,more,y\n1,2,x,0\n3,4,y,1\n5,6,z,1\n")
    source = read_table(config(), {"b": "categorical"})
    assert columns(source) == {"b": ["2", "4", "6"]}


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_broken_tables_are_refused_by_name_or_trained_on(first: int) -> None:
    for seed in range(first, first + 20):
        outcome(seed, Path.cwd())


def test_ten_thousand_columns_are_read() -> None:
    names = [f"c{i}" for i in range(9_999)]
    rows = "".join(",".join(str((i * k) % 7) for i in range(9_999)) + f",{k % 2}\n" for k in range(5))
    source = read(",".join([*names, "y"]) + "\n" + rows)
    assert len(source.inputs[0].columns) == 9_999
    assert columns(source)["c9998"] == [(9_998 * k) % 7 for k in range(5)]


@pytest.mark.parametrize(
    ("setting", "column"), [("missing_numeric", "size"), ("missing_categorical", "colour"), ("missing_numeric", "day")]
)
def test_a_cell_that_must_not_miss_is_named_with_its_line(setting: str, column: str) -> None:
    rows = [["1.5", "red", "2026-01-01", str(i % 2)] for i in range(20)]
    rows[11][["size", "colour", "day"].index(column)] = ""
    text = "size,colour,day,y\n" + "".join(",".join(row) + "\n" for row in rows)
    with pytest.raises(DataError, match=rf"my\.csv, line 13, column {column}: the value is missing"):
        read(text, **{setting: "error"})


@pytest.mark.parametrize("words", [{"task": "classification"}, {"task": "classification", "numeric": ["y"]}])
def test_classes_that_are_decimal_numbers_are_called_as_they_are_written(words: dict[str, Any]) -> None:
    source = read("a,y\n" + "".join(f"{i},0.{1 + i % 3}\n" for i in range(12)), **words)
    assert source.classes == ("0.1", "0.2", "0.3")
    assert source.row_target.tolist() == [0, 1, 2] * 4


@pytest.mark.parametrize("targets", ["y", ["y", "a"]])
def test_values_to_be_predicted_keep_every_digit(targets: Any) -> None:
    cells = [0.1 + i / 7 for i in range(9)]
    source = read("a,b,y\n" + "".join(f"{cell!r},{i},{cell!r}\n" for i, cell in enumerate(cells)), target=targets)
    assert source.row_target.tolist() == [[cell] * source.row_target.shape[1] for cell in cells]


def test_without_a_target_all_columns_are_alike() -> None:
    Path("my.csv").write_text("id,a,b,junk\n" + "".join(f"k{i},{i},{'xy'[i % 2]},1\n" for i in range(9)))
    Path("test.csv").write_text("b,junk,a,id\nx,1,7,k\n")
    found = read_contents(config(id="id", drop=["junk"], test_path="test.csv"), targets=())
    assert [c.name for c in found.frame.columns] == ["a", "b"]
    assert (len(found.frame), found.lengths, found.account.rows_in) == (10, (9, 1), 10)
    assert found.account.left_out == {"id": "data.id", "junk": "data.drop"}
    with pytest.raises(ConfigError, match="has no column c"):
        read_contents(config(drop=["c"]), targets=())


def test_a_row_keeps_its_number_in_the_file_where_others_are_left_out() -> None:
    lines = [f"{'oops' if k == 3 else k},{k % 2}" for k in range(150)]
    source = read("x,y\n" + "\n".join(lines) + "\n", on_bad="skip", limit=100)
    assert source.numbers is not None
    assert len(source) == 100
    assert source.inputs[0].columns[0].values.tolist() == source.numbers.tolist()
    assert source.row_target.tolist() == (source.numbers % 2).tolist()
