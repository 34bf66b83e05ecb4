"""Weights out of files: read as data, named as the network names them, taken where they fit."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from nnkit.errors import CheckpointError
from nnkit.models.weights import Taken, read_weights, take
from tests.finished import Bomb


def net(classes: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, classes))


def saved(value: Any, path: Path, **how: Any) -> Path:
    torch.save(value, path, **how)
    return path


@pytest.mark.parametrize("legacy", [False, True], ids=["archive", "stream"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {f"module.{k}": v for k, v in state.items()},
        lambda state: {"state_dict": {f"model.module.{k}": v for k, v in state.items()}, "epoch": 7},
        lambda state: {"model": {f"_orig_mod.{k}": v for k, v in state.items()}, "optimizer": {"lr": 0.1}},
    ],
    ids=["plain", "module", "lightning", "compiled"],
)
def test_wrappers_around_the_tensors_and_in_front_of_their_names_are_taken_off(
    tmp_path: Path, wrap: Any, legacy: bool
) -> None:
    state = net().state_dict()
    found = read_weights(saved(wrap(state), tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy))
    assert found.tensors.keys() == state.keys()
    assert all(torch.equal(found.tensors[name], x) for name, x in state.items())


def test_safetensors_are_read(tmp_path: Path) -> None:
    state = net().state_dict()
    safetensors.torch.save_file({f"module.{k}": v for k, v in state.items()}, tmp_path / "a.safetensors")
    other = net()
    taken = take(other, read_weights(tmp_path / "a.safetensors").tensors, "a")
    assert all(torch.equal(other.state_dict()[name], x) for name, x in state.items())
    assert list(taken.lines()) == [f"{len(state)} tensors loaded, 0 skipped, 0 new"]


def test_what_fits_is_taken_and_the_rest_is_named() -> None:
    given = {**net(7).state_dict(), "3.extra": torch.zeros(2), "0.bias": torch.zeros(5, dtype=torch.int64)}
    model = net()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    taken = take(model, given, "a")
    after = model.state_dict()
    assert torch.equal(after["0.weight"], given["0.weight"])
    assert torch.equal(after["2.weight"], before["2.weight"])
    assert dict(taken.skipped) == {
        "0.bias": "torch.int64 there, torch.float32 here",
        "2.weight": "7x5 there, 3x5 here",
        "2.bias": "7 there, 3 here",
        "3.extra": "the network has none of this name",
    }
    assert list(taken.new) == ["0.bias", "2.weight", "2.bias"]


def test_a_network_that_was_part_of_another_one_is_found_by_what_stands_before_its_names() -> None:
    inner, model = net(), net()
    given = {**{f"lit.backbone.{name}": x for name, x in inner.state_dict().items()}, "lit.other": torch.zeros(2)}
    taken = take(model, given, "a")
    assert dict(taken.skipped) == {"lit.other": "the network has none of this name"}
    assert all(torch.equal(x, inner.state_dict()[name]) for name, x in model.state_dict().items())


COUNT = "num_batches_tracked"  # files of old versions have none


def old_densenet(name: str) -> str:
    return re.sub(r"(denselayer\d+\.(?:norm|conv))([12]\.)", r"\1.\2", name)


def old_vit(name: str) -> str:
    return name.replace(".mlp.0.", ".mlp.linear_1.").replace(".mlp.3.", ".mlp.linear_2.")


@pytest.mark.parametrize("kind", ["densenet", "vit"])
def test_the_old_names_in_torchvisions_files_are_read_as_torchvision_does(kind: str) -> None:
    from torchvision.models.densenet import DenseNet, _load_state_dict
    from torchvision.models.vision_transformer import VisionTransformer

    nets: list[nn.Module] = [
        DenseNet(4, (2, 2), 8, num_classes=3)
        if kind == "densenet"
        else VisionTransformer(16, 8, 2, 2, 8, 12, num_classes=3)
        for _ in range(3)
    ]
    first, by_torchvision, by_us = nets
    older = old_densenet if kind == "densenet" else old_vit
    old = {older(name): x for name, x in first.state_dict().items() if not name.endswith(COUNT)}
    assert old.keys() != first.state_dict().keys()
    taken = take(by_us, old, "a")
    assert not taken.skipped
    assert all(name.endswith(COUNT) for name in taken.new)
    if kind == "densenet":
        weights: Any = SimpleNamespace(get_state_dict=lambda **_: dict(old))
        _load_state_dict(by_torchvision, weights, progress=False)
    else:
        by_torchvision.load_state_dict(dict(old))
    theirs = by_torchvision.state_dict()
    assert all(torch.equal(x, theirs[name]) for name, x in by_us.state_dict().items())


def test_names_are_told_a_few_at_a_time() -> None:
    lines = list(Taken(["a"], {}, [f"layer{k}" for k in range(5)]).lines())
    assert lines == ["1 tensors loaded, 0 skipped, 5 new", "new, with first values: layer0, layer1, layer2 and 2 more"]


@pytest.mark.parametrize("legacy", [False, True], ids=["archive", "stream"])
def test_code_is_refused_and_named_and_does_not_run(tmp_path: Path, legacy: bool) -> None:
    path = saved({"0.weight": Bomb()}, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match=r"a\.pth holds code, [\w.]+, which is not run"):
        read_weights(path)
    assert not Path("executed").exists()


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_code_in_a_plain_pickle_is_named_and_does_not_run(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"0.weight": Bomb()}, protocol))
    with pytest.raises(CheckpointError, match=r"a\.pth holds code, [\w]+\.[\w.]+, which is not run"):
        read_weights(tmp_path / "a.pth")
    assert not Path("executed").exists()


@pytest.mark.parametrize("data", [b"GIF89a", b"\x80\x04N.", pickle.dumps({"a": [1.0]}), b"\x80\x05\x8c\xff"])
def test_a_file_that_torch_has_not_written_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.pth").write_bytes(data)
    with pytest.raises(CheckpointError, match=r"holds no weights: torch\.save has not written it"):
        read_weights(tmp_path / "a.pth")


@pytest.mark.parametrize("archive", [False, True])
def test_torchs_advice_to_trust_a_file_is_not_passed_on(tmp_path: Path, archive: bool) -> None:
    path = saved({"a": 1.0}, tmp_path / "a.pth", _use_new_zipfile_serialization=archive)
    begins, unknown = b"\x80\x02}q\x00", b"\x80\x02\x93q\x00"  # its operation is none of those that make data
    assert begins in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(begins, unknown, 1))
    with pytest.raises(CheckpointError, match=r"is damaged, or holds no weights: (?!Weights only)") as told:
        read_weights(path)
    assert "weights_only" not in str(told.value)


def test_a_whole_network_is_code_too(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds code, torch\.nn\.modules\.\w+\.\w+"):
        read_weights(saved(net(), tmp_path / "a.pth"))


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("left", [0, 10, 0.5, 0.99])
def test_a_file_that_was_cut_short_is_damaged(tmp_path: Path, name: str, left: float) -> None:
    path = tmp_path / name
    if name.endswith("pth"):
        torch.save(net().state_dict(), path)
    else:
        safetensors.torch.save_file(net().state_dict(), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(left if left >= 1 else left * len(data))])
    with pytest.raises(CheckpointError, match=rf"{name} is damaged"):
        read_weights(path)


@pytest.mark.parametrize("value", [{}, {"epoch": 3}, [torch.zeros(2)], {"state_dict": {"a": "b"}}])
def test_a_file_without_tensors_by_name_holds_no_weights(tmp_path: Path, value: Any) -> None:
    with pytest.raises(CheckpointError, match=r"a\.pth (holds no weights|is damaged, or holds no weights)"):
        read_weights(saved(value, tmp_path / "a.pth"))


def test_a_sum_that_is_known_is_looked_at_first(tmp_path: Path) -> None:
    path = saved({"0.weight": Bomb()}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"is damaged: its SHA-256 begins with .{8}, not with 0badcafe"):
        read_weights(path, "0badcafe")


@pytest.mark.parametrize(
    "given",
    [{"conv1.weight": torch.zeros(2)}, {"0.weight": torch.zeros(9, 9)}, {"1.num_batches_tracked": torch.tensor(3)}],
)
def test_weights_of_another_architecture_are_refused_with_names_of_both(given: dict[str, Tensor]) -> None:
    (name,) = given
    with pytest.raises(CheckpointError, match=f"there has nothing for this network: it has {name}; .* has 0.weight"):
        take(net(), given, "there")


def test_weights_of_another_architecture_of_which_some_fit_by_chance_are_refused() -> None:
    from torchvision.models import resnet18, resnet50

    larger, smaller = resnet50(weights=None, num_classes=3).state_dict(), resnet18(weights=None, num_classes=3)
    before = {name: x.clone() for name, x in smaller.state_dict().items()}
    fit = sum(name in before and before[name].shape == x.shape for name, x in larger.items())
    told = f"there is of another architecture: {fit} of its {len(larger)} tensors fit this network; not layer1.0.conv1"
    with pytest.raises(CheckpointError, match=told):
        take(smaller, larger, "there")
    assert all(torch.equal(x, before[name]) for name, x in smaller.state_dict().items())


@pytest.mark.parametrize(
    ("given", "new"),
    [
        pytest.param({"0.weight": torch.ones(5, 4)}, 8, id="a part of the network"),
        pytest.param(
            {"0.weight": torch.ones(5, 4), "a": torch.ones(2), "b": torch.ones(3)}, 8, id="most of the numbers"
        ),
        pytest.param(
            {**{f"other{k}": torch.ones(9) for k in range(9)}, **net().state_dict()}, 0, id="all of the network"
        ),
    ],
)
def test_what_most_of_fits_or_has_the_whole_network_is_taken(given: dict[str, Tensor], new: int) -> None:
    assert len(take(net(), given, "a").new) == new


def test_weights_that_are_not_finite_are_refused_by_name() -> None:
    with pytest.raises(CheckpointError, match=r"there: 0\.bias has numbers that are not finite"):
        take(net(), {"0.bias": torch.tensor([1.0, float("nan"), 0, 0, 0])}, "there")
