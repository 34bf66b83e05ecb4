"""What `nnkit train -m` does once Hydra has read the words: check all, train all, one table."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nnkit.cli.messages import note
from nnkit.cli.sweep_asked import BASIC, Asked, Checked, asked_for, check_asked, check_data_of
from nnkit.config.beside import words_of
from nnkit.config.fields import hints
from nnkit.config.marks import Resume
from nnkit.config.points import bases
from nnkit.config.schema import Config, to_plain
from nnkit.config.sections.sweeper import BayesConfig, SweepConfig
from nnkit.errors import NnkitError, Problem, SweepError
from nnkit.lock import FolderLock
from nnkit.runs import JOURNAL, default_name, timestamp
from nnkit.storage import make_folder
from nnkit.sweep.failures import by_cause, cause
from nnkit.sweep.journal import Journal
from nnkit.sweep.plan import Plan
from nnkit.usercode import sections_with_code

if TYPE_CHECKING:
    from nnkit.sweep.executor import Executor
    from nnkit.sweep.run import SweepResult
    from nnkit.sweep.source import Source
    from nnkit.sweep.trials import Outcome
    from nnkit.sweep.work import Terms
    from nnkit.train.stopping import Signals

MOST_NAMED = 8  # trials of one cause, by number


class InterruptedSweepError(NnkitError):
    """A signal ended the sweep; the trials so far are complete."""

    def __init__(self, number: int, text: str, hint: str) -> None:
        """Take the signal's number, what to tell, and how to go on."""
        super().__init__(text, hint=hint)
        self.exit_code = 128 + number  # type: ignore[misc]


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
    asked = asked_for()
    checked = check_asked(kind, settings, config, arguments, asked)
    plan = _plan(kind, checked, asked)
    folder = asked.folder or sweep_folder(checked.configs)
    with FolderLock(folder):  # before torch is imported: a second process on the folder is told at once
        if not (folder / JOURNAL).exists():
            check_data_of(checked.configs, folder, checked.given)
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
            ends_at_common_cause=asked.is_tuning,
        )
        source = _source(checked, journal)
        with catching_signals() as signals, View(source.planned, checked.given) as view:
            job = Sweep(folder, source, rules, _pruner(checked), view, signals)
            make = partial(_executor, sweeper, config, hydra_context)
            result = job.run(journal, make)
        _close(result, signals.number, checked)


def _plan(kind: str, checked: Checked, asked: Asked) -> Plan:
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


def _source(checked: Checked, journal: Journal) -> Source:
    """Return where the trials come from."""
    from nnkit.sweep.source import Listed
    from nnkit.sweep.trials import Trial

    if isinstance(checked.sweeper, BayesConfig):
        from nnkit.sweep.bayes import Bayes

        return Bayes(checked.space, checked.sweeper, checked.given, journal.entries)
    pairs = zip(checked.points, checked.configs, strict=True)
    return Listed([Trial.of(number, point, config) for number, (point, config) in enumerate(pairs)])


def _pruner(checked: Checked) -> Any:
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


def _close(result: SweepResult, signal_number: int, checked: Checked) -> None:
    """Print the table and the folder. Raises: SweepError, InterruptedSweepError."""
    from nnkit.cli.sweep_view import ENDLESS, show
    from nnkit.sweep.outputs import BEST, importances, write_importance
    from nnkit.tracking import where_to_look

    show(result)
    for text in result.warnings:
        print(f"warning: {text}", file=sys.stderr)
    if result.groups:
        trust = " --trust" if sections_with_code(to_plain(checked.configs[0])) else ""  # a file may be a stranger's
        note(f"the same again: nnkit train {result.folder / BEST}{trust}")
    for line in where_to_look(checked.configs[0], result.folder, _untold(result)) if result.outcomes else ():
        note(line)
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
    _raise_failures(result)


def _untold(result: SweepResult) -> set[str]:
    """Return the trackers that did not take the winner's end; what they made of other trials their run.log says."""
    found = (re.search(r"tracker=(\w+)", text) for text in result.warnings)
    return {match[1] for match in found if match is not None}


def _raise_failures(result: SweepResult) -> None:
    """Raise what went wrong, one problem a cause. Raises: SweepError, with the cause's exit code where it ended all."""
    problems = [_failure(outcomes) for outcomes in by_cause(result.outcomes)]
    if result.problem:
        problems.append(Problem(f"the winner could not be tested: {result.problem}"))
    if problems:
        error = SweepError(*problems)
        if result.cause is not None:
            error.exit_code = result.cause.exit_code  # type: ignore[misc]
        raise error


def _failure(outcomes: Sequence[Outcome]) -> Problem:
    """Return what is told of failed trials of one cause."""
    first = outcomes[0]
    words = words_of(first.trial.changed)
    if len(outcomes) == 1:
        return Problem(f"trial {first.trial.number} ({words}) failed: {first.error}", first.hint)
    numbers = ", ".join(str(outcome.trial.number) for outcome in outcomes[:MOST_NAMED])
    more = f" and {len(outcomes) - MOST_NAMED} more" if len(outcomes) > MOST_NAMED else ""
    told = f"{len(outcomes)} trials ({numbers}{more}; the first: {words}) failed for one cause: {cause(first)}"
    return Problem(told, first.hint)
