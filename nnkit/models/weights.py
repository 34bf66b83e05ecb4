"""Weights out of files that others have made: read as data, named as the network names them, taken where they fit."""

from __future__ import annotations

import hashlib
import io
import pickletools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import safetensors.torch
import torch
from torch import Tensor, nn

from nnkit.config.sections.model import DEFAULT_WEIGHTS, NO_WEIGHTS, ModelConfig, TrainableConfig
from nnkit.errors import CheckpointError
from nnkit.models.head import head_of
from nnkit.packed import reason_of, unpacked
from nnkit.storage import read_bytes

PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")  # of DataParallel, torch.compile, and wrappers
NESTED = ("state_dict", "model_state_dict", "model", "weights")  # under what training scripts keep weights
# What torchvision's files still call some layers; its own loading renames them in the same way (densenet, vit).
OLD_NAMES = (
    (re.compile(r"(\bdenselayer\d+\.(?:norm|conv))\.([12]\.)"), r"\1\2"),
    (re.compile(r"(\bmlp)\.linear_1\."), r"\1.0."),
    (re.compile(r"(\bmlp)\.linear_2\."), r"\1.3."),
)
SHOWN = 3  # names of a kind, in words
_SAME = "weights of the same architecture"
_WHOLE = "a whole file"
_STREAM = bytes.fromhex("80028a0a6cfc9c46f9206aa85019")  # what torch.save has begun with before there were archives
LONGEST_LOOK = 1 << 20  # bytes of a pickle that are looked at
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


@final
@dataclass(frozen=True, slots=True)
class Weights:
    """What a file holds.

    Attributes:
        tensors: by the name that the file has for them, but for what is put in front of all names.
        sha256: of the file.
    """

    tensors: Mapping[str, Tensor]
    sha256: str


@final
@dataclass(frozen=True, slots=True)
class Taken:
    """What a network has taken of weights.

    Attributes:
        loaded: names of those that fitted.
        skipped: by name, why another one did not.
        new: names of the network's own that keep their first values.
    """

    loaded: Sequence[str]
    skipped: Mapping[str, str]
    new: Sequence[str]

    def lines(self) -> Iterator[str]:
        """Yield what the user should know, in words."""
        yield f"{len(self.loaded)} tensors loaded, {len(self.skipped)} skipped, {len(self.new)} new"
        if self.skipped:
            yield f"skipped: {self.unfit()}"
        if self.new:
            yield f"new, with first values: {some(self.new)}"

    def unfit(self) -> str:
        """Return what was skipped, and why, in words."""
        return some([f"{name} ({why})" for name, why in self.skipped.items()])


def some(names: Sequence[str]) -> str:
    """Return the first of some names, and how many others there are, in words."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def weights_path(section: ModelConfig) -> Path | None:
    """Return the file that a section takes its first values from, absolute; None where it names none."""
    if not isinstance(section, TrainableConfig) or section.from_run is not None:
        return None
    if section.weights in (NO_WEIGHTS, DEFAULT_WEIGHTS):
        return None
    return Path(section.weights).expanduser().absolute()


def with_place(section: ModelConfig) -> ModelConfig:
    """Return a section whose file of weights has its absolute path."""
    path = weights_path(section)
    return section if path is None else replace(section, weights=str(path))  # type: ignore[arg-type]


def read_weights(path: Path, sum_begins: str = "") -> Weights:
    """Return the tensors of a .safetensors file, or of what torch.save has written; nothing in it is executed.

    Args:
        path: of the file.
        sum_begins: with what its SHA-256 begins, if that is known; it is looked at before anything is parsed.

    Raises:
        StorageError: it cannot be read.
        CheckpointError: it is no such file, is damaged, holds code, or no tensors.
    """
    data = read_bytes(path)
    sha256 = hashlib.sha256(data).hexdigest()
    if not sha256.startswith(sum_begins):
        told = f"{path} is damaged: its SHA-256 begins with {sha256[: len(sum_begins)]}, not with {sum_begins}"
        raise CheckpointError(told, hint="remove it, and fetch it anew")
    if path.suffix == ".safetensors":
        try:
            found: Any = safetensors.torch.load(data)
        except Exception as error:  # beside a SafetensorError, what follows from shapes that it has not looked at
            raise CheckpointError(f"{path} is damaged, or no .safetensors file: {error}") from error
    else:
        found = _of_torch(path, data)
    tensors = {str(name): x for name, x in _innermost(found).items() if isinstance(x, Tensor) and _is_plain(x)}
    if not tensors:
        hint = "torch.save(model.state_dict(), FILE)"
        raise CheckpointError(f"{path} holds no weights: no tensors by name are in it", hint=hint)
    return Weights(_without_prefix(tensors), sha256)


def _of_torch(path: Path, data: bytes) -> Any:
    """Return the containers and tensors in the bytes of a file; those of old versions are no archive."""
    is_archive = data[:2] == b"PK"
    if not is_archive and not data.startswith(_STREAM):  # nothing that torch would read as plain data
        if (name := _code_in(data)) is not None:
            raise _holds_code(path, name)
        raise CheckpointError(f"{path} is damaged, or holds no weights: torch.save has not written it", hint=_WHOLE)
    try:
        if is_archive:
            return unpacked(data)
        return torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except Exception as error:  # whatever zipfile, pickle and torch can raise for a file that is none
        text = f"{error} {error.__cause__ or ''}"
        if (code := _GLOBAL.search(text)) is not None:
            raise _holds_code(path, code[1]) from error
        told = f"{path} is damaged, or holds no weights: {reason_of(error)}"
        raise CheckpointError(told, hint=_WHOLE) from error


def _holds_code(path: Path, name: str) -> CheckpointError:
    told = f"{path} holds code, {name}, which is not run: weights are plain tensors by name"
    return CheckpointError(told, hint="torch.save(model.state_dict(), FILE), where the file was made")


def _code_in(data: bytes) -> str | None:
    """Return the first name that a pickle would look up, found without running it; None where there is none."""
    texts: list[str] = []
    try:
        for opcode, value, _ in pickletools.genops(data[:LONGEST_LOOK]):
            if opcode.name == "GLOBAL":
                return str(value).replace(" ", ".")
            if opcode.name == "STACK_GLOBAL":
                return ".".join(texts[-2:])
            if isinstance(value, str):
                texts.append(value)
    except (ValueError, LookupError, ArithmeticError, EOFError, RecursionError):  # it is no pickle
        return None
    return None


def _innermost(found: Any) -> Mapping[Any, Any]:
    """Return the mapping that has the tensors: a training script puts others around it."""
    while isinstance(found, dict):
        inner = next((found[key] for key in NESTED if isinstance(found.get(key), dict)), None)
        if inner is None:
            return found
        found = inner
    return {}


def _is_plain(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.layout == torch.strided and not x.is_quantized


def _without_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors without what a wrapper has put in front of all of their names."""
    while prefix := next((p for p in PREFIXES if all(name.startswith(p) for name in tensors)), ""):
        tensors = {name.removeprefix(prefix): x for name, x in tensors.items()}
    return tensors


