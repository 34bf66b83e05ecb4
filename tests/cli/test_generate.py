"""`nnkit generate`: a text that comes token by token, ends that come early, and what a tired user types."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnkit.cli import main
from nnkit.cli.generate import _stream
from nnkit.errors import StorageError
from tests.finished import command, copy_of, folder_of, opened

Capsys = pytest.CaptureFixture[str]


def test_the_prompt_and_what_follows_are_all_of_standard_output(capsys: Capsys) -> None:
    code, out, err = command(capsys, "generate", folder_of("letters"), "--prompt", "the cat", "--length", "40")
    assert (code, err) == (0, "")
    assert out.startswith("the cat")
    assert len(out) == 7 + 40 + 1
    assert out.endswith("\n")
    again = command(capsys, "generate", folder_of("letters"), "--prompt=the cat", "--length=40", "--seed=0")[1]
    assert again == out
    assert command(capsys, "generate", folder_of("letters"), "--length", "40", "--seed", "1")[1] != out


def test_the_defaults_are_two_hundred_tokens_from_the_beginning_of_a_line(capsys: Capsys) -> None:
    code, out, _ = command(capsys, "generate", folder_of("letters"))
    assert (code, len(out)) == (0, 201)
    assert command(capsys, "generate", folder_of("letters"), "--prompt", "")[1] == out
    assert command(capsys, "generate", folder_of("letters"), "--prompt=")[1] == out


def test_words_are_set_as_a_text_is(capsys: Capsys) -> None:
    words = ("generate", folder_of("words"), "--prompt", "the cat", "--length", "30", "--top-k", "5")
    code, out, _ = command(capsys, *words, "--temperature", "0.7")
    assert code == 0
    assert out.startswith(("the cat ", "the cat.", "the cat,", "the cat!", "the cat)", "the cat\n"))
    assert "  " not in out


def test_tokens_of_the_prompt_that_training_has_not_are_noted(capsys: Capsys) -> None:
    code, out, err = command(capsys, "generate", folder_of("letters"), "--prompt", "Q#€ß&Ü", "--length", "1")
    assert code == 0
    assert out.startswith("Q#€ß&Ü")
    assert "note: the prompt has tokens that are not in the vocabulary, and are read as the unknown: " in err
    assert "'Q', '#', '€', 'ß', '&', …" in err


def test_last_is_the_newest_run(capsys: Capsys) -> None:
    Path("runs").mkdir()
    copy_of(folder_of("letters")).rename(Path("runs/one"))
    assert command(capsys, "generate", "last", "output_dir=runs", "--length", "3")[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "text", "hint"),
    [
        (["--length", "5"], 2, "generate needs one run", "nnkit generate last --prompt"),
        (["nowhere"], 2, "nowhere is not a run folder", "below outputs/"),
        (["RUN", "the cat"], 2, "generate takes one run, got", "--prompt"),
        (["RUN", "--length", "0"], 2, "length must be a whole number from 1, got 0", "--length 200"),
        (["RUN", "--length", "-3"], 2, "length must be a whole number from 1, got -3", "--length 200"),
        (["RUN", "--length", "1.5"], 2, "--length must be a whole number, got '1.5'", "--length 200"),
        (["RUN", "--temperature", "-1"], 2, "or a number above it, got -1.0", "--temperature 1"),
        (["RUN", "--temperature", "inf"], 2, "or a number above it, got inf", "--temperature 1"),
        (["RUN", "--temperature=nan"], 2, "or a number above it, got nan", "--temperature 1"),
        (["RUN", "--temperature", "hot"], 2, "--temperature must be a number, got 'hot'", "--temperature 1"),
        (["RUN", "--top-k", "0"], 2, "top-k must be a whole number from 1, got 0", "--top-k 5"),
        (["RUN", "--top-k", "500"], 2, "top-k must be from 1 to 20, the tokens of the vocabulary, got 500", ""),
        (["RUN", "--top-k", "few"], 2, "--top-k must be a whole number, got 'few'", "--top-k 5"),
        (["RUN", "--length="], 2, "--length needs a value", "--length VALUE"),
        (["RUN", "--seed", "x"], 2, "--seed must be a whole number, got 'x'", "--seed 1"),
        (["RUN", "--prompt"], 2, "--prompt needs a value", "--prompt VALUE"),
        (["RUN", "--promt", "x"], 2, "--promt is not a flag of generate", "did you mean --prompt?"),
        (["OTHER"], 2, "is no language model: its task is classification", "nnkit predict"),
    ],
)
def test_wrong_words_are_told(words: list[str], code: int, text: str, hint: str, capsys: Capsys) -> None:
    folders = {"RUN": str(folder_of("letters")), "OTHER": str(folder_of("vowels"))}
    found, out, err = command(capsys, "generate", *(folders.get(word, word) for word in words))
    assert (found, out) == (code, "")
    assert text in err
    assert hint in err
    assert "Traceback" not in err


def test_wrong_numbers_are_told_together_before_the_run_is_looked_at() -> None:
    words = ["generate", "nowhere", "--length", "0", "--temperature", "hot", "--top-k", "-1", "--seed", "x"]
    code = f"import sys; from nnkit.cli import main; main({words}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert [line.split()[1] for line in told] == ["--temperature", "--seed", "length", "top-k"]


def test_predict_and_generate_point_at_each_other(capsys: Capsys) -> None:
    Path("in.txt").write_text("the cat\n")
    code, _, err = command(capsys, "predict", folder_of("letters"), "in.txt")
    assert code == 2
    assert f"hint: nnkit generate {folder_of('letters')} --prompt TEXT" in err


def test_help_is_shown(capsys: Capsys) -> None:
    assert "usage: nnkit generate RUN" in command(capsys, "generate", "--help")[1]
    assert command(capsys, "generate", "last", "-h")[0] == 0
    assert command(capsys, "generate")[0] == 2


def started(*words: str) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "nnkit", "generate", str(folder_of("letters")), *words]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_the_text_comes_token_by_token_and_ends_cleanly_at_ctrl_c() -> None:
    process = started("--length", "100000000", "--prompt", "the")
    assert process.stdout is not None
    assert process.stdout.read(8).startswith(b"the")  # the rest is still being made
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == b""
    assert out.endswith(b"\n")


def test_a_reader_that_has_enough_ends_it_quietly() -> None:
    process = started("--length", "100000000")
    assert process.stdout is not None
    assert len(process.stdout.read(20)) == 20
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, os.strerror(28))

    monkeypatch.setattr("sys.stdout", Full())
    with pytest.raises(StorageError, match=r"cannot write standard output: .*\(errno 28\)"):
        _stream(iter(["a"]))


def test_a_sign_that_the_terminal_cannot_show_ends_no_text() -> None:
    line = [sys.executable, "-m", "nnkit", "generate", str(folder_of("letters")), "--prompt", "€", "--length", "3"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(line, capture_output=True, env=environment, check=True)
    assert done.stdout.startswith(b"?")


def test_a_text_may_be_asked_for_by_other_names(capsys: Capsys) -> None:
    assert main(["sample"]) == 2
    assert "did you mean nnkit generate?" in capsys.readouterr().err
    assert opened("letters").spec.task == "language"
