"""Limits, patience and signals."""

from __future__ import annotations

import os
import signal

import pytest

from nnkit.processes import STOPPING
from nnkit.train.state import TrainState
from nnkit.train.stopping import Signals, catching_signals, stop_when
from tests.trained import config_of


@pytest.mark.parametrize(
    ("words", "state", "reason"),
    [
        ((), {}, None),
        ((), {"epoch": 2}, None),
        ((), {"epoch": 3}, "max_epochs"),
        (("trainer.max_steps=7",), {"step": 6}, None),
        (("trainer.max_steps=7",), {"step": 7}, "max_steps"),
        (("trainer.patience=2",), {"waited": 1}, None),
        (("trainer.patience=2",), {"waited": 2}, "patience"),
        (("trainer.patience=null",), {"waited": 1000}, None),
        (("trainer.max_time_s=1e-9",), {}, "max_time_s"),
        (("trainer.max_time_s=1000",), {}, None),
    ],
)
def test_reason_to_stop(words: tuple[str, ...], state: dict[str, int], reason: str | None) -> None:
    assert stop_when(config_of(*words).trainer)(TrainState(15, **state)) == reason  # type: ignore[arg-type]


def test_time_before_a_resume_counts() -> None:
    trainer = config_of("trainer.max_time_s=1000").trainer
    assert stop_when(trainer, seconds_before=1000.0)(TrainState(15)) == "max_time_s"


def test_signal_goes_before_every_limit() -> None:
    signals = Signals()
    stop = stop_when(config_of("trainer.max_steps=1").trainer, signals)
    assert stop(TrainState(15, step=1)) == "max_steps"
    signals.number = 15
    assert stop(TrainState(15, step=1)) == "signal"


@pytest.mark.parametrize("number", STOPPING)
def test_signal_is_noted_and_its_handler_put_back(number: signal.Signals) -> None:
    before = [signal.getsignal(n) for n in STOPPING]
    with catching_signals() as seen:
        assert seen.number == 0
        os.kill(os.getpid(), number)
        assert seen.number == number
    assert [signal.getsignal(n) for n in STOPPING] == before


def test_a_hangup_that_is_ignored_from_the_start_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup has it
    try:
        with catching_signals() as seen:
            os.kill(os.getpid(), signal.SIGHUP)
            assert seen.number == 0
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_second_interrupt_acts_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    with catching_signals() as seen:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert seen.number == signal.SIGINT
    assert signal.getsignal(signal.SIGINT) == before


def test_handlers_are_put_back_after_an_error() -> None:
    before = [signal.getsignal(n) for n in STOPPING]
    with pytest.raises(ValueError, match="inside"), catching_signals():
        raise ValueError("inside")
    assert [signal.getsignal(n) for n in STOPPING] == before
