"""`nnkit resume RUN [words]`: go on with a run, from its folder alone."""

from __future__ import annotations

import copy
import shlex
from collections.abc import Iterator
from contextlib import chdir, contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from nnkit.cli.damage import damaged
from nnkit.cli.messages import note, note_overruled, show_usage
from nnkit.cli.way_on import telling_way_on
from nnkit.cli.words import LAST, OUTPUT_DIR, run_folder
from nnkit.command import Command
from nnkit.config.check import check, check_written
from nnkit.config.fields import leaf_of, leaves, sections
from nnkit.config.identity import LIMITS
from nnkit.config.marks import Resume
from nnkit.config.options import PRIMARY, search_dirs
from nnkit.config.origin import COMMAND_LINE, Composed
from nnkit.config.schema import Config, to_plain
from nnkit.config.sections.sweeper import often_changed
from nnkit.config.sent import without_wishes, word_problems
from nnkit.config.suggest import spell
from nnkit.config.synonyms import nearest
from nnkit.config.trackers import refuse_missing, refuse_places
from nnkit.errors import ConfigError, Problem, StorageError
from nnkit.links import Links, refuse_links
from nnkit.lock import FolderLock
from nnkit.runs import CONFIG, FINISHED, JOURNAL, SWEEP, begun, find_runs, read_config
from nnkit.storage import read_json
from nnkit.usercode import refuse_untrusted

if TYPE_CHECKING:
    from nnkit.sweep.plan import Plan
    from nnkit.train.sink import Sink

USAGE = """\
usage: nnkit resume RUN [section.setting=value ...] [--allow KEY]... [--trust]
       nnkit resume SWEEP [hydra.sweeper.trials=N ...] [--retry-failed] [--trust]

RUN is a run folder, or last (the newest below outputs/ or output_dir=FOLDER; the sweep, if that has trials left).
The run goes on as if it had never stopped; one that was stopped before its first save starts anew.
Limits, device and plots may change freely (nnkit resume last trainer.max_epochs=200). What changes the maths of the
steps to come needs --allow KEY; what would make it another run, or change nothing any more, is refused; so is another
output_dir: the run stays in its folder. One that has ended, and whose best weights are damaged since, is trained again
from an older checkpoint to the same end.
SWEEP is the folder of a sweep: trials that have not ended go on, those that have are left alone; --retry-failed starts
those that failed anew.
--trust: the run names code of its own, or trackers that send it elsewhere, or has links out of its folder, and you know
where it is from."""
TRUST, RETRY = "--trust", "--retry-failed"


def command(argv: list[str]) -> int:
    """Go on with a run as the words say, and return the exit code."""
    if not argv or "--help" in argv or "-h" in argv:
        return show_usage(USAGE, argv)
    note_overruled(argv)
    sweeps = {word: place for word in argv if (place := _sweep_at(word)) is not None}
    for word, place in sweeps.items():
        return _resume_sweep(place.absolute(), [other for other in argv if other != word])
    last = _unfinished_sweep(argv)
    if last is not None:
        return _resume_sweep(last, [word for word in argv if word != LAST and not word.startswith(OUTPUT_DIR)])
    of_sweeps = [word for word in argv if word == RETRY or word.lstrip("+").startswith(("hydra.", "hydra/"))]
    run, words, allowed = _read_words([word for word in argv if word not in (TRUST, *of_sweeps)])
    links: Links = "followed" if TRUST in argv else "refused"
    folder = run_folder(run, str(words.pop("output_dir", "outputs")) if run == LAST else None, links)
    if of_sweeps:
        raise ConfigError(_not_a_sweep(folder, argv, of_sweeps))
    with FolderLock(folder):
        values = read_config(folder)
        if TRUST not in argv:
            refuse_untrusted(values, folder)
            values, unused = without_wishes(values, folder)
            for text in () if "data.cache" in words else unused:
                note(text)
        facts = begun(folder)
        with _telling_of_file(values, folder / CONFIG):
            config, changes = changed_config(values, words, allowed, _over(facts, words))
        if TRUST not in argv:
            refuse_places(to_plain(config), folder)
        refuse_missing(config)
        damage = damaged(folder, config) if not changes and facts.get("status") in FINISHED else None
        asked = {**changes, **{key: word for key, word in words.items() if key.startswith("tracker.")}}  # to be told
        if damage is None and (told := _nothing_to_do(facts, asked, config.model.kind)) is not None:
            note(told)
            print(folder)
            return 0
        others = (word for word in argv if word != run and not (run == LAST and word.startswith(OUTPUT_DIR)))
        typed = Command.here("resume", str(folder), *others)  # by then another run may be the last
        return _go_on(folder, config, changes, typed, facts if damage else None)


