"""What is left of a run that ends badly."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from nnkit import ending
from nnkit.catalog.compare import typed_words
from nnkit.command import Command
from nnkit.ending import circumstances, note_failure, noting_bugs
from nnkit.errors import DataError, DataWorkerError, NnkitError, OutOfMemoryError, StorageError
from nnkit.run import resume, train
from nnkit.runs import new_folder, read_run
from nnkit.storage import LineFile
from nnkit.train import saver
from tests.trained import Watcher, config_of, trained

pytestmark = pytest.mark.usefixtures("on_one_thread")


def log_of(folder: Path) -> str:
    return (folder / "run.log").read_text()


def test_a_command_is_a_line_for_a_shell_in_its_folder() -> None:
    command = Command(("nnkit", "train", "tags=[a b]", "name=it's"), Path("/some where"))
    assert command.line() == "cd '/some where' && nnkit train 'tags=[a b]' 'name=it'\"'\"'s'"
    assert shlex.split(command.line())[-2:] == ["tags=[a b]", "name=it's"]


def test_a_run_keeps_what_was_typed_in_its_record_and_its_log() -> None:
    config, command = config_of("trainer.max_epochs=1"), Command.here("train", "data=iris")
    result = train(config, new_folder(config), command=command)
    assert read_run(result.folder)["command"] == command.line() == f"cd {Path.cwd()} && nnkit train data=iris"
    assert f"from step 0: {command.line()}" in log_of(result.folder)
    assert "to see the same again" not in log_of(result.folder)  # it has ended well
    assert "command" not in read_run(trained("trainer.max_epochs=1").folder)


def test_only_variables_of_the_list_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    told = "\n".join(circumstances(config_of()))
    assert "CUDA_VISIBLE_DEVICES=3" in told
    assert "hunter2" not in told
    for name in ending.ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    assert "environment: none of the variables that matter is set" in "\n".join(circumstances(config_of()))


def test_a_second_ctrl_c_leaves_the_way_to_go_on() -> None:
    config = config_of("trainer.checkpoint_every=1")
    folder = new_folder(config)
    with pytest.raises(KeyboardInterrupt):
        train(config, folder, [Watcher(at_save=2, error=KeyboardInterrupt())])
    assert read_run(folder)["status"] == "interrupted"
    assert f"to go on: cd {Path.cwd()} && nnkit resume {folder}" in log_of(folder)


def test_what_cannot_be_noted_hides_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    config, error = config_of(), ValueError("the cause")
    folder = new_folder(config)
    full = Watcher(at_record=1, error=error)

    def no_space(*_: object) -> None:
        raise StorageError("cannot write: no space is left")

    full_disk = pytest.MonkeyPatch()
    act = full._act

    def fill() -> None:
        full_disk.setattr(LineFile, "append", no_space)
        full_disk.setattr(ending, "write_run", no_space)
        act()

    monkeypatch.setattr(full, "_act", fill)
    try:
        with pytest.raises(ValueError, match="the cause"):
            train(config, folder, [full])
    finally:
        full_disk.undo()
    assert read_run(folder)["status"] == "lost"


def test_a_bug_before_the_first_step_is_in_the_log_and_a_worded_error_is_not() -> None:
    config = config_of()
    folder = new_folder(config)
    with pytest.raises(ZeroDivisionError), noting_bugs(folder, config, None):
        raise ZeroDivisionError("a bug")
    assert "ZeroDivisionError: a bug" in log_of(folder)
    assert "Python 3." in log_of(folder)
    assert "to see the same again: " in log_of(folder)
    other = new_folder(config)
    with pytest.raises(DataError, match="no rows"), noting_bugs(other, config, None):
        raise DataError("no rows")
    assert not (other / "run.log").exists()


@pytest.mark.parametrize("error", [OutOfMemoryError("out of memory reading"), DataWorkerError("it hangs at a.png")])
def test_what_the_machine_does_before_the_first_step_is_in_the_log(error: NnkitError) -> None:
    config = config_of()
    folder = new_folder(config)
    with pytest.raises(type(error)), noting_bugs(folder, config, None):
        raise error
    assert str(error) in log_of(folder)
    assert "Python 3." in log_of(folder)


def test_a_bug_while_a_run_is_taken_up_leaves_its_record_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = trained("trainer.max_epochs=1").folder
    before = (folder / "run.json").read_text()
    monkeypatch.setattr(saver.Saver, "__init__", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        resume(config_of("trainer.max_epochs=2"), folder)
    assert "ZeroDivisionError" in log_of(folder)
    assert (folder / "run.json").read_text() == before


def test_words_that_cannot_be_made_again_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of()
    folder = new_folder(config)

    def twice(_: object) -> list[str]:
        raise DataError("two files are called iris.yaml")

    monkeypatch.setattr(ending, "typed_words", twice)
    error = ValueError("the cause")
    assert note_failure(folder, config, None, error, {"started": "now"}) == "failed"
    assert "to see the same again" not in log_of(folder)
    assert json.loads((folder / "run.json").read_text())["error"] == "the cause"


def test_the_words_of_a_fold_leave_out_what_it_does_not_read() -> None:
    values = {"cv": {"folds": 3, "final": "none", "fold": 1}}
    assert typed_words(values) == ["cv.folds=3", "cv.fold=1"]
    assert typed_words({"cv": {"folds": 3, "final": "none", "fold": None}}) == ["cv.folds=3", "cv.final=none"]
