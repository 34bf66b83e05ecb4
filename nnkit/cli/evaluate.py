"""`nnkit eval RUN`: what a finished run is worth, on its test set or on new data."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnkit.cli.messages import note, show_usage, warn
from nnkit.cli.words import MOST_VIEWS, Read, name_of, note_unknown, note_unseen, opened, read_command, run_folder
from nnkit.errors import ConfigError

if TYPE_CHECKING:
    from nnkit.infer.evaluation import Evaluation
    from nnkit.infer.finished import Finished

USAGE = """\
usage: nnkit eval RUN [--data PATH] [--split test|val|train|all] [--tta N] [--json] [-o DIR] [--no-plots] [--trust]

RUN is a run folder, a sweep folder (its best run), or last (the newest below outputs/ or output_dir=FOLDER).
Measures the best weights as scikit-learn defines it, with 95 % intervals by bootstrap: over rows, over whole sequences
where each step has a class, over pictures where each pixel has one. Forecasts and language models have none, since
their windows and segments depend on each other. Standard output carries the path of the predictions, or with --json all
measures, which evaluation-PART.json holds, too; pictures go to plots/.

  --data PATH       new rows with labels, in the form of the run's own data; of a forecast all windows of a new file,
                    of masks a folder with the folders images and masks, or an .npz file
  --split PART      a part of the run's own data (default: test)
  --tta N           answer with the mean over N views: the row itself, and N - 1 that the run's augmentation draws
  -o, --output DIR  where predictions and pictures go (default: the run's folder)
  --no-plots        no pictures
  --trust           the run names code of its own, or has links out of its folder, and you trust it"""

PARTS = ("test", "val", "train", "all")
OF_SECOND = ("roc_auc", "pr_auc", "brier")  # with two classes they are of the second one
SHOWN = (
    *("iou", "dice", "precision", "recall", "f1", "accuracy", "roc_auc", "pr_auc"),
    *("rmse", "mae", "mape", "r2", "mase", "scaled_mse", "scaled_mae", "support"),
)
EACH = {"per_class": "class", "per_label": "label", "per_target": "target", "per_horizon": "step ahead"}
WHAT = {"forecast": "windows", "language": "segments", "tagging": "sequences", "segmentation": "pictures"}
OF_CLASSES = ("classification", "tagging")
OF_FILES = (".csv", ".html", ".json", ".jsonl", ".npy", ".npz", ".parquet", ".pdf", ".png", ".tsv", ".txt", ".yaml")


def command(argv: list[str]) -> int:
    """Evaluate as the words say, and return the exit code."""
    if not argv or "--help" in argv or "-h" in argv:
        return show_usage(USAGE, argv)
    read = read_command(
        argv,
        command="eval",
        flags=("json", "no-plots", "trust"),
        valued=("data", "split", "tta", "output"),
        short={"-o": "output"},
    )
    split: Any = read.choice("split", PARTS, "test")
    views = read.count("tta", MOST_VIEWS)
    if "data" in read.values and "split" in read.values:
        raise ConfigError(
            "--data evaluates all rows of new data, --split a part of the run's own", hint="leave one out"
        )
    (word,), output_dir = read.operands("eval", "one run", 1, "nnkit eval last, with --data PATH for new data")
    folder = run_folder(word, output_dir, read.links)
    place = _place(read, folder)
    run = opened(folder, read, views)
    from nnkit.infer.evaluate import evaluate
    from nnkit.infer.labelled import new_rows, own_rows
    from nnkit.infer.learned import was_learned
    from nnkit.storage import make_folder

    data = read.values.get("data")
    has_learned = data is not None and was_learned(run, read.path("data", folder))  # before other rows take the memory
    source, rows = own_rows(run, split) if data is None else new_rows(run, read.path("data", folder))
    found = evaluate(run, source, rows)
    make_folder(place)
    if data is not None and has_learned:
        _warn_of_learned(run, data)
    _report(run, found, read, _name(data, split, folder, place), place)
    return 0


def _warn_of_learned(run: Finished, data: str) -> None:
    """Tell that figures of rows which were learned are no figures of new ones, and where such can be had."""
    what = WHAT.get(run.spec.task, "rows")
    parts = ("test",) if run.members else ("test", "val")  # the networks of an ensemble learn each other's val rows
    held_out = next((part for part in parts if run.facts.get("rows", {}).get(part)), None)
    of_folds = ": predictions-oof.csv has the answers of those that have not learned them" if run.members else ""
    way = of_folds if held_out is None else f": --split {held_out} looks at others"
    warn(f"{data} is what the run was trained on, and {what} that were learned flatter the figures{way}")


def _place(read: Read, default: Path) -> Path:
    """Return the folder that --output names. Raises: ConfigError for a file, or for what is called as one."""
    place = read.path("output", default)
    if place.is_file():
        raise ConfigError(f"--output names a folder, but {place} is a file", hint=f"--output {place.parent}")
    if "output" in read.values and place.suffix.lower() in OF_FILES and not place.is_dir():
        hint = f"-o takes a folder; the files in it get names of their own: -o {shlex.quote(place.stem)}"
        raise ConfigError(f"--output names a folder, but {place.name} is the name of a file", hint=hint)
    return place


def _name(data: str | None, split: str, folder: Path, place: Path) -> str:
    """Return what the files are called after: the part, or the new data.

    New data overwrite neither a part's files, nor those of other data of the same name; in a folder of the user's own,
    nothing overwrites what another run has left there.
    """
    from nnkit.infer.places import free_name, identity, is_there, remember

    if data is None and place == folder:
        return split
    own = split if data is None else name_of(data)
    own = f"{own}-data" if data is not None and own in PARTS else own
    source = identity(*([] if place == folder else [str(folder)]), *([] if data is None else [data]))
    forms = ("predictions-{}.csv", "evaluation-{}.json")
    name = free_name(place, own, source, forms)
    if data is None or is_there(data):
        remember(place, [place / form.format(name) for form in forms], source)
    if name != own:
        what = "data" if place == folder else "data, or of another run,"
        note(f"{place.name} has figures of other {what} called {own}, so these are called {name}")
    return name


def _report(run: Finished, found: Evaluation, read: Read, name: str, place: Path) -> None:
    from nnkit.infer.predictions import write_evaluated
    from nnkit.storage import write_json

    predictions = place / f"predictions-{name}.csv"
    write_evaluated(run, found, predictions)
    seen = {} if run.views is None else {"views": run.views.count}
    plain = {"run": str(run.folder), "on": read.values.get("data", name), **seen, **found.to_plain()}
    write_json(place / f"evaluation-{name}.json", plain)
    note_unseen(found.unseen, run)
    note_unknown(found.unknown, found.tokens)
    for text in found.notes:
        note(text)
    if "json" in read.flags:
        print(json.dumps(plain, indent=2))
    else:
        _show(run, found, name)
        print(predictions)
    sys.stdout.flush()
    if "no-plots" not in read.flags:
        from nnkit.cli.pictures import draw_evaluation

        draw_evaluation(run, found, name, place)


def _show(run: Finished, found: Evaluation, name: str) -> None:
    from rich.console import Console

    console = Console(stderr=True, width=None if sys.stderr.isatty() else 100)
    what = WHAT.get(run.spec.task, "rows")
    unit = "tokens" if run.spec.task == "language" else "steps"
    steps = "" if found.lengths is None else f" with {int(found.lengths.sum()):,} {unit}"
    views = "" if run.views is None else f", the mean of {run.views.count} views"
    title = f"{run.title} ({name}): {len(found.rows):,} {what}{steps}, the best weights of {run.folder}{views}"
    console.print(title, style="bold", highlight=False, soft_wrap=True)
    console.print(_measures(run, found))
    if run.spec.num_classes == 2 and run.spec.task == "classification":
        second = run.spec.target.classes[1]
        console.print(f"predicted as {second} from a probability of {run.threshold:.3f}", highlight=False, markup=False)
    for key, title in EACH.items():
        if key in found.metrics:
            _show_each(console, found.metrics[key], title)


def _measures(run: Finished, found: Evaluation) -> Any:
    """Return the table of the measures that are one number, beside their intervals, or the naive forecast's."""
    from rich.markup import escape
    from rich.table import Table

    baseline = found.metrics.get("baseline", {})
    beside = [f"{baseline['method']} again"] if baseline else ["95 % interval"] if found.intervals else []
    table = Table("measure")
    for title in ("value", *beside):
        table.add_column(title, justify="right")
    has_second = run.spec.num_classes == 2 and run.spec.task in OF_CLASSES
    for key, value in found.metrics.items():
        if isinstance(value, (int, float)):
            low_high = found.intervals.get(key)
            shown = f"{key} of {run.spec.target.classes[1]}" if key in OF_SECOND and has_second else key
            bounds = "" if low_high is None else " to ".join(_number(v) for v in low_high)
            cells = [escape(shown), _number(value), _number(baseline.get(key)) if baseline else bounds]
            table.add_row(*cells[: 2 + len(beside)])
    for share, value in (found.metrics.get("residual_quantiles") or {}).items():
        table.add_row(f"residual, quantile {share}", _number(value))
    return table


def _show_each(console: Any, each: Mapping[str, Mapping[str, Any]], title: str) -> None:
    from rich.markup import escape
    from rich.table import Table

    columns = [c for c in SHOWN if any(c in values for values in each.values())]
    table = Table(title)
    for column in columns:
        table.add_column(column, justify="right")
    for name, values in list(each.items())[:50]:
        table.add_row(escape(name), *(_number(values.get(column)) for column in columns))
    console.print(table)
    if len(each) > 50:
        console.print(f"… and {len(each) - 50} more (--json shows all)")


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if abs(value) < 1000 else f"{value:.5g}"
