"""Pictures after the result: drawn into plots/, and never worth an exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnkit.cli.pictures import _draw, draw_evaluation, draw_training
from nnkit.infer.evaluate import evaluate
from nnkit.infer.labelled import own_rows
from tests.finished import copy_of, folder_of, opened

PNG = b"\x89PNG"


def test_learning_curves_are_drawn() -> None:
    folder = copy_of(folder_of("array"))
    draw_training(folder, "a title", 2)
    assert (folder / "plots" / "learning_curves.png").read_bytes().startswith(PNG)


def test_what_was_not_finite_is_a_gap(capsys: pytest.CaptureFixture[str]) -> None:
    folder = copy_of(folder_of("array"))
    lines = [f'{{"step": {n}, "epoch": {n}, "val/loss": {"null" if n == 2 else 5 / n}}}' for n in range(1, 5)]
    (folder / "metrics.jsonl").write_text("\n".join(lines))
    records: list[dict[str, float | None]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nnkit.plots.learning_curves", lambda found, *_: records.extend(found) or PNG)
        draw_training(folder, "a title", None)
    assert [record["val/loss"] for record in records] == [5, None, 5 / 3, 5 / 4]
    draw_training(folder, "a title", None)
    assert capsys.readouterr().err == ""


def test_damaged_records_cost_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    folder = copy_of(folder_of("array"))
    for text in ("{", "[]\n", ""):
        (folder / "metrics.jsonl").write_text(text)
        draw_training(folder, "a title", None)
    (folder / "metrics.jsonl").unlink()
    draw_training(folder, "a title", None)
    err = capsys.readouterr().err
    assert err.count("note: learning_curves.png could not be drawn: no event can be read\n") == 3
    assert err.count("note: learning_curves.png could not be drawn: ") == 4
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("binary", {"confusion-x.png", "roc_pr-x.png", "calibration-x.png"}),
        ("array", {"confusion-x.png", "roc_pr-x.png", "calibration-x.png"}),
        ("values", {"residuals-x.png"}),
        ("several", {"residuals-x.png"}),
        ("labels", {"roc_pr-x.png"}),
    ],
)
def test_an_evaluation_is_drawn_by_task(kind: str, names: set[str]) -> None:
    run = opened(kind)
    draw_evaluation(run, evaluate(run, *own_rows(run, "val")), "x", Path("here"))
    found = {path.name: path.read_bytes() for path in Path("here/plots").iterdir()}
    assert set(found) == names
    assert all(data.startswith(PNG) for data in found.values())


def test_whatever_fails_costs_a_note(capsys: pytest.CaptureFixture[str]) -> None:
    def draw() -> bytes:
        raise KeyError("val/loss")

    _draw(Path("plots/a.png"), draw)
    Path("a file").touch()
    _draw(Path("a file/b.png"), lambda: PNG)
    err = capsys.readouterr().err
    assert "note: a.png could not be drawn: 'val/loss'" in err
    assert "note: b.png could not be drawn: cannot make folder" in err
