"""`nnkit resume`: what may change, what may not, and real signals to a real process."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import yaml
from PIL import Image

from nnkit.cli import main
from nnkit.errors import ConfigError
from nnkit.lock import FolderLock
from nnkit.runs import read_config
from tests.finished import put_bombs, reseal
from tests.own_code import HERE

QUICK = ["data=iris", "model.hidden=[8]", "regularization=dropout", "trainer.ema_decay=0.9", "scheduler=plateau"]


def trained(words: list[str], capsys: pytest.CaptureFixture[str], command: str = "train") -> Path:
    assert main([command, *words]) == 0
    return Path(capsys.readouterr().out.strip())


def weights(folder: Path, name: str) -> dict[str, bytes]:
    step = json.loads((folder / "checkpoints" / name).read_text())["step"]
    loaded = safetensors.torch.load_file(folder / "checkpoints" / f"step-{step:08d}" / "model.safetensors")
    return {key: value.numpy().tobytes() for key, value in loaded.items()}


def events(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if not k.startswith("time/")} for line in lines]


def test_a_longer_run_in_two_parts_equals_the_run_in_one(capsys: pytest.CaptureFixture[str]) -> None:
    whole = trained([*QUICK, "trainer.max_epochs=6"], capsys)
    part = trained([*QUICK, "trainer.max_epochs=2"], capsys)
    assert trained([str(part), "trainer.max_epochs=6"], capsys, "resume") == part
    assert events(part) == events(whole)
    assert weights(part, "last") == weights(whole, "last")
    kept = {"step": 4, "changes": {"trainer.max_epochs": 6}, "before": {"trainer.max_epochs": 2}}
    assert json.loads((part / "run.json").read_text())["resumed"] == [kept]


def test_last_is_the_newest_run_below_the_output_folder(capsys: pytest.CaptureFixture[str]) -> None:
    trained([*QUICK, "trainer.max_epochs=1", "output_dir=a"], capsys)
    second = trained([*QUICK, "trainer.max_epochs=1", "output_dir=b"], capsys)
    assert trained(["last", "output_dir=b", "trainer.max_epochs=2"], capsys, "resume") == second
    assert main(["resume", "last"]) == 2
    assert "there is no run in outputs" in capsys.readouterr().err


def test_a_run_that_has_ended_says_what_to_raise(capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained([*QUICK, "trainer.max_epochs=1"], capsys)
    assert main(["resume", str(folder)]) == 0
    assert "raise trainer.max_epochs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["model.hidden=[9]"], "model.hidden cannot change in a run that has begun (model.hidden: [8] -> [9])"),
        (["seed=7"], "seed cannot change"),
        (["optimizer=sgd"], "optimizer cannot change in a run that has begun"),
        (
            ["optimizer.lr=1e-2", "trainer.max_epochs=2"],
            "optimizer.lr changes the maths of the run (optimizer.lr: 0.001 -> 0.01)",
        ),
        (["optimizer.lr=abc"], "optimizer.lr must be a number > 0, got 'abc'"),
        (["trainer.max_epoch=9"], "trainer.max_epoch is not a setting of trainer"),
        (["nosuch.key=1"], "nosuch.key is not a setting"),
        (["output_dir=x"], "output_dir cannot change: the run stays in its folder"),
        (["--allow", "optimizer.lr"], "--allow optimizer.lr names nothing that changes"),
        (["--force"], "--force is not a flag of resume"),
        (["again"], "again is not of the form key=value"),
    ],
)
def test_what_cannot_change_is_refused(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained([*QUICK, "trainer.max_epochs=1"], capsys)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}
    assert main(["resume", str(folder), *words]) == 2
    assert text in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}


def test_an_allowed_change_is_applied_and_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained([*QUICK, "trainer.max_epochs=1"], capsys)
    words = ["trainer.max_epochs=2", "optimizer.lr=0.5", "--allow", "optimizer.lr"]
    trained([str(folder), *words], capsys, "resume")
    assert events(folder)[-1]["lr"] == 0.5
    changes = json.loads((folder / "run.json").read_text())["resumed"][0]["changes"]
    assert changes == {"trainer.max_epochs": 2, "optimizer.lr": 0.5}


@pytest.mark.parametrize("word", ["nowhere", "."])
def test_a_folder_that_is_no_run_is_named(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume", word]) == 2
    assert f"{word} is not a run folder" in capsys.readouterr().err


def test_flags_alone_name_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resume", "--allow", "x"]) == 2
    assert "resume needs a run" in capsys.readouterr().err


def test_a_second_process_on_the_folder_exits_6_before_torch_loads(capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained([*QUICK, "trainer.max_epochs=1"], capsys)
    code = "import sys, nnkit.cli; c = nnkit.cli.main(sys.argv[1:]); assert 'torch' not in sys.modules; sys.exit(c)"
    with FolderLock(folder):
        words = [sys.executable, "-c", code, "resume", str(folder), "trainer.max_epochs=2"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 6, done.stderr
    assert "is in use by process" in done.stderr


def test_a_signal_leaves_a_run_that_resumes_exactly(capsys: pytest.CaptureFixture[str]) -> None:
    words = [*QUICK, "trainer.max_epochs=400", "trainer.patience=null", "trainer.threads=1"]
    command = [sys.executable, "-m", "nnkit", "train", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(Path("outputs").glob("*/*/metrics.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    folder = Path(out.strip())
    assert "nnkit resume" in err
    facts = json.loads((folder / "run.json").read_text())
    assert facts["status"] == "interrupted"
    assert "test/accuracy" not in facts["metrics"]
    trained([str(folder)], capsys, "resume")
    whole = trained([*words, "output_dir=whole"], capsys)
    assert weights(folder, "last") == weights(whole, "last")
    assert events(folder) == events(whole)


# keyword arguments of code of the user's own

OWN = ["loss=code", f"loss.code={HERE}:Focal", "loss.kwargs.gamma=1"]


def test_a_run_with_code_of_its_own_goes_on_only_where_it_is_trusted(capsys: pytest.CaptureFixture[str]) -> None:
    whole = trained([*QUICK, *OWN, "trainer.max_epochs=4"], capsys)
    part = trained([*QUICK, *OWN, "trainer.max_epochs=2"], capsys)
    assert main(["resume", str(part), "trainer.max_epochs=4"]) == 2
    err = capsys.readouterr().err
    assert f"{part}: loss runs code of its own, {HERE}:Focal" in err
    assert "--trust" in err
    trained([str(part), "--trust", "trainer.max_epochs=4"], capsys, "resume")
    assert weights(part, "last") == weights(whole, "last")
    assert events(part) == events(whole)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["loss.kwargs.gamma=3"], "loss.kwargs.gamma changes the maths of the run (loss.kwargs.gamma: 1 -> 3)"),
        (["loss.kwargs.gama=3", "--allow", "loss.kwargs.gama"], "loss.code=tests.own_code:Focal failed: TypeError"),
        (["activation.kwargs.slope=3"], "activation.kwargs is not a setting of activation=relu"),
        (["loss.kwargs.gamma.deep=3"], "loss.kwargs.gamma.deep is not a setting: gamma is 1"),
        (["trainer.max_epochs.deep=3"], "trainer.max_epochs.deep is not a setting: max_epochs is 2"),
        (
            ["loss.kwargs.gamma=1", "--allow", "loss.kwargs.gamma"],
            "--allow loss.kwargs.gamma names nothing that changes",
        ),
    ],
)
def test_keyword_arguments_change_only_where_it_is_allowed(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained([*QUICK, *OWN, "trainer.max_epochs=1"], capsys)
    assert main(["resume", str(folder), "--trust", "trainer.max_epochs=2", *words]) == 2
    assert text in capsys.readouterr().err


def test_an_allowed_keyword_argument_is_applied_and_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained([*QUICK, *OWN, "trainer.max_epochs=1"], capsys)
    words = ["trainer.max_epochs=2", "loss.kwargs.gamma=3", "--allow", "loss.kwargs.gamma", "--trust"]
    trained([str(folder), *words], capsys, "resume")
    assert yaml.safe_load((folder / "config.yaml").read_text())["loss"]["kwargs"] == {"gamma": 3}
    changes = json.loads((folder / "run.json").read_text())["resumed"][0]["changes"]
    assert changes == {"trainer.max_epochs": 2, "loss.kwargs.gamma": 3}


def test_arguments_of_the_model_are_fixed(capsys: pytest.CaptureFixture[str]) -> None:
    own = ["model=code", f"model.code={HERE}:Net", "model.kwargs.width=3"]
    folder = trained(["data=iris", *own, "trainer.max_epochs=1"], capsys)
    assert main(["resume", str(folder), "model.kwargs.width=4", "--trust"]) == 2
    assert "model.kwargs.width cannot change in a run that has begun (model.kwargs.width: 3 -> 4)" in (
        capsys.readouterr().err
    )


def test_a_date_is_text_as_on_the_command_line_of_train(capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained([*QUICK, "trainer.max_epochs=1"], capsys)
    assert main(["resume", str(folder), "trainer.max_epochs=2024-01-01"]) == 2
    assert "trainer.max_epochs must be a whole number >= 1, got '2024-01-01'" in capsys.readouterr().err


# a hostile folder


def test_a_hostile_folder_executes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained([*QUICK, "trainer.max_epochs=1"], capsys)
    put_bombs(folder)
    assert main(["resume", str(folder), "trainer.max_epochs=2"]) == 4
    assert "model.safetensors is damaged" in capsys.readouterr().err
    folder = trained([*QUICK, "trainer.max_epochs=1"], capsys)
    weights_of = {path: path.read_bytes() for path in folder.glob("checkpoints/*/model.safetensors")}
    put_bombs(folder)
    for path, data in weights_of.items():
        path.write_bytes(data)
        manifest = json.loads((path.parent / "manifest.json").read_text())
        manifest["sha256"]["model.safetensors"] = hashlib.sha256(data).hexdigest()
        reseal(path.parent / "manifest.json", manifest)
    assert main(["resume", str(folder), "trainer.max_epochs=2", "--trust"]) == 4
    assert "state.pt is damaged" in capsys.readouterr().err
    values = yaml.safe_load((folder / "config.yaml").read_text())
    values["loss"] = {"kind": "code", "code": "os:system", "kwargs": {"command": "touch executed"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    assert main(["resume", str(folder), "trainer.max_epochs=2"]) == 2
    (folder / "config.yaml").write_text("!!python/object/apply:os.system ['touch executed']")
    assert main(["resume", str(folder), "trainer.max_epochs=2", "--trust"]) == 4  # it is damaged
    assert not Path("executed").exists()


def test_a_run_that_learns_nothing_has_nothing_to_go_on_with(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data=sine", "data.steps=200", "data.window=10", "data.horizon=2", "data.season=5", "model=naive"]
    folder = trained(words, capsys)
    for more in ([], ["trainer.plots=false"]):
        assert main(["resume", str(folder), *more]) == 0
        out, err = capsys.readouterr()
        assert out.strip() == str(folder)
        assert "model=naive has nothing to learn: the run has ended, and there is nothing to go on with" in err
        assert "max_epochs" not in err


def test_pictures_of_a_run_are_cached_elsewhere_only_where_the_user_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for number in range(24):
        path = tmp_path / "pictures" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), number).save(path)
    place = tmp_path / "place"
    words = ["data=images", f"data.path={tmp_path / 'pictures'}", f"data.cache={place}", "model.hidden=[2]"]
    folder = trained([*words, "trainer.max_epochs=1", "trainer.plots=false"], capsys)
    shutil.rmtree(place)
    assert main(["resume", str(folder), "trainer.max_epochs=2"]) == 0
    assert f"data.cache={place} of {folder} is not used; type it, or pass --trust" in capsys.readouterr().err
    assert not place.exists()
    assert main(["resume", str(folder), "trainer.max_epochs=3", f"data.cache={place}"]) == 0
    assert "is not used" not in capsys.readouterr().err
    assert place.exists()


# a config.yaml that is not whole any more


def test_a_config_that_was_cut_at_a_line_end_is_told_and_an_edited_one_is_taken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = trained([*QUICK, "trainer.max_epochs=1"], capsys)
    path = folder / "config.yaml"
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    for end in range(1, len(lines)):
        path.write_text("".join(lines[:end]))
        with pytest.raises(ConfigError, match=r"config\.yaml is damaged"):
            read_config(folder)
    path.write_text("".join(line for line in lines if not line.startswith("  beta1")))
    for command in ("eval", "resume"):
        assert main([command, str(folder)]) == 4
        assert "it lacks optimizer.beta1, which it had when the run began" in capsys.readouterr().err
    values = yaml.safe_load(whole)
    values["trainer"]["max_epochs"] = 2
    path.write_text(yaml.safe_dump(values, sort_keys=True))
    assert main(["resume", str(folder), "trainer.patience=9"]) == 0
    assert json.loads((folder / "run.json").read_text())["epochs"] == 2


def test_a_wrong_value_in_the_file_is_told_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained([*QUICK, "trainer.max_epochs=1"], capsys)
    path = folder / "config.yaml"
    path.write_text(path.read_text().replace("  lr: ", "  lr: x"))
    assert main(["resume", str(folder)]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: {path}: optimizer.lr must be a number > 0, got 'x")
    mend = "hint: mend config.yaml in the run folder; run.json keeps the command that it was begun with"
    assert hint == mend
    assert main(["resume", str(folder), "trainer.patience=-1"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == [error, mend]
    assert lines[2] == "error: trainer.patience must be a whole number >= 1 or null, got -1"
    assert main(["resume", str(folder), "optimizer.lr=0.01", "--allow", "optimizer.lr", "trainer.max_epochs=2"]) == 0