def take(model: nn.Module, given: Mapping[str, Tensor], origin: str, *, is_kin: bool = False) -> Taken:
    """Give a network the weights whose names and shapes are those of its own, in place.

    Args:
        model: on any device.
        given: by name.
        origin: where they are from, for the message.
        is_kin: whether they are known to be of the same architecture, perhaps with other sizes: any that fit are taken.

    Raises:
        CheckpointError: none of them fits, or so few that they are of another network, or one is not finite. Then the
            network is what it was.
    """
    own = model.state_dict()
    places = {name: place for place, name in enumerate(own)}
    meanings = _meanings(own.keys(), given)
    fitting, skipped = {}, {}
    for name in sorted(given, key=lambda name: (places.get(meanings[name], len(own)), name)):  # as the network has them
        meant, x = meanings[name], given[name]
        if (why := _unfit(own.get(meant), x)) is not None:
            skipped[name] = why
            continue
        if not bool(x.isfinite().all()):
            raise CheckpointError(f"{origin}: {name} has numbers that are not finite", hint="other weights")
        fitting[meant] = x
    taken = Taken(list(fitting), skipped, [name for name in own if name not in fitting])
    _check_kin(model, given, taken, origin, is_kin=is_kin)
    with torch.no_grad():
        for name, x in fitting.items():
            own[name].copy_(x)
    return taken


def _check_kin(model: nn.Module, given: Mapping[str, Tensor], taken: Taken, origin: str, *, is_kin: bool) -> None:
    """Refuse weights of another architecture, of which some fit by chance. Raises: CheckpointError.

    Of the same one is what most of fits, by tensors or by numbers, or what has all in front of the network's head.
    """
    own = model.state_dict()
    if not any(own[name].is_floating_point() for name in taken.loaded):
        theirs, ours = some(list(given)), some(list(own))
        told = f"{origin} has nothing for this network: it has {theirs}; the network has {ours}"
        raise CheckpointError(told, hint=_SAME)
    numbers = sum(x.numel() for x in given.values())
    is_most = 2 * len(taken.loaded) >= len(given) or 2 * sum(own[name].numel() for name in taken.loaded) >= numbers
    head, new = head_of(model), set(taken.new)
    if is_kin or is_most or head.issuperset(name for name, _ in model.named_parameters() if name in new):
        return
    told = f"{origin} is of another architecture: {len(taken.loaded)} of its {len(given)} tensors fit this network"
    raise CheckpointError(f"{told}; not {taken.unfit()}", hint=_SAME)


def _meanings(own: Set[str], given: Iterable[str]) -> dict[str, str]:
    """Return what the network calls each given name: the same, with a wrapper's prefix or without one, or renamed."""
    wrapped = {name.removeprefix(prefix): name for name in own for prefix in PREFIXES if name.startswith(prefix)}
    found = {name: name if name in own else wrapped.get(name, _renamed(name)) for name in given}
    if own.isdisjoint(found.values()):  # it was part of another network, which called it by a name of its own
        ends = Counter(name.removesuffix(each) for name in found for each in own if name.endswith(f".{each}"))
        prefix = ends.most_common(1)[0][0] if ends else ""
        return {name: _renamed(name.removeprefix(prefix)) for name in given}
    return found


def _renamed(name: str) -> str:
    for old, new in OLD_NAMES:
        name = old.sub(new, name)
    return name


def _unfit(own: Tensor | None, given: Tensor) -> str | None:
    """Return why a tensor is none of the network's; None where it fits."""
    if own is None:
        return "the network has none of this name"
    if own.shape != given.shape:
        return f"{_shape(given)} there, {_shape(own)} here"
    if own.is_floating_point() != given.is_floating_point():
        return f"{given.dtype} there, {own.dtype} here"
    return None


def _shape(x: Tensor) -> str:
    return "x".join(str(size) for size in x.shape) or "a number"
