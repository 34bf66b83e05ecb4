"""Run folders: making, finding and reading them. No torch here: a wrong RUN is told at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, final

import yaml

from nnkit.config.origin import NEWEST
from nnkit.config.plain_yaml import LARGEST, parsed
from nnkit.config.schema import Config, to_plain
from nnkit.config.sections.model import network_of
from nnkit.config.synonyms import nearest
from nnkit.config.whole import SETTINGS, cut_short
from nnkit.errors import CheckpointError, ConfigError, DataError, FolderInUseError, StorageError
from nnkit.links import Links, refuse_links
from nnkit.lock import LOCK_NAME, is_locked
from nnkit.secrets import redacted
from nnkit.storage import json_bytes, make_folder, read_bytes, read_json, reporting, write_bytes

CONFIG, RUN, SWEEP, CHECKPOINTS, PREPROCESS = "config.yaml", "run.json", "sweep.json", "checkpoints", "preprocess.json"
PREPROCESS_SUM = "preprocess_sha256"  # in run.json
DATA, CV, JOURNAL = "data.json", "cv.json", "journal.jsonl"  # the journal is a sweep's
FINISHED = ("completed", "stopped_early", "pruned")  # statuses of a run that has nothing left to do
FORMAT = 2  # 1: the fingerprint of the data left out its parts, and preprocess.json told less
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml's, where pyyaml was built with it
MLFLOW = "mlruns"  # MLflow's folder among those of the runs, with many of its own
SWEEPS, FOLDS = "sweep-", "fold-"  # how the folders of sweeps and of folds begin


@final
class DamagedConfigError(ConfigError):
    """A run's config.yaml is not what was written: nobody has mistyped anything."""

    exit_code = CheckpointError.exit_code


@final
class DamagedRecordError(DataError):
    """A run's run.json is not what was written."""

    exit_code = CheckpointError.exit_code


def default_name(config: Config) -> str:
    """Return the run's name: the user's, or <model>-<data>."""
    return config.name or f"{network_of(config.model)}-{config.data.kind}"


def fold_name(number: int) -> str:
    """Return the name of a fold's folder, which lies in that of its run."""
    return f"fold-{number}"


def timestamp() -> str:
    """Return the time of day with microseconds, as a folder's name."""
    return datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")


def new_folder(config: Config) -> Path:
    """Make the folder of a new run: <output_dir>/<name>/<time>. Raises: StorageError."""
    folder = (Path(config.output_dir).expanduser() / default_name(config) / timestamp()).absolute()
    make_folder(folder)
    return folder


def write_config(folder: Path, config: Config) -> None:
    """Write config.yaml: plain data that `yaml.safe_load` reads. Raises: StorageError."""
    write_bytes(folder / CONFIG, config_bytes(config))


def config_bytes(config: Config) -> bytes:
    """Return the content of config.yaml."""
    return yaml.dump(to_plain(config), Dumper=_DUMPER, sort_keys=False, allow_unicode=True).encode()


