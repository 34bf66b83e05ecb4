"""`nnkit predict`: files in, files out, streams, and what a tired user types."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nnkit.cli import main
from nnkit.cli.predict import _tell, _write
from nnkit.errors import DataError
from nnkit.infer.predict import Told
from tests.finished import (
    OLD,
    change_facts,
    command,
    copy_of,
    data_path,
    folder_of,
    load_table,
    opened,
    own_folder,
    table,
    ts_text,
    unlabelled,
)

Capsys = pytest.CaptureFixture[str]
ANSWERS = ["id", "prediction"]


def written(frame: pd.DataFrame, name: str = "in.csv") -> str:
    frame.to_csv(name, index=False)
    return name


def answers(capsys: Capsys, *words: str, kind: str = "binary") -> pd.DataFrame:
    code, out, err = command(capsys, "predict", folder_of(kind), *words, "-o", "out.csv")
    assert code == 0, err
    assert out == f"{Path('out.csv').absolute()}\n"
    return pd.read_csv("out.csv", keep_default_na=False)


@pytest.fixture
def wanted(capsys: Capsys) -> pd.DataFrame:
    return answers(capsys, written(unlabelled(), "wanted.csv"), "--proba")


def test_columns_may_stand_in_any_order_among_others(capsys: Capsys, wanted: pd.DataFrame) -> None:
    assert list(wanted.columns) == ["id", "prediction", "probability_no", "probability_yes, gladly"]
    assert set(wanted["prediction"]) == {"no", "yes, gladly"}
    frame = unlabelled().assign(note="NA", price=1)
    found = answers(capsys, written(frame[sorted(frame.columns)]), "--proba")
    assert list(found.columns[:3]) == ["id", "note", "price"]
    assert set(found["note"]) == {"NA"}
    pd.testing.assert_frame_equal(found[wanted.columns], wanted)


def test_files_of_any_form_are_answered_alike(capsys: Capsys, wanted: pd.DataFrame) -> None:
    Path("a.csv.gz").write_bytes(gzip.compress(unlabelled().to_csv(index=False).encode()))
    unlabelled().to_parquet("b.parquet")
    for i in range(2):
        written(unlabelled().iloc[120 * i : 120 * i + 120], f"p{i}.csv")
    for name in ("a.csv.gz", "b.parquet", "p*.csv"):
        pd.testing.assert_frame_equal(answers(capsys, name, "--proba"), wanted)


def test_parquet_comes_out(capsys: Capsys, wanted: pd.DataFrame) -> None:
    unlabelled().assign(n=7).to_parquet("in.parquet")
    code, out, _ = command(capsys, "predict", folder_of("binary"), "in.parquet", "-o", "out.parquet", "--proba")
    assert (code, out) == (0, f"{Path('out.parquet').absolute()}\n")
    found = pq.read_table("out.parquet")
    assert found["n"].type == pa.int64()
    assert found["prediction"].to_pylist() == wanted["prediction"].tolist()


def test_the_answers_lie_in_the_run_folder_unless_told_otherwise(capsys: Capsys) -> None:
    folder = copy_of(folder_of("binary"))
    code, out, err = command(capsys, "predict", folder, written(unlabelled()))
    assert (code, out) == (0, f"{folder / 'predictions-of-in.csv'}\n")
    assert "240 rows predicted" in err
    assert list(pd.read_csv(folder / "predictions-of-in.csv").columns) == ANSWERS


def test_standard_output_holds_the_answers_alone(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    folder = str(folder_of("binary"))
    capfdbinary.readouterr()
    assert main(["predict", folder, written(unlabelled().assign(town="Paris")), "-o", "-"]) == 0
    out, err = capfdbinary.readouterr()
    assert list(pd.read_csv(io.BytesIO(out)).columns) == ANSWERS
    assert out.count(b"\n") == 241
    assert b"240 cells of categories that training has not seen" in err


def test_standard_input_is_answered_through_a_pipe(wanted: pd.DataFrame) -> None:
    words = [sys.executable, "-m", "nnkit", "predict", str(folder_of("binary")), "-", "-o", "-", "--proba"]
    done = subprocess.run(words, input=unlabelled().to_csv(index=False).encode(), capture_output=True, check=True)
    pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(done.stdout)), wanted)
    assert done.stderr.decode().strip() == "240 rows predicted"


def test_a_reader_that_has_enough_ends_it_quietly() -> None:
    written(pd.concat([unlabelled()] * 100))
    line = f"{sys.executable} -m nnkit predict {folder_of('binary')} in.csv -o - --proba | head -2"
    done = subprocess.run(
        ["bash", "-c", f"{line}; echo ${{PIPESTATUS[0]}}"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[2] == "141"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_a_full_disk_behind_standard_output_is_told(capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    full = open("/dev/full", "w")  # noqa: SIM115 - its closing fails, too
    monkeypatch.setattr(sys, "stdout", full)
    assert main(["predict", str(folder_of("binary")), written(unlabelled()), "-o", "-"]) == 5
    assert "error: cannot write standard output: No space left on device" in capsys.readouterr().err
    with suppress(OSError):
        full.close()


def test_what_the_run_learned_from_is_not_overwritten(capsys: Capsys) -> None:
    Path("link.csv").symlink_to(data_path("binary"))
    before = data_path("binary").read_bytes()
    for out in (data_path("binary"), "link.csv"):
        code, _, err = command(capsys, "predict", folder_of("binary"), written(unlabelled()), "-o", out)
        assert code == 2
        assert "the answers would overwrite what the run learned from" in err
    assert data_path("binary").read_bytes() == before


def test_bad_rows_end_it_and_leave_nothing_behind(capsys: Capsys) -> None:
    lines = pd.concat([unlabelled()] * 400).to_csv(index=False).splitlines()
    lines[90_000] = lines[90_000].replace(",201", ",in 201")
    Path("in.csv").write_text("\n".join(lines))
    for name in ("out.csv", "out.parquet"):
        code, out, err = command(capsys, "predict", folder_of("binary"), "in.csv", "-o", name)
        assert (code, out) == (3, "")
        assert "in.csv, line 90001, column built: 'in 201" in err
        assert "hint: --on-bad skip leaves it out" in err
        assert [path.name for path in Path.cwd().iterdir()] == ["in.csv"]
    code, _, err = command(capsys, "predict", folder_of("binary"), "in.csv", "-o", "out.csv", "--on-bad", "skip")
    assert code == 0
    assert "left out: " in err
    assert "in.csv, line 90001, column built: 'in 201" in err
    assert "note: 1 of 96,000 rows were left out" in err
    assert "95,999 rows predicted" in err
    assert Path("out.csv").read_bytes().count(b"\n") == 96_000


def test_a_file_of_bad_rows_alone_says_why(capsys: Capsys) -> None:
    frame = unlabelled().head(3).assign(weight="heavy")
    code, _, err = command(capsys, "predict", folder_of("binary"), written(frame), "-o", "o.csv", "--on-bad=skip")
    assert code == 3
    assert "the input holds no row that could be predicted" in err
    assert "line 2, column weight: 'heavy' is not a finite number" in err
    assert not Path("o.csv").exists()


def test_an_own_column_of_the_name_of_an_answer_gives_way(capsys: Capsys) -> None:
    name = written(unlabelled().assign(prediction="mine"))
    _, _, err = command(capsys, "predict", folder_of("binary"), name, "-o", "out.csv")
    assert "note: the input's own column prediction gave way" in err
    assert "mine" not in Path("out.csv").read_text()


def test_an_old_file_is_replaced_only_at_the_end(capsys: Capsys) -> None:
    Path("out.csv").write_text("old")
    frame = unlabelled().assign(weight="heavy")
    command(capsys, "predict", folder_of("binary"), written(frame), "-o", "out.csv")
    assert Path("out.csv").read_text() == "old"


def test_missing_columns_are_all_named(capsys: Capsys) -> None:
    name = written(unlabelled().rename(columns={"size": "sise"}).drop(columns="town"))
    code, _, err = command(capsys, "predict", folder_of("binary"), name)
    assert code == 2
    assert "in.csv has no column size" in err
    assert "hint: did you mean sise?" in err
    assert "in.csv has no column town" in err


def test_arrays_and_several_values_are_answered(capsys: Capsys) -> None:
    np.save("x.npy", np.zeros((3, 4)))
    assert set(answers(capsys, "x.npy", kind="array")["prediction"]) <= {0, 1, 2}
    found = answers(capsys, written(unlabelled()), kind="several")
    assert list(found.columns) == ["id", "prediction_price", "prediction_count"]
    found = answers(capsys, written(unlabelled()), "--proba", kind="labels")
    assert list(found.columns) == ["id", "prediction_red", "prediction_big", "probability_red", "probability_big"]
    assert ((found["probability_red"] > 0.5) == found["prediction_red"]).all()


def test_a_first_format_run_answers(capsys: Capsys) -> None:
    np.save("x.npy", np.zeros((3, 4)))
    code, _, _ = command(capsys, "predict", copy_of(OLD), "x.npy", "-o", "out.csv")
    assert code == 0
    assert len(pd.read_csv("out.csv")) == 3


def test_code_of_the_users_own_needs_trust(capsys: Capsys) -> None:
    np.save("x.npy", np.zeros((3, 4)))
    code, _, err = command(capsys, "predict", own_folder(), "x.npy", "-o", "out.csv")
    assert code == 2
    assert "model runs code of its own, tests.own_code:Net" in err
    assert command(capsys, "predict", own_folder(), "x.npy", "-o", "out.csv", "--trust")[0] == 0


def test_another_name_for_the_answers_is_noted_where_there_are_some(capsys: Capsys) -> None:
    folder, told = copy_of(own_folder()), "so these are called x-2"
    np.save("x.npy", np.zeros((3, 4)))
    (folder / "predictions-of-x.csv").write_text("of another x")
    code, _, err = command(capsys, "predict", folder, "x.npy")
    assert (code, told in err) == (2, False)
    code, out, err = command(capsys, "predict", folder, "x.npy", "--trust")
    assert (code, told in err) == (0, True)
    assert Path(out.strip()).name == "predictions-of-x-2.csv"


@pytest.mark.parametrize(
    ("words", "code", "text", "hint"),
    [
        (["RUN"], 2, "predict needs a run and an input", "nnkit predict last rows.csv"),
        (["--proba"], 2, "predict needs a run and an input", "nnkit predict last rows.csv"),
        (["RUN", "in.csv", "b.csv"], 2, "predict takes a run and an input, got", '"part-*.csv"'),
        (["in.csv", "RUN"], 2, "in.csv is not a run folder", "hint: nnkit predict"),
        (["in.csv", "last"], 2, "in.csv is not a run folder", "hint: nnkit predict last in.csv"),
        (["nowhere", "in.csv"], 2, "nowhere is not a run folder", "below outputs/"),
        (["RUN", "gone.csv"], 3, "gone.csv is not there", ""),
        (["RUN", "no-*.csv"], 3, "no file matches no-*.csv", ""),
        (["RUN", "."], 3, "is a folder", ""),
        (["RUN", "in.csv", "-o", "answers.txt"], 2, "--output must end in .csv or .parquet, got answers.txt", ""),
        (["RUN", "in.csv", "-o", "answers"], 2, "--output must end in .csv or .parquet", "-o answers.csv"),
        (["RUN", "in.csv", "-o", "."], 2, "--output names a file, but", "-o "),
        (["RUN", "in.csv", "-o", "in.csv"], 2, "the answers would overwrite their input in.csv", "another name"),
        (
            ["RUN", "./link.csv", "-o", "in.csv"],
            2,
            "the answers would overwrite their input ./link.csv",
            "another name",
        ),
        (["RUN", "in.csv", "-o"], 2, "-o needs a value", "-o VALUE"),
        (["RUN", "in.csv", "-o", "a file/out.csv"], 5, "cannot make folder", "hint:"),
        (["RUN", "in.csv", "--on-bad", "ignore"], 2, "--on-bad must be one of error, skip, got 'ignore'", "--on-bad"),
        (["RUN", "in.csv", "--prob"], 2, "--prob is not a flag of predict", "did you mean --proba?"),
        (["RUN", "in.csv", "--on_bad=skip"], 2, "--on_bad=skip is not a flag of predict", "did you mean --on-bad?"),
    ],
)
def test_wrong_words_are_told(words: list[str], code: int, text: str, hint: str, capsys: Capsys) -> None:
    Path("a file").touch()
    Path("link.csv").symlink_to("in.csv")
    written(unlabelled().head(3))
    words = [str(folder_of("binary")) if word == "RUN" else word for word in words]
    found, out, err = command(capsys, "predict", *words)
    assert (found, out) == (code, "")
    assert text in err
    assert hint in err
    assert "Traceback" not in err
    assert "data." not in err


def test_wrong_files_for_an_array_are_told(capsys: Capsys) -> None:
    np.save("x.npy", np.zeros((3, 5)))
    code, _, err = command(capsys, "predict", folder_of("array"), "x.npy", "-o", "out.csv")
    assert code == 3
    assert "x.npy: x has samples of shape (5,), but the run was trained on (4,)" in err
    code, _, err = command(capsys, "predict", folder_of("array"), "-", "-o", "out.csv")
    assert code == 2
    assert "standard input is for tables and texts, but the run was trained on arrays or pictures" in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only_is_told(capsys: Capsys) -> None:
    Path("closed").mkdir(mode=0o500)
    code, _, err = command(capsys, "predict", folder_of("binary"), written(unlabelled()), "-o", "closed/out.csv")
    assert code == 5
    assert "Permission denied" in err


def test_columns_that_no_csv_file_holds_are_told(capsys: Capsys) -> None:
    rows = pa.Table.from_pandas(unlabelled(), preserve_index=False).append_column("l", pa.array([[1]] * 240))
    pq.write_table(rows, "in.parquet")
    code, _, err = command(capsys, "predict", folder_of("binary"), "in.parquet", "-o", "out.csv")
    assert code == 2
    assert "a column of the input cannot go along" in err
    assert "hint: -o FILE.parquet" in err
    assert not Path("out.csv").exists()
    assert command(capsys, "predict", folder_of("binary"), "in.parquet", "-o", "out.parquet")[0] == 0
    assert pq.read_table("out.parquet")["l"].to_pylist()[0] == [1]


def test_a_run_that_did_not_end_answers_with_a_note(capsys: Capsys) -> None:
    folder = copy_of(folder_of("binary"))
    change_facts(folder, status="interrupted")
    code, _, err = command(capsys, "predict", folder, written(unlabelled()))
    assert code == 0
    assert "was interrupted; these are its best weights so far" in err


def test_the_threshold_of_the_run_decides(capsys: Capsys) -> None:
    folder = copy_of(folder_of("binary"))
    for threshold in (0.001, 0.999):
        change_facts(folder, decision_threshold=threshold)
        command(capsys, "predict", folder, written(unlabelled()), "-o", "out.csv", "--proba")
        found = pd.read_csv("out.csv")
        second = found["probability_yes, gladly"] > threshold
        assert (found["prediction"] == "yes, gladly").tolist() == second.tolist()


def test_a_predict_that_is_told_to_end_leaves_nothing_behind() -> None:
    words = [sys.executable, "-m", "nnkit", "predict", str(folder_of("binary")), "-", "-o", "answers/out.csv"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    head, *rows = unlabelled().to_csv(index=False).encode().splitlines(keepends=True)
    process.stdin.write(head)
    deadline = time.monotonic() + 60
    while not list(Path("answers").glob(".tmp-*")) and time.monotonic() < deadline:
        process.stdin.write(b"".join(rows))  # its file stays open, for more rows may come
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert b"Traceback" not in err
    assert list(Path("answers").iterdir()) == []


def test_help_is_shown(capsys: Capsys) -> None:
    assert command(capsys, "predict", "--help")[0] == 0
    assert "usage: nnkit predict RUN INPUT" in command(capsys, "predict", "-h")[1]
    assert command(capsys, "predict")[0] == 2


def test_no_answer_leaves_no_file() -> None:
    with pytest.raises(DataError, match="the input holds no row that could be predicted"):
        _write(iter(()), Path("out.csv"), Told())
    assert not Path("out.csv").exists()
    assert len(table()) == 240


def predicted(capsys: Capsys, kind: str, *words: str) -> tuple[pd.DataFrame, str]:
    code, out, err = command(capsys, "predict", folder_of(kind), *words, "-o", "out.csv")
    assert code == 0, err
    assert out == f"{Path('out.csv').absolute()}\n"
    return pd.read_csv("out.csv"), err


def test_series_are_answered_with_labels_or_without(capsys: Capsys) -> None:
    for labels in (True, False):
        Path("new.ts").write_text(ts_text(varies=True, labels=labels))
        found, err = predicted(capsys, "vowels", "new.ts", "--proba")
        assert list(found.columns) == ["prediction", "probability_a", "probability_b"]
        assert "60 rows predicted" in err


def test_each_step_has_a_line(capsys: Capsys) -> None:
    np.savez("new.npz", x=np.zeros((2, 7, 1)), lengths=[3, 7])
    found, err = predicted(capsys, "bits", "new.npz")
    assert list(found.columns) == ["row", "step", "prediction"]
    assert found["step"].tolist() == [1, 2, 3, 1, 2, 3, 4, 5, 6, 7]
    assert "2 rows predicted" in err


def test_texts_are_answered_line_by_line(capsys: Capsys) -> None:
    Path("new.txt").write_text("a fine film\n\ndull zebra\n")
    code, _, err = command(capsys, "predict", folder_of("reviews"), "new.txt", "-o", "out.csv")
    assert code == 3
    assert "new.txt, line 2: the text is empty\nhint: --on-bad skip leaves it out" in err
    found, err = predicted(capsys, "reviews", "new.txt", "--on-bad", "skip")
    assert found["line"].tolist() == [1, 3]
    assert "2 of 5 tokens are not in the vocabulary, and are read as the unknown: 'a', 'zebra'" in err
    assert "1 of 3 rows were left out" in err


def test_texts_come_through_a_pipe() -> None:
    line = [sys.executable, "-m", "nnkit", "predict", str(folder_of("reviews")), "-", "-o", "-"]
    done = subprocess.run(line, input=b"fine film\ndull\n", capture_output=True, check=True)
    assert list(pd.read_csv(io.BytesIO(done.stdout)).columns) == ["line", "prediction"]
    assert done.stderr == b"2 rows predicted\n"


def test_a_forecast_goes_on_where_its_file_ends(capsys: Capsys) -> None:
    load_table().to_csv("new.csv", index=False)
    found, err = predicted(capsys, "load", "new.csv")
    assert list(found.columns) == ["date", "prediction_load", "prediction_gas"]
    assert found["date"].tolist()[::5] == ["2026-01-07 06:00", "2026-01-07 08:30"]
    assert "6 steps ahead forecast" in err


@pytest.mark.parametrize(
    ("kind", "source", "code", "text"),
    [
        ("load", "short.csv", 3, "short.csv has 20 steps, fewer than the window of 24"),
        ("load", "-", 2, "standard input is for tables and texts, but the run was trained on a series"),
        ("known", "whole.csv", 3, "has 0 rows ahead, but 6 are needed"),
        ("sine", "whole.csv", 2, "data=sine has no files of its own form"),
        ("letters", "new.txt", 2, "a language model continues a text, and has no predictions of rows"),
        ("steps", "new.ts", 3, "steps, but the run was trained on 6, the same for every row"),
        ("reviews", "new.ts", 0, "tokens are not in the vocabulary"),
        ("vowels", "new.txt", 2, "is not a .ts, .npz or .npy file, which the run takes"),
        ("reviews", "x.npy", 2, "x.npy: x is an array, but the run was trained on texts"),
        ("vowels", "gone.ts", 3, "gone.ts is not there"),
    ],
)
def test_wrong_sequences_are_told(kind: str, source: str, code: int, text: str, capsys: Capsys) -> None:
    load_table()[:20].to_csv("short.csv", index=False)
    load_table().to_csv("whole.csv", index=False)
    Path("new.txt").write_text("the cat\n")
    Path("new.ts").write_text(ts_text(varies=True))
    np.save("x.npy", np.zeros((2, 7, 1)))
    found, _, err = command(capsys, "predict", folder_of(kind), source, "-o", "out.csv")
    assert found == code
    assert text in err
    assert "data.path" not in err
    assert "Traceback" not in err


def test_texts_that_are_cut_off_and_notes_of_a_history_are_told(capsys: Capsys) -> None:
    run = opened("reviews")
    told = Told(rows=1, cut=2, notes=["times are converted to UTC"])
    _tell(told, run)
    err = capsys.readouterr().err
    assert "note: 2 texts are longer than those of training may be, and cut off" in err
    assert "note: times are converted to UTC" in err


@pytest.mark.parametrize(("kind", "task"), [("values", "regression"), ("adding", "regression"), ("load", "forecast")])
def test_probabilities_of_values_are_refused_before_anything_is_read(kind: str, task: str, capsys: Capsys) -> None:
    code, out, err = command(capsys, "predict", folder_of(kind), "gone.csv", "--proba", "-o", "out.csv")
    assert (code, out) == (2, "")
    assert f"error: a {task} has no probabilities" in err
    assert "hint: leave out --proba" in err
    assert not Path("out.csv").exists()
