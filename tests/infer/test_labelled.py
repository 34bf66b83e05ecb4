"""Rows with labels: the run's own parts, and new files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nnkit.errors import ConfigError, DataError
from nnkit.infer.finished import open_run
from nnkit.infer.labelled import new_rows, own_rows, section_for, training_of
from nnkit.run import train
from tests.data.pictures import made, write_picture
from tests.finished import (
    OLD,
    change_facts,
    copy_of,
    data_path,
    facts_of,
    folder_of,
    load_table,
    opened,
    table,
    ts_text,
)
from tests.trained import config_of

NEW = Path("new.csv")


@pytest.mark.parametrize("kind", ["binary", "array", "headerless"])
def test_the_parts_are_those_of_the_training(kind: str) -> None:
    run = opened(kind)
    parts = {name: own_rows(run, name)[1] for name in ("train", "val", "test", "all")}  # type: ignore[arg-type]
    assert {name: len(parts[name]) for name in ("train", "val", "test")} == facts_of(run.folder)["rows"]
    assert sorted(np.concatenate([parts["train"], parts["val"], parts["test"]])) == parts["all"].tolist()


def test_the_data_of_a_first_format_run_is_what_it_was() -> None:
    source, rows = own_rows(open_run(copy_of(OLD)), "test")
    assert (len(source), len(rows)) == (150, 30)


def test_data_that_has_changed_or_gone_is_told() -> None:
    folder = copy_of(folder_of("array"))
    change_facts(folder, data_fingerprint="0")
    with pytest.raises(DataError, match=r"the data of .*array has changed since the run started") as caught:
        own_rows(open_run(folder), "test")
    assert caught.value.problems[0].hint == "--data PATH evaluates on new rows"
    text = (folder / "config.yaml").read_text().replace(str(data_path("array")), str(Path("gone.npz").absolute()))
    (folder / "config.yaml").write_text(text)
    with pytest.raises(DataError, match=r"gone\.npz is not there") as caught:
        own_rows(open_run(folder), "test")
    assert caught.value.problems[0].hint == "--data PATH evaluates on new rows"


def test_data_that_has_moved_is_told_with_what_to_type() -> None:
    folder, moved = copy_of(folder_of("binary")), Path("my new rows.csv").absolute()
    text = (folder / "config.yaml").read_text().replace(str(data_path("binary")), str(Path("my rows.csv").absolute()))
    (folder / "config.yaml").write_text(text)
    moved.write_text("")
    with pytest.raises(DataError, match=r"my rows\.csv is not there") as caught:
        own_rows(open_run(folder), "test")
    assert caught.value.hint == f"put it back; or --data '{moved}' evaluates on all of its rows"


def test_new_rows_have_the_classes_of_the_run_in_its_order() -> None:
    frame = table().query("bought == 'yes, gladly'")
    frame[frame.columns[::-1]].to_csv(NEW, index=False)
    source, rows = new_rows(opened("binary"), NEW)
    assert source.classes == ("no", "yes, gladly")
    assert source.row_target[rows].tolist() == [1] * len(frame)
    assert [c.kind for c in source.inputs[0].columns if c.name == "town"] == ["categorical"]


def test_kinds_are_those_of_the_training() -> None:
    frame = table().head(30).assign(weight=1, town=5)
    frame.to_csv(NEW, index=False)
    source, _ = new_rows(opened("binary"), NEW)
    kinds = {c.name: c.kind for c in source.inputs[0].columns}
    assert kinds == opened("binary").preprocess.table.kinds  # type: ignore[union-attr]


def test_an_unknown_label_is_named() -> None:
    table().assign(bought="perhaps").to_csv(NEW, index=False)
    with pytest.raises(DataError, match=r"new\.csv has the label perhaps, which the run does not know") as caught:
        new_rows(opened("binary"), NEW)
    assert caught.value.problems[0].hint == "labels: no, yes, gladly"


def test_a_missing_column_or_cell_is_named() -> None:
    table().drop(columns=["bought"]).to_csv(NEW, index=False)
    with pytest.raises(ConfigError, match=r"new\.csv has no column bought"):
        new_rows(opened("binary"), NEW)
    table().rename(columns={"weight": "wieght"}).to_csv(NEW, index=False)
    with pytest.raises(ConfigError, match=r"new\.csv has no column weight") as missing:
        new_rows(opened("binary"), NEW)
    assert missing.value.problems[0].hint == "did you mean wieght?"
    NEW.write_text("size,weight,town,is_new,built,bought\n")
    with pytest.raises(DataError, match=r"new\.csv holds no row"):
        new_rows(opened("binary"), NEW)
    table().astype({"weight": object}).assign(weight=["heavy", *[1.5] * 239]).to_csv(NEW, index=False)
    with pytest.raises(DataError, match=r"new\.csv, line 2, column weight: 'heavy' is not a finite number") as bad:
        new_rows(opened("binary"), NEW)
    assert "data." not in bad.value.problems[0].hint


def test_labels_of_several_columns_and_values_keep_their_order() -> None:
    table().to_csv(NEW, index=False)
    source, _ = new_rows(opened("labels"), NEW)
    assert source.row_target.tolist() == table()[["red", "big"]].to_numpy().tolist()
    source, _ = new_rows(opened("several"), NEW)
    np.testing.assert_allclose(source.row_target, table()[["price", "count"]].to_numpy(), rtol=1e-6)


def test_arrays_fit_the_shape_and_the_labels_of_the_run() -> None:
    run, path = opened("array"), Path("new.npz")
    np.savez(path, x=np.zeros((2, 4)), y=[2, 0])
    source, rows = new_rows(run, path)
    assert source.row_target[rows].tolist() == [2, 0]
    np.savez(path, x=np.zeros((2, 5)), y=[2, 0])
    with pytest.raises(DataError, match=r"new\.npz has samples of shape \(5,\), the run \(4,\)"):
        new_rows(run, path)
    np.savez(path, x=np.zeros((2, 4)), y=[3, 0])
    with pytest.raises(DataError, match=r"new\.npz has the label 3"):
        new_rows(run, path)
    np.savez(path, x=np.zeros((0, 4)), y=np.zeros(0, dtype=int))
    with pytest.raises(DataError, match="no row"):
        new_rows(run, path)
    np.save("new.npy", np.zeros((2, 4)))
    with pytest.raises(DataError, match="the target is needed, too") as caught:
        new_rows(run, Path("new.npy"))
    assert caught.value.problems[0].hint == "nnkit predict takes rows without labels"


def test_new_values_that_are_not_finite_are_named() -> None:
    np.savez("new.npz", x=np.array([[0, 1, 2, 3], [4, np.nan, 6, 7]]), y=[2, 0])
    with pytest.raises(DataError, match=r"new\.npz has 1 values that are not finite; the first is nan in row 2"):
        new_rows(opened("array"), Path("new.npz"))


def test_new_pictures_of_a_table_need_no_column_of_parts() -> None:
    names = [f"{number:02}.png" for number in range(12)]
    for number, name in enumerate(names):
        write_picture(Path("photos") / name, made(6, 6, seed=number))
    labels = ["a", "b"] * 6
    frame = pd.DataFrame({"path": names, "label": labels, "part": ["train"] * 6 + ["val"] * 3 + ["test"] * 3})
    frame.to_csv("photos/all.csv", index=False)
    words = ("data=images", f"data.path={Path('photos/all.csv').absolute()}", "data.cache=null", "model=cnn")
    folder = Path("run").absolute()
    folder.mkdir()
    train(config_of(*words, "data.split_column=part", "model.channels=[4]", "trainer.max_epochs=1"), folder)
    frame[["path", "label"]].head(5).to_csv("photos/new.csv", index=False)
    source, rows = new_rows(open_run(folder), Path("photos/new.csv").absolute())
    assert [source.classes[number] for number in source.target[rows]] == labels[:5]


def test_arrays_of_another_task_are_refused() -> None:
    np.savez("new.npz", x=np.zeros((2, 4)), y=[[1, 0], [0, 1]])
    with pytest.raises(DataError, match="one class a row"):
        new_rows(opened("array"), Path("new.npz"))


def test_data_without_files_of_its_own_takes_arrays() -> None:
    run = open_run(copy_of(OLD))
    with pytest.raises(ConfigError, match=r"data=iris has no files of its own form, got rows\.csv"):
        section_for(run, Path("rows.csv"))
    assert section_for(run, Path("rows.npz")).kind == "array"


def test_a_run_on_pixels_takes_a_folder_of_pictures() -> None:
    Path("photos").mkdir()
    section = section_for(opened("pixels"), Path("photos"))
    assert (section.kind, section.size, section.channels) == ("images", [8, 8], 1)  # type: ignore[union-attr]


def test_labels_of_a_separated_cell_that_are_absent_are_zero() -> None:
    frame = pd.DataFrame({"a": np.arange(40.0), "tags": ["x;y", "x", "z", ""] * 10})
    frame.to_csv("tags.csv", index=False)
    folder = Path("tagged").absolute()
    folder.mkdir()
    words = ("data=table", f"data.path={Path('tags.csv').absolute()}", "data.target=tags", "trainer.max_epochs=1")
    train(config_of(*words, 'data.target_separator=";"'), folder)
    run = open_run(folder)
    assert run.spec.target.names == ("x", "y", "z")
    pd.DataFrame({"a": [1.0, 2.0], "tags": ["z", "x;z"]}).to_csv(NEW, index=False)
    assert new_rows(run, NEW)[0].row_target.tolist() == [[0, 0, 1], [1, 0, 1]]
    pd.DataFrame({"a": [1.0], "tags": ["w"]}).to_csv(NEW, index=False)
    with pytest.raises(DataError, match=r"new\.csv has the label w, which the run does not know"):
        new_rows(run, NEW)


def test_sequences_with_another_target_are_told() -> None:
    text = ts_text(varies=True).replace("@classLabel true a b", "@targetLabel true")
    Path("new.ts").write_text(text.replace(":a", ":1").replace(":b", ":2.5"))
    with pytest.raises(DataError, match=r"new\.ts has a target for regression, but the run is for classification"):
        new_rows(opened("vowels"), Path("new.ts"))
    np.savez("new.npz", x=np.zeros((4, 5, 2)), y=np.random.default_rng(0).normal(size=(4, 2)))
    with pytest.raises(DataError, match=r"new\.npz has 2 target columns, the run 1"):
        new_rows(opened("adding"), Path("new.npz"))


def test_the_training_rows_are_those_of_the_run_whatever_is_at_hand() -> None:
    run = opened("load")
    source, rows = own_rows(run, "train")
    found = training_of(run, source)
    assert found is not None
    assert found[0] is source
    assert found[1].tolist() == rows.tolist()
    load_table()[:60].to_csv("new.csv", index=False)
    other = training_of(run, new_rows(run, Path("new.csv"))[0])
    assert other is not None
    assert other[1].tolist() == rows.tolist()
    assert other[0].is_of(run.facts)


def broken_series(fault: str) -> pd.DataFrame:
    frame = load_table()[:60]
    if fault == "gap":
        return frame.drop(index=30)
    if fault == "repeat":
        return pd.concat([frame[:31], frame[30:]])
    if fault == "cell":
        return frame.astype({"load": object}).assign(load=[*frame["load"][:59], "much"])
    return frame[:29]


@pytest.mark.parametrize(
    ("kind", "fault", "text", "hint"),
    [
        ("load", "gap", "1 step is missing", "mend the file"),
        ("load", "repeat", "stands there again", "mend the file"),
        ("load", "cell", "'much' is not a finite number", "mend the file"),
        ("load", "short", r"need 30 steps, but .*new\.csv has 29", "a longer file"),
        ("load", "gone", r"gone\.csv is not there", "is the path right?"),
        ("letters", "short", "it has 12 tokens in a row", "a longer file"),
    ],
)
def test_hints_for_a_new_series_or_text_say_what_its_fault_is(kind: str, fault: str, text: str, hint: str) -> None:
    path = Path("gone.csv") if fault == "gone" else NEW
    if kind == "letters":
        path.write_text("the cat sat,")
    elif fault != "gone":
        broken_series(fault).to_csv(path, index=False)
    with pytest.raises((DataError, ConfigError), match=text) as caught:
        new_rows(opened(kind), path)
    assert caught.value.problems[0].hint == hint
