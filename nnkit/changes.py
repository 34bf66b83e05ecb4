"""Settings that change while a run goes on: which of them would do nothing, and what is kept of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nnkit.config.fields import leaf_of, leaves
from nnkit.config.identity import LIMITS
from nnkit.config.marks import Resume
from nnkit.config.origin import flatten
from nnkit.config.schema import Config, to_plain
from nnkit.config.suggest import spell
from nnkit.errors import CheckpointError, ConfigError, Problem, StorageError
from nnkit.runs import CONFIG, FINISHED, read_config
from nnkit.train.state import TrainState
from nnkit.way_on import line_anew

SIGNAL = "signal"  # it came before the first step: it ends no run
OF_THE_MEASURES = ("trainer.decision_threshold",)  # no step uses it; the measures at the end do


def check_changes(
    config: Config, state: TrainState, status: str, changes: Mapping[str, Any], reason: str | None
) -> None:
    """Refuse limits below what is done, and settings of steps where none is left.

    Args:
        config: with the changes.
        state: where the training stands.
        status: of the run so far.
        changes: new values by key.
        reason: why the training would end before its next step; None where it would not.

    Raises:
        ConfigError: with every change that would be recorded, and do nothing.
    """
    problems = [*_below(state, changes)]
    if reason not in (None, SIGNAL) and not problems:
        problems += _vain(config, state, status, changes, str(reason))
    if problems:
        raise ConfigError(*problems)


def _done(state: TrainState) -> dict[str, tuple[float, str]]:
    """Return for each limit how much of it is done, as a number and in words."""
    return {
        "trainer.max_epochs": (state.epoch, f"{state.epoch} epochs are done already"),
        "trainer.max_steps": (state.step, f"{state.step} steps are done already"),
        "trainer.max_time_s": (state.seconds, f"{state.seconds:.1f} s of training are done already"),
        "trainer.patience": (state.waited, f"the last {state.waited} validations have not been better already"),
    }


def _below(state: TrainState, changes: Mapping[str, Any]) -> Iterator[Problem]:
    for key, (done, told) in _done(state).items():
        value = changes.get(key)
        if isinstance(value, (int, float)) and value < done:
            yield Problem(f"{key}={spell(value)} would change nothing: {told}", f"{key}={_more(done)} or more goes on")


def _more(done: float) -> int:
    return int(done) + 1


def _vain(config: Config, state: TrainState, status: str, changes: Mapping[str, Any], reason: str) -> Iterator[Problem]:
    known = leaves(to_plain(config))
    limit = f"trainer.{reason}"
    done, told = _done(state).get(limit, (0, f"the run has ended ({reason})"))
    hint = f"{limit}={_more(done)} or more goes on with it" if done else "nnkit train starts a new run"
    for key, value in changes.items():
        is_of_steps = leaf_of(known, key).mark is Resume.OVERRIDE and key not in OF_THE_MEASURES
        if is_of_steps or (key in LIMITS and status in FINISHED):
            yield Problem(f"{key}={spell(value)} would change nothing: no step is left to train, {told}", hint)


def check_saved(facts: Mapping[str, Any], folder: Path, config: Config) -> None:
    """Refuse to begin a run anew that had saved something. Raises: CheckpointError, saying how far it had come."""
    went_on = [entry.get("step", 0) for entry in facts.get("resumed", []) if isinstance(entry, dict)]
    steps = facts.get("steps") or max(went_on, default=0)
    if steps:
        how = {"completed": "had completed", "interrupted": "was interrupted after"}.get(facts["status"], "had trained")
        much = f"{facts['epochs']} epochs" if "epochs" in facts else f"{steps} steps"
        hint = f"the same anew: {line_anew(to_plain(config))}"
        raise CheckpointError(f"{folder} {how} {much}, but its checkpoints are gone", hint=hint)


def check_there(folder: Path) -> None:
    """Refuse to end well where what a run has written is gone. Raises: StorageError."""
    if not (folder / CONFIG).exists():
        raise StorageError(f"{folder / CONFIG} has been removed while the run trained: what is left is no run")


def told(changes: Mapping[str, Any]) -> list[str]:
    """Return what changes, in words."""
    return [f"{key} is now {value}" for key, value in changes.items()]


def told_of_schedule(kind: str, before: int, now: int) -> list[str]:
    """Return what becomes of a schedule that was planned for fewer steps, in words; nothing where it goes on."""
    if now <= before or kind in ("none", "plateau"):
        return []
    return [f"the {kind} schedule was planned for {before} steps; its last rate stays"]


def resumed(facts: Mapping[str, Any], folder: Path, step: int, changes: Mapping[str, Any]) -> list[Any]:
    """Return when a run has gone on and with what; values before this time are those of config.yaml, not yet written.

    Args:
        facts: its run.json.
        folder: of the run.
        step: after which it goes on now.
        changes: new values by key.
    """
    entry: dict[str, Any] = {"step": step, "changes": dict(changes)}
    if changes and step:  # at step 0 all steps use the new values
        old = dict(flatten(read_config(folder)))
        entry["before"] = {key: old.get(key) for key in changes}
    return [*facts.get("resumed", []), entry]
