"""What strangers send, what must stay secret, and who listens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nnkit.cli import main
from tests.faults.listening import LISTENING
from tests.faults.listening import outcome as heard
from tests.faults.secrets_kept import PASSWORD, SECRETS, Canary
from tests.faults.secrets_kept import outcome as leak
from tests.faults.sent_configs import CONFIGS
from tests.faults.sent_data import DATA
from tests.faults.sent_folders import EVAL, EXPORT, FOLDERS, RESUME, ROWS, sent
from tests.faults.sent_pictures import PICTURE_FILES
from tests.faults.strangers import CANARY, Attack, in_child, outcome, warm_up
from tests.faults.survival import Promise, check

Record = Callable[[str, object], None]


@pytest.mark.parametrize("promise", [FOLDERS, CONFIGS, DATA, PICTURE_FILES], ids=lambda promise: promise.name)
def test_what_strangers_send_is_refused_and_does_nothing(promise: Promise, record_property: Record) -> None:
    check(promise, record_property)


@pytest.mark.parametrize("words", [EVAL, ROWS, [*RESUME, "trainer.plots=false"], EXPORT], ids=" ".join)
def test_a_sound_run_of_a_stranger_is_used(words: list[str], tmp_path: Path) -> None:
    warm_up()
    (tmp_path / "work").mkdir()
    sent(tmp_path / "work")
    found = in_child(lambda: main(words), tmp_path / "work")
    assert (found.code, found.done) == (0, ()), found.text


def test_a_harmless_config_of_a_stranger_is_used(tmp_path: Path) -> None:
    text = "defaults: [{override /data: iris}]\nmodel: {hidden: &sizes [2]}\nname: a-${seed}\n"
    (tmp_path / "theirs.yaml").write_text(f"{text}trainer: {{max_epochs: 1, plots: false}}\n")
    warm_up()
    found = in_child(lambda: main(["train", "theirs.yaml"]), tmp_path)
    assert (found.code, found.done) == (0, ()), found.text


def _broken(tmp_path: Path, text: str) -> str:
    """What is found where a hostile config is trusted."""

    def send(work: Path) -> list[str]:
        (work / "theirs.yaml").write_text(text)
        return ["train", "theirs.yaml", "data=iris", "trainer.max_epochs=1", "--trust"]

    warm_up()
    return str(outcome(Attack("trusted", send, lambda _: True), tmp_path.resolve()))


def test_the_watch_catches_what_is_written_outside(tmp_path: Path) -> None:
    assert "os.mkdir" in _broken(tmp_path, "output_dir: ../outside\n")


def test_the_watch_catches_what_is_executed(tmp_path: Path) -> None:
    assert CANARY in _broken(tmp_path, "defaults: [{override /model: code}]\nmodel: {code: 'evil_canary:Net'}\n")


def test_an_attack_that_does_no_harm_is_told(tmp_path: Path) -> None:
    found = outcome(Attack("nothing", lambda _: ["train"], lambda _: False), tmp_path)
    assert found == "nothing: it would do no harm, so that nothing is tried"


def test_secrets_are_neither_written_nor_shown(record_property: Record) -> None:
    check(SECRETS, record_property)


@pytest.mark.parametrize(
    ("place", "words", "code"),
    [
        (
            "nnkit.track.log.redacted",
            ["train", "data=iris", "trainer.max_epochs=1", "loss=code", "loss.code=own:Loss"],
            1,
        ),
        ("nnkit.runs.redacted", ["train", "data=iris", "trainer.max_epochs=1", "loss=code", "loss.code=own:Loss"], 1),
        ("nnkit.cli.messages.redacted", ["train", "data=iris", "model=code", "model.code=own:net"], 2),
    ],
)
def test_a_secret_that_is_not_hidden_is_found(place: str, words: list[str], code: int, tmp_path: Path) -> None:
    def careless(words: list[str]) -> int:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(place, lambda text: text)
            return main(words)

    warm_up()
    canary = Canary("careless", words, (code,), {"WANDB_API_KEY": PASSWORD})
    assert "careless: " in str(leak(canary, tmp_path.resolve(), careless))


def test_no_socket_is_open_to_the_network(record_property: Record) -> None:
    check(LISTENING, record_property)


def test_a_socket_that_is_open_is_found(tmp_path: Path) -> None:
    def listens() -> int:
        import socket

        with socket.socket() as opened:
            opened.bind(("127.0.0.1", 0))
        return 0

    def reachable() -> int:
        import socket

        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind("\0nnkit")
        return 0

    warm_up()
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert "socket.bind network" in str(heard([["train"]], tmp_path / "a", listens))
    assert "socket.bind everybody" in str(heard([["train"]], tmp_path / "b", reachable))
