"""`nnkit runs show RUN`: what a run is and how it went, from its folder alone."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from nnkit.catalog.compare import typed_words
from nnkit.catalog.entry import changed, kept
from nnkit.catalog.index import progress
from nnkit.cli.messages import note, printable
from nnkit.cli.report import shown
from nnkit.cli.runs.table import show_json, show_pairs, show_table, spelled
from nnkit.cli.runs.words import Asked, sweep_of
from nnkit.cli.words import LAST, read_command
from nnkit.config.identity import decisive
from nnkit.config.origin import flatten
from nnkit.errors import CheckpointError, ConfigError, StorageError
from nnkit.runs import CHECKPOINTS, DATA, FINISHED, read_config, read_run
from nnkit.storage import read_bytes, read_json
from nnkit.way_on import line_on

PARTS = ("train", "val", "test", "baseline")
DAMAGED = "(damaged)"
FILES = ("metrics.jsonl", "run.log", "plots/*", "evaluation-*.json", "predictions-*.csv", "*.onnx", "*.pt2")


def command(argv: list[str]) -> int:
    """Show a run, and return the exit code."""
    read = read_command(argv, command="runs show", flags=("json",), valued=(), short={})
    asked = Asked.of(read)
    if len(asked.words) > 1:
        raise ConfigError(f"show takes one run, got {' '.join(asked.words)}", hint="nnkit runs diff RUN RUN")
    folder = asked.run(asked.words[0] if asked.words else LAST)
    if (sweep := sweep_of(folder)) is not None:
        note(f"a trial of the sweep {sweep}; nnkit runs ls {sweep} lists all")
    values = read_config(folder)
    facts = read_run(folder)
    facts = {**progress(folder), **facts}
    words = typed_words(values)
    warnings, cause = _warnings(folder), _cause(folder) if "error" in facts else ""
    if "json" in read.flags:
        told = {"folder": str(folder), **facts, "words": words, "warnings": warnings, "cause": cause}
        show_json({**told, "files": [str(path) for path in _files(folder)], "settings": values})
        return 0
    print(_title(facts))
    show_pairs({name: printable(text) for name, text in _told(folder, facts, values, words, cause).items()})
    _show_metrics(facts)
    for text in warnings:
        print(f"warning: {printable(text)}")
    return 0


def _title(facts: Mapping[str, Any]) -> str:
    reason = f" ({facts['reason']})" if "reason" in facts else ""
    epochs, steps = facts.get("epochs"), facts.get("steps")
    after = "" if epochs is None else f" after {epochs} epochs" + ("" if steps is None else f", {steps} steps")
    return printable(f"{facts.get('title', 'a run')}: {str(facts['status']).replace('_', ' ')}{reason}{after}")


def _told(folder: Path, facts: Mapping[str, Any], values: Any, words: list[str], cause: str) -> dict[str, str]:
    """Return what there is to say, by what it is about."""
    ran, rows, best = _dict(facts, "versions"), _dict(facts, "rows"), _dict(facts, "best")
    error = str(facts.get("error", ""))
    precision = f" in {facts['precision']}" if "precision" in facts else ""  # older runs have it in config.yaml alone
    place = [f"{facts.get('device')}{precision}, {facts.get('threads')} thread(s)"] if "device" in facts else []
    commit = [f"git {str(facts['git_commit'])[:12]}"] if facts.get("git_commit") else []
    resumed, weights = facts.get("resumed"), _weights(folder)
    return {
        "folder": str(folder),
        "started": _time(facts),
        "typed": str(facts.get("command", "")),
        "settings": shlex.join(["nnkit", "train", *words]),
        "changed": _changed(facts, values),
        "tags": ", ".join(map(str, tags)) if isinstance(tags := values.get("tags"), list) else "",
        "data": ", ".join(f"{spelled(count)} {part}" for part, count in rows.items()),
        "network": f"{facts['parameters']:,} parameters" if isinstance(facts.get("parameters"), int) else "",
        "on": ", ".join([*place, *(f"{name} {version}" for name, version in ran.items()), *commit]),
        "resumed": f"{len(resumed)} time(s)" if isinstance(resumed, list) else "",
        "best": f"{best.get('monitor')} {spelled(best.get('value'))} in epoch {best.get('epoch')}" if best else "",
        "error": error,
        "cause": "" if error and error in cause else cause,
        "weights": weights,
        "files": ", ".join(path.relative_to(folder).as_posix() for path in _files(folder)),
        "go on": _go_on(folder, facts, values, weights),
        "use": f"nnkit eval {folder}" if facts["status"] in FINISHED and DAMAGED not in weights else "",
    }


def _changed(facts: Mapping[str, Any], values: Any) -> str:
    """Return the settings that changed on the way, beside the step of the best weights; limits and places stay out."""
    counted = decisive(dict(flatten(values)))
    told = [f"{key}: {text}" for key, text in changed(facts).items() if key in counted]
    step = _dict(facts, "best").get("step")
    return "; ".join([*told, *([f"the best is of step {step}"] if told and step is not None else [])])


def _dict(facts: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return a part of run.json; an empty one where it is not what it should be."""
    found = facts.get(key)
    return found if isinstance(found, dict) else {}


