"""`nnkit export`: a file, its parity, and what a tired user types."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import safetensors
import torch

from nnkit.data.batches import Batches
from nnkit.infer.export import export
from nnkit.infer.labelled import own_rows
from nnkit.runs import read_config
from tests.finished import OLD, command, copy_of, data_path, folder_of, opened, own_folder, sequence_path

Capsys = pytest.CaptureFixture[str]


def test_an_onnx_file_answers_as_the_network_does(capsys: Capsys) -> None:
    folder = copy_of(folder_of("array"))
    code, out, err = command(capsys, "export", folder, "--format", "onnx")
    assert (code, out) == (0, f"{folder / 'model.onnx'}\n")
    assert "parity with PyTorch on 18 samples of the test set: outputs differ by at most" in err
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    with np.load(data_path("array")) as arrays:
        x = arrays["x"][:5].astype(np.float32)
    metadata = session.get_modelmeta().custom_metadata_map
    scale = json.loads(metadata["preprocess"])["inputs"][0]["scale"]
    scaled = ((x - scale["shift"]) / scale["size"]).astype(np.float32)
    (found,) = session.run(None, {"x": scaled})
    run = opened("array")
    np.testing.assert_allclose(found, run.outputs(run.batches([x])).numpy(), atol=1e-5)
    assert json.loads(metadata["classes"]) == ["0", "1", "2"]
    assert json.loads(metadata["inputs"]) == [{"name": "x", "kind": "features", "shape": [4], "sizes": []}]
    assert json.loads(metadata["outputs"]).startswith("logits")


@pytest.mark.parametrize("kind", ["binary", "embedded", "labels", "counts", "pixels"])
def test_a_torch_file_is_compared_on_the_test_set(kind: str, capsys: Capsys) -> None:
    code, out, err = command(capsys, "export", folder_of(kind), "--format=torch_export", "-o", "new/m.pt2")
    assert (code, out) == (0, f"{Path('new/m.pt2').absolute()}\n")
    assert "samples of the test set" in err
    extra = dict.fromkeys(("decision_threshold", "features", "outputs", "task"), "")
    program = torch.export.load("new/m.pt2", extra_files=extra).module()
    run = opened(kind)
    samples = run.samples(*_rows(kind))
    batch = next(Batches(samples, size=100, shuffle=False, drop_last=False, seed=0).epoch(0)).inputs
    torch.testing.assert_close(program(*batch), run.outputs([batch]), atol=1e-5, rtol=1e-5)
    assert json.loads(extra["decision_threshold"]) == run.threshold
    if kind == "binary":
        assert len(json.loads(extra["features"])) == batch[0].shape[1]
    if kind == "counts":
        assert "logarithms" in extra["outputs"]


def _rows(kind: str) -> tuple[object, object]:
    from nnkit.infer.labelled import own_rows

    return own_rows(opened(kind), "test")


def test_safetensors_hold_the_weights_and_the_description(capsys: Capsys) -> None:
    code, _, err = command(capsys, "export", folder_of("values"), "--format", "safetensors", "-o", "m.safetensors")
    assert code == 0
    assert "differ by at most 0 " in err
    with safetensors.safe_open("m.safetensors", "pt") as file:
        assert set(file.keys()) == set(opened("values").model.state_dict())
        assert json.loads(file.metadata()["preprocess"])["target"]["shift"]


def test_without_its_data_a_run_is_compared_on_made_up_samples(capsys: Capsys) -> None:
    for kind in ("array", "embedded"):
        folder = copy_of(folder_of(kind))
        text = (folder / "config.yaml").read_text().replace(str(data_path(kind)), str(Path(f"gone.{kind}").absolute()))
        (folder / "config.yaml").write_text(text)
        code, _, err = command(capsys, "export", folder, "--format", "safetensors")
        assert code == 0
        assert "256 made-up samples, since" in err
        assert "gone" in err


def test_a_first_format_run_and_own_code_are_exported(capsys: Capsys) -> None:
    assert command(capsys, "export", copy_of(OLD), "--format", "torch_export")[0] == 0
    code, _, err = command(capsys, "export", own_folder(), "--format", "safetensors", "-o", "m.safetensors")
    assert code == 2
    assert "model runs code of its own, tests.own_code:Net" in err
    assert "--trust" in err
    words = ["--format", "safetensors", "-o", "m.safetensors", "--trust"]
    assert command(capsys, "export", own_folder(), *words)[0] == 0


def test_the_network_of_the_run_stays_as_it_is(capsys: Capsys) -> None:
    from nnkit.infer.export import export

    run = opened("pixels")
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    data, found, on = export(run, "safetensors")
    assert found.is_close
    assert (on, bool(data)) == ("12 samples of the test set", True)
    assert all(torch.equal(before[name], value) for name, value in run.model.state_dict().items())
    assert capsys.readouterr().out == ""


def test_a_file_that_differs_is_not_written(capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnkit.infer.parity.TOLERANCE", -1.0)
    code, out, err = command(capsys, "export", folder_of("array"), "--format", "torch_export", "-o", "m.pt2")
    assert (code, out) == (1, "")
    assert "the torch_export file differs from the network by" in err
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "text", "hint"),
    [
        (["RUN"], 2, "export needs a format", "--format onnx|torch_export|safetensors"),
        (["RUN", "--format", "onx"], 2, "--format must be one of onnx, torch_export, safetensors", "--format onnx"),
        (["RUN", "--format"], 2, "--format needs a value", "--format VALUE"),
        (["RUN", "onnx", "--format", "onnx"], 2, "export takes one run, got", "--format onnx"),
        (["--format", "onnx"], 2, "export needs one run", "nnkit export last --format onnx"),
        (["nowhere", "--format", "onnx"], 2, "nowhere is not a run folder", ""),
        (["RUN", "--format", "onnx", "-o", "m.pt2"], 2, "--output must end in .onnx, got m.pt2", "-o m.onnx"),
        (["RUN", "--format", "onnx", "-o", "."], 2, "--output names a file, but", "model.onnx"),
        (["RUN", "--fromat", "onnx"], 2, "--fromat is not a flag of export", "did you mean --format?"),
        (["RUN", "--format=safetensors", "-o", "a file/m.safetensors"], 5, "cannot make folder", "hint:"),
    ],
)
def test_wrong_words_are_told(words: list[str], code: int, text: str, hint: str, capsys: Capsys) -> None:
    Path("a file").touch()
    words = [str(folder_of("array")) if word == "RUN" else word for word in words]
    found, out, err = command(capsys, "export", *words)
    assert (found, out) == (code, "")
    assert text in err
    assert hint in err
    assert "Traceback" not in err


def test_help_is_shown(capsys: Capsys) -> None:
    assert command(capsys, "export", "--help")[:1] == (0,)
    assert command(capsys, "export")[0] == 2
    assert read_config(folder_of("array"))


def test_damaged_weights_are_not_exported(capsys: Capsys) -> None:
    folder = copy_of(folder_of("array"))
    for path in folder.glob("checkpoints/*/model.safetensors"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    code, _, err = command(capsys, "export", folder, "--format", "safetensors")
    assert code == 4
    assert "SHA-256 differs" in err
    assert not (folder / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("kind", "inputs", "meaning"),
    [
        ("adding", [("x", ["batch", "time", 2]), ("lengths", ["batch"])], "values"),
        ("bits", [("x", ["batch", "time", 1]), ("lengths", ["batch"])], "logits (batch, time, classes)"),
        ("known", [("x", ["batch", 24, 3]), ("future", ["batch", 6, 1])], "values (batch, horizon * targets)"),
        ("words", [("tokens", ["batch", "time"])], "logits (batch, time, vocabulary)"),
        ("opinions", [("tokens", ["batch", 7]), ("lengths", ["batch"])], "logits, one a class"),
    ],
)
def test_sequences_are_exported_to_onnx(kind: str, inputs: list[object], meaning: str, capsys: Capsys) -> None:
    code, out, err = command(capsys, "export", folder_of(kind), "--format", "onnx", "-o", "m.onnx")
    assert (code, out) == (0, f"{Path('m.onnx').absolute()}\n"), err
    assert "samples of the test set" in err
    session = onnxruntime.InferenceSession("m.onnx")
    assert [(given.name, given.shape) for given in session.get_inputs()] == inputs
    types = {given.name: given.type for given in session.get_inputs()}
    assert types.get("lengths", "tensor(int64)") == "tensor(int64)"
    assert types.get("tokens", "tensor(int32)") == "tensor(int32)"
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["outputs"]).startswith(meaning)
    shapes = [["batch", *each["shape"]] for each in json.loads(metadata["inputs"])]
    assert shapes == [shape for _, shape in inputs]  # type: ignore[has-type,misc,attr-defined]
    told = {"tokens": "word", "lower": False, "max_length": None} if kind in ("words", "opinions") else {}
    assert json.loads(metadata["text"]) == told


@pytest.mark.parametrize("kind", ["vowels", "even", "sine", "reviews", "letters"])
@pytest.mark.parametrize(("form", "suffix"), [("torch_export", "pt2"), ("safetensors", "safetensors")])
def test_sequences_are_exported_to_torch(kind: str, form: str, suffix: str, capsys: Capsys) -> None:
    code, _, err = command(capsys, "export", folder_of(kind), f"--format={form}", "-o", f"m.{suffix}")
    assert code == 0, err
    assert "samples of the test set" in err


@pytest.mark.parametrize("kind", ["letters", "opinions", "known"])
def test_without_the_data_sequences_are_made_up(kind: str, capsys: Capsys) -> None:
    folder = copy_of(folder_of(kind))
    gone = (folder / "config.yaml").read_text().replace(str(sequence_path(kind)), "/gone.txt")
    (folder / "config.yaml").write_text(gone)
    code, _, err = command(capsys, "export", folder, "--format=torch_export")
    assert code == 0, err
    assert "256 made-up samples, since /gone.txt is not there" in err


def test_a_test_set_of_longer_texts_than_training_has_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    run = opened("opinions")
    source, rows = own_rows(run, "test")
    long = rows[source.inputs[0].lengths[rows] > 3]
    short = replace(run.spec.inputs[0], shape=(3,))
    encoder = replace(run.preprocess.sequences, spec=short)  # type: ignore[type-var]
    changed = replace(run, preprocess=replace(run.preprocess, inputs=(encoder,)))
    monkeypatch.setattr("nnkit.infer.export.own_rows", lambda *_: (source, long))
    assert "since those of the test set are too long" in export(changed, "torch_export")[2]