def _go_on(folder: Path, config: Config, changes: dict[str, Any], typed: Command, ended: dict[str, Any] | None) -> int:
    """Go on with a run; one that had `ended`, and whose weights are damaged since, ends where it had."""
    from nnkit.cli.folds import train_folds
    from nnkit.cli.train import report
    from nnkit.run import resume
    from nnkit.track.console import Picks, ProgressBar
    from nnkit.train.stopping import catching_signals, never, until

    sinks: list[Sink] = [Picks(), ProgressBar()]
    with catching_signals() as signals, telling_way_on(folder, config):
        if config.cv.is_on:
            result = train_folds(config, folder, sinks, signals, changes=changes, command=typed)
        else:
            stop = never if ended is None else until(int(ended.get("steps", 0)), str(ended.get("reason")))
            test = ended is None or any(str(name).startswith("test/") for name in ended.get("metrics", {}))
            result = resume(config, folder, sinks, signals, changes=changes, command=typed, stop=stop, test=test)
    return report(result, signals.number, config)


def _sweep_at(word: str) -> Path | None:
    """Return the sweep that a word names: its folder, also relative to outputs/, or its name; None for none."""
    places = [Path(word), Path("outputs") / word, Path("outputs") / word / "sweep"]
    try:
        return next((place for place in places if (place / JOURNAL).is_file()), None)
    except OSError:  # no name of a file
        return None


def _unfinished_sweep(argv: list[str]) -> Path | None:
    """Return the sweep that `last` means, where it has trials left; None for any other run."""
    if LAST not in argv:
        return None
    places = [word.removeprefix(OUTPUT_DIR) for word in argv if word.startswith(OUTPUT_DIR)]
    runs = find_runs(Path(places[-1] if places else "outputs").expanduser())
    sweep = runs[-1].folder.parent.absolute() if runs else Path()
    if not (sweep / JOURNAL).is_file():
        return None
    try:
        facts = read_json(sweep / SWEEP)
        left = facts["planned"] - sum(trial["status"] in (*FINISHED, "failed") for trial in facts["trials"])
    except (StorageError, ValueError, KeyError, TypeError):  # it was stopped before its first trial had ended
        return sweep
    return sweep if left > 0 else None


def _resume_sweep(folder: Path, words: list[str]) -> int:
    """Go on with a sweep, from the words that it was begun with, and return the exit code. Raises: ConfigError."""
    from nnkit.cli.flags import Flags
    from nnkit.cli.train import sweep
    from nnkit.sweep.journal import read_plan

    flags = [word for word in words if word in (TRUST, RETRY)]
    settings = [word.lstrip("+") for word in words if word.lstrip("+").startswith("hydra.sweeper.")]
    wrong = [word for word in words if word not in flags and word.lstrip("+") not in settings]
    refuse_links(folder, "followed" if TRUST in flags else "refused")
    plan = read_plan(folder)
    if wrong:
        listed = ", ".join(f"hydra.sweeper.{name}=N" for name in often_changed(plan.sweeper))
        hint = f"{listed}, --retry-failed; a trial goes on by its own folder"
        raise ConfigError(*(Problem(f"{word} cannot change in a sweep that has begun", hint) for word in wrong))
    if TRUST not in flags:
        _refuse_words(plan, folder)
    place = Path(plan.folder)
    if not place.is_dir():
        raise ConfigError(f"the sweep was begun in {place}, which is not there", hint="the words may name files in it")
    named = {word.partition("=")[0] for word in settings}
    kept = [word for word in plan.words if word.partition("=")[0] not in named]
    retry = ["hydra.sweeper.retry_failed=true"] if RETRY in flags else []
    if plan.is_tuning:
        note("the time begins anew; hydra.sweeper.timeout_s=SECONDS sets another")
    with chdir(place):
        read = Flags(
            words=[*kept, *settings, *retry],
            own={"--multirun", *({TRUST} & set(flags))},
            config_name=plan.config_name,
            config_dirs=[Path(path) for path in plan.config_dirs],
        )
        return sweep(read, folder, is_tuning=plan.is_tuning)


