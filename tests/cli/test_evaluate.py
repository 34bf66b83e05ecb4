"""`nnkit eval`: measures, files, pictures, and every wrong word of a tired user."""

from __future__ import annotations

import json
from pathlib import Path

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
    own_folder,
    table,
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
    _show_each(console, {f"class {i}": {"f1": 0.5, "support": 3} for i in range(60)})
    assert "and 10 more (--json shows all)" in capsys.readouterr().out
    assert [_number(v) for v in (None, 1234, 0.12345, 123456.7)] == ["", "1,234", "0.1235", "1.2346e+05"]
    assert data_path("array").exists()
