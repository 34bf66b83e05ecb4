"""What to type once a run has ended badly, or its weights are damaged: it is true, and it works as it is pasted."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnkit.cli import main
from nnkit.errors import StorageError
from nnkit.storage import BACK, LIMIT, QUOTA, RIGHTS, ROOM
from nnkit.train import loop, persist, saver
from tests.cli.test_resume import events, trained, weights

QUICK = ["data=iris", "model.hidden=[8]", "trainer.max_epochs=4", "trainer.plots=false", "trainer.checkpoint_every=1"]
Out = pytest.CaptureFixture[str]


def hint_of(err: str) -> str:
    return err.rpartition("hint: ")[2].splitlines()[0]


def damage(folder: Path, *names: str) -> None:
    for path in (folder / "checkpoints").glob("step-*/model.safetensors"):
        if not names or path.parent.name in names:
            path.write_bytes(path.read_bytes()[:-1] + b"?")


def newest(folder: Path) -> str:
    return max(path.name for path in (folder / "checkpoints").glob("step-*"))


def shown(folder: Path, capsys: Out) -> dict[str, str]:
    assert main(["runs", "show", str(folder)]) == 0
    return dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()[1:] if line[:1].islower())


# best weights that are damaged


def test_damaged_weights_are_trained_again_to_the_same_end(capsys: Out) -> None:
    folder = trained([*QUICK, "trainer.keep_last=3"], capsys)
    wanted, lines = weights(folder, "best"), events(folder)
    facts = json.loads((folder / "run.json").read_text())
    damage(folder, newest(folder))
    assert main(["eval", str(folder)]) == 4
    assert hint_of(capsys.readouterr().err).startswith(f"nnkit resume {folder} goes back to an older checkpoint")
    rows = shown(folder, capsys)
    assert rows["go"].split(maxsplit=1)[1] == f"nnkit resume {folder}"
    assert "use" not in rows
    assert main(["resume", str(folder)]) == 0
    assert "training to the same end" in capsys.readouterr().err
    assert weights(folder, "best") == wanted
    assert events(folder) == lines
    again = json.loads((folder / "run.json").read_text())
    assert {key: again[key] for key in ("status", "reason", "steps", "metrics", "best")} == {
        key: facts[key] for key in ("status", "reason", "steps", "metrics", "best")
    }
    assert main(["resume", str(folder)]) == 0
    assert "the run has ended" in capsys.readouterr().err


def test_where_nothing_is_whole_the_words_of_a_new_run_are_told(capsys: Out) -> None:
    folder = trained(QUICK, capsys)
    damage(folder)
    anew = "the same anew: nnkit train data=iris 'model.hidden=[8]' trainer.max_epochs=4 trainer.plots=false"
    for words in (["resume", str(folder)], ["eval", str(folder)]):
        assert main(words) == 4
        assert hint_of(capsys.readouterr().err) == anew
    rows = shown(folder, capsys)
    assert not {"use", "go"} & set(rows)
    assert rows["weights"].endswith("(damaged)")


def test_a_run_whose_checkpoints_are_gone_does_not_begin_anew(capsys: Out) -> None:
    folder = trained(QUICK, capsys)
    shutil.rmtree(folder / "checkpoints")
    before = (folder / "run.json").read_bytes()
    for words in (["trainer.max_epochs=9"], []):
        assert main(["resume", str(folder), *words]) == 4
        err = capsys.readouterr().err
        assert f"{folder} had completed 4 epochs, but its checkpoints are gone" in err
        assert "hint: the same anew: nnkit train data=iris" in err
    assert (folder / "run.json").read_bytes() == before


# runs that end badly


def ends(capsys: Out, words: list[str], code: int) -> tuple[Path, str, str]:
    """Train to a bad end; return the folder, the hint, and what run.log says of going on."""
    assert main(["train", *words]) == code
    (folder,) = (path.parent for path in Path("outputs").absolute().glob("*/*/run.json"))
    log = (folder / "run.log").read_text()
    return folder, hint_of(capsys.readouterr().err), log.partition("to go on: ")[2].partition("\n")[0]


def failing(step: int, error: BaseException) -> Callable[..., None]:
    """Return what stands for a step of the training, and raises in one of them."""
    learn = loop.learn

    def fails(run: Any, batch: Any, state: Any) -> None:
        if state.step == step:
            raise error
        learn(run, batch, state)

    return fails


@pytest.mark.parametrize("remedy", [ROOM, LIMIT, QUOTA])
def test_a_full_disk_says_how_to_go_on(remedy: str, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    write = saver.write

    def full(folder: Path, *args: Any, **kwargs: Any) -> None:
        if folder.name > "step-00000003":
            raise StorageError("cannot write: No space left on device", hint=f"{remedy}, or choose another place")
        write(folder, *args, **kwargs)

    monkeypatch.setattr(persist, "WAIT_S", 0.0)
    monkeypatch.setattr(saver, "write", full)
    folder, hint, line = ends(capsys, QUICK, 5)
    monkeypatch.undo()
    assert hint == f"{remedy}, then: nnkit resume {folder}"
    assert line.endswith(f"nnkit resume {folder}")
    assert shown(folder, capsys)["go"].split(maxsplit=1)[1] == f"nnkit resume {folder}"
    assert main(["resume", str(folder)]) == 0


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (f"{BACK}, or name another one", BACK),
        (f"{RIGHTS} /x; or choose another place", f"{RIGHTS} /x;"),
    ],
)
def test_a_file_that_cannot_be_had_says_how_to_go_on_with_it(
    given: str, wanted: str, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    monkeypatch.setattr(loop, "learn", failing(2, StorageError("cannot read x", hint=given)))
    folder, hint, _ = ends(capsys, QUICK, 5)
    assert hint == f"{wanted.rstrip(';')}{';' if wanted.endswith(';') else ','} then: nnkit resume {folder}"


def test_no_memory_says_the_words_of_a_run_that_needs_less(monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    monkeypatch.setattr(loop, "learn", failing(2, MemoryError("no more")))
    folder, hint, line = ends(capsys, [*QUICK, "batching.batch_size=20"], 7)
    monkeypatch.undo()
    assert line == ""
    assert "go" not in shown(folder, capsys)
    told, _, typed = hint.partition("a new one: nnkit ")
    assert told == "the batch size of a run stays; "
    assert typed.endswith("batching.batch_size=10 batching.accumulate=2")
    assert main(shlex.split(typed)) == 0


@pytest.mark.parametrize(("size", "wanted"), [("full", "batch_size=64"), ("1", "")])
def test_the_largest_and_the_smallest_batch(
    size: str, wanted: str, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    monkeypatch.setattr(loop, "learn", failing(2, MemoryError("no more")))
    _, hint, _ = ends(capsys, [*QUICK, f"batching.batch_size={size}"], 7)
    assert hint.endswith(wanted)
    assert ("a new one" in hint) == bool(wanted)


def test_a_divergence_says_the_rate_with_which_it_goes_on(capsys: Out) -> None:
    words = ["data=diabetes", "optimizer=sgd", "optimizer.lr=100", *QUICK[1:]]
    folder, hint, line = ends(capsys, words, 10)
    typed = f"nnkit resume {folder} optimizer.lr=1e+01 --allow optimizer.lr"
    assert hint.endswith(f"to go on with it: {typed}")
    assert line.endswith(typed)
    assert shown(folder, capsys)["go"].split(maxsplit=1)[1] == typed
    main(shlex.split(typed)[1:])
    assert "optimizer.lr is now 10" in capsys.readouterr().err + (folder / "run.log").read_text()


def test_a_second_ctrl_c_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    monkeypatch.setattr(loop, "learn", failing(5, KeyboardInterrupt()))
    assert main(["train", *QUICK]) == 130
    (folder,) = (path.parent for path in Path("outputs").absolute().glob("*/*/run.json"))
    told = f"note: what followed the last save is lost; to go on: nnkit resume {folder}"
    assert told in capsys.readouterr().err.splitlines()


# a folder that is removed while it is trained in


@pytest.mark.parametrize("how", ["whole", "config", "late"])
def test_a_folder_that_is_removed_ends_the_run_loudly(how: str, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    learn = loop.learn

    def removes(run: Any, batch: Any, state: Any) -> None:
        learn(run, batch, state)
        for path in Path("outputs").glob("*/*") if state.step == 5 else ():
            (path / "config.yaml").unlink() if how == "config" else shutil.rmtree(path)

    monkeypatch.setattr(loop, "learn", removes)
    every = "1" if how == "whole" else "1000"
    assert main(["train", *QUICK[:-1], f"trainer.checkpoint_every={every}"]) == 5
    out, err = capsys.readouterr()
    assert out == ""
    assert "has been removed" in err
    assert "trying again" not in err
    left = sorted(path.name for path in Path("outputs").glob("*/*/*"))
    assert ("checkpoints" in left) == (how == "config")
