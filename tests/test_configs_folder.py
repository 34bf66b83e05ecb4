"""Every YAML file under configs/ is composed, checked, built and stepped once; and it is counted that all were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from nnkit.assemble import Prepared, assemble, table_rules
from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.fields import leaves, section_of, sections
from nnkit.config.options import config_dir
from nnkit.config.schema import Config, to_plain
from nnkit.config.sections.data import CodeDataConfig, TableConfig, VisionConfig
from nnkit.data import read, split_by
from nnkit.data.frame import Column, Frame
from nnkit.data.preprocess import fit_preprocess
from nnkit.data.source import Source
from nnkit.objective.losses import resolve_loss
from nnkit.spec import InputSpec
from nnkit.train.loop import take_step
from nnkit.train.state import TrainState
from nnkit.usercode import check_code
from tests.own_code import HERE

OPTIONS = sorted(path for path in config_dir().glob("*/*.yaml"))
# What an option needs beside it, to be run at all.
COMPANIONS = {
    "model/cnn": ["data=digits"],
    "loss/bce": ["data=breast_cancer"],
    "loss/mse": ["data=diabetes"],
    "loss/mae": ["data=diabetes"],
    "loss/huber": ["data=diabetes"],
    "loss/poisson": ["data=diabetes", "data.target_scaling=none"],
    "data/array": ["data.path=x.npz"],
    "data/table": ["data.path=x.csv", "data.target=y"],
    "data/table embedding": ["data.path=x.csv", "data.target=y", "data.categories=embedding"],
    "data/idx": ["data.path=images", "data.target_path=labels"],
    "data/images": ["data.path=photos"],
    "data/torchvision": ["data.dataset=KMNIST"],
    "data/code": [f"data.code={HERE}:blobs", "data.kwargs.size=32"],
    "model/code": [f"model.code={HERE}:Net", "model.kwargs.width=5"],
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
    if isinstance(config.data, CodeDataConfig):
        return read(config.data)
    if kind == "table":
        colours = Column("colour", "categorical", (np.arange(32) % 5 - 1).astype(np.int32), tuple("rgby"))
        frame = Frame((Column("size", "numeric", x[:, 0]), colours))
        return Source(kind, (frame,), (), (np.arange(32) % 3).astype(np.int64), ("y",), tuple("abc"))
    if kind == "diabetes":
        return Source(kind, (x,), (spec,), rng.integers(1, 9, (32, 1)).astype(np.float64), ("y",))
    classes = ("a", "b") if config.loss.kind == "bce" else tuple("abc")
    published = np.arange(26, 32) if isinstance(config.data, VisionConfig) else None
    target = (np.arange(32) % len(classes)).astype(np.int64)
    return Source(kind, (x,), (spec,), target, ("y",), classes, test_rows=published)


def option_name(path: Path) -> str:
    return path.relative_to(config_dir()).with_suffix("").as_posix()


@pytest.mark.parametrize("name", [*(option_name(path) for path in OPTIONS), "data/table embedding"])
def test_every_option_is_composed_checked_built_and_stepped(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNKIT_DATA", "/nowhere")
    words = [name.partition(" ")[0].replace("/", "="), *COMPANIONS.get(name, []), "trainer.threads=1"]
    composed = compose(words)
    config = check(composed)
    check_code(composed.values)
    source = generated(config)
    trainer = replace(config.trainer, monitor="val/loss", mode="min", device="cpu", precision="fp32")
    splits = split_by(replace(config.data, val_fraction=0.25), source)
    rules = table_rules(config.data) if isinstance(config.data, TableConfig) else None
    preprocess = fit_preprocess(source, splits.train, scaling=config.data.scaling, target_scaling="none", rules=rules)
    loss = resolve_loss(config.loss, preprocess.spec)
    run = assemble(Prepared(replace(config, loss=loss, trainer=trainer), source, splits, preprocess), None)
    before = run.parameters.values.clone()
    state = TrainState(100, sums=run.metrics.zero(run.device))
    for batch in list(run.train.epoch(0))[:1] * 2:
        take_step(run, batch, state)
    assert state.step == 2
    assert bool(run.parameters.values.isfinite().all())
    assert not torch.equal(before, run.parameters.values)


def test_every_file_was_reached() -> None:
    others = {"train.yaml", "hydra/sweeper/grid.yaml"}  # composed by every one of them
    found = {path.relative_to(config_dir()).as_posix() for path in config_dir().rglob("*.yaml")}
    assert {f"{option_name(path)}.yaml" for path in OPTIONS} | others == found


@pytest.mark.parametrize("name", [option_name(p) for p in OPTIONS if p.parent.name != "experiment"])
def test_an_option_shows_every_setting_of_its_schema(name: str) -> None:
    group, _, _ = name.partition("/")
    values = yaml.safe_load((config_dir() / f"{name}.yaml").read_text())
    known = {key for key in leaves({group: values}) if key.startswith(group + ".")}
    assert {f"{group}.{key}" for key in values} == known


def test_every_kind_of_the_schema_has_an_option() -> None:
    for group, kinds in sections().items():
        loaded = [yaml.safe_load(path.read_text()) for path in (config_dir() / group).glob("*.yaml")]
        assert {values.get("kind", "") for values in loaded} == set(kinds)
        assert all(section_of({group: values}, group) is not None for values in loaded)


def test_the_primary_config_has_every_top_level_setting() -> None:
    own = set(yaml.safe_load((config_dir() / "train.yaml").read_text())) - {"defaults", "hydra"}
    assert own == set(to_plain(check(compose([])))) - set(sections())
