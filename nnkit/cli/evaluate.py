"""`nnkit eval RUN`: what a finished run is worth, on its test set or on new data."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnkit.cli.words import Read, name_of, note_unseen, opened, read_command, run_folder
from nnkit.errors import ConfigError

if TYPE_CHECKING:
    from nnkit.infer.evaluate import Evaluation
    from nnkit.infer.finished import Finished

USAGE = """\
usage: nnkit eval RUN [--data PATH] [--split test|val|train|all] [--json] [-o DIR] [--no-plots] [--trust]

RUN is a run folder, a sweep folder (its best run), or last (the newest below outputs/ or output_dir=FOLDER).
Measures the best weights as scikit-learn defines it, with 95 % intervals by bootstrap. Standard output carries the
path of the predictions, or with --json all measures, which evaluation-PART.json holds, too; pictures go to plots/.

  --data PATH       new rows with labels, in the form of the run's own data
  --split PART      a part of the run's own data (default: test)
  -o, --output DIR  where predictions and pictures go (default: the run's folder)
  --no-plots        no pictures
  --trust           the run names code of its own, and you know where it is from"""

PARTS = ("test", "val", "train", "all")
OF_SECOND = ("roc_auc", "pr_auc", "brier")  # with two classes they are of the second one
SHOWN = ("precision", "recall", "f1", "accuracy", "roc_auc", "pr_auc", "rmse", "mae", "mape", "r2", "support")


def command(argv: list[str]) -> int:
    """Evaluate as the words say, and return the exit code."""
    if not argv or "--help" in argv or "-h" in argv:
        print(USAGE)
        return 0 if argv else 2
    read = read_command(
        argv,
        command="eval",
        flags=("json", "no-plots", "trust"),
        valued=("data", "split", "output"),
        short={"-o": "output"},
    )
    split: Any = read.choice("split", PARTS, "test")
    if "data" in read.values and "split" in read.values:
        raise ConfigError(
            "--data evaluates all rows of new data, --split a part of the run's own", hint="leave one out"
        )
    (word,), output_dir = read.operands("eval", "one run", 1, "nnkit eval last, with --data PATH for new data")
    folder = run_folder(word, output_dir)
    place = read.path("output", folder)
    if place.is_file():
        raise ConfigError(f"--output names a folder, but {place} is a file", hint=f"--output {place.parent}")
    run = opened(folder, read)
    from nnkit.infer.evaluate import evaluate
    from nnkit.infer.labelled import new_rows, own_rows

    source, rows = new_rows(run, read.path("data", folder)) if "data" in read.values else own_rows(run, split)
    found = evaluate(run, source, rows)
    _report(run, found, read, _name(read.values.get("data"), split), place)
    return 0


def _name(data: str | None, split: str) -> str:
    """Return what the files are called after: the part, or the new data, which must not overwrite a part's."""
    if data is None:
        return split
    name = name_of(data)
    return f"{name}-data" if name in PARTS else name


def _report(run: Finished, found: Evaluation, read: Read, name: str, place: Path) -> None:
    from nnkit.infer.predictions import write_evaluated
    from nnkit.storage import make_folder, write_json

    make_folder(place)
    predictions = place / f"predictions-{name}.csv"
    write_evaluated(run, found, predictions)
    plain = {"run": str(run.folder), "on": read.values.get("data", name), **found.to_plain()}
    write_json(place / f"evaluation-{name}.json", plain)
    note_unseen(found.unseen, run)
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
    from rich.markup import escape
    from rich.table import Table

    table = Table("measure")
    for title in ("value", "95 % interval"):
        table.add_column(title, justify="right")
    for key, value in found.metrics.items():
        if isinstance(value, (int, float)):
            low_high = found.intervals.get(key)
            shown = f"{key} of {run.spec.target.classes[1]}" if key in OF_SECOND and run.spec.num_classes == 2 else key
            bounds = "" if low_high is None else " to ".join(_number(v) for v in low_high)
            table.add_row(escape(shown), _number(value), bounds)
    for share, value in (found.metrics.get("residual_quantiles") or {}).items():
        table.add_row(f"residual, quantile {share}", _number(value), "")
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 100)
    title = f"{run.title} ({name}): {len(found.rows):,} rows, the best weights of {run.folder}"
    console.print(title, style="bold", highlight=False, soft_wrap=True)
    console.print(table)
    if run.spec.num_classes == 2:
        second = run.spec.target.classes[1]
        console.print(f"predicted as {second} from a probability of {run.threshold:.3f}", highlight=False, markup=False)
    for key in ("per_class", "per_label", "per_target"):
        if key in found.metrics:
            _show_each(console, found.metrics[key])


def _show_each(console: Any, each: Mapping[str, Mapping[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    columns = [c for c in SHOWN if any(c in values for values in each.values())]
    table = Table("")
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
