"""Pictures, drawn by the commands after their result has been printed: a failure here costs a note, not the result."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnkit.cli.messages import note
from nnkit.storage import make_folder, write_bytes

if TYPE_CHECKING:
    from nnkit.config.domains import Domain
    from nnkit.infer.evaluation import Evaluation, Masked, Windows
    from nnkit.infer.finished import Finished
    from nnkit.sweep.trials import Outcome

PLOTS = "plots"


def draw_training(folder: Path, title: str, best_epoch: int | None) -> None:
    """Draw a run's learning curves from its metrics.jsonl into plots/learning_curves.png."""
    from nnkit.track.jsonl import read_events

    def draw() -> bytes:
        from nnkit.plots import learning_curves

        records = [
            {
                "step": event.step,
                "epoch": event.epoch,
                **{n: v if math.isfinite(v) else None for n, v in event.values.items()},
            }
            for event in read_events(folder)
        ]
        if not records:
            raise ValueError("no event can be read")
        return learning_curves(records, best_epoch, title)

    _draw(folder / PLOTS / "learning_curves.png", draw)


def draw_evaluation(run: Finished, found: Evaluation, name: str, place: Path) -> None:
    """Draw what an evaluation found into plots/: confusion, ROC and PR curves and calibration; or residuals.

    Of labels there are the ROC and PR curves; of a forecast its errors step by step, and some windows; of masks three
    pictures beside the truth and the answer.
    """
    title = f"{run.title} ({name})"
    target, scores, task, names = found.target, found.answers.scores, run.spec.task, run.spec.target
    drawn: dict[str, Callable[[], bytes]] = {}
    from nnkit import plots

    if task in ("classification", "tagging", "segmentation"):
        drawn["confusion"] = lambda: plots.confusion_matrix(found.metrics["confusion"], names.classes, title)
    if found.masked is not None:
        drawn["masks"] = lambda: _masks(found, found.masked, names.classes, title)
    if task in ("classification", "tagging"):
        drawn["calibration"] = lambda: plots.calibration(target, scores, title)
    if task == "regression":
        drawn["residuals"] = lambda: plots.residuals(target, scores, names.names, title)
    if task == "forecast" and found.windows is not None:
        drawn |= _of_forecast(found, found.windows, names.names, title)
    if task in ("classification", "tagging", "multilabel"):
        drawn["roc_pr"] = lambda: plots.roc_pr(target, scores, names.classes or names.names, title)
    for kind, draw in drawn.items():
        _draw(place / PLOTS / f"{kind}-{name}.png", draw)


def _masks(found: Evaluation, masked: Masked | None, classes: Sequence[str], title: str) -> bytes:
    from nnkit import plots_masks
    from nnkit.infer.segmentation import overlaps
    from nnkit.infer.terms import mean_of_defined

    assert masked is not None
    iou = mean_of_defined(overlaps(masked.confusions)[:, 1:])
    rows = plots_masks.worst_middle_best(iou)
    names = [masked.names[row] if masked.names else f"row {found.rows[row] + 1}" for row in rows]
    shown = plots_masks.Shown(masked.pixels[rows], found.target[rows], found.answers.predicted[rows], iou[rows], names)
    return plots_masks.predictions(shown, classes, title)


def _of_forecast(
    found: Evaluation, windows: Windows, names: Sequence[str], title: str
) -> dict[str, Callable[[], bytes]]:
    from nnkit import plots_sequences

    target, predicted = found.target, found.answers.predicted
    naive = found.metrics["baseline"]
    errors = {
        name: [step["rmse"] for step in metrics["per_horizon"].values()]
        for name, metrics in (("the network", found.metrics), (f"{naive['method']} again", naive))
    }

    def draw_windows() -> bytes:
        rows = plots_sequences.spread(len(target))
        past = [steps[:, windows.channels] for steps in windows.past[rows]]
        return plots_sequences.forecasts(past, target[rows], predicted[rows], names, title)

    return {"horizon": lambda: plots_sequences.horizon(errors, title), "forecasts": draw_windows}


def draw_sweep(
    folder: Path, objective: tuple[str, str], outcomes: Sequence[Outcome], domains: Mapping[str, Domain]
) -> None:
    """Draw how the best score of a sweep came about, and the score by each setting, into plots/."""
    from nnkit import plots_sweep
    from nnkit.config.domains import Interval

    name, mode = objective
    scored = [outcome for outcome in outcomes if name in outcome.metrics]
    title = f"{folder.parent.name}: {len(outcomes)} trials"
    columns = {key: [outcome.trial.changed.get(key, "") for outcome in scored] for key in domains}
    is_log = {key: domain.is_log for key, domain in domains.items() if isinstance(domain, Interval)}
    every = [outcome.metrics.get(name) for outcome in outcomes]
    scores = [outcome.metrics[name] for outcome in scored]
    _draw(folder / PLOTS / "best_so_far.png", lambda: plots_sweep.best_so_far(every, mode, name, title))
    if columns:
        _draw(folder / PLOTS / "slices.png", lambda: plots_sweep.slices(columns, is_log, scores, name, title))


def _draw(path: Path, draw: Callable[[], bytes]) -> None:
    try:
        make_folder(path.parent)
        write_bytes(path, draw())
    except Exception as error:  # noqa: BLE001 - the result stands, whatever becomes of its picture
        note(f"{path.name} could not be drawn: {error}")
