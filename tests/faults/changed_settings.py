"""A resume with another value of each setting: fixed is refused with a diff, live applied, override where allowed."""

from __future__ import annotations

import copy
import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml

from nnkit.cli.resume import changed_config
from nnkit.config.compose import compose
from nnkit.config.fields import Leaf, leaves, sections
from nnkit.config.marks import Resume
from nnkit.config.options import find_groups, search_dirs
from nnkit.config.schema import to_plain
from nnkit.config.suggest import spell
from nnkit.errors import ConfigError
from tests.faults.lost_items import at, put
from tests.faults.survival import Promise

# Values that an option leaves to the user.
GIVEN: dict[str, Any] = {
    "data.path": "there",
    "data.images": "there",
    "data.masks": "there",
    "data.target_path": "there",
    "data.target": "y",
    "data.time": "t",
    "data.dataset": "MNIST",
    "data.root": "there",
    "data.code": "a:b",
    "model.code": "a:b",
    "model.arch": "resnet18",
    "activation.code": "a:b",
    "loss.code": "a:b",
    "metric.code": "a:b",
}
# With which other sections, by their kinds, and with which other settings somebody reads a setting.
TEXT: dict[str, Any] = {"data": "text", "model": "lstm"}
STATEFUL: dict[str, Any] = {**TEXT, "data.task": "language", "batching.shuffle": False}
FOLDS: dict[str, Any] = {"cv.folds": 5}
WANDB, MLFLOW = {"tracker.wandb.use": True}, {"tracker.mlflow.use": True}
PICTURES: dict[str, Any] = {"data.images": "there.npz"}  # arrays of one file
READERS: dict[str, dict[str, Any]] = {
    **{f"data.{name}": PICTURES for name in ("image_array", "mask_array", "name_array")},
    "data.names": {"data.names": ["a", "b"]},
    "loss.smooth": {"data": "masks", "model": "unet"},
    "loss.cross_entropy": {"data": "masks", "model": "unet"},
    "data.test_path": {"data.test_path": "there", "data.test_target_path": "there"},
    "data.test_target_path": {"data.test_path": "there", "data.test_target_path": "there"},
    "data.fill_value": {"data.missing_numeric": "constant"},
    **{f"augmentation.{name}": {"data": "mnist1d"} for name in ("jitter", "scaling", "window_crop")},
    "augmentation.saturation": {"data": "cifar10"},
    "augmentation.hue": {"data": "cifar10"},
    "data.segment": {"model": "lstm", "data.task": "language"},
    "model.embedding_size": {"data": "text"},
    "model.method": {"data": "sine"},
    "model.unfreeze_after": {"model.freeze": "backbone"},
    "model.unfreeze_layers": {"model.freeze": "backbone", "model.unfreeze_after": 1},
    "regularization.token_dropout": TEXT,
    "batching.by_length": TEXT,
    "batching.stateful": STATEFUL,
    "trainer.validate_every_steps": {"trainer.validate_every": None},
    "trainer.tbptt_steps": TEXT,
    "trainer.rollback_factor": {"trainer.on_nonfinite": "rollback"},
    "trainer.max_rollbacks": {"trainer.on_nonfinite": "rollback"},
    "tracker.tensorboard.wait_s": {"tracker.tensorboard.use": True},
    **{f"tracker.wandb.{name}": WANDB for name in ("project", "entity", "mode", "wait_s")},
    **{f"tracker.mlflow.{name}": MLFLOW for name in ("experiment", "uri", "wait_s")},
    **{f"cv.{name}": FOLDS for name in ("kind", "repeats", "split_seed", "final", "fold")},
}
FULLY_CONNECTED: dict[str, Any] = {"data": "table", "data.categories": "embedding"}  # where model=mlp reads embeddings
STAYS = ("name", "output_dir")  # they are live, but a run stays in its folder


