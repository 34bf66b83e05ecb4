"""Points that a model of the scores so far proposes. The model is Optuna's."""

from __future__ import annotations

import statistics
import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, final

from nnkit.config.check import check
from nnkit.config.cross import Objective
from nnkit.config.domains import Choices, Domain
from nnkit.config.sections.sweeper import BayesConfig
from nnkit.config.space import Combination, Space
from nnkit.errors import ConfigError
from nnkit.seeding import derive
from nnkit.sweep.journal import starts
from nnkit.sweep.trials import Outcome, Trial, objective

if TYPE_CHECKING:
    import optuna

MOST_ASKS = 50  # for one point that is new and fits, before the space counts as used up


@final
class Bayes:
    """Proposes points, one after the other, and learns from each trial's end.

    What is proposed is a function of the seed, of the point's number, and of what has ended before.
    """

    def __init__(
        self, space: Space, sweeper: BayesConfig, given: Objective | None, entries: Sequence[dict[str, Any]]
    ) -> None:
        """Take the space, the settings, what ranks the trials, and the journal of what has been proposed before.

        Raises:
            ConfigError: Optuna, or what the sampler needs, is not installed.
        """
        self._space, self._sweeper, self._given = space, sweeper, given
        self._study = _study(sweeper)
        self._points: list[list[Trial]] = []
        self._waiting: deque[Trial] = deque()
        self._numbers: list[int] = []  # of each point in the study
        self._values: dict[int, float] = {}  # of the study's points that have ended well
        self._seen: set[tuple[tuple[str, str], ...]] = set()  # what the points change
        self._losses: dict[int, dict[int, float | None]] = {}  # of each point's trials; None for a failure
        self._is_used_up = False
        first = {int(entry["trial"]) // sweeper.seeds: entry for entry in reversed([*starts(list(entries))])}
        for number in sorted(first):
            self._take_up(dict(first[number]["values"]))

    @property
    def planned(self) -> int:
        """How many trials there are in all; fewer than wished for, where the space has no more points."""
        points = len(self._points) if self._is_used_up else self._sweeper.trials
        return points * self._sweeper.seeds

    def known(self) -> Sequence[Trial]:
        """Return the trials of the points that were proposed before."""
        return [trial for trials in self._points for trial in trials]

    def next(self) -> Trial | None:
        """Return one more trial."""
        if not self._waiting and len(self._points) < self._sweeper.trials and not self._is_used_up:
            self._propose()
        return self._waiting.popleft() if self._waiting else None

    def ended(self, outcome: Outcome) -> None:
        """Learn from a trial's end: of a point with several seeds, from the mean."""
        point = outcome.trial.number // self._sweeper.seeds
        name, mode = objective([outcome], self._given)
        value = outcome.metrics.get(name)
        losses = self._losses.setdefault(point, {})
        losses[outcome.trial.number] = None if value is None else -value if mode == "max" else value
        if outcome.status == "interrupted":
            losses.pop(outcome.trial.number)
        if len(losses) == self._sweeper.seeds:
            self._tell(self._numbers[point], list(losses.values()))

    def _tell(self, number: int, losses: Sequence[float | None]) -> None:
        import optuna

        known = [loss for loss in losses if loss is not None]
        if len(known) == len(losses):
            self._values[number] = statistics.fmean(known)
            self._study.tell(number, self._values[number])
        else:
            self._study.tell(number, state=optuna.trial.TrialState.FAIL)

    def _take_up(self, values: dict[str, str]) -> None:
        """Let the model know a point that was proposed before."""
        import optuna

        point = self._space.point(values)
        kept = {key: self._space.domains[key] for key in point.changed if key in self._space.domains}
        trial = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params={key: param(domain, values[key]) for key, domain in kept.items()},
            distributions={key: distribution(domain) for key, domain in kept.items()},
        )
        self._study.add_trial(trial)
        self._add(point, len(self._numbers))  # nothing has been asked for yet

    def _propose(self) -> None:
        """Ask the model for a point that is new, and fits."""
        if self._sweeper.sampler == "gp":
            self._study = _levelled(self._study, self._values)
        for attempt in range(MOST_ASKS):
            self._study.sampler = _sampler(self._sweeper, derive(self._sweeper.seed, len(self._points), attempt))
            trial = self._study.ask()
            point = self._space.point(self._suggested(trial))
            with suppress(ConfigError):  # two settings that do not go together, each fit by itself
                if tuple(point.changed.items()) not in self._seen:
                    self._waiting.extend(self._add(point, trial.number))
                    return
            self._tell(trial.number, [None])  # as if it had not been asked for, as it is after a resume
        self._is_used_up = True

    def _suggested(self, trial: optuna.Trial) -> dict[str, str]:
        """Return the values of all settings: the groups first, then what is read there; others are not asked for."""
        domains, groups = self._space.domains, self._space.group_choices
        values = {key: domain.at(0) for key, domain in domains.items()}
        values |= {key: _suggest(trial, key, domain) for key, domain in groups.items()}
        read = self._space.point(values).changed
        return values | {key: _suggest(trial, key, domains[key]) for key in read if key not in groups}

    def _add(self, point: Combination, number: int) -> list[Trial]:
        """Make the trials of a point. Raises: ConfigError, where its settings do not go together."""
        first = len(self._points) * self._sweeper.seeds
        seeded = self._space.seeded(point, self._sweeper.seeds)
        trials = [Trial.of(first + k, each, check(each.composed)) for k, each in enumerate(seeded)]
        self._seen.add(tuple(point.changed.items()))
        self._points.append(trials)
        self._numbers.append(number)
        return trials


