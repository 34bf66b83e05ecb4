"""The dispatcher: commands, help, version, and what a wrong word is told."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nnkit import __version__
from nnkit.cli import COMMANDS, main


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)


def test_no_word_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "usage: nnkit" in capsys.readouterr().out


def test_version_is_the_packages_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.split() == ["nnkit", __version__]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["trian"], "did you mean nnkit train?"),
        (["fit"], "did you mean nnkit train?"),
        (["model=cnn", "seed=1"], "nnkit train model=cnn seed=1"),
        (["my.yaml"], "nnkit train my.yaml"),
        (["xyzzy"], "commands: train, resume"),
    ],
)
def test_an_unknown_command_is_told_the_nearest(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert f"error: {words[0]} is not a command" in captured.err
    assert hint in captured.err
    assert captured.out == ""


def test_python_m_nnkit_works() -> None:
    done = subprocess.run([sys.executable, "-m", "nnkit", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("nnkit ")


def test_debug_shows_the_traceback_of_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert main(["trian", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_of_our_own_exits_1_with_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(COMMANDS, "train", ("nnkit.no_such_module", ""))
    assert main(["train"]) == 1
    err = capsys.readouterr().err
    assert "no_such_module" in err
    assert "bug in nnkit" in err


def test_an_error_that_follows_from_ctrl_c_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken_off(_: object) -> int:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise AttributeError("module 'numpy' has no attribute 'matrix'") from None

    monkeypatch.setattr("nnkit.cli._dispatch", broken_off)
    assert main(["train"]) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("words", [["train", "churn.csv"], ["train", "data=churn.csv"]])
def test_a_file_in_place_of_words_is_told_the_words(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "hint: data=table data.path=churn.csv data.target=COLUMN" in capsys.readouterr().err


def test_a_list_that_was_typed_as_a_text_is_told_its_brackets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "data=table", "data.path=x.csv", "data.target=y", "data.drop=fold"]) == 2
    assert "hint: 'data.drop=[fold]'" in capsys.readouterr().err


def test_messages_hide_secrets_and_what_a_terminal_would_obey(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "data=table", "data.target=y", "data.path=\x1b]0;x\x07.csv"]) != 0
    assert "\x1b" not in capsys.readouterr().err
    assert main(["predict", "https://me:secret@host/run", "x"]) == 2
    err = capsys.readouterr().err
    assert "***@host" in err
    assert "secret" not in err
    assert main(["train", "y" * 9000]) == 2
    assert len(capsys.readouterr().err) < 7000


@pytest.mark.parametrize("command", ["resume", "tune", "eval", "predict", "generate", "export", "data"])
def test_how_a_command_is_used_is_an_error_without_words_and_an_answer_where_it_is_asked(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, code in (([], 2), (["--help"], 0)):
        assert main([command, *words]) == code
        out, err = capsys.readouterr()
        assert (err if code else out).startswith(f"usage: nnkit {command} ")
        assert not (out if code else err)
