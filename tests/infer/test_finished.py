"""A run opened from its folder: what it needs, what is damaged, what must not be executed."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import yaml

from nnkit.errors import CheckpointError, ConfigError, DataError, NnkitError
from nnkit.infer.finished import open_run
from nnkit.lock import FolderLock
from nnkit.runs import DamagedRecordError, read_config
from nnkit.train import checkpoints
from tests.finished import KINDS, OLD, Bomb, change_facts, copy_of, facts_of, folder_of, opened, own_folder, put_bombs
from tests.own_code import HERE
from tests.trained import config_of


def best(folder: Path) -> Path:
    """The folder of the best checkpoint."""
    return checkpoints.pointed(folder / "checkpoints", "best")


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_weights_are_loaded_and_the_network_is_in_eval_mode(kind: str) -> None:
    run = opened(kind)
    wanted = safetensors.torch.load_file(best(run.folder) / "model.safetensors")
    found = run.model.state_dict()
    assert wanted.keys() == found.keys()
    assert all(torch.equal(wanted[name], found[name].cpu()) for name in wanted)
    assert not run.model.training
    assert run.spec == run.preprocess.spec


def test_a_title_says_what_was_trained_on_what() -> None:
    assert opened("pixels").title == "cnn on array"


def test_a_run_of_the_first_format_is_opened_by_fitting_again() -> None:
    folder = copy_of(OLD)
    run = open_run(folder)
    kept = json.loads((folder / "preprocess.json").read_text())["inputs"][0]
    scale = run.preprocess.inputs[0].scale  # type: ignore[union-attr]
    assert scale is not None
    assert list(scale.shift) == pytest.approx(kept["shift"], rel=1e-9)
    assert run.spec.target.classes == ("setosa", "versicolor", "virginica")


def test_outputs_do_not_depend_on_how_rows_are_cut() -> None:
    run = opened("array")
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).numpy()
    whole = run.outputs(run.batches([x]))
    parts = torch.cat([run.outputs(run.batches([x[i : i + 7]])) for i in range(0, 50, 7)])
    assert whole.shape == (50, 3)
    assert not whole.requires_grad
    torch.testing.assert_close(whole, parts)


def test_a_run_of_a_device_that_is_not_here_runs_on_the_cpu() -> None:
    folder = copy_of(folder_of("array"))
    values = read_config(folder)
    values["trainer"] |= {"device": "mps", "precision": "bf16"}
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    run = open_run(folder)
    assert (run.arithmetic.device.type, run.arithmetic.precision) == ("cpu", "fp32")
    old = copy_of(OLD)
    values = read_config(old)
    values["trainer"] |= {"device": "mps"}
    (old / "config.yaml").write_text(yaml.safe_dump(values))
    assert open_run(old).arithmetic.device.type == "cpu"


# damage


def damaged(change: Any, kind: type[NnkitError], match: str) -> NnkitError:
    folder = copy_of(folder_of("array"))
    change(folder)
    with pytest.raises(kind, match=match) as caught:
        open_run(folder)
    return caught.value


def edit(name: str, text: str) -> Any:
    return lambda folder: (folder / name).write_text(text)


def without(name: str) -> Any:
    return lambda folder: (folder / name).unlink()


def flip(folder: Path) -> None:
    path = best(folder) / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))


def test_damaged_weights_are_told() -> None:
    assert damaged(flip, CheckpointError, "SHA-256 differs").exit_code == 4
    damaged(without("checkpoints/best"), CheckpointError, "checkpoints/best does not name a checkpoint")
    damaged(edit("checkpoints/best", '{"step": 99}'), CheckpointError, "step-00000099 is damaged")
    damaged(edit("checkpoints/best", "[]"), CheckpointError, "does not name a checkpoint")
    damaged(lambda folder: (best(folder) / "manifest.json").unlink(), CheckpointError, "is damaged")


def test_weights_of_another_network_are_told() -> None:
    def widen(folder: Path) -> None:
        values = read_config(folder)
        values["model"]["hidden"] = [9]
        (folder / "config.yaml").write_text(yaml.safe_dump(values))

    damaged(widen, CheckpointError, "the weights of .*array do not fit its config.*size mismatch")


def preprocess(text: str) -> Any:
    """Write another preprocess.json, with its right sum in run.json."""

    def write(folder: Path) -> None:
        (folder / "preprocess.json").write_text(text)
        change_facts(folder, preprocess_sha256=hashlib.sha256(text.encode()).hexdigest())

    return write


def newer(folder: Path) -> None:
    plain = json.loads((folder / "preprocess.json").read_text())
    preprocess(json.dumps({**plain, "format": 99}))(folder)


def test_a_damaged_preprocess_json_is_told() -> None:
    gone = r"array/preprocess\.json cannot be read: No such file or directory \(errno 2\)$"
    for change, text in (
        (without("preprocess.json"), gone),
        (edit("preprocess.json", "{}"), r"array/preprocess\.json is damaged: .*SHA-256 differs"),
        (preprocess("{"), r"array/preprocess\.json cannot be read"),
        (preprocess("[1]"), r"array/preprocess\.json is damaged: it holds no mapping"),
        (preprocess('{"format": 2}'), r"array: preprocess\.json is damaged: KeyError"),
        (preprocess('{"format": "x"}'), r"array: preprocess\.json is damaged"),
    ):
        error = damaged(change, DataError, text)
        assert error.exit_code == 3
        assert error.hint == "put it back; or train the same anew: run.json keeps the command that it was begun with"
    error = damaged(newer, DataError, r"preprocess\.json has format 99, newer than")
    assert error.problems[0].hint == "update nnkit"


def test_a_damaged_run_json_is_told() -> None:
    error = damaged(without("run.json"), DataError, r"array/run\.json cannot be read: it is not there$")
    assert error.exit_code == 3
    assert error.hint.startswith("put it back; or, where the run was stopped as it began: nnkit resume /")
    damaged(edit("run.json", ""), DamagedRecordError, "run.json is damaged, it cannot be read: Expecting value")
    for wrong in (0, 1, "half", None, True):
        damaged(
            lambda f, w=wrong: change_facts(f, decision_threshold=w),
            DataError,
            r"decision_threshold must be in \(0, 1\)",
        )


@pytest.mark.parametrize(("wanted", "threshold"), [("0.7", 0.7), ("accuracy", 0.5)])
def test_a_run_that_has_not_ended_has_the_threshold_of_its_config(wanted: str, threshold: float) -> None:
    folder = copy_of(folder_of("binary"))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["trainer"]["decision_threshold"] = yaml.safe_load(wanted)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    facts = {key: value for key, value in facts_of(folder).items() if key != "decision_threshold"}
    (folder / "run.json").write_text(json.dumps({**facts, "status": "running"}))
    assert open_run(folder).threshold == threshold


def test_a_config_of_unknown_keys_is_told_with_its_file() -> None:
    def add(folder: Path) -> None:
        (folder / "config.yaml").write_text((folder / "config.yaml").read_text().replace("hidden:", "hiden:"))

    error = damaged(add, ConfigError, r"array/config\.yaml: model\.hiden is not a setting of model=mlp")
    assert "model.hidden" in error.problems[0].hint
    damaged(edit("config.yaml", "[1, 2]"), ConfigError, "holds no settings")


def test_a_config_of_a_wrong_value_is_to_be_mended_since_no_word_would_help() -> None:
    def spell(folder: Path) -> None:
        text = (folder / "config.yaml").read_text()
        (folder / "config.yaml").write_text(re.sub("max_epochs: .*", "max_epochs: five", text))

    error = damaged(
        spell, ConfigError, r"array/config\.yaml: trainer\.max_epochs must be a whole number >= 1, got 'five'"
    )
    told = "mend config.yaml in the run folder; run.json keeps the command that it was begun with"
    assert error.hint == told


@pytest.mark.parametrize(
    ("status", "text", "hint"),
    [
        ("interrupted", "was interrupted before its first validation", "nnkit resume"),
        ("failed", "array failed before its first validation", "nnkit resume"),
        ("running", "was lost before its first validation", "nnkit resume"),
        ("odd", "is odd before its first validation", "nnkit resume"),
    ],
)
def test_a_run_without_a_validation_says_what_became_of_it(status: str, text: str, hint: str) -> None:
    def stop(folder: Path) -> None:
        (folder / "checkpoints" / "best").unlink()
        (folder / "metrics.jsonl").unlink()
        change_facts(folder, status=status)

    assert hint in damaged(stop, CheckpointError, text).problems[0].hint


def test_a_run_that_has_validated_but_could_save_nothing_says_so() -> None:
    def stop(folder: Path, event: str) -> None:
        (folder / "checkpoints" / "best").unlink()
        (folder / "metrics.jsonl").write_text(event)
        change_facts(folder, status="failed")

    event = '{"step": 3, "epoch": 1, "train/loss": 0.5}\n'
    damaged(lambda folder: stop(folder, event), CheckpointError, "failed before its first validation")
    event = event.replace("train", "val")
    damaged(lambda folder: stop(folder, event), CheckpointError, "array failed before any weights could be saved")


def test_a_run_that_is_running_has_no_weights_yet() -> None:
    folder = copy_of(folder_of("array"))
    (folder / "checkpoints" / "best").unlink()
    (folder / "metrics.jsonl").write_text("")
    change_facts(folder, status="running")
    with FolderLock(folder), pytest.raises(CheckpointError, match="is still running before its first validation") as e:
        open_run(folder)
    assert e.value.problems[0].hint == "wait for it"


# nothing is executed


def test_code_of_the_users_own_needs_trust() -> None:
    with pytest.raises(ConfigError, match=f"model runs code of its own, {HERE}:Net") as caught:
        open_run(own_folder())
    assert "--trust" in caught.value.problems[0].hint
    assert type(open_run(own_folder(), trust=True).model).__name__ == "Net"


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize(
    "attack",
    [
        edit("config.yaml", "!!python/object/apply:pathlib.Path.touch [executed]"),
        edit("config.yaml", "data: !!python/object/apply:os.system ['touch executed']"),
        edit("preprocess.json", "!!python/object/apply:os.system ['touch executed']"),
        edit("run.json", "__import__('os').system('touch executed')"),
        put_bombs,
    ],
)
def test_a_hostile_folder_executes_nothing(attack: Any, trust: bool) -> None:
    folder = copy_of(folder_of("array"))
    attack(folder)
    with pytest.raises(NnkitError):
        open_run(folder, trust=trust)
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("model", {"kind": "code", "code": "os:system", "kwargs": {"command": "touch executed"}}),
        ("model", {"kind": "mlp", "code": "os:system"}),
        ("model", {"kind": "os:system"}),
        ("activation", {"kind": "code", "code": "os:system", "kwargs": {"command": "touch executed"}}),
        ("loss", {"kind": "code", "code": "os:system", "kwargs": {"command": "touch executed"}}),
        ("data", {"kind": "code", "code": "os:system", "kwargs": {"command": "touch executed"}, "val_fraction": 0.1}),
        ("metric", {"kind": "code", "code": "os:system", "kwargs": {"command": "touch executed"}}),
        ("metric", {"kind": "Code", "code": "os:system"}),
    ],
)
def test_code_that_a_config_names_is_not_run(section: str, values: dict[str, Any]) -> None:
    folder = copy_of(folder_of("array"))
    (folder / "config.yaml").write_text(yaml.safe_dump({**read_config(folder), section: values}))
    with pytest.raises(ConfigError):
        open_run(folder)
    assert not Path("executed").exists()


def test_the_bomb_of_these_tests_would_go_off() -> None:
    pickle.loads(pickle.dumps(Bomb()))
    assert Path("executed").exists()
    assert config_of()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("hidden", [10**9], "model.hidden asks for more than the 4 tensors have, the largest size being"),
        ("hidden", [1] * 2000, "model.hidden asks for more than the 4 tensors have"),
    ],
)
def test_a_network_that_its_weights_are_not_for_is_not_made(key: str, value: Any, message: str) -> None:
    def enlarge(folder: Path) -> None:
        values = read_config(folder)
        values["model"][key] = value
        (folder / "config.yaml").write_text(yaml.safe_dump(values))

    damaged(enlarge, CheckpointError, f"the weights of .*array do not fit its config: {message}")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"inputs": []}, DataError, r"preprocess\.json is damaged: it has no inputs"),
        ({"classes": 3}, DataError, r"preprocess\.json is damaged"),
    ],
)
def test_a_preprocess_json_that_makes_no_sense_is_told(change: Any, error: type[NnkitError], message: str) -> None:
    def damage(folder: Path) -> None:
        plain = json.loads((folder / "preprocess.json").read_text())
        (folder / "preprocess.json").write_text(json.dumps({**plain, **change}))
        facts = json.loads((folder / "run.json").read_text())
        del facts["preprocess_sha256"]  # as in an older run
        (folder / "run.json").write_text(json.dumps(facts))

    damaged(damage, error, message)
