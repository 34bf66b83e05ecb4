"""`nnkit eval`: measures, files, pictures, and every wrong word of a tired user."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.finished import (
    OLD,
    change_facts,
    command,
    copy_of,
    data_path,
    facts_of,
    folder_of,
    load_table,
    own_folder,
    sequence_path,
    table,
    text,
    ts_text,
)

Capsys = pytest.CaptureFixture[str]


def test_everything_lies_in_the_run_folder(capsys: Capsys) -> None:
    folder = copy_of(folder_of("binary"))
    code, out, err = command(capsys, "eval", folder)
    assert code == 0
    assert out == f"{folder / 'predictions-test.csv'}\n"
    assert "mlp on table (test): 48 rows" in err
    assert "95 % interval" in err
    pictures = {path.name for path in (folder / "plots").iterdir()}
    assert {"confusion-test.png", "roc_pr-test.png", "calibration-test.png"} <= pictures
    assert all((folder / "plots" / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
    plain = json.loads((folder / "evaluation-test.json").read_text())
    assert (plain["on"], plain["rows"]) == ("test", 48)
    assert len(pd.read_csv(folder / "predictions-test.csv")) == 48


def test_json_is_all_of_standard_output(capsys: Capsys) -> None:
    folder = copy_of(folder_of("values"))
    code, out, _ = command(capsys, "eval", folder, "--json", "--split=val")
    assert code == 0
    plain = json.loads(out)
    assert plain == json.loads((folder / "evaluation-val.json").read_text())
    assert plain["metrics"]["rmse"] == pytest.approx(facts_of(folder)["metrics"]["val/rmse"], rel=1e-5)
    assert (folder / "plots" / "residuals-val.png").exists()


@pytest.mark.parametrize("kind", ["labels", "several", "array", "pixels", "counts"])
def test_tasks_of_all_kinds_are_shown(kind: str, capsys: Capsys) -> None:
    code, out, err = command(capsys, "eval", folder_of(kind), "-o", "here", "--no-plots")
    assert code == 0
    assert out == f"{Path('here/predictions-test.csv').absolute()}\n"
    assert ("mae" if kind in ("several", "counts") else "macro_f1") in err
    assert not Path("here/plots").exists()


def test_in_a_folder_of_the_users_own_nothing_overwrites_figures_of_others(capsys: Capsys) -> None:
    Path("other").mkdir()
    for place in (".", "other"):
        table().to_csv(f"{place}/new.csv", index=False)
    words = ("-o", "here", "--no-plots")
    runs = [folder_of("binary"), folder_of("labels")]
    for _ in range(2):
        for run in runs:
            assert command(capsys, "eval", run, *words)[0] == 0
        assert command(capsys, "eval", runs[0], "--data", "new.csv", *words)[0] == 0
        _, _, err = command(capsys, "eval", runs[0], "--data", "other/new.csv", *words)
        assert "here has figures of other data, or of another run, called new, so these are called new-2" in err
    names = {path.name: json.loads(path.read_text()) for path in Path("here").glob("evaluation-*.json")}
    assert set(names) == {f"evaluation-{name}.json" for name in ("test", "test-2", "new", "new-2")}
    assert [names[f"evaluation-{name}.json"]["run"] for name in ("test", "test-2")] == [str(run) for run in runs]


def test_a_first_format_run_is_evaluated(capsys: Capsys) -> None:
    folder = copy_of(OLD)
    code, out, _ = command(capsys, "eval", folder, "--json", "--no-plots")
    assert code == 0
    wanted = facts_of(folder)["metrics"]["test/loss"]
    assert json.loads(out)["metrics"]["log_loss"] == pytest.approx(wanted, rel=1e-5)


def test_new_data_is_evaluated_with_the_threshold_of_the_run(capsys: Capsys) -> None:
    table().to_csv("new.csv", index=False)
    folder = copy_of(folder_of("binary"))
    code, out, _ = command(capsys, "eval", folder, "--data", "new.csv", "--no-plots")
    assert code == 0
    assert out == f"{folder / 'predictions-new.csv'}\n"
    found = pd.read_csv(folder / "predictions-new.csv")
    second = found["probability_yes, gladly"] > facts_of(folder)["decision_threshold"]
    assert (found["prediction"] == "yes, gladly").tolist() == second.tolist()
    assert found["target"].tolist() == table()["bought"].tolist()


def test_new_data_does_not_overwrite_a_part(capsys: Capsys) -> None:
    table().head(20).to_csv("test.csv", index=False)
    code, out, _ = command(capsys, "eval", folder_of("binary"), "--data", "test.csv", "--no-plots", "-o", ".")
    assert code == 0
    assert out.strip().endswith("/predictions-test-data.csv")
    plain = json.loads(Path("evaluation-test-data.json").read_text())
    assert (plain["rows"], plain["on"]) == (20, "test.csv")


def test_predictions_equal_those_of_predict(capsys: Capsys) -> None:
    frame = table()
    frame.to_csv("new.csv", index=False)
    frame.drop(columns=["bought", "price", "count", "red", "big"]).to_csv("bare.csv", index=False)
    command(capsys, "eval", folder_of("binary"), "--data", "new.csv", "--no-plots", "-o", ".")
    command(capsys, "predict", folder_of("binary"), "bare.csv", "-o", "p.csv", "--proba")
    evaluated, predicted = pd.read_csv("predictions-new.csv"), pd.read_csv("p.csv")
    names = ["prediction", "probability_no", "probability_yes, gladly"]
    pd.testing.assert_frame_equal(evaluated[names], predicted[names], rtol=1e-5)


def test_categories_that_training_has_not_seen_are_noted(capsys: Capsys) -> None:
    table().assign(town="Paris").to_csv("new.csv", index=False)
    _, _, err = command(capsys, "eval", folder_of("binary"), "--data", "new.csv", "--no-plots", "-o", ".")
    assert "note: column town: 240 cells of categories that training has not seen" in err


def test_last_is_the_newest_run(capsys: Capsys) -> None:
    Path("runs").mkdir()
    moved = copy_of(folder_of("array")).rename(Path("runs/one")).absolute()
    code, out, _ = command(capsys, "eval", "last", "output_dir=runs", "--no-plots")
    assert (code, out) == (0, f"{moved / 'predictions-test.csv'}\n")
    code, _, err = command(capsys, "eval", "last")
    assert code == 2
    assert "there is no run in outputs" in err


@pytest.mark.parametrize(
    ("words", "code", "text", "hint"),
    [
        ([], 2, "", ""),
        (["--json"], 2, "eval needs one run", "nnkit eval last"),
        (["nowhere"], 2, "nowhere is not a run folder", "below outputs/"),
        (["RUN", "new.csv"], 2, "eval takes one run, got", "--data PATH"),
        (["RUN", "trainer.device=cpu"], 2, "trainer.device=cpu: a run keeps its settings", "nnkit eval --help"),
        (["RUN", "--split", "tset"], 2, "--split must be one of test, val, train, all, got 'tset'", "--split test"),
        (["RUN", "--data"], 2, "--data needs a value", "--data VALUE"),
        (["RUN", "--data", "a.npz", "--split", "val"], 2, "--data evaluates all rows of new data", "leave one out"),
        (["RUN", "--plots"], 2, "--plots is not a flag of eval", "did you mean --no-plots?"),
        (["RUN", "--data", "gone.npz"], 3, "gone.npz is not there", ""),
        (["RUN", "--data", "gone.csv"], 2, "data=array has no files of its own form", "--data FILE.npz"),
        (["RUN", "-o", "a file"], 2, "--output names a folder, but", "--output "),
        (
            ["RUN", "-o", "x.csv"],
            2,
            "--output names a folder, but x.csv is the name of a file",
            "names of their own: -o x",
        ),
        (["RUN", "-o", "below/my x.JSON"], 2, "my x.JSON is the name of a file", "-o takes a folder;"),
    ],
)
def test_wrong_words_are_told(words: list[str], code: int, text: str, hint: str, capsys: Capsys) -> None:
    Path("a file").touch()
    words = [str(folder_of("array")) if word == "RUN" else word for word in words]
    found, out, err = command(capsys, "eval", *words)
    assert found == code
    assert text in err
    assert hint in err
    assert "Traceback" not in err
    assert out == "" or not words
    assert [path.name for path in Path().iterdir()] == ["a file"]


def test_a_folder_that_is_there_may_be_called_as_a_file(capsys: Capsys) -> None:
    Path("x.csv").mkdir()
    assert command(capsys, "eval", folder_of("array"), "-o", "x.csv", "--no-plots")[0] == 0


def test_a_place_that_cannot_be_written_is_told(capsys: Capsys) -> None:
    Path("a file").touch()
    code, _, err = command(capsys, "eval", folder_of("array"), "-o", "a file/below")
    assert code == 5
    assert "cannot make folder" in err


def test_help_is_shown(capsys: Capsys) -> None:
    assert command(capsys, "eval", "--help")[:2][0] == 0
    assert "usage: nnkit eval RUN" in command(capsys, "eval", "last", "-h")[1]
    assert command(capsys, "eval")[0] == 2


def test_damaged_runs_have_their_exit_codes(capsys: Capsys) -> None:
    folder = copy_of(folder_of("array"))
    (folder / "checkpoints" / "best").unlink()
    assert command(capsys, "eval", folder)[0] == 4
    change_facts(folder, status="interrupted")
    code, _, err = command(capsys, "eval", folder)
    assert code == 4
    assert f"hint: nnkit resume {folder}" in err
    folder = copy_of(folder_of("array"))
    (folder / "run.json").unlink()
    assert command(capsys, "eval", folder)[0] == 3


def test_code_of_the_users_own_needs_trust(capsys: Capsys) -> None:
    code, _, err = command(capsys, "eval", own_folder(), "-o", ".", "--no-plots")
    assert code == 2
    assert "model runs code of its own, tests.own_code:Net" in err
    assert "--trust" in err
    assert command(capsys, "eval", own_folder(), "-o", ".", "--no-plots", "--trust")[0] == 0


def test_a_mean_that_is_many_classes_is_cut_short(capsys: Capsys) -> None:
    from rich.console import Console

    from nnkit.cli.evaluate import _number, _show_each

    console = Console(width=60)
    _show_each(console, {f"class {i}": {"f1": 0.5, "support": 3} for i in range(60)}, "class")
    assert "and 10 more (--json shows all)" in capsys.readouterr().out
    assert [_number(v) for v in (None, 1234, 0.12345, 123456.7)] == ["", "1,234", "0.1235", "1.2346e+05"]
    assert data_path("array").exists()


@pytest.mark.parametrize(
    ("kind", "shown", "pictures"),
    [
        ("bits", "18 sequences with 104 steps", {"confusion", "calibration", "roc_pr"}),
        ("vowels", "12 rows", {"confusion", "calibration", "roc_pr"}),
        ("reviews", "16 rows", {"confusion", "calibration", "roc_pr"}),
        ("adding", "24 rows", {"residuals"}),
        ("load", "55 windows", {"horizon", "forecasts"}),
        ("letters", "48 segments with 576 tokens", set()),
    ],
)
def test_sequences_are_shown_and_drawn(kind: str, shown: str, pictures: set[str], capsys: Capsys) -> None:
    code, out, err = command(capsys, "eval", folder_of(kind), "-o", "here")
    assert code == 0
    assert out == f"{Path('here/predictions-test.csv').absolute()}\n"
    assert f"(test): {shown}, the best weights of" in err
    assert ("95 % interval" in err) == (kind not in ("load", "letters"))
    drawn = {path.name for path in Path("here/plots").iterdir()} if pictures else set()
    assert drawn == {f"{name}-test.png" for name in pictures}


def test_a_forecast_stands_beside_what_learning_nothing_says(capsys: Capsys) -> None:
    _, _, err = command(capsys, "eval", folder_of("load"), "-o", "here", "--no-plots")
    assert "the last season again" in err
    for name in ("mase", "scaled_mse", "step ahead", "target", "gas"):
        assert name in err
    plain = json.loads(Path("here/evaluation-test.json").read_text())
    assert plain["metrics"]["per_horizon"].keys() == {"1", "2", "3", "4", "5", "6"}
    assert plain["metrics"]["baseline"]["method"] == "the last season"
    assert plain["intervals"] == {}


def test_the_json_of_a_language_model_holds_all_of_it(capsys: Capsys) -> None:
    code, out, _ = command(capsys, "eval", folder_of("words"), "--json", "-o", "here", "--split", "val")
    assert code == 0
    plain = json.loads(out)
    assert plain == json.loads(Path("here/evaluation-val.json").read_text())
    metrics = facts_of(folder_of("words"))["metrics"]
    assert plain["metrics"]["perplexity"] == pytest.approx(metrics["val/perplexity"], rel=1e-5)
    assert plain["metrics"]["nats"] == pytest.approx(metrics["val/loss"], rel=1e-5)
    assert {"bits_per_token", "bits_per_character", "accuracy", "unknown_share", "tokens"} <= plain["metrics"].keys()


@pytest.mark.parametrize(
    ("kind", "name", "text", "shown"),
    [
        ("vowels", "new.ts", ts_text(varies=True), "(new): 60 rows"),
        ("reviews", "new.txt", "good fine film\nbad dull\n", "(new): 2 rows"),
        ("opinions", "new.csv", "review,label\nfine,good\ndull,bad\n", "(new): 2 rows"),
        ("letters", "new.txt", text()[:500], "(new): 41 segments with 492 tokens"),
        ("words", "new.txt", text()[:500], "segments with"),
        ("load", "new.csv", load_table()[:50].to_csv(index=False), "(new): 21 windows"),
    ],
)
def test_new_sequences_are_evaluated(kind: str, name: str, text: str, shown: str, capsys: Capsys) -> None:
    Path(name).write_text(text)
    code, out, err = command(capsys, "eval", folder_of(kind), "--data", name, "-o", ".", "--no-plots")
    assert code == 0, err
    assert shown in err
    assert out == f"{Path('predictions-new.csv').absolute()}\n"


@pytest.mark.parametrize(
    ("kind", "name", "text", "code", "shown"),
    [
        ("vowels", "new.ts", ts_text(varies=True, labels=False), 3, "new.ts has no labels to learn from"),
        ("vowels", "new.ts", ts_text(varies=True).replace("true a b", "true a b c").replace(":b", ":c"), 3, "label c"),
        ("reviews", "new.txt", "meh fine\ngood film\n", 3, "has the label meh, which the run does not know"),
        ("letters", "new.txt", "the", 2, "it has 3 tokens in a row, but data.segment=12 needs 13"),
        ("load", "new.csv", load_table()[:20].to_csv(index=False), 2, "need 30 steps, but"),
        ("load", "new.csv", load_table()[["date", "load"]].to_csv(index=False), 2, "has no column gas"),
        ("sine", "new.csv", "wave\n1\n", 2, "data=sine has no files of its own form"),
    ],
)
def test_wrong_sequences_are_told(kind: str, name: str, text: str, code: int, shown: str, capsys: Capsys) -> None:
    Path(name).write_text(text)
    found, out, err = command(capsys, "eval", folder_of(kind), "--data", name, "-o", ".", "--no-plots")
    assert (found, out) == (code, "")
    assert shown in err
    assert "hint: data." not in err
    assert "Traceback" not in err


def test_new_padded_series_are_evaluated_step_by_step(capsys: Capsys) -> None:
    x, y = np.zeros((3, 7, 1)), np.full((3, 7), "even")
    np.savez("new.npz", x=x, y=y, lengths=[3, 7, 5])
    code, _, err = command(capsys, "eval", folder_of("bits"), "--data", "new.npz", "-o", ".", "--no-plots")
    assert code == 0, err
    assert len(pd.read_csv("predictions-new.csv")) == 15
    np.savez("new.npz", x=x, y=y, lengths=[3, 7, 5])
    code, _, err = command(capsys, "eval", folder_of("even"), "--data", "new.npz", "-o", ".", "--no-plots")
    assert code == 3
    assert "row 1 has 3 steps, but the run was trained on 6, the same for every row" in err


def test_unknown_words_are_noted(capsys: Capsys) -> None:
    Path("new.txt").write_text("good fine zebra\nbad zebra\n")
    _, _, err = command(capsys, "eval", folder_of("reviews"), "--data", "new.txt", "-o", ".", "--no-plots")
    assert "note: 2 of 3 tokens are not in the vocabulary, and are read as the unknown: 'zebra'" in err


def test_a_forecast_without_its_own_data_is_noted(capsys: Capsys) -> None:
    folder = copy_of(folder_of("load"))
    gone = (folder / "config.yaml").read_text().replace(str(sequence_path("load")), "/gone.csv")
    (folder / "config.yaml").write_text(gone)
    load_table()[:50].to_csv("new.csv", index=False)
    code, _, err = command(capsys, "eval", folder, "--data", "new.csv", "-o", ".", "--no-plots")
    assert code == 0
    assert "note: mase needs the run's own training data, which is not there any more" in err
    assert json.loads(Path("evaluation-new.json").read_text())["metrics"]["mase"] is None
