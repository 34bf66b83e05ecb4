"""Pictures: valid PNG files in every extreme, without warnings, that show the numbers they were given."""

from __future__ import annotations

import struct
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from nnkit import plots
from nnkit.infer.terms import Array

NASTY = [r"$\frac$", "_hidden", "a$b", "ü 日本 \N{ROCKET}", "two\nlines", "", "a_very_long_name_that_goes_on_and_on"]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Return the list into which every figure goes when it is saved."""
    seen: list[Figure] = []
    save = Figure.savefig

    def savefig(figure: Figure, *args: Any, **kwargs: Any) -> None:
        seen.append(figure)
        save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return seen


def size_of(png: bytes) -> tuple[int, int]:
    """Return width and height in pixels, from the header of a PNG file."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert png.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def is_readable(png: bytes) -> bool:
    return all(300 <= side <= 2600 for side in size_of(png))


def records(count: int, metrics: tuple[str, ...] = ("accuracy",), last_loss: float = 0.5) -> list[dict[str, Any]]:
    losses = np.geomspace(2, last_loss, count)
    return [
        {"step": 7 * k, "epoch": k, "lr": 0.1, "train/loss": float(loss), "val/loss": float(loss)}
        | {f"{part}/{name}": k / 100 for part in ("train", "val") for name in metrics}
        for k, loss in enumerate(losses, start=1)
    ]


def drawn_classes(size: int, rows: int = 80) -> tuple[Array, Array]:
    chance = np.random.default_rng(size)
    target = np.arange(rows) % size
    p = chance.random((rows, size))
    p[np.arange(rows), target] += 0.5
    return target, (p / p.sum(1, keepdims=True)).astype(np.float32)


def names_of(size: int) -> list[str]:
    return [NASTY[k] if k < len(NASTY) else f"class {k}" for k in range(size)]


def legend_of(axis: Any) -> list[str]:
    return [text.get_text() for text in axis.get_legend().get_texts()]


@pytest.mark.parametrize(("count", "metrics"), [(0, ()), (1, ("accuracy",)), (50, ("rmse", "mae", "r2", "more"))])
def test_learning_curves_are_a_picture_of_any_length(count: int, metrics: tuple[str, ...]) -> None:
    assert is_readable(plots.learning_curves(records(count, metrics), 1, r"$\bad$ title_1"))


def test_learning_curves_show_the_loss_first_and_three_metrics_at_most(figures: list[Figure]) -> None:
    plots.learning_curves(records(3, ("rmse", "mae", "r2", "more")), None, "run")
    assert [axis.get_ylabel() for axis in figures[0].axes] == ["loss", "rmse", "mae", "r2"]


@pytest.mark.parametrize(("last_loss", "scale"), [(2 / 49, "linear"), (2 / 51, "log"), (0, "linear")])
def test_a_loss_that_spans_more_than_a_factor_of_fifty_is_on_a_log_scale(
    last_loss: float, scale: str, figures: list[Figure]
) -> None:
    lines = records(5)
    lines[-1]["val/loss"] = last_loss
    plots.learning_curves(lines, None, "run")
    assert figures[0].axes[0].get_yscale() == scale


def test_a_missing_value_leaves_a_gap_and_the_best_epoch_is_marked(figures: list[Figure]) -> None:
    lines = records(4)
    lines[1]["val/loss"] = None
    del lines[2]["train/loss"]
    plots.learning_curves(lines, 3, "run")
    train, val, best = figures[0].axes[0].get_lines()
    assert list(np.asarray(train.get_xdata())) == [1, 2, 4]
    assert list(np.asarray(val.get_xdata())) == [1, 3, 4]
    assert list(np.asarray(best.get_xdata())) == [3, 3]