def others(annotation: Any, value: Any) -> Iterator[Any]:
    """Yield values of a type that differ from one, the likely ones first."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from others(get_args(annotation)[0], value)
    elif origin is Literal:
        yield from (each for each in get_args(annotation) if each != value)
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from others(member, value)
    elif origin is list:
        yield from ([each] * size for each in others(get_args(annotation)[0], None) for size in (1, 2, 3))
    elif origin is dict:
        yield {"other": 1}
    else:
        near = value if isinstance(value, (int, float)) and not isinstance(value, bool) else 0
        plain: dict[Any, list[Any]] = {
            bool: [not value],
            int: [near + 1, near + 2, near * 2, 1, 64],
            float: [near / 2, near + 0.01, 0.3, near * 2],
            str: ["other", "val/loss", ";", "resnet50"],
            type(None): [None],
        }
        yield from (each for each in plain.get(annotation, []) if each != value)


@cache
def _base() -> dict[str, Any]:
    return compose(()).values


def values_with(section: str, kind: str) -> dict[str, Any]:
    """Return the values of a whole config with one section of a kind, as its option has them."""
    values = copy.deepcopy(_base())
    path = find_groups(search_dirs()).get(section, {}).get(kind)
    if path is not None:
        values[section] = {k: v for k, v in yaml.safe_load(path.read_text()).items() if k != "defaults"}
    for key, value in GIVEN.items():
        name, _, setting = key.partition(".")
        if name == section and values[name].get(setting, "") in ("???", None) and setting in values[name]:
            values[name][setting] = value
    return values


def cases(_: int) -> Iterator[str | None]:
    """Change each setting of each section and kind."""
    for section, kinds in sections().items():
        for kind in kinds:
            values = values_with(section, kind)
            for key, leaf in leaves(values).items():
                if key.startswith(f"{section}."):
                    yield _changed(values, leaf)
    values = copy.deepcopy(_base())
    for key, leaf in leaves(values).items():
        if "." not in key:
            yield _changed(values, leaf)


def _changed(values: Mapping[str, Any], leaf: Leaf) -> str | None:
    """Return what is wrong with what becomes of a setting that is changed."""
    if not isinstance(leaf.mark, Resume):
        return f"{leaf.key} has no mark"
    section, _, name = leaf.key.partition(".")
    values = _read(copy.deepcopy(dict(values)), leaf.key)
    if name == "kind" and not list(others(leaf.annotation, at(values, tuple(leaf.key.split("."))))):
        return _refused_whole(values, section, next(k for k in sections()[section] if k != values[section]["kind"]))
    old = at(values, tuple(leaf.key.split(".")))
    problem = f"{leaf.key}: no other value was found"
    for value in others(leaf.annotation, old):
        problem = _outcome(values, leaf, old, value)
        if problem is None or not problem.startswith("invalid"):
            break
    return problem


def _outcome(values: dict[str, Any], leaf: Leaf, old: Any, value: Any) -> str | None:
    key, shown = leaf.key, f"{leaf.key}: {spell(old)} -> {spell(value)}"
    try:
        config, differing = changed_config(copy.deepcopy(values), {key: value}, set())
    except ConfigError as error:
        texts = [problem.text for problem in error.problems]
        hints = [problem.hint for problem in error.problems]
    else:
        applied = at(to_plain(config), tuple(key.split("."))) == value and differing == {key: value}
        return None if leaf.mark is Resume.LIVE and applied else f"{shown} of mark {leaf.mark} was applied: {differing}"
    if not any(shown in text for text in texts):
        return f"invalid {shown}: {texts}"
    if leaf.mark is Resume.FIXED or key in STAYS:
        return None if any("cannot change" in text for text in texts) else f"{shown}: {texts}"
    if leaf.mark is not Resume.OVERRIDE or f"--allow {key}" not in hints:
        return f"{shown} of mark {leaf.mark} was refused: {texts} {hints}"
    config, differing = changed_config(copy.deepcopy(values), {key: value}, {key})
    applied = at(to_plain(config), tuple(key.split("."))) == value and differing == {key: value}
    return None if applied else f"{shown} was allowed, and not applied: {differing}"


def _refused_whole(values: dict[str, Any], section: str, kind: str) -> str | None:
    """Return what is wrong where a section is asked to be of another kind, which has settings of its own."""
    try:
        changed_config(values, {section: kind}, {section, f"{section}.kind"})
    except ConfigError as error:
        return None if f"{section} cannot change in a run that has begun" in str(error) else str(error)
    return f"{section}={kind} was applied"


def _read(values: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the values with all that lets somebody read a setting."""
    readers = READERS.get(key, {})
    if key == "model.embedding_size" and values["model"]["kind"] == "mlp":
        readers = FULLY_CONNECTED
    for other, value in readers.items():
        if other in sections():
            values[other] = values_with(other, value)[other]
        elif other in leaves(values):
            put(values, tuple(other.split(".")), value)
    return values


SETTINGS = Promise(
    "changed-settings", "a resume with each setting changed: refused, allowed or applied", cases, 1, 1, 300
)
