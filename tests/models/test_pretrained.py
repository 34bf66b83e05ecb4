"""Torchvision's networks: built without a download, with a head of ours, on pictures of ours."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import Tensor, nn

from nnkit.config.architectures import CLASSIFIERS, SEGMENTERS, side_multiple, smallest_side
from nnkit.config.sections.model import PretrainedConfig
from nnkit.errors import CheckpointError
from nnkit.models.pretrained import pretrained, published, published_file, read_published, with_side
from nnkit.train.layers import head_of
from nnkit.train.loop import take_step
from tests.trained import run_of, state_of

SIDES = {"vgg16": 32, "inception_v3": 75, "convnext_tiny": 32}
NAMED = ("resnet18", "resnet50", "vgg16", "inception_v3", "mobilenet_v3", "efficientnet_b0", "convnext_tiny")


def net_of(arch: str, shape: tuple[int, int, int], *, side: int | str = "none", scaling: str = "standard") -> nn.Module:
    section = PretrainedConfig(kind="pretrained", arch=arch, weights="none", input_size=side)  # type: ignore[arg-type]
    torch.manual_seed(0)
    return pretrained(section, shape, 5, scaling=scaling).eval()


def test_the_names_are_those_of_torchvision() -> None:
    import torchvision.models

    assert set(CLASSIFIERS) == set(torchvision.models.list_models(module=torchvision.models))
    assert set(SEGMENTERS) == set(torchvision.models.list_models(module=torchvision.models.segmentation))


def test_the_smallest_sides_are_those_that_torchvision_tells_of() -> None:
    from torchvision.models import get_model_weights

    for arch in CLASSIFIERS:
        told = min(get_model_weights(arch).DEFAULT.meta["min_size"])
        bound = side_multiple(arch) is not None or arch.startswith(("swin", "efficientnet_v2"))
        assert smallest_side(arch) == told or (bound and smallest_side(arch) <= told), arch


@pytest.mark.parametrize("name", NAMED)
def test_a_named_network_takes_a_step_frozen_and_one_unfrozen(name: str) -> None:
    words = ("data=digits", "data.limit=40", f"model={name}", "model.weights=none", "batching.batch_size=4")
    rule = ("optimizer=sgd", "optimizer.momentum=0", "model.freeze=backbone", "model.unfreeze_after=1")
    run = run_of(*words, *rule, f"model.input_size={SIDES.get(name, 32)}", "trainer.threads=1")
    assert run.frozen is not None
    state, head = state_of(run), head_of(run.model)
    batch = next(iter(run.train.epoch(0)))
    assert run.model(*batch.inputs).shape == (4, 10)
    for epoch in (0, 1):
        state.epoch = epoch
        before = {k: v.clone() for k, v in run.model.state_dict().items()}
        run.model.train()
        run.frozen.hold(epoch)
        take_step(run, batch, state)
        changed = {k for k, v in run.model.state_dict().items() if not torch.equal(v, before[k])}
        assert changed == head if epoch == 0 else len(changed) > 2 * len(head)


def test_names_of_tensors_are_torchvisions() -> None:
    from torchvision.models import resnet18

    assert net_of("resnet18", (1, 32, 32)).state_dict().keys() == resnet18(weights=None).state_dict().keys()


def test_grey_pictures_with_the_weights_statistics_are_what_torchvision_makes_of_them() -> None:
    pixels = torch.randint(0, 256, (2, 1, 32, 32), generator=torch.Generator().manual_seed(0))
    ours = net_of("resnet18", (1, 32, 32), scaling="weights")
    theirs = net_of("resnet18", (3, 32, 32), scaling="weights")
    known = published("resnet18")
    (shift,), (size,) = known.scale(1)
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (known.mean, known.deviation))
    as_colour = (pixels.expand(-1, 3, -1, -1) / 255 - mean) / deviation
    torch.testing.assert_close(ours((pixels - shift) / size), theirs(as_colour), rtol=1e-4, atol=1e-5)


def test_pictures_are_resized_where_a_size_is_asked_for() -> None:
    x = torch.randn(2, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    smaller = F.interpolate(x, size=(32, 32), mode="bilinear", antialias=True)
    torch.testing.assert_close(net_of("resnet18", (3, 40, 50), side=32)(x), net_of("resnet18", (3, 32, 32))(smaller))


def test_a_segmenter_answers_for_each_pixel_of_the_picture() -> None:
    net = net_of("lraspp_mobilenet_v3_large", (1, 33, 47), side=32)
    assert net(torch.zeros(2, 1, 33, 47)).shape == (2, 5, 33, 47)
    assert {name.rpartition(".")[0] for name in head_of(net)} == {
        "classifier.low_classifier",
        "classifier.high_classifier",
    }


def test_inception_has_no_second_head_and_takes_its_own_statistics_with_the_weights() -> None:
    net = net_of("inception_v3", (3, 75, 75), scaling="weights")
    assert isinstance(net.train()(torch.randn(2, 3, 75, 75)), Tensor)
    assert net.transform_input is True
    assert net_of("inception_v3", (3, 75, 75)).transform_input is False


@pytest.mark.parametrize(
    ("arch", "size", "wanted"),
    [
        ("resnet18", (28, 28), "none"),
        ("inception_v3", (28, 28), 75),
        ("inception_v3", (80, 90), "none"),
        ("vit_b_32", (28, 28), 224),
        ("vit_h_14", (28, 28), 224),
    ],
)
def test_without_published_weights_the_size_is_the_datas_own_unless_it_is_too_small(
    arch: str, size: tuple[int, int], wanted: object
) -> None:
    section = PretrainedConfig(kind="pretrained", arch=arch, weights="none")
    assert with_side(section, (1, *size)).input_size == wanted


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Torch's folder, empty; the file of resnet18's weights is looked for on a port where nobody listens."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    named(monkeypatch, "resnet18-0badcafe.pth")
    return tmp_path / "hub" / "checkpoints"


def named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from torchvision.models import ResNet18_Weights

    monkeypatch.setattr(ResNet18_Weights.DEFAULT.value, "url", f"http://127.0.0.1:9/models/{name}")


def test_weights_that_are_not_there_and_cannot_be_fetched_are_named_with_their_place(home: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        published_file("resnet18")
    (problem,) = caught.value.problems
    assert f"resnet18-0badcafe.pth, are not in {home}, and cannot be fetched: " in problem.text
    assert "refused" in problem.text
    assert f"http://127.0.0.1:9/models/resnet18-0badcafe.pth elsewhere, and put it into {home}" in problem.hint


def test_weights_that_lie_in_torchs_folder_are_checked_against_their_name(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.models import resnet18

    home.mkdir(parents=True)
    state = resnet18(weights=None).state_dict()
    torch.save(state, home / "resnet18-0badcafe.pth")
    with pytest.raises(CheckpointError, match=r"begins with .{8}, not with 0badcafe"):
        read_published("resnet18")
    begins = hashlib.sha256((home / "resnet18-0badcafe.pth").read_bytes()).hexdigest()[:8]
    (home / "resnet18-0badcafe.pth").rename(home / f"resnet18-{begins}.pth")
    named(monkeypatch, f"resnet18-{begins}.pth")
    path, weights = read_published("resnet18")
    assert path == home / f"resnet18-{begins}.pth"
    assert weights.tensors.keys() == state.keys()
