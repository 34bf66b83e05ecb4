"""Exported files, run by the programs that they are for: onnxruntime, torch.export.load, safetensors."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import onnx
import onnxruntime
import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from nnkit.config.sections.activation import (
    ActivationConfig,
    ELUConfig,
    GELUConfig,
    LeakyReLUConfig,
    PlainActivationConfig,
    PReLUConfig,
    SoftplusConfig,
    SwishConfig,
)
from nnkit.errors import ConfigError, NnkitError
from nnkit.infer.formats import Format, quiet, to_onnx, to_safetensors, to_torch_export
from nnkit.infer.parity import TOLERANCE, check
from nnkit.models.activations import activation_factory
from nnkit.models.cnn import CNN
from nnkit.models.linear import Linear
from nnkit.models.mlp import MLP
from nnkit.spec import InputSpec

pytestmark = pytest.mark.no_cover  # its lines are counted elsewhere, and counting takes half of the time

FORMATS: tuple[Format, ...] = get_args(Format)
GRAPHS: tuple[Format, ...] = ("onnx", "torch_export")
METADATA = {"task": "classification", "classes": json.dumps(["Käse", "B"]), "preprocess": json.dumps({"shift": [0.1]})}
PLAIN = ("identity", "sigmoid", "tanh", "relu", "selu", "softmax")
ACTIVATIONS: list[ActivationConfig] = [
    *(PlainActivationConfig(kind=kind) for kind in PLAIN),  # type: ignore[arg-type]
    LeakyReLUConfig(kind="leaky_relu", negative_slope=0.3),
    ELUConfig(kind="elu", alpha=0.7),
    GELUConfig(kind="gelu"),
    GELUConfig(kind="gelu", approximate="tanh"),
    SwishConfig(kind="swish"),
    SwishConfig(kind="swish", beta=1.7),
    SoftplusConfig(kind="softplus", beta=2.5),
    PReLUConfig(kind="prelu", init_slope=0.4),
]


class Recurrent(nn.Module):
    """The last state of a recurrent net over a series."""

    def __init__(self, kind: str, *, bidirectional: bool = False) -> None:
        super().__init__()
        self.rnn = getattr(nn, kind)(3, 6, num_layers=2, batch_first=True, bidirectional=bidirectional)
        self.output = nn.Linear(12 if bidirectional else 6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.rnn(x)[0][:, -1])  # type: ignore[no-any-return]


def mlp(in_features: int, categories: Sequence[int] = (), **chosen: Any) -> MLP:
    settings = {"hidden": [8], "norm": "none", "residual": False, "embedding_size": "auto", "activation": nn.ReLU}
    return MLP(in_features, 4, categories, **{**settings, **chosen}, dropout=0.2)


def all_activations() -> MLP:
    """An MLP with another activation in each layer."""
    factories = iter([activation_factory(config) for config in ACTIVATIONS])
    return mlp(5, hidden=[6] * len(ACTIVATIONS), norm="layer", residual=True, activation=lambda: next(factories)())


def cnn(sizes: tuple[int, ...], **chosen: Any) -> CNN:
    settings: dict[str, Any] = {
        "channels": [6, 6, 8],
        "kernel_size": 3,
        "stride": 1,
        "padding": "same",
        "pooling": "max",
        "pool_size": 2,
        "norm": "batch",
        "residual": False,
        "global_pooling": "none",
        "dense": [7],
        "embedding_size": 4,
    }
    return CNN(3, sizes, 4, None, **{**settings, **chosen}, activation=lambda: nn.PReLU(1, 0.2), dropout=0.1)


def shrinking_cnn() -> CNN:
    """Maps that lose their edges, so that the skip connections are cut."""
    return cnn((16, 12), channels=[6, 6], residual=True, norm="layer", stride=2, padding=0, pooling="none")


FEATURES = (InputSpec("x", "features", (5,)),)
SERIES = (InputSpec("series", "series", (8, 3)),)
IMAGE = (InputSpec("image", "image", (3, 16, 12)),)
MIXED = (InputSpec("x", "features", (4,)), InputSpec("codes", "categories", (2,), (3, 5)))
MODELS: dict[str, tuple[Any, tuple[InputSpec, ...]]] = {
    "linear": (lambda: Linear(3 * 16 * 12, 4), IMAGE),
    "mlp": (lambda: mlp(5, hidden=[8, 6], norm="batch"), FEATURES),
    "activations": (all_activations, FEATURES),
    "embeddings": (lambda: mlp(4, (3, 5), norm="batch", residual=True), MIXED),
    "categories": (lambda: mlp(0, (3, 5), embedding_size=3), MIXED[1:]),
    "cnn1d": (lambda: cnn((8,), residual=True, pooling="avg", global_pooling="max"), SERIES),
    "cnn2d": (lambda: cnn((16, 12)), IMAGE),
    "cnn2d_layer": (shrinking_cnn, IMAGE),
    "lstm": (lambda: Recurrent("LSTM", bidirectional=True), SERIES),
    "gru": (lambda: Recurrent("GRU"), SERIES),
}


def ready(name: str) -> tuple[nn.Module, tuple[InputSpec, ...]]:
    """Return a model with values that no layer starts with, so that none can be left out unseen."""
    torch.manual_seed(0)
    make, inputs = MODELS[name]
    model: nn.Module = make().eval()
    for key, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.add_(0.1 * torch.rand_like(tensor) if "var" in key else 0.1 * torch.randn_like(tensor))
    return model, inputs


def samples(inputs: tuple[InputSpec, ...], size: int) -> tuple[Tensor, ...]:
    torch.manual_seed(1)
    return tuple(
        torch.stack([torch.randint(n, (size,), dtype=torch.int32) for n in spec.sizes], 1)
        if spec.kind == "categories"
        else torch.randn(size, *spec.shape)
        for spec in inputs
    )


def export(kind: Format, model: nn.Module, inputs: tuple[InputSpec, ...]) -> bytes:
    match kind:
        case "onnx":
            return to_onnx(model, inputs, metadata=METADATA)
        case "torch_export":
            return to_torch_export(model, inputs, metadata=METADATA)
        case "safetensors":
            return to_safetensors(model, metadata=METADATA)


@pytest.fixture(scope="module")
def mixed() -> dict[Format, bytes]:
    """The network of numbers and categories in each format."""
    model, inputs = ready("embeddings")
    return {kind: export(kind, model, inputs) for kind in FORMATS}


@pytest.fixture
def nothing_said(capfd: pytest.CaptureFixture[str], in_empty_folder: Path) -> Iterator[None]:
    """Fail if anything was printed, or left in the current folder."""
    yield
    assert capfd.readouterr() == ("", "")
    assert list(in_empty_folder.iterdir()) == []


@pytest.mark.usefixtures("nothing_said")
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", FORMATS)
def test_each_model_gives_the_same_outputs_from_its_file_at_any_batch_size(kind: Format, name: str) -> None:
    model, inputs = ready(name)
    parity = check(kind, export(kind, model, inputs), model, samples(inputs, 5))
    assert parity.is_close
    assert parity.max_relative_difference <= TOLERANCE
    assert parity.max_relative_difference <= parity.max_abs_difference
    assert (parity.samples, parity.batch_sizes) == (5, (1, 2, 5, 7))


def test_every_activation_there_is_was_exported() -> None:
    there = {config for config in get_args(get_args(ActivationConfig)[0]) if "Code" not in config.__name__}
    assert {type(config) for config in ACTIVATIONS} == there
    assert set(PLAIN) == set(get_args(get_type_hints(PlainActivationConfig)["kind"]))


def test_onnx_names_inputs_output_and_batch(mixed: dict[Format, bytes]) -> None:
    session = onnxruntime.InferenceSession(mixed["onnx"], providers=["CPUExecutionProvider"])
    described = [(value.name, value.shape, value.type) for value in (*session.get_inputs(), *session.get_outputs())]
    assert described == [
        ("x", ["batch", 4], "tensor(float)"),
        ("codes", ["batch", 2], "tensor(int32)"),
        ("outputs", ["batch", 4], "tensor(float)"),
    ]


@pytest.mark.parametrize("names", [("codes", "x"), ("relu", "linear"), ("outputs.1", "output.weight"), ("ä b", "-")])
def test_an_input_may_have_any_name(names: tuple[str, str]) -> None:
    model, inputs = ready("embeddings")
    inputs = tuple(replace(spec, name=name) for spec, name in zip(inputs, names, strict=True))
    data = to_onnx(model, inputs, metadata={})
    file = onnx.load_from_string(data)
    onnx.checker.check_model(file, full_check=True)
    assert tuple(value.name for value in file.graph.input) == names
    assert check("onnx", data, model, samples(inputs, 3)).is_close


def test_onnx_is_one_valid_file(mixed: dict[Format, bytes]) -> None:
    file = onnx.load_from_string(mixed["onnx"])
    onnx.checker.check_model(file, full_check=True)
    assert not [tensor.name for tensor in file.graph.initializer if tensor.external_data]


def test_the_metadata_is_read_back_with_each_format_s_own_reader(mixed: dict[Format, bytes], tmp_path: Path) -> None:
    session = onnxruntime.InferenceSession(mixed["onnx"], providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == METADATA

    extra = dict.fromkeys(METADATA, "")
    torch.export.load(io.BytesIO(mixed["torch_export"]), extra_files=extra)
    assert extra == METADATA

    path = tmp_path / "model.safetensors"
    path.write_bytes(mixed["safetensors"])
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata() == METADATA


def test_safetensors_holds_every_weight_and_buffer(mixed: dict[Format, bytes]) -> None:
    model, _ = ready("embeddings")
    torch.testing.assert_close(safetensors.torch.load(mixed["safetensors"]), dict(model.state_dict()), rtol=0, atol=0)


def test_safetensors_takes_tied_and_transposed_weights() -> None:
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)).eval()
    tied[1].weight = tied[0].weight
    tied[0].bias = nn.Parameter(torch.arange(6.0).view(3, 2).T[0])
    parity = check("safetensors", to_safetensors(tied, metadata={}), tied, (torch.randn(2, 3),))
    assert parity.max_abs_difference == 0


@pytest.mark.parametrize("kind", GRAPHS)
def test_the_same_model_gives_the_same_bytes(mixed: dict[Format, bytes], kind: Format) -> None:
    assert export(kind, *ready("embeddings")) == mixed[kind]


@pytest.mark.parametrize("kind", GRAPHS)
def test_a_file_tells_nothing_of_this_machine(kind: Format) -> None:
    data = export(kind, *ready("cnn2d"))
    if kind == "torch_export":
        archive = zipfile.ZipFile(io.BytesIO(data))
        data = b"".join(archive.read(name) for name in archive.namelist())
    assert b".py" not in data
    assert b"self." not in data


@pytest.mark.parametrize("kind", FORMATS)
def test_the_model_is_left_as_it_was(kind: Format) -> None:
    model, inputs = ready("lstm")
    before = {name: (tensor.data_ptr(), tensor.clone()) for name, tensor in model.state_dict().items()}
    x = samples(inputs, 3)
    outputs = model(*x)
    check(kind, export(kind, model, inputs), model, x)
    after = {name: (tensor.data_ptr(), tensor) for name, tensor in model.state_dict().items()}
    assert all(before[n][0] == after[n][0] and torch.equal(before[n][1], after[n][1]) for n in before)
    assert torch.equal(model(*x), outputs)
    assert all(p.requires_grad for p in model.parameters())


FRESH = """
import sys
sys.modules["nnkit"] = None  # an import of it would fail
import torch
path, wanted = sys.argv[1:]
saved = torch.load(wanted)
if path.endswith(".pt2"):
    program = torch.export.load(path).module()
    run = lambda *x: program(*x)