def _refuse_words(plan: Plan, folder: Path) -> None:
    """Refuse words of a sweep that would run programs, or take options from elsewhere. Raises: ConfigError."""
    problems = word_problems(dict(word.lstrip("+").partition("=")[::2] for word in plan.words), folder)
    hint = "if you know where it is from: --trust"
    if plan.config_dirs or plan.config_name != Path(PRIMARY).stem:
        named = ", ".join([*plan.config_dirs, *([plan.config_name] if plan.config_name != Path(PRIMARY).stem else [])])
        problems.append(Problem(f"the sweep was begun with configs of its own, {named} (in {folder})", hint))
    if not Path(plan.folder).is_absolute():
        problems.append(Problem(f"{folder} says that it was begun in {plan.folder}, which is no absolute path", hint))
    problems += [Problem(f"{text} (in {folder})", hint) for text in _taken_there(Path(plan.folder), folder)]
    if problems:
        raise ConfigError(*problems)


def _taken_there(place: Path, folder: Path) -> Iterator[str]:
    """Yield why ./configs of the place that a sweep names would be somebody else's: it is a stranger who names it."""
    real, here = place.resolve(), Path.cwd().resolve()
    if real.is_relative_to(folder.resolve()):
        yield f"the sweep says that it was begun in {place}, which lies in its own folder"
    elif real != here and (real / "configs").is_dir() and len(search_dirs([real / "configs"])) > len(search_dirs()):
        yield f"the sweep would take options from {real / 'configs'}; go there (cd {real}) if they are yours"


def _not_a_sweep(folder: Path, argv: list[str], of_sweeps: list[str]) -> Problem:
    """Return the problem of words that are for a sweep beside a run, which may be a trial of one."""
    taken = [word for word in of_sweeps if word == RETRY or word.lstrip("+").startswith("hydra.sweeper.")]
    is_trial = bool(taken) and (folder.parent / JOURNAL).is_file()
    words = [str(folder.parent), *taken] if is_trial else [word for word in argv if word not in of_sweeps]
    text = f"{', '.join(of_sweeps)}: for a sweep alone, but {folder} is a run{' of one' if is_trial else ''}"
    return Problem(text, shlex.join(["nnkit", "resume", *words]))


def _over(facts: dict[str, Any], words: dict[str, Any]) -> tuple[str, str] | None:
    """Return why no step of a run is left, and the limit that has ended it; None where one may be left."""
    if not facts or facts["status"] not in FINISHED or any(key in LIMITS for key in words):
        return None
    reason = f"trainer.{facts.get('reason')}"
    return _ended(facts), reason if reason in LIMITS else "trainer.max_epochs"


def _ended(facts: dict[str, Any]) -> str:
    return f"the run has ended ({facts.get('reason')}) after {facts.get('epochs')} epochs"


def _nothing_to_do(facts: dict[str, Any], changes: dict[str, Any], model: str) -> str | None:
    """Return why there is nothing to go on with; None where there is something."""
    if facts.get("reason") == "folds":
        return "all folds of the run have ended, and without a network of its own there is nothing to go on with"
    if facts.get("reason") == "nothing_to_learn":
        return f"model={model} has nothing to learn: the run has ended, and there is nothing to go on with"
    if not facts or facts["status"] not in FINISHED or changes:
        return None
    if facts["status"] == "pruned":
        return "the run was pruned by its sweep; raise trainer.max_epochs to train it to its end all the same"
    limit = "trainer.patience" if facts["status"] == "stopped_early" else "trainer.max_epochs"
    return f"{_ended(facts)}; raise {limit} to go on"


def _read_words(argv: list[str]) -> tuple[str, dict[str, Any], set[str]]:
    run: str | None = None
    words: dict[str, Any] = {}
    allowed: set[str] = set()
    problems, left = [], list(argv)
    while left:
        word = left.pop(0)
        key, equals, value = word.partition("=")
        if word.startswith("--allow"):
            allowed.add(value if equals else left.pop(0) if left else "")
        elif word.startswith("-"):
            problems.append(Problem(f"{word} is not a flag of resume", "nnkit resume --help"))
        elif equals and not Path(word).is_dir():  # the folder of a trial has its settings in its name
            words[key.lstrip("+")] = _value(value)
        elif run is None:
            run = word
        else:
            problems.append(Problem(f"{word} is not of the form key=value", f"one run at a time: {run}"))
    if run is None:
        problems.append(Problem("resume needs a run", "nnkit resume last"))
    if problems:
        raise ConfigError(*problems)
    return str(run), words, allowed


