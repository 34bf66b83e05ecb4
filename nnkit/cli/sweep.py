"""What `nnkit train -m` does once Hydra has read the words: check all, train all, one table."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, final

from nnkit.cli.messages import note, warn
from nnkit.config.check import check
from nnkit.config.compose import foreign_code
from nnkit.config.cross import METRICS, Objective, better_at, monitors
from nnkit.config.fields import hints
from nnkit.config.marks import Resume
from nnkit.config.options import find_groups
from nnkit.config.points import bases, points, probes
from nnkit.config.schema import Config
from nnkit.config.sections.metric import CodeMetricConfig
from nnkit.config.sections.sweeper import SWEEPERS, BayesConfig, SweepConfig
from nnkit.config.space import Combination, Space
from nnkit.config.suggest import spell
from nnkit.config.sweeper import sweeper_of
from nnkit.config.synonyms import nearest
from nnkit.config.words import read_words
from nnkit.errors import ConfigError, DataError, NnkitError, Problem, SweepError
from nnkit.runs import JOURNAL, default_name, timestamp
from nnkit.storage import FolderLock, make_folder, remove_folder
from nnkit.sweep import forkserver
from nnkit.sweep.bayes import check_installed
from nnkit.sweep.journal import Journal
from nnkit.sweep.plan import Plan
from nnkit.usercode import check_code, refuse_untrusted

if TYPE_CHECKING:
    from nnkit.sweep.executor import Executor
    from nnkit.sweep.run import SweepResult
    from nnkit.sweep.source import Source
    from nnkit.sweep.work import Terms
    from nnkit.train.stopping import Signals

MOST_LOOKS = 8  # at the data, for trials that fit it
BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


class InterruptedSweepError(NnkitError):
    """A signal ended the sweep; the trials so far are complete."""

    def __init__(self, number: int, text: str, hint: str) -> None:
        """Take the signal's number, what to tell, and how to go on."""
        super().__init__(text, hint=hint)
        self.exit_code = 128 + number  # type: ignore[misc]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the user typed, for the journal.

    Attributes:
        words: behind `nnkit train`, without flags.
        config_name: the primary config.
        config_dirs: more folders of options.
        folder: of the sweep that shall go on; None for the one that the words name.
        is_tuning: whether the end of the time ends the trials that run, too, and hydra.sweeper.params are suggestions.
        refuses_code: whether code that the words name is refused: they stand in a folder, which may be a stranger's.
    """

    words: Sequence[str]
    config_name: str
    config_dirs: Sequence[Path] = ()
    folder: Path | None = None
    is_tuning: bool = False
    refuses_code: bool = False


_asked: ContextVar[Asked] = ContextVar("_asked")


@contextmanager
def asking(asked: Asked) -> Iterator[None]:
    """Let the sweep that Hydra starts within know what the user typed."""
    token = _asked.set(asked)
    try:
        yield
    finally:
        _asked.reset(token)


@final
@dataclass(frozen=True, slots=True)
class _Checked:
    """A sweep, checked, before anything is made.

    Attributes:
        sweeper: its settings.
        space: what varies.
        points: of grid and random, all; of bayes, those that are checked before it starts.
        configs: of the points.
        given: what ranks the trials; None for the metric of their task.
    """

    sweeper: SweepConfig
    space: Space
    points: Sequence[Combination]
    configs: Sequence[Config]
    given: Objective | None


def sweep(kind: str, settings: Mapping[str, Any], config: Any, hydra_context: Any, arguments: Sequence[str]) -> None:
    """Check every trial, train them, print the table, and the sweep's folder as the last line.

    Args:
        kind: of the sweeper: grid, random or bayes.
        settings: of hydra.sweeper, not checked yet.
        config: Hydra's, with the node `hydra`, while it is open.
        hydra_context: what Hydra's launchers need.
        arguments: the overrides.

    Raises:
        ConfigError: with the problems of all trials, before the first one starts.
        SweepError: a trial failed; the others are complete.
    """
    asked = _asked.get()
    checked = _check(kind, settings, config, arguments, asked)
    plan = _plan(kind, checked, asked)
    folder = asked.folder or sweep_folder(checked.configs)
    with FolderLock(folder):  # before torch is imported: a second process on the folder is told at once
        if not (folder / JOURNAL).exists():
            _check_data(checked.configs, folder, checked.given)
        journal = Journal(folder, plan)
        from nnkit.cli.sweep_view import View
        from nnkit.sweep.run import Rules, Sweep
        from nnkit.train.stopping import catching_signals

        sweeper = checked.sweeper
        rules = Rules(
            checked.given,
            sweeper.most_failures,
            sweeper.timeout_s,
            retries_failed=sweeper.retry_failed,
            ends_running=asked.is_tuning,
        )
        source = _source(checked, journal)
        with catching_signals() as signals, View(source.planned, checked.given) as view:
            job = Sweep(folder, source, rules, _pruner(checked), view, signals)
            make = partial(_executor, sweeper, config, hydra_context)
            result = job.run(journal, make)
        _close(result, signals.number, checked)


def _check(kind: str, settings: Mapping[str, Any], config: Any, arguments: Sequence[str], asked: Asked) -> _Checked:
    sweeper = sweeper_of(SWEEPERS[kind], settings)
    if isinstance(sweeper, BayesConfig):
        check_installed(sweeper)
    if sweeper.jobs > 1 and config.hydra.launcher.get("_target_") == BASIC:
        forkserver.warm_up()
    space = _space(config.hydra, arguments, sweeper.params, is_tuning=asked.is_tuning)
    found = probes(space, sweeper) if isinstance(sweeper, BayesConfig) else points(space, sweeper)
    configs = _checked(found, refuses_code=asked.refuses_code)
    given = _objective(sweeper.objective, configs)
    _check_launcher(sweeper, config.hydra.launcher)
    _check_read(sweeper)
    if sweeper.pruner != "none" and any(each.cv.is_on for each in configs):
        text = f"hydra.sweeper.pruner={sweeper.pruner} compares single trainings, but cv.folds={configs[0].cv.folds}"
        raise ConfigError(text, hint="hydra.sweeper.pruner=none")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if sweeper.jobs > cores:
        warn(f"hydra.sweeper.jobs={sweeper.jobs} trials at once share {cores} core(s)")
    return _Checked(sweeper, space, found, configs, given)


def _space(node: Any, arguments: Sequence[str], params: Mapping[str, Any], *, is_tuning: bool) -> Space:
    """Return the space that the words span, and hydra.sweeper.params beside them.

    Code in the primary config was refused before, unless it is trusted.
    """
    places = [Path(source.path) for source in node.runtime.config_sources if source.schema == "file"]
    search_path = [word for word in node.overrides.hydra if word.startswith("hydra.searchpath=")]
    trust, groups = bool(foreign_code(node)), find_groups(places)
    typed = {word.partition("=")[0].lstrip("+") for word in arguments}
    added = {key: value for key, value in params.items() if key not in typed}
    listed = [f"{key}={value if isinstance(value, str) else spell(value)}" for key, value in added.items()]
    words = [*arguments, *read_words(listed, groups, multirun=True).overrides, *search_path]
    return Space(words, node.job.config_name, groups, trust=trust, suggested=added if is_tuning else ())


def _objective(name: str, configs: Sequence[Config]) -> Objective | None:
    """Return what ranks the trials, None for the metric of their task. Raises: ConfigError."""
    if name == "auto":
        return None
    for config in configs:
        if better_at(config, name) is None:
            text = f"hydra.sweeper.objective must be one of auto, {', '.join(monitors(config))}, got '{name}'"
            near = nearest(name, monitors(config))
            raise ConfigError(Problem(text, f"hydra.sweeper.objective={near or 'auto'}"))
    mode = better_at(configs[0], name)
    assert mode is not None
    return name, mode


def _checked(combinations: Sequence[Combination], *, refuses_code: bool) -> list[Config]:
    configs: list[Config] = []
    problems: dict[str, Problem] = {}
    for combination in combinations:
        try:
            configs.append(check(combination.composed))
            if refuses_code:
                refuse_untrusted(combination.composed.values, Path("the sweep"))
            check_code(combination.composed.values)
        except ConfigError as error:
            for problem in error.problems:
                where = f" (with {words_of(combination.changed)})" if combination.changed else ""
                problems.setdefault(problem.text, Problem(problem.text + where, problem.hint))
    if problems:
        raise ConfigError(*problems.values())
    return configs


def _check_read(sweeper: SweepConfig) -> None:
    """Refuse settings that nothing reads. Raises: ConfigError."""
    default, unread = SweepConfig(), []
    if sweeper.pruner == "none":
        unread += ["min_epochs"]
    if sweeper.pruner in ("none", "median"):
        unread += ["reduction"]
    if sweeper.fail_fast:
        unread += ["max_failures"]
    problems = [
        Problem(f"hydra.sweeper.{name} is set, but nothing reads it here", f"leave hydra.sweeper.{name} out")
        for name in unread
        if getattr(sweeper, name) != getattr(default, name)
    ]
    if problems:
        raise ConfigError(*problems)


def _check_launcher(sweeper: SweepConfig, launcher: Any) -> None:
    """Refuse what one of Hydra's own launchers cannot do. Raises: ConfigError."""
    if launcher.get("_target_") == BASIC:
        return
    problems = []
    if sweeper.pruner != "none":
        text = f"hydra.sweeper.pruner={sweeper.pruner} needs to hear of each validation, which a launcher does not tell"
        problems.append(Problem(text, "leave out hydra/launcher, and set hydra.sweeper.jobs"))
    between = {"timeout_s": sweeper.timeout_s, "max_failures": sweeper.most_failures}
    if sweeper.jobs == 1 and any(value is not None for value in between.values()):
        name = next(name for name, value in between.items() if value is not None)
        text = f"hydra.sweeper.{name} has no use where a launcher gets all trials at once"
        problems.append(Problem(text, "hydra.sweeper.jobs=N gives it so many at a time"))
    if problems:
        raise ConfigError(*problems)


