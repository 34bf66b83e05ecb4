"""What a sweep is asked for, and whether it has sense: all of it is told before anything is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, final

from nnkit.cli.messages import warn
from nnkit.cli.own_code import leaving_log
from nnkit.cli.words import LAST
from nnkit.config.beside import MOST_WRONG, Told, telling_all
from nnkit.config.check import check
from nnkit.config.compose import foreign_code, parse
from nnkit.config.cross import METRICS, Objective, better_at, monitors
from nnkit.config.options import find_groups, search_dirs
from nnkit.config.points import ends, points, probes
from nnkit.config.schema import Config, to_plain
from nnkit.config.sections.metric import CodeMetricConfig
from nnkit.config.sections.sweeper import SWEEPERS, BayesConfig, SweepConfig
from nnkit.config.space import Combination, Space
from nnkit.config.stranger import Stranger, sender_of_words
from nnkit.config.suggest import spell
from nnkit.config.sweeper import sweeper_of
from nnkit.config.synonyms import nearest
from nnkit.config.trackers import refuse_missing, refuse_places
from nnkit.config.words import read_words
from nnkit.errors import ConfigError, DataError, NnkitError, Problem
from nnkit.machine import cores
from nnkit.storage import remove_folder
from nnkit.sweep import forkserver
from nnkit.sweep.bayes import check_installed
from nnkit.usercode import OwnCodeError, check_code

MOST_LOOKS = 8  # at the data, for trials that fit it
BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
JOBLIB = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
FOLDER_TRUST = "if you know where it is from: --trust"


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
        trust: whether what was sent may do all that it asks for: a file that the words name, or the words themselves,
            which stand in a folder that may be a stranger's.
    """

    words: Sequence[str]
    config_name: str
    config_dirs: Sequence[Path] = ()
    folder: Path | None = None
    is_tuning: bool = False
    trust: bool = False


_asked: ContextVar[Asked] = ContextVar("_asked")


def asked_for() -> Asked:
    """Return what the user typed for the sweep that Hydra has started."""
    return _asked.get()


@contextmanager
def asking(asked: Asked) -> Iterator[None]:
    """Let the sweep that Hydra starts within know what the user typed."""
    token = _asked.set(asked)
    try:
        yield
    finally:
        _asked.reset(token)


def sender(asked: Asked) -> Stranger | None:
    """Return who has sent a part of a sweep; None where all of it is the user's own, or trusted."""
    if asked.trust:
        return None
    places = search_dirs(asked.config_dirs)
    if asked.folder is not None:
        return Stranger(frozenset(), places, (), asked.config_name, FOLDER_TRUST, is_placed=True)
    return sender_of_words(asked.words, places, asked.config_name)


@final
@dataclass(frozen=True, slots=True)
class Checked:
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


def check_asked(kind: str, settings: Mapping[str, Any], config: Any, arguments: Sequence[str], asked: Asked) -> Checked:
    """Return the sweep with all that can be checked before its data is read. Args: as `nnkit.cli.sweep.sweep`.

    Raises:
        ConfigError: with the problems of all trials.
    """
    words = [*asked.words, *(() if asked.is_tuning else _typed_params(settings.get("params"), asked.words))]
    with telling_all(words, config_name=asked.config_name, extra_dirs=asked.config_dirs, trust=asked.trust):
        sweeper = sweeper_of(SWEEPERS[kind], settings)
        if isinstance(sweeper, BayesConfig):
            check_installed(sweeper)
        if sweeper.jobs > 1 and config.hydra.launcher.get("_target_") == BASIC:
            forkserver.warm_up()
        space = _space(config.hydra, arguments, sweeper.params, is_tuning=asked.is_tuning)
        found = probes(space, sweeper) if isinstance(sweeper, BayesConfig) else points(space, sweeper)
    stranger = sender(asked)
    if stranger is not None and stranger.is_placed and config.hydra.launcher.get("_target_") not in (BASIC, JOBLIB):
        raise ConfigError(f"{config.hydra.launcher.get('_target_')} would run programs", hint=FOLDER_TRUST)
    told = Told(space)
    configs = _checked(found, stranger, told)
    if told.problems and not isinstance(sweeper, BayesConfig):  # what no draw has met, and each value of a long grid
        _checked([*islice(ends(space), MOST_WRONG)], stranger, told)
    looks: list[Callable[[], object]] = [partial(_check_launcher, sweeper, config.hydra.launcher)]
    looks += [partial(_check_read, sweeper)]
    if configs:
        looks += [partial(_objective, sweeper.objective, configs), partial(_check_trials, sweeper, configs)]
    if problems := [*told.problems, *_refused(looks)]:
        raise ConfigError(*problems)
    if not asked.trust and asked.folder is not None:  # all trials have their trackers in common
        refuse_places(to_plain(configs[0]), asked.folder)
    refuse_missing(configs[0])
    if sweeper.jobs > cores():
        warn(f"hydra.sweeper.jobs={sweeper.jobs} trials at once share {cores()} core(s)")
    return Checked(sweeper, space, found, configs, _objective(sweeper.objective, configs))