def _value(text: str) -> Any:
    """Return a word's value as the command line of train has it: YAML, with 1e-3 being a number, and no dates."""
    if "e" in text.lower() and text.lower().strip("0123456789.+-e") == "":
        with suppress(ValueError):
            return float(text)
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return text
    return text if isinstance(found, date) else found


@contextmanager
def _telling_of_file(values: dict[str, Any], path: Path) -> Iterator[None]:
    """Name a run's file in what is wrong with its values, beside what is wrong with words. Raises: ConfigError."""
    try:
        yield
    except ConfigError as error:
        try:
            check_written(values, path)
        except ConfigError as written:
            of_file = {problem.text.removeprefix(f"{path}: "): problem for problem in written.problems}
            raise ConfigError(*(of_file.get(problem.text, problem) for problem in error.problems)) from None
        raise


def changed_config(
    values: dict[str, Any], words: dict[str, Any], allowed: set[str], over: tuple[str, str] | None = None
) -> tuple[Config, dict[str, Any]]:
    """Return a run's config with the words applied, and what differs.

    Args:
        values: of the run's config.yaml.
        words: settings by key.
        allowed: keys whose change of the maths the user has allowed.
        over: why no step is left to train, and the limit that has ended the run; None where one may be left.

    Raises:
        ConfigError: config.yaml or a word is wrong, or a setting may not change.
    """
    whole = [key for key in words if key in sections()]
    if whole:
        hints = {"tracker": "tracker.NAME.use=true or false; nnkit list tracker"}
        texts = (
            Problem(f"{key} cannot change in a run that has begun", hints.get(key, "nnkit train starts a new run"))
            for key in whole
        )
        raise ConfigError(*texts)
    changed = copy.deepcopy(values)
    for key, value in words.items():
        _set(changed, key, value)
    config = check(Composed(changed, typed=dict.fromkeys(words, COMMAND_LINE)))
    known, problems, differing = leaves(changed), [], {}
    for key, value in words.items():
        old = _at(values, key)
        if value == old:
            continue
        differing[key] = value
        shown = f"{key}: {spell(old)} -> {spell(value)}"
        mark = leaf_of(known, key).mark
        if key in ("name", "output_dir"):
            problems.append(Problem(f"{key} cannot change: the run stays in its folder ({shown})"))
        elif mark is Resume.FIXED:
            problems.append(
                Problem(f"{key} cannot change in a run that has begun ({shown})", "nnkit train starts a new run")
            )
        elif config.cv.is_on and (mark is Resume.OVERRIDE or key in LIMITS):
            text = f"{key} cannot change: the folds that have ended were trained with another ({shown})"
            problems.append(Problem(text, "nnkit train starts a new run"))
        elif mark is Resume.OVERRIDE and key not in allowed:
            problems.append(_unallowed(key, shown, over))
    for key in allowed - set(differing):
        named = next((other for other in differing if other.rpartition(".")[2] == key), nearest(key, differing))
        hint = f"did you mean --allow {named}?" if named else "--allow KEY stands beside KEY=VALUE"
        problems.append(Problem(f"--allow {key or '…'} names nothing that changes", hint))
    if problems:
        raise ConfigError(*problems)
    return config, differing


def _unallowed(key: str, shown: str, over: tuple[str, str] | None) -> Problem:
    """Return the problem of a setting that changes the maths, where there are steps that it can change."""
    from nnkit.changes import OF_THE_MEASURES

    if over is None or key in OF_THE_MEASURES:
        return Problem(f"{key} changes the maths of the run ({shown})", f"--allow {key}")
    told, limit = over
    text = f"{key} would change nothing: no step is left to train, {told} ({shown})"
    return Problem(text, f"--allow {key} and a higher {limit}")


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a key of nested settings. Raises: ConfigError where it lies within a plain value."""
    *path, name = key.split(".")
    for part in path:
        inner = values.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{key} is not a setting: {part} is {spell(inner)}", hint="nnkit list")
        values = inner
    values[name] = value


def _at(values: dict[str, Any], key: str) -> Any:
    found: Any = values
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
