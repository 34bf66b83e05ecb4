"""What is said of words that were mistyped: it works as it is pasted, and it is what was meant."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from nnkit.cli import main
from nnkit.lock import FolderLock
from nnkit.runs import JOURNAL
from tests.run_folders import made

Out = pytest.CaptureFixture[str]


def said(words: list[str], code: int, capsys: Out) -> tuple[str, list[str]]:
    """Return the error of a command line, and its hints."""
    assert main(words) == code
    lines = capsys.readouterr().err.splitlines()
    return lines[0], [line.removeprefix("hint: ") for line in lines if line.startswith("hint: ")]


@pytest.mark.parametrize("name", ["it's a", "a (b", "it's $5 (a)", "a,b'c"])
def test_a_word_that_has_to_be_quoted_can_be_pasted(name: str, capsys: Out) -> None:
    _, (hint,) = said(["train", f"name={name}", "data=iris", "--cfg", "job"], 2, capsys)
    (word,) = shlex.split(hint.removeprefix("quote it: "))
    assert main(["train", word, "data=iris", "--cfg", "job"]) == 0
    assert name in capsys.readouterr().out.replace("''", "'")


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("optimizer.lr=1e-3,", "optimizer.lr=1e-3"),
        (
            "optimizer.lr=0,001",
            "optimizer.lr=0.001, with a point; or a sweep: nnkit train -m data=iris optimizer.lr=0,001",
        ),
        ("batching.batch_size=32,64", "nnkit train -m data=iris batching.batch_size=32,64"),
        ("optimizer.lr=interval(1,2)", "nnkit train -m data=iris 'optimizer.lr=interval(1,2)' hydra/sweeper=random"),
        ("model.hidden=64,32", "'model.hidden=[64,32]'"),
        ("tags=a,b", "'tags=[a,b]'"),
        ("batching.auto_batch_size=yes", "batching.auto_batch_size=true"),
        ("batching.shuffle=off", "batching.shuffle=false"),
        ("batching.shuffle=1", "batching.shuffle=true"),
        ("batching.batch_size=auto", "batching.auto_batch_size=true"),
        (
            "trainer.on_nonfinite=ignore",
            "one of trainer.on_nonfinite=stop, trainer.on_nonfinite=skip, trainer.on_nonfinite=rollback",
        ),
        ("trainer.max_epochs=ten", "a whole number, such as trainer.max_epochs=100"),
        ("optimizer.lr=small", "a number, such as optimizer.lr=0.001"),
    ],
)
def test_the_hint_is_what_was_meant(word: str, hint: str, capsys: Out) -> None:
    assert said(["train", "data=iris", word], 2, capsys)[1] == [hint]


def test_what_several_words_are_meant_for_is_told_once_as_a_whole_that_can_be_pasted(capsys: Out) -> None:
    words = ["data=iris", "trainer.max_epochs=1", "seed=0,1", "optimizer.lr=tag(log, interval(1e-4,1e-1))"]
    assert main(["train", *words, "--dry-run"]) == 2
    lines = capsys.readouterr().err.splitlines()
    (hint,) = [line.removeprefix("hint: nnkit ") for line in lines if line.startswith("hint: ")]
    assert sum(line.startswith("error: ") for line in lines) == 2
    assert shlex.split(hint) == ["train", "-m", *words, "hydra/sweeper=random"]
    assert main([*shlex.split(hint), "hydra.sweeper.trials=1", "output_dir=here"]) == 0


def test_the_line_of_a_sweep_keeps_its_flags_and_says_where_a_list_is_meant(capsys: Out) -> None:
    words = ["model=cnn", "model.kernel_size=3,5", "--config-dir", ".", "--cfg", "job", "--trust"]
    line = "nnkit train -m model=cnn model.kernel_size=3,5 --trust --config-dir ."
    assert said(["train", *words], 2, capsys)[1] == [f"'model.kernel_size=[3,5]', or a sweep: {line}"]


def test_a_line_that_names_a_sweeper_keeps_it(capsys: Out) -> None:
    Path("space.yaml").write_text("# @package _global_\ndefaults:\n  - override /hydra/sweeper: bayes\n")
    for more in ("hydra/sweeper=bayes", "space.yaml"):
        _, hints = said(["train", more, "optimizer.lr=interval(1,2)"], 2, capsys)
        assert hints[-1] == f"nnkit train -m {more} 'optimizer.lr=interval(1,2)'"


@pytest.mark.parametrize(
    ("space", "text"),
    [("interval(1,", "a bracket is missing, or one too many"), ("interval(1,,2)", "it cannot be read")],
)
def test_a_space_that_is_cut_off_is_told(space: str, text: str, capsys: Out) -> None:
    error, _ = said(["train", "-m", "data=iris", f"optimizer.lr={space}"], 2, capsys)
    assert error == f"error: optimizer.lr={space} is no space to sweep over: {text}"


def test_a_secret_that_is_refused_is_not_missing_besides(capsys: Out) -> None:
    words = ["train", "data=table", "data.path=https://me:hunter22@host/x.csv", "data.target=y"]
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.count("error: ") == 1
    assert "is missing" not in err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["train", "--model", "cnn"], "a setting has no dashes: model=cnn"),
        (["train", "--multirum", "x"], "did you mean --multirun?"),
        (["resume", "lst"], "did you mean last?"),
        (["eval", "lastt"], "did you mean last?"),
    ],
)
def test_words_of_other_programs_and_slips_are_set_right(words: list[str], hint: str, capsys: Out) -> None:
    assert said(words, 2, capsys)[1] == [hint]


def test_an_allowed_key_that_is_not_whole_is_told(capsys: Out) -> None:
    folder = made("a/1")
    words = ["resume", str(folder), "optimizer.lr=0.5", "--allow", "lr"]
    assert "did you mean --allow optimizer.lr?" in said(words, 2, capsys)[1]
    assert "--allow KEY stands beside KEY=VALUE" in said(["resume", str(folder), "--allow", "x"], 2, capsys)[1]


def test_a_file_that_is_no_yaml_is_named_with_its_line(capsys: Out) -> None:
    Path("my.yaml").write_text("optimizer:\n  lr: 0.1\n bad: [1\n")
    error, (hint,) = said(["train", "my.yaml"], 2, capsys)
    assert error.startswith(f"error: {Path('my.yaml').absolute()} cannot be read: line 3, column 2: ")
    assert "byte string" not in error
    assert hint.startswith("a setting is `name: value`")
    error, (hint,) = said(["train", "mine.yaml"], 2, capsys)
    assert (error, hint) == ("error: mine.yaml is not there", "did you mean my.yaml?")
    Path("my.yaml").unlink()
    assert said(["train", "mine.yaml"], 2, capsys)[1] == [f"it was looked for in {Path.cwd()}"]


# sweeps and runs that have hardly begun


def test_a_sweep_without_a_finished_trial_says_whether_it_runs(capsys: Out) -> None:
    folder = Path("outputs/s/sweep").absolute()
    folder.mkdir(parents=True)
    with FolderLock(folder):
        assert "is just starting" in said(["resume", str(folder)], 6, capsys)[0]
        (folder / "journal.jsonl").write_text("")
        assert "runs, and has no finished trial yet" in said(["eval", str(folder)], 6, capsys)[0]
    error, (hint,) = said(["eval", str(folder)], 2, capsys)
    assert error.endswith("has no finished trial")
    assert hint == f"nnkit resume {folder}"
    (folder / "sweep.json").write_text(json.dumps({"best": None}))
    assert said(["eval", str(folder)], 2, capsys)[1] == [hint]


# a run folder that is damaged


@pytest.mark.parametrize("command", [["resume"], ["eval"], ["runs", "show"]])
@pytest.mark.parametrize(
    ("cut", "text"),
    [
        (lambda data: data[: data.index(b"\noptimizer:") + 1], "config.yaml is damaged: optimizer is missing"),
        (lambda data: data[:-3], "config.yaml is damaged: its last line has no end"),
        (lambda _: b"", "config.yaml is damaged: it holds no settings"),
        (lambda _: b"a: [1\n", "config.yaml is damaged, it cannot be read: "),
    ],
)
def test_a_config_that_is_cut_short_is_damaged_and_not_mistyped(
    command: list[str], cut: Any, text: str, capsys: Out
) -> None:
    path = made("a/1") / "config.yaml"
    path.write_bytes(cut(path.read_bytes()))
    error, (hint,) = said([*command, str(path.parent)], 4, capsys)
    assert text in error
    assert "run.json keeps the command" in hint


@pytest.mark.parametrize("command", [["eval"], ["runs", "show"]])
def test_a_record_that_is_empty_is_damaged(command: list[str], capsys: Out) -> None:
    path = made("a/1") / "run.json"
    path.write_text("")
    assert "run.json is damaged, it cannot be read" in said([*command, str(path.parent)], 4, capsys)[0]


# a machine that cannot load torch


def test_no_memory_for_a_library_is_no_bug(monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    def refused(_: object) -> int:
        raise ImportError("libtorch_cpu.so: failed to map segment from shared object")

    monkeypatch.setattr("nnkit.cli._dispatch", refused)
    error, (hint,) = said(["train"], 7, capsys)
    assert error.startswith("error: not enough memory to load a library: libtorch_cpu.so")
    assert "ulimit -v" in hint


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["sweep", "model=mlp", "optimizer.lr=1,2"], "nnkit train -m model=mlp optimizer.lr=1,2"),
        (["train", "model=ResNet-34"], "did you mean model=pretrained model.arch=resnet34?"),
        (["train", "data=nuclei"], "did you mean experiment=nuclei?"),
        (["train", "augmentation=randaugment"], "did you mean augmentation.policy=randaugment?"),
        (["train", "augmentation.label_smoothing=0.1"], "loss.label_smoothing belongs to loss=cross_entropy"),
        (["train", "data=masks", "data.images=a", "data.masks=b", "data.path=X"], "did you mean data.images=X?"),
        (["train", "trainer.checkpointing=true"], "did you mean trainer.activation_checkpointing=true?"),
        (["train", "model=pretrained"], "such as model.arch=resnet34; nnkit list model.arch names them all"),
    ],
)
def test_what_stands_elsewhere_is_named_there(words: list[str], hint: str, capsys: Out) -> None:
    assert said(words, 2, capsys)[1] == [hint]


@pytest.mark.parametrize("words", [["hydra.sweeper.jobs=1"], ["--retry-failed"], ["hydra/launcher=joblib", "--trust"]])
def test_a_run_is_told_apart_from_a_sweep_with_a_line_that_goes_on_with_it(words: list[str], capsys: Out) -> None:
    folder = made("one/1").absolute()
    for name in ("last", str(folder)):
        error, (hint,) = said(["resume", name, *words], 2, capsys)
        assert error == f"error: {words[0]}: for a sweep alone, but {folder} is a run"
        assert shlex.split(hint) == ["nnkit", "resume", name, *words[1:]]


def test_a_trial_is_told_apart_from_its_sweep(capsys: Out) -> None:
    folder = made("one/sweep/0").absolute()
    (folder.parent / JOURNAL).touch()
    error, hints = said(["resume", str(folder), "hydra.sweeper.jobs=2", "--retry-failed"], 2, capsys)
    assert error == f"error: hydra.sweeper.jobs=2, --retry-failed: for a sweep alone, but {folder} is a run of one"
    assert hints == [f"nnkit resume {folder.parent} hydra.sweeper.jobs=2 --retry-failed"]


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("optimizer.lr=0.5", "--allow optimizer.lr and a higher trainer.max_epochs"),
        ("trainer.decision_threshold=0.4", "--allow trainer.decision_threshold"),  # of the measures, not of the steps
    ],
)
def test_what_would_change_nothing_in_a_run_that_has_ended_is_told_at_once(word: str, hint: str, capsys: Out) -> None:
    folder = made("one/1", epochs=3, reason="max_epochs")
    error, hints = said(["resume", str(folder), word], 2, capsys)
    assert hints == [hint]
    told = "would change nothing: no step is left to train, the run has ended (max_epochs) after 3 epochs"
    assert (told in error) == word.startswith("optimizer")
    assert said(["resume", str(folder), word, "trainer.max_epochs=500"], 2, capsys)[1] == [f"--allow {hint.split()[1]}"]


def test_a_run_that_its_sweep_has_pruned_is_told_what_trains_it_on(capsys: Out) -> None:
    folder = made("one/1", status="pruned", epochs=1, reason="pruned")
    _, hints = said(["resume", str(folder), "optimizer.lr=0.5"], 2, capsys)
    assert hints == ["--allow optimizer.lr and a higher trainer.max_epochs"]


@pytest.mark.parametrize(
    "command", [["train"], ["train", "-m"], ["tune", "--budget", "20s"], ["resume", "outputs/one/1"]]
)
def test_a_word_that_decides_nothing_is_told(command: list[str], capsys: Out) -> None:
    made("one/1")
    words = ["+optimizer.lr=1e-2", "seed=1", "optimizer.lr=1e-3", "seed=1", "optimizer.lr=-1"]
    assert main([*command, *([] if command[0] == "resume" else ["data=iris"]), *words]) == 2
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert notes == [
        "note: optimizer.lr=1e-3 overrules +optimizer.lr=1e-2",
        "note: optimizer.lr=-1 overrules optimizer.lr=1e-3",
    ]


def test_a_secret_that_is_overruled_is_not_shown(capsys: Out) -> None:
    words = ["data.api_key=hunter22", "data.api_key=hunter33", "tracker=[tensorboard]", "tracker=none"]
    assert main(["train", "data=iris", *words]) == 2
    err = capsys.readouterr().err
    assert "note: tracker=none overrules tracker=[tensorboard]" in err
    assert "hunter" not in err