def _time(facts: Mapping[str, Any]) -> str:
    """Return when a run started, and how long it took."""
    started, ended = str(facts.get("started", "")), str(facts.get("ended", ""))
    told = [started[:19].replace("T", " ")] if started else []
    with suppress(ValueError, TypeError):  # it has not ended; a time with a zone, and one without
        told.append(f"took {(datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds():.1f} s")
    seconds, speed = facts.get("seconds"), facts.get("samples_per_second")
    if isinstance(seconds, (int, float)):
        told.append(f"{seconds:.1f} s of it training")
    return ", ".join([*told, *([f"{speed:,.0f} samples/s"] if isinstance(speed, (int, float)) else [])])


def _go_on(folder: Path, facts: Mapping[str, Any], values: Any, weights: str) -> str:
    """Return what goes on with a run, or makes its damaged weights again; empty where nothing does."""
    status = facts["status"]
    if status == "failed":
        code = facts.get("exit_code")
        return line_on(folder, values, code if isinstance(code, int) else None)
    if status in FINISHED and DAMAGED in weights:
        from nnkit.train.checkpoints import newest

        with suppress(CheckpointError):
            newest(folder / CHECKPOINTS)
            return f"nnkit resume {folder}"
    return f"nnkit resume {folder}" if status in ("interrupted", "lost") else ""


def _weights(folder: Path) -> str:
    """Return the file of the best weights, and whether it is damaged; empty before the first checkpoint."""
    try:
        step = read_json(folder / CHECKPOINTS / "best")["step"]
        path = folder / CHECKPOINTS / f"step-{int(step):08d}" / "model.safetensors"
    except (StorageError, ValueError, KeyError, TypeError, OverflowError):
        return DAMAGED if (folder / CHECKPOINTS / "best").exists() else ""
    name = path.relative_to(folder).as_posix()
    try:
        wanted = read_json(path.with_name("manifest.json"))["sha256"][path.name]
        is_whole = hashlib.sha256(read_bytes(path)).hexdigest() == wanted
    except (StorageError, ValueError, KeyError, TypeError):
        is_whole = False
    return name if is_whole else f"{name} {DAMAGED}"


def _files(folder: Path) -> list[Path]:
    return [path for pattern in FILES for path in sorted(folder.glob(pattern))]


def _warnings(folder: Path) -> list[str]:
    """Return what the look at the data found."""
    try:
        found = read_json(folder / DATA)["warnings"]
        return [str(warning["text"]) for warning in found]
    except (StorageError, ValueError, KeyError, TypeError):
        return []


def _cause(folder: Path) -> str:
    """Return the last line of run.log: of a failed run the last one of its traceback, without the time before it."""
    try:
        lines = read_bytes(folder / "run.log").decode(errors="replace").rstrip().splitlines()
    except StorageError:
        return ""
    return lines[-1][20:].strip() if lines else ""


def _show_metrics(facts: Mapping[str, Any]) -> None:
    metrics = kept(facts).get("metrics", {})
    names = list(dict.fromkeys(name.partition("/")[2] for name in metrics))
    rows = [[part, *(shown(metrics.get(f"{part}/{name}")) for name in names)] for part in PARTS]
    if rows := [row for row in rows if any(row[1:])]:
        show_table(["", *map(printable, names)], rows, left=("",))
