"""Every YAML file under configs/ is composed, checked, built and stepped once; and it is counted that all were."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from nnkit.assemble import Prepared, assemble, fitted
from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.fields import leaves, section_of, sections, subsections
from nnkit.config.options import config_dir
from nnkit.config.schema import Config, to_plain
from nnkit.config.sections.cv import CvConfig
from nnkit.config.sections.data import CodeDataConfig, VisionConfig
from nnkit.config.sections.sequences import (
    AddingConfig,
    ForecastConfig,
    Mnist1dConfig,
    ParityConfig,
    SequenceConfig,
    SineConfig,
    TextConfig,
)
from nnkit.config.sections.sweeper import SWEEPERS, BayesConfig
from nnkit.config.sweeper import sweeper_of
from nnkit.data import read, split_by
from nnkit.data.frame import Column, Frame
from nnkit.data.sequences import Sequences
from nnkit.data.source import Source
from nnkit.data.windows import windows_source
from nnkit.objective.losses import resolve_loss
from nnkit.spec import InputSpec
from nnkit.train.loop import take_step
from nnkit.train.state import TrainState
from nnkit.usercode import check_code
from tests.own_code import HERE

pytestmark = pytest.mark.no_cover  # its lines are counted elsewhere, and counting takes half of the time

OPTIONS = sorted(path for path in config_dir().glob("*/*.yaml"))
TUNING = sorted(path.stem for path in (config_dir() / "hydra" / "sweeper").glob("tune_*.yaml"))
NETS = ("resnet18", "resnet50", "mobilenet_v3", "efficientnet_b0")
# What an option needs beside it, to be run at all.
COMPANIONS = {
    "model/cnn": ["data=digits"],
    "loss/bce": ["data=breast_cancer"],
    "loss/mse": ["data=diabetes"],
    "loss/mae": ["data=diabetes"],
    "loss/huber": ["data=diabetes"],
    "loss/dice": ["data=masks", "data.images=x.npz", "model=unet", "model.channels=[4,8]"],
    "data/masks": ["data.images=photos", "data.masks=masks", "model=unet", "model.channels=[4,8]"],
    "model/unet": ["data=masks", "data.images=x.npz"],
    "loss/poisson": ["data=diabetes", "data.target_scaling=none"],
    "data/array": ["data.path=x.npz"],
    "data/table": ["data.path=x.csv", "data.target=y"],
    "data/table embedding": ["data.path=x.csv", "data.target=y", "data.categories=embedding"],
    "data/idx": ["data.path=images", "data.target_path=labels"],
    "data/images": ["data.path=photos"],
    "data/torchvision": ["data.dataset=KMNIST"],
    "data/series": ["data.path=x.csv", "data.time=t", "data.target=y", "data.window=8", "data.horizon=3"],
    "data/ts": ["data.path=x.ts", "model=gru"],
    "data/text": ["data.path=x.txt", "model=gru"],
    "data/text language": ["data.path=x.txt", "data.task=language", "model=lstm"],
    "data/parity": ["model=gru"],
    "data/adding": ["data.samples=60"],
    "data/sine": ["data.steps=300"],
    "model/rnn": ["data=adding", "data.samples=60"],
    "model/lstm": ["data=adding", "data.samples=60", "data.min_length=5"],
    "model/gru": ["data=parity", "data.samples=60"],
    "model/naive": ["data=sine"],
    "data/code": [f"data.code={HERE}:blobs", "data.kwargs.size=32"],
    "model/code": [f"model.code={HERE}:Net", "model.kwargs.width=5"],
    **{f"model/{name}": ["data=digits", "model.input_size=none"] for name in NETS},
    "model/vgg16": ["data=digits", "model.input_size=32", "optimizer=sgd", "optimizer.momentum=0"],
    "model/inception_v3": ["data=digits", "model.input_size=75"],
    "model/convnext_tiny": ["data=digits", "model.input_size=32"],
    "model/pretrained": ["data=digits", "model.arch=squeezenet1_1", "model.input_size=32"],
    "experiment/mnist_transfer": ["model.from_run=there"],
    "activation/code": [f"activation.code={HERE}:Bump", "activation.kwargs.slope=0.2"],
    "loss/code": [f"loss.code={HERE}:Focal", "loss.kwargs.gamma=1.5"],
    "metric/code": [f"metric.code={HERE}:AmongTheFirst", "metric.kwargs.k=2", "metric.name=top2"],
}
SHAPES = {
    "mnist": (1, 28, 28),
    "fashion_mnist": (1, 28, 28),
    "cifar10": (3, 32, 32),
    "digits": (1, 8, 8),
    "idx": (1, 8, 8),
    "images": (3, 8, 8),
    "torchvision": (1, 8, 8),
}


def generated(config: Config) -> Source:
    """32 samples of the shapes that the data section declares."""
    rng = np.random.default_rng(0)
    kind = config.data.kind
    shape: tuple[int, ...] = SHAPES.get(kind, (6,))
    x = rng.normal(size=(32, *shape)).astype(np.float32)
    spec = InputSpec("x", "image" if len(shape) == 3 else "features", shape)
    if isinstance(config.data, (CodeDataConfig, AddingConfig, ParityConfig, SineConfig)):
        return read(config.data)
    if isinstance(config.data, SequenceConfig):
        return sequences(config.data)
    if kind == "table":
        colours = Column("colour", "categorical", (np.arange(32) % 5 - 1).astype(np.int32), tuple("rgby"))
        frame = Frame((Column("size", "numeric", x[:, 0]), colours))
        return Source(kind, (frame,), (), (np.arange(32) % 3).astype(np.int64), ("y",), tuple("abc"))
    if kind == "masks":
        pictures, drawn = rng.normal(size=(32, 3, 8, 8)).astype(np.float32), rng.integers(0, 2, (32, 8, 8), np.uint8)
        names = tuple(map(str, range(32)))
        spec = InputSpec("image", "image", (3, 8, 8))
        return Source(kind, (pictures,), (spec,), drawn, ("mask",), ("a", "b"), names=names)
    if kind == "diabetes":
        return Source(kind, (x,), (spec,), rng.integers(1, 9, (32, 1)).astype(np.float64), ("y",))
    classes = ("a", "b") if config.loss.kind == "bce" else tuple("abc")
    published = np.arange(26, 32) if isinstance(config.data, VisionConfig) else None
    target = (np.arange(32) % len(classes)).astype(np.int64)
    return Source(kind, (x,), (spec,), target, ("y",), classes, test_rows=published)


def sequences(section: SequenceConfig) -> Source:
    """32 series or texts, as the readers would give them."""
    rng = np.random.default_rng(0)
    if isinstance(section, ForecastConfig):
        column = {"y": np.sin(np.arange(5.0 * (section.window + section.horizon)) / 4)}
        sizes: dict[str, Any] = {"window": section.window, "horizon": section.horizon, "stride": 1}
        fractions = {"val_fraction": 0.2, "test_fraction": 0.2}
        names: dict[str, Any] = {"inputs": ["y"], "targets": ["y"], "future": []}
        return windows_source("x", column, **names, times=None, parts_of=None, parts=None, **sizes, **fractions)
    classes: dict[str, Any] = {"target_names": ("y",), "classes": tuple("abc")}
    if isinstance(section, TextConfig):
        given = Sequences.of([rng.integers(0, 5, n, np.int32) for n in rng.integers(2, 9, 32)], tuple("abcde"))
        spec = InputSpec("tokens", "tokens", (given.longest,), (0,))
        if section.task == "language":
            whole = Sequences(given.values, np.arange(32) * 4, np.full(32, 4), given.words, np.zeros(32, np.int64))
            return Source("x", (whole,), (spec,), replace(whole, starts=whole.starts + 1), ("token",))
        return Source("x", (given,), (spec,), np.arange(32) % 3, **classes)
    if isinstance(section, Mnist1dConfig):
        x = rng.normal(size=(32, 40, 1)).astype(np.float32)
        spec = InputSpec("x", "series", (40, 1))
        return Source("x", (x,), (spec,), np.arange(32) % 3, test_rows=np.arange(26, 32), **classes)
    series = Sequences.of([rng.normal(size=(n, 2)).astype(np.float32) for n in rng.integers(2, 9, 32)])
    return Source("x", (series,), (InputSpec("x", "series", (series.longest, 2)),), np.arange(32) % 3, **classes)


def option_name(path: Path) -> str:
    return path.relative_to(config_dir()).with_suffix("").as_posix()


@pytest.mark.parametrize("name", [*map(option_name, OPTIONS), "data/table embedding", "data/text language"])
def test_every_option_is_composed_checked_built_and_stepped(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNKIT_DATA", "/nowhere")
    words = [name.partition(" ")[0].replace("/", "="), *COMPANIONS.get(name, []), "trainer.threads=1"]
    composed = compose(words)
    config = check(composed)
    check_code(composed.values)
    source = generated(config)
    trainer = replace(config.trainer, monitor="val/loss", mode="min", device="cpu", precision="fp32")
    splits = split_by(replace(config.data, val_fraction=0.25), source)
    preprocess = fitted(config.data, source, splits.train, target_scaling="none")
    loss = resolve_loss(config.loss, preprocess.spec)
    run = assemble(Prepared(replace(config, loss=loss, trainer=trainer), source, splits, preprocess), None)
    before = run.parameters.values.clone()
    state = TrainState(100, sums=run.metrics.zero(run.device))
    if not run.parameters.names:
        assert config.model.kind == "naive"
        return
    for batch in list(run.train.epoch(0))[:1] * 2:
        take_step(run, batch, state)
    assert state.step == 2
    assert bool(run.parameters.values.isfinite().all())
    assert not torch.equal(before, run.parameters.values)


def test_every_file_was_reached() -> None:
    others = {
        "train.yaml",
        *(f"hydra/sweeper/{name}.yaml" for name in (*SWEEPERS, *TUNING)),
    }  # those have tests of their own
    found = {path.relative_to(config_dir()).as_posix() for path in config_dir().rglob("*.yaml")}
    assert {f"{option_name(path)}.yaml" for path in OPTIONS} | others == found


@pytest.mark.parametrize("name", TUNING)
def test_a_space_of_tune_is_a_sweeper_with_suggestions(name: str) -> None:
    values = yaml.safe_load((config_dir() / f"hydra/sweeper/{name}.yaml").read_text())
    assert values.pop("_target_") == "hydra_plugins.nnkit_sweepers.sweepers.BayesSweeper"
    assert sweeper_of(BayesConfig, values).pruner == "asha"


@pytest.mark.parametrize("name", SWEEPERS)
def test_a_sweeper_shows_every_setting_of_its_schema_and_they_are_taken(name: str) -> None:
    values = yaml.safe_load((config_dir() / f"hydra/sweeper/{name}.yaml").read_text())
    assert values.pop("_target_").startswith("hydra_plugins.nnkit_sweepers.sweepers.")
    schema = SWEEPERS[name]
    assert set(values) == {field.name for field in fields(schema)}
    assert sweeper_of(schema, values) == schema(**values)


@pytest.mark.parametrize("name", [option_name(p) for p in OPTIONS if p.parent.name != "experiment"])
def test_an_option_shows_every_setting_of_its_schema(name: str) -> None:
    group, _, option = name.partition("/")
    values = yaml.safe_load((config_dir() / f"{name}.yaml").read_text())
    known = {key for key in leaves({group: values}) if key.startswith(group + ".")}
    if group == "tracker" and option != "none":  # a section within the section; the others' are not chosen
        known = {key for key in known if key.startswith(f"{name.replace('/', '.')}.")}
    assert _written(group, values) == known


def _written(group: str, values: dict[str, Any]) -> set[str]:
    found = {f"{group}.{key}": value for key, value in values.items()}
    within = {key: value for key, value in found.items() if key in subsections()}
    settings = {f"{key}.{name}" for key, value in within.items() for name in value}
    return settings | (set(found) - set(within))


def test_every_kind_of_the_schema_has_an_option() -> None:
    for group, kinds in sections().items():
        if group == "cv":  # a section without a group: it stands in the primary config
            continue
        loaded = [yaml.safe_load(path.read_text()) for path in (config_dir() / group).glob("*.yaml")]
        assert {values.get("kind", "") for values in loaded} == set(kinds)
        assert all(section_of({group: values}, group) is not None for values in loaded)


def test_the_primary_config_has_every_top_level_setting() -> None:
    values = yaml.safe_load((config_dir() / "train.yaml").read_text())
    own = set(values) - {"defaults", "hydra"}
    assert own == set(to_plain(check(compose([])))) - set(sections()) | {"cv"}
    assert set(values["cv"]) == {field.name for field in fields(CvConfig)}