def read_config(folder: Path, parse: Callable[[bytes], Any] | None = None) -> dict[str, Any]:
    """Return the values of a run's config.yaml, not checked.

    Args:
        folder: of the run.
        parse: returns what YAML holds, and raises what `parsed` raises, for a list of runs, which need not be whole;
            `parsed` by default.

    Raises:
        ConfigError: it is missing.
        DamagedConfigError: it is not what was written.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ConfigError(f"{folder} has no {CONFIG}", hint="is this a run folder?")
    hint = f"{folder / RUN} keeps the command that it was begun with"
    try:
        data = read_bytes(path, LARGEST)
        values = (parse or parsed)(data)
    except (StorageError, yaml.YAMLError, ValueError, RecursionError, AttributeError) as error:
        raise DamagedConfigError(
            f"{path} is damaged, it cannot be read: {reason_of(error, path)}", hint=hint
        ) from error
    if not isinstance(values, dict):
        raise DamagedConfigError(f"{path} is damaged: it holds no settings", hint=hint)
    if parse is None and (cut := cut_short(values, data, _kept_of(folder))) is not None:
        raise DamagedConfigError(f"{path} is damaged: {cut}", hint=hint)
    return values


def reason_of(error: Exception, path: Path) -> str:
    """Return in one line why a file cannot be read, for a message that has named it already."""
    return " ".join(str(error).split()).removeprefix(f"cannot read {path}: ")


def _kept_of(folder: Path) -> object:
    """Return what run.json keeps of config.yaml; None where it is missing, torn, or of before."""
    try:
        return dict(read_json(folder / RUN)).get(SETTINGS)
    except (StorageError, ValueError, TypeError, RecursionError):
        return None


def write_run(folder: Path, facts: dict[str, Any]) -> None:
    """Write run.json. Raises: StorageError."""
    write_bytes(folder / RUN, run_bytes(facts))


def run_bytes(facts: dict[str, Any]) -> bytes:
    """Return the content of run.json; an error, or its hint, that names a secret is kept without it."""
    said = {name: redacted(str(facts[name])) for name in ("error", "hint") if name in facts}
    return json_bytes({"format": FORMAT, **facts, **said})


def read_facts(folder: Path) -> dict[str, Any]:
    """Return run.json as it was written.

    Raises:
        DataError: it is missing, or of a newer format.
        DamagedRecordError: it is not what was written.
    """
    path = folder / RUN
    hint = f"put it back; or, where the run was stopped as it began: nnkit resume {folder}"
    if not path.is_file():
        raise DataError(f"{path} cannot be read: it is not there", hint=hint)
    try:
        facts = dict(read_json(path))
        if facts["format"] > FORMAT:
            raise DataError(
                f"{path} has format {facts['format']}, newer than this nnkit's {FORMAT}", hint="update nnkit"
            )
        if not isinstance(facts["status"], str):
            raise ValueError(f"its status is {facts['status']!r}")
    except (StorageError, ValueError, KeyError, TypeError, RecursionError) as error:
        told = f"{path} is damaged, it cannot be read: {reason_of(error, path)}"
        raise DamagedRecordError(told, hint=hint) from error
    return facts


def begun(folder: Path) -> dict[str, Any]:
    """Return run.json of a run that may have been stopped before it was written: nothing where it is missing or torn.

    Raises:
        DataError: it is of a newer format.
    """
    try:
        dict(read_json(folder / RUN))["format"]
    except (StorageError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return read_run(folder)


def read_run(folder: Path) -> dict[str, Any]:
    """Return run.json; its status is "lost" when the run should be alive but nobody holds its lock.

    Raises:
        DataError: it is missing, damaged, or of a newer format.
    """
    facts = read_facts(folder)
    return {**facts, "status": status_now(folder, facts["status"])}


def status_now(folder: Path, status: str) -> str:
    """Return a run's status, "lost" in place of a "running" whose lock nobody holds."""
    try:
        return "lost" if status == "running" and not is_locked(folder) else status
    except StorageError:  # somebody else's lock, which we may not even look at
        return status


@final
@dataclass(frozen=True, slots=True)
class Place:
    """A folder in which a run or a sweep was found.

    Attributes:
        path: of the folder.
        kind: a trial stands in a sweep, a fold in a run.
        above: the folder of the sweep or run that it is part of; empty for one that stands for itself.
        signature: times and sizes of its files; as long as they are the same, so is what they hold.
    """

    path: str
    kind: Literal["run", "sweep", "trial", "fold"]
    above: str
    signature: tuple[int, ...]


def walk(root: Path) -> Iterator[Place]:
    """Yield the runs and sweeps in a folder, itself among them, without looking into what they hold.

    Below a run only its folds are looked for. Links to folders and hidden folders are passed over.
    """
    waiting: list[tuple[str, str, bool]] = [(str(root), "", False)]  # path, what it is part of, is that a run?
    while waiting:
        path, above, is_fold = waiting.pop()
        try:
            with os.scandir(path) as listed:
                entries = {entry.name: entry for entry in listed}
        except OSError:  # gone meanwhile, or not ours to read
            continue
        is_run = RUN in entries or (CONFIG in entries and LOCK_NAME in entries)
        is_named = path.rpartition("/")[2].startswith(SWEEPS)
        is_sweep = not is_run and (SWEEP in entries or JOURNAL in entries or is_named)
        if is_run:
            kind: Literal["run", "trial", "fold"] = "fold" if is_fold else "trial" if above else "run"
            yield Place(path, kind, above, _signature(entries, RUN, CONFIG))
        elif is_sweep:
            yield Place(path, "sweep", "", _signature(entries, SWEEP))
        part_of = path if is_run or is_sweep else above
        for name, entry in entries.items():
            if (
                not name.startswith(".")
                and name != MLFLOW
                and (name.startswith(FOLDS) or not is_run)
                and _is_folder(entry)
            ):
                waiting.append((f"{path}/{name}", part_of, is_run))


def _signature(entries: dict[str, os.DirEntry[str]], *names: str) -> tuple[int, ...]:
    found: list[int] = []
    for name in names:
        try:
            stat = entries[name].stat()
            found += (stat.st_mtime_ns, stat.st_size)
        except (KeyError, OSError):
            found += (0, 0)
    return tuple(found)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