def _levelled(study: optuna.Study, values: Mapping[int, float]) -> optuna.Study:
    """Return the study with its bad values pulled in: a process with one scale sees nothing beside one that diverged.

    Args:
        study: which minimises.
        values: of its points by number, as they were.

    Returns:
        A study with the same points, none of them further above the median than the best one is below it.
    """
    import optuna

    if not values:
        return study
    median = statistics.median(values.values())
    worst = 2 * median - min(values.values())
    levelled = optuna.create_study(direction="minimize", sampler=study.sampler)
    for trial in study.get_trials(deepcopy=True):
        if trial.number in values:
            trial.values = [min(values[trial.number], worst)]
        levelled.add_trial(trial)
    return levelled


def check_installed(sweeper: BayesConfig) -> None:
    """Check that what proposes is there. Raises: ConfigError."""
    try:
        import optuna  # noqa: F401 - it is used where points are proposed

        if sweeper.sampler == "cmaes":
            import cmaes  # noqa: F401 - Optuna imports it when it is needed, in the midst of the sweep
    except ImportError as error:
        raise ConfigError(
            f"hydra/sweeper=bayes with sampler={sweeper.sampler} needs {error.name}", hint="pip install 'nnkit[sweep]'"
        ) from error


def _study(sweeper: BayesConfig) -> optuna.Study:
    check_installed(sweeper)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(direction="minimize", sampler=_sampler(sweeper, sweeper.seed))


def _sampler(sweeper: BayesConfig, seed: int) -> Any:
    import optuna

    seed %= 2**32
    with warnings.catch_warnings():  # some choices are called experimental
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match sweeper.sampler:
            case "tpe":
                several = sweeper.jobs > 1
                return optuna.samplers.TPESampler(
                    seed=seed, n_startup_trials=sweeper.startup_trials, constant_liar=several
                )
            case "gp":
                return optuna.samplers.GPSampler(seed=seed, n_startup_trials=sweeper.startup_trials)
            case "cmaes":
                return optuna.samplers.CmaEsSampler(
                    seed=seed, n_startup_trials=sweeper.startup_trials, warn_independent_sampling=False
                )


def _suggest(trial: optuna.Trial, key: str, domain: Domain) -> str:
    if isinstance(domain, Choices):
        return str(trial.suggest_categorical(key, domain.values))
    if domain.is_int:
        return domain.written(trial.suggest_int(key, int(domain.low), int(domain.high), log=domain.is_log))
    return domain.written(trial.suggest_float(key, domain.low, domain.high, log=domain.is_log))


def distribution(domain: Domain) -> Any:
    """Return a domain as Optuna has it."""
    import optuna

    if isinstance(domain, Choices):
        return optuna.distributions.CategoricalDistribution(domain.values)
    if domain.is_int:
        return optuna.distributions.IntDistribution(int(domain.low), int(domain.high), log=domain.is_log)
    return optuna.distributions.FloatDistribution(domain.low, domain.high, log=domain.is_log)


def param(domain: Domain, value: str) -> Any:
    """Return a value of a domain, as written, as Optuna has it."""
    return value if isinstance(domain, Choices) else int(value) if domain.is_int else float(value)
