"""When to stop: limits, patience, signals. The loop asks one function; nothing else can end it from outside."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import final

from nnkit.config.sections.trainer import TrainerConfig
from nnkit.processes import STOPPING, leave_terminal, of_terminal
from nnkit.train.state import TrainState

Stop = Callable[[TrainState], str | None]


@final
@dataclass(slots=True)
class Signals:
    """The signal that asked to stop; 0 while none has."""

    number: int = 0


@contextmanager
def catching_signals() -> Iterator[Signals]:
    """Note SIGINT, SIGTERM, SIGUSR1 and SIGHUP instead of dying of them; a second SIGINT acts at once.

    SIGHUP says that the terminal is gone; where it is ignored from the start, as `nohup` has it, it stays ignored.
    """
    seen, terminal = Signals(), of_terminal()
    before = {}

    def note(number: int, _: FrameType | None) -> None:
        if number == signal.SIGHUP:
            leave_terminal(terminal)
        seen.number = number
        signal.signal(signal.SIGINT, signal.default_int_handler)

    try:
        for number in STOPPING:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, note)
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def never(_: TrainState) -> str | None:
    """Give no reason to stop."""
    return None


def until(steps: int, reason: str) -> Stop:
    """Return what ends a training after so many steps, for a reason."""
    return lambda state: reason if state.step >= steps else None


def stop_when(
    trainer: TrainerConfig, signals: Signals | None = None, *, seconds_before: float = 0.0, also: Stop = never
) -> Stop:
    """Return the function that tells why to stop, or None to go on.

    Args:
        trainer: its limits and its patience.
        signals: watched when given.
        seconds_before: already used by the part of the run before a resume, for max_time_s.
        also: asked last.

    Returns:
        A function of the state. Its reasons: "signal", "max_time_s", "max_steps", "max_epochs", "patience", and what
        `also` gives.
    """
    started = time.monotonic() - seconds_before

    def stop(state: TrainState) -> str | None:
        if signals is not None and signals.number:
            return "signal"
        if trainer.max_time_s is not None and time.monotonic() - started >= trainer.max_time_s:
            return "max_time_s"
        if trainer.max_steps is not None and state.step >= trainer.max_steps:
            return "max_steps"
        if state.epoch >= trainer.max_epochs:
            return "max_epochs"
        if trainer.patience is not None and state.waited >= trainer.patience:
            return "patience"
        return also(state)

    return stop