@final
@dataclass(frozen=True, slots=True)
class Found:
    """A run folder and what its run.json says."""

    folder: Path
    facts: dict[str, Any]


def find_runs(output_dir: Path) -> Sequence[Found]:
    """Return every readable run below a folder, the newest last; the folds of a run are a part of it."""
    found = []
    for place in walk(output_dir):
        if place.kind in ("run", "trial"):
            try:
                found.append(Found(Path(place.path), read_run(Path(place.path))))
            except DataError:
                continue
    return sorted(found, key=lambda run: str(run.facts.get("started", "")))


def find_run(word: str, output_dir: Path, links: Links = "refused") -> Path:
    """Return the run folder that RUN on the command line names.

    Args:
        word: a run folder, a sweep folder (its best run), either also as `nnkit runs` shows it, relative to
            `output_dir`; or "last" (the newest below `output_dir`; after a sweep its best run).
        output_dir: where "last" looks.
        links: out of the folder, whether they are refused.

    Raises:
        ConfigError: it names no run, or one that leads elsewhere.
        FolderInUseError: it is just starting, or is a sweep of which no trial has ended.
    """
    if word == NEWEST:
        runs = find_runs(output_dir)
        if not runs:
            raise ConfigError(f"there is no run in {output_dir}", hint="nnkit train")
        newest = _of_sweep(runs[-1]).absolute()
        refuse_links(newest, links)
        return newest
    folder = Path(word).absolute()
    with reporting("read", folder):  # a name that is too long, a folder of somebody else
        if not folder.exists() and (output_dir / word).is_dir():
            folder = (output_dir / word).absolute()
        if (folder / CONFIG).is_file():
            refuse_links(folder, links)
            return folder
        if (folder / JOURNAL).is_file() and not (folder / SWEEP).is_file():
            raise _no_trial(folder)
        if (folder / SWEEP).is_file():
            best = _best_trial(folder)
            refuse_links(best, links)
            return best
        hint = _hint_at_runs(folder)
    raise ConfigError(f"{word} is not a run folder: it has no {CONFIG}", hint=hint)


def _of_sweep(newest: Found) -> Path:
    """Return the best trial of the sweep that a run has ended in, or the run itself."""
    sweep = newest.folder.parent
    if newest.facts["status"] in (*FINISHED, "failed") and (sweep / SWEEP).is_file():
        return _best_trial(sweep)
    return newest.folder


def _best_trial(folder: Path) -> Path:
    try:
        best = dict(read_json(folder / SWEEP)).get("best")
    except (StorageError, ValueError, TypeError) as error:
        raise ConfigError(f"{folder / SWEEP} cannot be read: {error}") from error
    if best is None:
        raise _no_trial(folder)
    if str(best) != Path(str(best)).name or str(best) in ("", ".", ".."):
        raise ConfigError(f"{folder / SWEEP} names a trial outside of its folder: {best!r}")
    return folder / str(best)


def _is_in_use(folder: Path) -> bool:
    try:
        return is_locked(folder)
    except StorageError:  # somebody else's lock, which we may not even look at
        return False


def _no_trial(folder: Path) -> ConfigError | FolderInUseError:
    """Return the error of a sweep whose first trial has not ended."""
    if _is_in_use(folder):
        return FolderInUseError(f"the sweep {folder} runs, and has no finished trial yet", hint="wait for it")
    return ConfigError(f"the sweep {folder} has no finished trial", hint=f"nnkit resume {folder}")


def _hint_at_runs(folder: Path) -> str:
    """Name a run that is near: around a folder or file, or the newest of those directly below.

    Raises:
        FolderInUseError: it is a run, or a sweep, that is just starting.
    """
    if _is_in_use(folder):
        raise FolderInUseError(f"{folder} is in use: what it shall hold is just starting", hint="wait for it")
    if (folder / LOCK_NAME).is_file():
        return "it was stopped before anything had begun: the same words start it"
    around = next((path for path in folder.parents if (path / CONFIG).is_file()), None)
    if around is not None:
        return f"did you mean {around}?"
    below = sorted(path.parent for path in folder.glob(f"*/{RUN}"))
    if below:
        return f"it holds runs: {below[-1]}"
    near = nearest(folder.name, [path.name for path in Path("outputs").glob("*/")])
    if nearest(folder.name, [NEWEST]):
        return "did you mean last?"
    return f"did you mean outputs/{near}?" if near else "last, or a folder below outputs/"