else:
    import onnxruntime
    session = onnxruntime.InferenceSession(path)
    run = lambda x, codes: torch.from_numpy(session.run(["outputs"], {"x": x.numpy(), "codes": codes.numpy()})[0])
for size in (1, 7):
    outputs = run(*(x[:size] for x in saved["inputs"]))
    torch.testing.assert_close(outputs, saved["outputs"][:size], rtol=1e-5, atol=1e-5)
print("same")
"""


@pytest.mark.parametrize(("kind", "suffix"), [("onnx", ".onnx"), ("torch_export", ".pt2")])
def test_a_fresh_process_runs_the_file_without_nnkit(
    mixed: dict[Format, bytes], kind: Format, suffix: str, tmp_path: Path
) -> None:
    model, inputs = ready("embeddings")
    x = samples(inputs, 7)
    file, wanted = tmp_path / f"model{suffix}", tmp_path / "wanted.pt"
    file.write_bytes(mixed[kind])
    torch.save({"inputs": x, "outputs": model(*x).detach()}, wanted)
    done = subprocess.run([sys.executable, "-I", "-c", FRESH, file, wanted], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("same\n", 0), done.stderr


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.sum() > 0 else x


class FixedBatch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.view(2, -1)[:, :5]


class Wordy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise ValueError("the sizes\ndo not fit\n\nand much more to tell")


class Unknown(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x)


@pytest.mark.usefixtures("nothing_said")
@pytest.mark.parametrize("kind", GRAPHS)
@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Branching(), r"Could not guard on data-dependent expression .*test_formats\.py, line \d+\)$"),
        (FixedBatch(), r"batch.*constant \(2\)"),
        (Wordy(), r"the sizes do not fit \(.*test_formats\.py, line \d+\)$"),
    ],
)
def test_a_model_that_cannot_be_traced_is_refused_in_one_line(kind: Format, model: nn.Module, reason: str) -> None:
    with pytest.raises(NnkitError, match=f"the model cannot be exported to {kind}: .*{reason}") as caught:
        export(kind, model.eval(), FEATURES)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 600
    assert caught.value.problems[0].hint == "--format=safetensors takes any model"
    assert caught.value.exit_code == 1


@pytest.mark.usefixtures("nothing_said")
def test_an_operator_that_onnx_lacks_is_named() -> None:
    with pytest.raises(NnkitError, match=r"exported to onnx: No ONNX function found for .*bessel_j0") as caught:
        to_onnx(Unknown().eval(), FEATURES, metadata={})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_the_way_to_get_it(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    model, inputs = ready("mlp")
    text = "^--format=onnx needs the packages onnx, onnxscript and onnxruntime$"
    with pytest.raises(ConfigError, match=text) as caught:
        to_onnx(model, inputs, metadata={})
    assert caught.value.problems[0].hint == "pip install 'nnkit[export]'"
    with pytest.raises(ConfigError, match=text):
        check("onnx", b"", model, samples(inputs, 1))
    assert export("torch_export", model, inputs)


def test_weights_of_more_than_2_gb_are_refused_before_any_work() -> None:
    model = nn.Linear(30_000, 20_000, bias=False, device="meta").eval()
    with pytest.raises(ConfigError, match=r"onnx holds less than 2 GB, but .* take 2\.4 GB") as caught:
        to_onnx(model, FEATURES, metadata={})
    assert caught.value.problems[0].hint == "--format=torch_export"


def test_quiet_puts_everything_back() -> None:
    before = logging.root.manager.disable, sys.stdout, sys.stderr, list(warnings.filters)
    with pytest.raises(UserWarning, match="raised"), quiet():  # noqa: PT012 - first a warning, then an error
        warnings.warn("unheard", stacklevel=1)
        raise UserWarning("raised")
    assert (logging.root.manager.disable, sys.stdout, sys.stderr, list(warnings.filters)) == before
