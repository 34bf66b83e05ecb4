"""The bar on a terminal, and silence elsewhere."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import pytest

from nnkit.track.console import Picks, ProgressBar
from nnkit.train.sink import RunInfo
from tests.trained import trained


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_bar_shows_title_epochs_and_losses_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("tqdm.std.time", itertools.count().__next__)  # a second passes at each look
    trained(sinks=(ProgressBar(),))
    shown = terminal.getvalue()
    assert "mlp on iris" in shown
    assert "0/3" in shown
    assert "3/3" in shown
    assert "val/loss" in shown
    assert shown.endswith("\r")  # nothing is left behind


def test_without_a_terminal_there_is_no_bar_but_what_was_picked_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    trained(sinks=(Picks(), ProgressBar()))
    out, err = capsys.readouterr()
    assert out == ""
    picks = "loss cross_entropy, watching val/loss, cpu in fp32 with 1 thread(s)\n"
    assert err.startswith("mlp on iris: ")
    assert err.endswith(picks)
    assert err.count("\n") == 1


def test_where_a_run_goes_on_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Picks().start(RunInfo(Path(), "mlp on iris", 9, 10, "val/loss", step=37, epoch=3, records=3))
    assert capsys.readouterr().err == "it goes on from step 37, after 3 whole epochs\n"


def test_closing_before_the_start_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    ProgressBar().close("failed")
    Picks().close("failed")
    assert capsys.readouterr() == ("", "")


def test_a_warning_is_printed_on_standard_error_once(capsys: pytest.CaptureFixture[str]) -> None:
    bar = ProgressBar()
    bar.warn("a save failed")
    bar.warn("another one failed")
    bar.warn("a save failed")
    assert capsys.readouterr() == ("", "warning: a save failed\nwarning: another one failed\n")
