"""The comparison of a file with its network: what it must see, and what it says when a file cannot be run."""

from __future__ import annotations

from typing import Any

import onnxruntime
import pytest
import torch

from nnkit.errors import NnkitError
from nnkit.infer.formats import Format
from nnkit.infer.parity import check
from nnkit.models.linear import Linear
from tests.infer.test_formats import FEATURES, FORMATS, GRAPHS, export, ready, samples


@pytest.mark.parametrize(
    ("kind", "runner"),
    [
        ("onnx", f"onnxruntime {onnxruntime.__version__}"),
        ("torch_export", "torch.export"),
        ("safetensors", "safetensors into a fresh copy"),
    ],
)
def test_parity_measures_what_another_model_is_away(kind: Format, runner: str) -> None:
    model, inputs = ready("embeddings")
    data = export(kind, model, inputs)
    x = samples(inputs, 3)
    last: Any = model.get_submodule("output")
    with torch.no_grad():
        last.bias += torch.tensor([0.0, 0.0, 1e-3, 1000.0])
    parity = check(kind, data, model, x)
    assert parity.runner == runner
    assert parity.max_abs_difference == pytest.approx(1000, rel=1e-4)
    assert parity.max_relative_difference == pytest.approx(1, abs=0.02)  # 1000 of about 1000
    assert not parity.is_close


def test_parity_does_not_overlook_a_nan() -> None:
    model, inputs = ready("mlp")
    data = export("torch_export", model, inputs)
    x = samples(inputs, 3)
    x[0][1] = torch.nan
    assert not check("torch_export", data, model, x).is_close


def test_parity_sees_another_shape() -> None:
    data = export("torch_export", *ready("mlp"))
    model = Linear(5, 3).eval()
    assert check("torch_export", data, model, samples(FEATURES, 2)).max_abs_difference == float("inf")


def test_one_sample_is_enough_for_parity() -> None:
    model, inputs = ready("mlp")
    parity = check("torch_export", export("torch_export", model, inputs), model, samples(inputs, 1))
    assert (parity.samples, parity.batch_sizes) == (1, (1, 2, 7))


@pytest.mark.parametrize("kind", FORMATS)
def test_a_damaged_file_is_refused_in_one_line(kind: Format, capfd: pytest.CaptureFixture[str]) -> None:
    model, inputs = ready("mlp")
    with pytest.raises(NnkitError, match=f"^the exported {kind} file cannot be loaded: .+") as caught:
        check(kind, b"not a file", model, samples(inputs, 1))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", GRAPHS)
def test_a_file_that_fails_on_a_batch_names_its_size(kind: Format) -> None:
    model, inputs = ready("linear")
    data = export(kind, model, inputs)
    other = Linear(5, 4).eval()
    with pytest.raises(NnkitError, match=f"^the exported {kind} file fails on a batch of 1: .+"):
        check(kind, data, other, samples(FEATURES, 1))