def _plan(kind: str, checked: _Checked, asked: Asked) -> Plan:
    """Return what is asked for, for the journal."""
    cls = type(checked.sweeper)
    fixed = [field.name for field in fields(cls) if Resume.FIXED in hints(cast(type, cls))[field.name].__metadata__]
    return Plan(
        words=list(asked.words),
        config_name=asked.config_name,
        config_dirs=[str(path.resolve()) for path in asked.config_dirs],
        folder=str(Path.cwd()),
        sweeper=kind,
        settings={name: getattr(checked.sweeper, name) for name in fixed},
        space={key: domain.plain() for key, domain in checked.space.domains.items()},
        bases=bases(checked.space),
        is_tuning=asked.is_tuning,
    )


def _check_data(configs: Sequence[Config], folder: Path, given: Objective | None) -> None:
    """Refuse a sweep whose trials fit their data not at all, and remove its folder. Raises: ConfigError, DataError.

    Where one of them fits, those that do not fail by themselves.
    """
    from nnkit.sweep.work import check_data

    first: NnkitError | None = None
    step = max(1, len(configs) // MOST_LOOKS)
    for config in configs[::step]:
        try:
            task, own = check_data(config), config.metric
            names = ["loss", *METRICS[task], *([own.name] if isinstance(own, CodeMetricConfig) else [])]
            if given is not None and given[0].removeprefix("val/") not in names:
                text = f"hydra.sweeper.objective={given[0]} is no metric of this task ({task})"
                raise ConfigError(text, hint=f"one of {', '.join(f'val/{name}' for name in names)}")
        except (ConfigError, DataError) as error:
            first = first or error
        else:
            return
    remove_folder(folder)
    assert first is not None
    raise first


def sweep_folder(configs: Sequence[Config]) -> Path:
    """Return the folder of a sweep, made.

    A sweep that was given a name has one place, <output_dir>/<name>/sweep, where the same words go on with it; another
    one is new: <output_dir>/<name>/sweep-<time>, where name is "sweep" if the trials' names differ.

    Raises:
        ConfigError: the trials have several names.
        StorageError: the file system refused.
    """
    names = {default_name(config) for config in configs}
    is_named = configs[0].name is not None and len(names) == 1
    name = names.pop() if len(names) == 1 else "sweep"
    last = "sweep" if is_named else f"sweep-{timestamp()}"
    folder = (Path(configs[0].output_dir).expanduser() / name / last).absolute()
    make_folder(folder)
    return folder


def _source(checked: _Checked, journal: Journal) -> Source:
    """Return where the trials come from."""
    from nnkit.sweep.source import Listed
    from nnkit.sweep.trials import Trial

    if isinstance(checked.sweeper, BayesConfig):
        from nnkit.sweep.bayes import Bayes

        return Bayes(checked.space, checked.sweeper, checked.given, journal.entries)
    pairs = zip(checked.points, checked.configs, strict=True)
    return Listed([Trial.of(number, point, config) for number, (point, config) in enumerate(pairs)])


def _pruner(checked: _Checked) -> Any:
    from nnkit.sweep.pruning import Pruner

    sweeper = checked.sweeper
    longest = max(config.trainer.max_epochs for config in checked.configs)
    return Pruner(sweeper.pruner, sweeper.min_epochs, sweeper.reduction, longest, getattr(sweeper, "seed", 0))


def _executor(
    sweeper: SweepConfig, config: Any, hydra_context: Any, signals: Signals, terms: Terms, judge: Any
) -> Executor:
    """Return who trains the trials."""
    from nnkit.sweep.executor import InProcess

    if config.hydra.launcher.get("_target_") != BASIC:
        from nnkit.cli.launched import Launched

        at_once = sweeper.jobs if sweeper.jobs > 1 or isinstance(sweeper, BayesConfig) else 0
        return Launched(config, hydra_context, signals, terms, at_once)
    if sweeper.jobs == 1:
        return InProcess(signals, terms, judge)
    from nnkit.sweep.pool import Pool, gpus

    return Pool(sweeper.jobs, gpus(), signals, terms, judge)


def words_of(changed: Mapping[str, str]) -> str:
    """Return changed settings as they are typed."""
    return " ".join(f"{key}={value}" for key, value in changed.items()) or "no change"


def _close(result: SweepResult, signal_number: int, checked: _Checked) -> None:
    """Print the table and the folder. Raises: SweepError, InterruptedSweepError."""
    from nnkit.cli.sweep_view import ENDLESS, show
    from nnkit.sweep.outputs import BEST, importances, write_importance

    show(result)
    if result.groups:
        note(f"the same again: nnkit train {result.folder / BEST}")
    if result.ended:
        of = f" of {result.planned}" if result.planned < ENDLESS else ""
        print(f"ended after {len(result.outcomes)}{of} trials: {result.ended}", file=sys.stderr)
    print(result.folder, flush=True)
    if checked.configs[0].trainer.plots and result.groups:
        from nnkit.cli.pictures import draw_sweep

        draw_sweep(result.folder, result.objective, result.outcomes, checked.space.domains)
        shares = importances(checked.space.domains, result.groups, result.objective)
        if shares:
            write_importance(result.folder, shares)
            note("what made the scores differ: " + ", ".join(f"{key} {share:.0%}" for key, share in shares.items()))
    if signal_number:
        done = sum(outcome.is_finished for outcome in result.outcomes)
        told = f"stopped after {done} of {result.planned} trials"
        told = "stopped before the winner was tested" if done == result.planned else told
        raise InterruptedSweepError(signal_number, told, f"nnkit resume {result.folder}")
    failed = [outcome for outcome in result.outcomes if outcome.status == "failed"]
    problems = [Problem(f"trial {o.trial.number} ({words_of(o.trial.changed)}) failed: {o.error}") for o in failed]
    if result.problem:
        problems.append(Problem(f"the winner could not be tested: {result.problem}"))
    if problems:
        raise SweepError(*problems)