def _typed_params(params: object, words: Sequence[str]) -> Iterator[str]:
    """Yield hydra.sweeper.params of a file as words, as far as they are not typed."""
    typed = {word.partition("=")[0].lstrip("+") for word in words}
    for key, value in params.items() if isinstance(params, Mapping) else ():
        if key not in typed:
            yield f"{key}={value if isinstance(value, str) else spell(value)}"


def _refused(looks: Sequence[Callable[[], object]]) -> list[Problem]:
    problems: list[Problem] = []
    for look in looks:
        try:
            look()
        except ConfigError as error:
            problems += error.problems
    return problems


def _space(node: Any, arguments: Sequence[str], params: Mapping[str, Any], *, is_tuning: bool) -> Space:
    """Return the space that the words span, and hydra.sweeper.params beside them.

    Code in the primary config was refused before, unless it is trusted.
    """
    places = [Path(source.path) for source in node.runtime.config_sources if source.schema == "file"]
    search_path = [word for word in node.overrides.hydra if word.startswith("hydra.searchpath=")]
    trust, groups = bool(foreign_code(node)), find_groups(places)
    typed = {word.partition("=")[0].lstrip("+") for word in arguments}
    added = {key: value for key, value in params.items() if key not in typed}
    made = read_words([*_typed_params(params, arguments)], groups, multirun=True).overrides
    if [override.key_or_group for override in parse(made)] != list(added):  # a name ends at =
        raise ConfigError(f"hydra.sweeper.params has entries that are no names of settings: {', '.join(made)}")
    words = [*arguments, *made, *search_path]
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


def _checked(combinations: Sequence[Combination], stranger: Stranger | None, told: Told) -> list[Config]:
    """Return the configs of those points that are right; of a long sweep that is refused already, not of all.

    Raises:
        OwnCodeError: code of the user's own fails.
    """
    configs: list[Config] = []
    failed: list[tuple[Config, OwnCodeError]] = []
    unloaded: dict[tuple[str, str], ConfigError] = {}
    for number, combination in enumerate(combinations):
        if number >= MOST_WRONG and told.problems:
            break
        try:
            config = check(combination.composed)
            if stranger is not None and (wrong := stranger.problems(combination.composed)):
                raise ConfigError(*wrong)
            check_code(combination.composed.values, unloaded)
            if getattr(config.model, "from_run", None) == LAST:
                text = f"model.from_run={LAST} would be another run for each trial"
                raise ConfigError(text, hint="model.from_run=FOLDER")
            configs.append(config)
        except ConfigError as error:
            told.add(error, combination)
            failed += [(config, error)] if isinstance(error, OwnCodeError) else []
    if failed:
        with leaving_log(failed[0][0]):
            raise OwnCodeError(*told.problems) from failed[0][1].__cause__
    return configs


def _check_trials(sweeper: SweepConfig, configs: Sequence[Config]) -> None:
    """Refuse what a trial may ask for by itself, but not in this sweep. Raises: ConfigError."""
    if sweeper.pruner != "none" and any(each.cv.is_on for each in configs):
        text = f"hydra.sweeper.pruner={sweeper.pruner} compares single trainings, but cv.folds={configs[0].cv.folds}"
        raise ConfigError(text, hint="hydra.sweeper.pruner=none")
    if sweeper.jobs > 1 and any(each.batching.auto_batch_size for each in configs):
        text = f"batching.auto_batch_size takes what memory there is, but {sweeper.jobs} trials run at once"
        raise ConfigError(text, hint="hydra.sweeper.jobs=1, or batching.batch_size=N")


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


def check_data_of(configs: Sequence[Config], folder: Path, given: Objective | None) -> None:
    """Refuse a sweep whose trials fit their data not at all, and remove its folder. Raises: ConfigError, DataError.

    Where one of them fits, those that do not fail by themselves.
    """
    from nnkit.sweep.work import check_data

    first: tuple[Config, NnkitError] | None = None
    step = max(1, len(configs) // MOST_LOOKS)
    for config in configs[::step]:
        try:
            task, own = check_data(config), config.metric
            names = ["loss", *METRICS[task], *([own.name] if isinstance(own, CodeMetricConfig) else [])]
            if given is not None and given[0].removeprefix("val/") not in names:
                text = f"hydra.sweeper.objective={given[0]} is no metric of this task ({task})"
                raise ConfigError(text, hint=f"one of {', '.join(f'val/{name}' for name in names)}")
        except (ConfigError, DataError) as error:
            first = first or (config, error)
        else:
            return
    remove_folder(folder)
    assert first is not None
    with leaving_log(first[0]):
        raise first[1]