def test_several_records_of_one_epoch_go_by_step(figures: list[Figure]) -> None:
    lines = [line | {"epoch": k // 2} for k, line in enumerate(records(6))]
    plots.learning_curves(lines, 1, "run")
    train, _, best = figures[0].axes[0].get_lines()
    assert list(np.asarray(train.get_xdata())) == [7, 14, 21, 28, 35, 42]
    assert np.asarray(best.get_xdata())[0] == 28


@pytest.mark.parametrize("size", [1, 7, 40])
def test_a_confusion_matrix_is_a_picture_of_any_size(size: int) -> None:
    confusion = np.random.default_rng(1).integers(0, 2_000_000, (size, size))
    confusion[0] = 0
    assert is_readable(plots.confusion_matrix(confusion.tolist(), names_of(size), "a $title$"))


def test_cells_show_counts_and_are_coloured_by_the_share_of_their_row(figures: list[Figure]) -> None:
    plots.confusion_matrix([[30, 10], [0, 12_345]], ["a", "b"], "run")
    axis = figures[0].axes[0]
    assert [text.get_text() for text in axis.texts] == ["30", "10", "12.3k"]
    assert np.asarray(axis.images[0].get_array()).tolist() == [[0.75, 0.25], [0, 1]]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted class", "true class")


def test_many_classes_have_no_text_in_their_cells_and_very_many_not_all_a_name(figures: list[Figure]) -> None:
    assert is_readable(plots.confusion_matrix(np.eye(230).tolist(), names_of(230), "run"))
    axis = figures[0].axes[0]
    assert list(axis.texts) == []
    assert [text.get_text() for text in axis.get_yticklabels()][-2:] == ["class 225", "class 228"]


@pytest.mark.parametrize("size", [2, 10, 40])
def test_curves_and_calibration_are_pictures_at_any_number_of_classes(size: int) -> None:
    target, p = drawn_classes(size, 200)
    assert is_readable(plots.roc_pr(target, p, names_of(size), "t_1"))
    assert is_readable(plots.calibration(target, p, "$t$"))


@pytest.mark.parametrize("rows", [0, 1])
def test_one_row_and_none_are_pictures_too(rows: int) -> None:
    target, p = (array[:rows] for array in drawn_classes(2))
    assert is_readable(plots.roc_pr(target, p, ["a", "b"], "few"))
    assert is_readable(plots.calibration(target, p, "few"))
    assert is_readable(plots.residuals(p, p, ["a", "b"], "few"))


def test_the_curve_of_two_classes_is_scikit_learns_of_the_second(figures: list[Figure]) -> None:
    target, p = drawn_classes(2)
    plots.roc_pr(target, p, ["no", "yes"], "run")
    roc, pr = figures[0].axes
    x, y, _ = roc_curve(target, p[:, 1])
    assert np.asarray(roc.get_lines()[1].get_xydata()) == pytest.approx(np.stack([x, y], 1))
    assert legend_of(roc) == [f"{roc_auc_score(target, p[:, 1]):.3f}  yes"]
    assert legend_of(pr) == [f"{average_precision_score(target, p[:, 1]):.3f}  yes"]


def test_each_of_a_few_classes_has_a_curve_and_of_many_only_the_mean(figures: list[Figure]) -> None:
    for size in (4, 11):
        target, p = drawn_classes(size)
        plots.roc_pr(target, p, [f"_{k}" for k in range(size)], "run")
    few, many = (legend_of(figure.axes[0]) for figure in figures)
    target, p = drawn_classes(4)
    areas = [roc_auc_score(target == k, p[:, k]) for k in range(4)]
    assert few == [*(f"{area:.3f}  _{k}" for k, area in enumerate(areas)), f"{np.mean(areas):.3f}  mean of 4 classes"]
    assert [label.split("  ")[1] for label in many] == ["mean of 11 classes"]


def test_each_label_has_a_curve_and_their_mean_is_the_macro_average_of_scikit_learn(figures: list[Figure]) -> None:
    chance = np.random.default_rng(4)
    target = chance.integers(0, 2, (80, 3))
    p = np.clip(0.3 * target + 0.7 * chance.random((80, 3)), 0, 1)
    assert is_readable(plots.roc_pr(target, p, ["red", "big", "new"], "run"))
    roc, pr = figures[0].axes
    for axis, score in ((roc, roc_auc_score), (pr, average_precision_score)):
        each = [f"{score(target[:, k], p[:, k]):.3f}  {name}" for k, name in enumerate(["red", "big", "new"])]
        assert legend_of(axis) == [*each, f"{score(target, p, average='macro'):.3f}  mean of 3 labels"]


@pytest.mark.parametrize("labels", [1, 2])
def test_one_label_and_two_are_drawn_each(labels: int, figures: list[Figure]) -> None:
    target = np.arange(60).reshape(30, 2)[:, :labels] % 3 == 0
    plots.roc_pr(target, np.random.default_rng(0).random((30, labels)), ["a", "b"][:labels], "run")
    named = [text.split("  ")[1] for text in legend_of(figures[0].axes[0])]
    assert named == (["a"] if labels == 1 else ["a", "b", "mean of 2 labels"])


def test_labels_that_never_occur_have_no_curve(figures: list[Figure]) -> None:
    target = np.zeros((20, 2))
    assert is_readable(plots.roc_pr(target, np.full((20, 2), 0.5), ["a", "b"], "run"))
    assert [text.get_text() for text in figures[0].axes[0].texts] == ["each label always occurs, or never"]


def test_a_class_that_never_occurs_has_no_curve(figures: list[Figure]) -> None:
    target, p = drawn_classes(3)
    plots.roc_pr(np.minimum(target, 1), p, ["a", "b", "never"], "run")
    assert not any("never" in label for label in legend_of(figures[0].axes[0]))


def test_the_calibration_picture_counts_every_row_that_is_finite(figures: list[Figure]) -> None:
    target, p = drawn_classes(3)
    p[0] = np.nan
    plots.calibration(target, p, "run")
    accuracy, rows = figures[0].axes
    assert sum(bar.get_height() for bar in rows.patches) == 79  # type: ignore[attr-defined]
    assert accuracy.get_title().startswith("expected calibration error 0.")


@pytest.mark.parametrize(("rows", "columns"), [(3, 1), (6000, 5)])
def test_residuals_are_a_picture_of_at_most_four_targets(rows: int, columns: int, figures: list[Figure]) -> None:
    chance = np.random.default_rng(2)
    target = chance.normal(size=(rows, columns))
    predicted = target - 0.25
    predicted[0] = np.nan
    assert is_readable(plots.residuals(target, predicted, names_of(columns), "$run"))
    axes = figures[0].axes
    assert len(axes) == 2 * min(columns, 4)
    assert legend_of(axes[1]) == ["mean 0.25"]
    assert sum(bar.get_height() for bar in axes[1].patches) == rows - 1  # type: ignore[attr-defined]


def test_a_long_name_keeps_both_ends() -> None:
    assert plots.shortened("abcdefghij", 10) == "abcdefghij"
    assert plots.shortened("abcdefghijk", 10) == "abcde…hijk"
    assert plots.shortened("two\n lines") == "two lines"


def test_drawing_changes_no_setting_of_matplotlib_and_repeats_to_the_byte() -> None:
    before = dict(mpl.rcParams)
    first, second = (plots.learning_curves(records(5), 2, "run") for _ in range(2))
    assert first == second
    assert dict(mpl.rcParams) == before
