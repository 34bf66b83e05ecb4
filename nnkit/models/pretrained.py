"""Torchvision's networks, made for our data: a head of the right size, pictures of any size and colour, one output."""

# B batch, C channels or classes, H height, W width

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from nnkit.config.architectures import USUAL_SIDE, is_segmenter, side_multiple, smallest_side
from nnkit.config.schema import Config
from nnkit.config.sections.data import ImagesConfig
from nnkit.config.sections.model import PretrainedConfig
from nnkit.errors import CheckpointError
from nnkit.models.weights import Weights, read_weights
from nnkit.storage import make_folder

HEADS = ("fc", "classifier", "head", "heads")  # what torchvision calls its last part
BYTES = 255.0
PATIENCE_S = 30.0  # without an answer of the server


@final
@dataclass(frozen=True, slots=True)
class Published:
    """What torchvision says of the weights that it publishes for a network.

    Attributes:
        name: of the weights, such as IMAGENET1K_V2.
        url: of their file.
        side: of the pictures that they were measured on; None where any size is meant.
        mean: (3,) of the pixels of each channel, in [0, 1].
        deviation: (3,) of the same.
        parameters: how many values the network has.
    """

    name: str
    url: str
    side: int | None
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    parameters: int

    def scale(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return shift and size of bytes for pictures of so many channels; grey ones have the mean of the three."""
        shift, size = (tuple(BYTES * value for value in values) for values in (self.mean, self.deviation))
        return (shift, size) if channels == 3 else ((sum(shift) / 3,), (sum(size) / 3,))


def published(arch: str) -> Published:
    """Return what is published for a network of torchvision."""
    from torchvision.models import get_model_weights  # costs seconds

    weights: Any = get_model_weights(arch).DEFAULT
    transforms = weights.transforms()
    side = None if is_segmenter(arch) else int(transforms.crop_size[0])
    mean, deviation = (tuple(map(float, values)) for values in (transforms.mean, transforms.std))
    return Published(weights.name, weights.url, side, mean, deviation, int(weights.meta["num_params"]))


def is_published(arch: str, sha256: str) -> bool:
    """Tell whether a file, by its SHA-256, is one of those that torchvision publishes for a network."""
    from torchvision.models import get_model_weights  # costs seconds

    every: Any = get_model_weights(arch)
    return any(sha256.startswith(_sum_in(Path(weights.url))) for weights in every)


def suited(config: Config) -> Config:
    """Return the config with what the pictures of a network's weights decide, before any picture is read.

    That is `data.scaling=auto`, for all networks, and the size of picture files and of what the network takes.
    """
    model, section = config.model, config.data
    known = published(model.arch) if isinstance(model, PretrainedConfig) and model.takes_published else None
    if getattr(section, "scaling", "") == "auto":
        section = replace(section, scaling="standard" if known is None else "weights")  # type: ignore[arg-type]
    if known is None or known.side is None or not isinstance(model, PretrainedConfig):
        return replace(config, data=section)
    if model.input_size == "auto":
        model = replace(model, input_size=known.side)
    if isinstance(section, ImagesConfig) and section.size == "auto":
        section = replace(section, size=[known.side, known.side])
    return replace(config, data=section, model=model)


def with_side(section: PretrainedConfig, shape: Sequence[int]) -> PretrainedConfig:
    """Return the section with `input_size=auto` decided: the pictures' own, unless the network needs a larger one.

    Args:
        section: of a network without published weights, or one for pictures of any size.
        shape: (C, H, W) of the pictures.
    """
    if section.input_size != "auto":
        return section
    least, multiple = smallest_side(section.arch), side_multiple(section.arch)
    if multiple is not None:
        return replace(section, input_size=-(-USUAL_SIDE // multiple) * multiple)
    return replace(section, input_size="none" if min(shape[1:]) >= least else least)


class _Fitted(nn.Module):
    """In front of a network of torchvision: grey pictures get three channels, and all the size that it is for."""

    input_size: int | None
    gain: Tensor
    offset: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """Return logits or values (B, C), or (B, C, H, W) where each pixel has an answer, from images (B, C, H, W)."""
        height, width = x.shape[-2:]
        if x.shape[1] == 1:
            x = x * self.gain + self.offset  # (B, 3, H, W)
        side = self.input_size
        if side is not None and (height, width) != (side, side):
            x = _resized(x, (side, side))
        found = super().forward(x)
        if not isinstance(found, dict):
            return found  # type: ignore[no-any-return]
        pixels: Tensor = found["out"]
        return pixels if pixels.shape[-2:] == (height, width) else _resized(pixels, (height, width))


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    shrinks = size[0] < x.shape[-2] or size[1] < x.shape[-1]  # enlarging needs no filter, and exports better without
    return nn.functional.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=shrinks)


def pretrained(chosen: PretrainedConfig, shape: Sequence[int], num_outputs: int, *, scaling: str) -> nn.Module:
    """Return a network of torchvision with its constructor's first values, drawn from torch's generator.

    Its tensors have torchvision's names. Heads that help the training alone (inception, googlenet, segmentation) are
    left out: fine-tuning hardly gains by them, and no network of ours has a second output.

    Args:
        chosen: the section.
        shape: (C, H, W) of the pictures.
        num_outputs: how many logits or values a sample, or a pixel, come out.
        scaling: of the pixels; with "weights" they have the statistics of the weights' pictures, else their own.
    """
    from torchvision.models import get_model  # costs seconds

    arch = chosen.arch
    by_weights = scaling == "weights"
    more: dict[str, Any] = {}
    if arch in ("inception_v3", "googlenet"):
        more = {"aux_logits": False, "init_weights": True, "transform_input": by_weights}
    elif is_segmenter(arch):
        more = {"weights_backbone": None}
    elif side_multiple(arch) is not None:
        side = shape[1] if isinstance(chosen.input_size, str) else chosen.input_size
        more = {"input_size": (side, side)} if arch.startswith("maxvit") else {"image_size": side}
    net: nn.Module = get_model(arch, weights=None, num_classes=num_outputs, **more)
    net.__class__ = type(type(net).__name__, (_Fitted, type(net)), {})  # no module around it: that would change names
    net.input_size = None if isinstance(chosen.input_size, str) else chosen.input_size  # type: ignore[assignment]
    net.head_names = _heads(net, num_outputs)  # type: ignore[assignment]
    if shape[0] == 1:
        gain, offset = _of_grey(published(arch)) if by_weights else (torch.ones(3), torch.zeros(3))
        net.register_buffer("gain", gain.view(3, 1, 1), persistent=False)
        net.register_buffer("offset", offset.view(3, 1, 1), persistent=False)
    return net


def _of_grey(known: Published) -> tuple[Tensor, Tensor]:
    """Return what makes each channel's scale of a grey picture's, (3,) each."""
    (shift,), (size,) = known.scale(1)
    shifts, sizes = (torch.tensor(values, dtype=torch.float64) for values in known.scale(3))
    return (size / sizes).float(), ((shift - shifts) / sizes).float()


def _heads(net: nn.Module, num_outputs: int) -> tuple[str, ...]:
    """Return the names of the layers that are made for so many outputs."""
    found = [
        name
        for name, module in net.named_modules()
        if name.partition(".")[0] in HEADS
        and (
            (isinstance(module, nn.Linear) and module.out_features == num_outputs)
            or (isinstance(module, nn.Conv2d) and module.out_channels == num_outputs and module.kernel_size == (1, 1))
        )
    ]
    return tuple(found[-2:] if "lraspp" in type(net).__name__.lower() else found[-1:])


def published_file(arch: str) -> Path:
    """Return where torchvision keeps the file of a network's weights, fetching it where it is not there yet.

    Raises:
        StorageError: the folder cannot be made.
        CheckpointError: it cannot be fetched.
    """
    known = published(arch)
    path = Path(torch.hub.get_dir(), "checkpoints", known.url.rpartition("/")[2]).absolute()
    if path.exists():
        return path
    make_folder(path.parent)
    try:
        with _impatient():
            torch.hub.download_url_to_file(known.url, str(path), hash_prefix=_sum_in(path), progress=False)
    except (OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(getattr(error, "reason", None) or error).split())
        told = f"the weights of {arch}, {path.name}, are not in {path.parent}, and cannot be fetched: {reason}"
        hint = f"fetch {known.url} elsewhere, and put it into {path.parent}; or model.weights=none"
        raise CheckpointError(told, hint=hint) from error
    return path


@contextmanager
def _impatient() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def read_published(arch: str) -> tuple[Path, Weights]:
    """Return a network's published weights, and their file, fetched where need be.

    Raises:
        StorageError: it cannot be read.
        CheckpointError: it cannot be fetched, or is not what its name says.
    """
    path = published_file(arch)
    return path, read_weights(path, _sum_in(path))


def _sum_in(path: Path) -> str:
    """Return the beginning of the SHA-256 that torchvision puts into a file's name."""
    return path.stem.rpartition("-")[2]
