"""What a new run starts from: a file, an earlier run, or torchvision's; a run that goes on needs none of it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

from nnkit.assemble import assemble, prepare
from nnkit.config.check import check
from nnkit.config.origin import Composed
from nnkit.errors import CheckpointError, ConfigError
from nnkit.folds import cross_validate
from nnkit.infer.evaluate import evaluate
from nnkit.infer.finished import open_run
from nnkit.run import resume, train
from nnkit.runs import CHECKPOINTS, new_folder
from nnkit.train import checkpoints
from nnkit.train.sink import RunInfo
from nnkit.warm_start import look_for_start, start
from tests.trained import Watcher, config_of, last_weights, run_of, trained

RESNET = ("data=digits", "data.limit=120", "model=resnet18", "model.weights=none", "model.input_size=none")
RESNET += ("batching.batch_size=32", "trainer.max_epochs=1", "trainer.threads=1", "optimizer=sgd", "optimizer.lr=0.01")


class Notes:
    """A sink that keeps what is told at the start."""

    def __init__(self) -> None:
        self.told: tuple[str, ...] = ()

    def start(self, info: RunInfo) -> None:
        self.told = info.notes

    def write(self, _: object) -> None: ...
    def warn(self, _: str) -> None: ...
    def sync(self) -> None: ...
    def go_back(self, _: int) -> None: ...
    def close(self, _: str) -> None: ...


def facts(folder: Path) -> dict[str, object]:
    return dict(json.loads((folder / "run.json").read_text()))


def test_a_run_starts_from_the_best_weights_of_another_and_says_so() -> None:
    first = trained("model.norm=batch").folder
    sink = Notes()
    folder = trained(f"model.from_run={first}", "model.norm=batch", "trainer.max_steps=1", sinks=(sink,)).folder
    best = checkpoints.read_weights(checkpoints.pointed(first / CHECKPOINTS, "best"))
    assert sink.told[0] == f"weights of run {first}: {len(best)} tensors loaded, 0 skipped, 0 new"
    known = facts(folder)["started_from"]
    assert isinstance(known, dict)
    manifest = checkpoints.read_manifest(checkpoints.pointed(first / CHECKPOINTS, "best"))
    assert (known["path"], known["sha256"]) == (str(first), manifest["sha256"]["model.safetensors"])
    assert f"weights of run {first}" in (folder / "run.log").read_text()
    run, config = (
        run_of("model.norm=batch", "trainer.ema_decay=0.9"),
        config_of(f"model.from_run={first}", "model.norm=batch"),
    )
    start(run, prepare(config))
    assert all(torch.equal(run.model.state_dict()[name], x) for name, x in best.items())
    assert run.average is not None
    assert torch.equal(run.average, run.parameters.values)


def test_other_classes_get_a_new_head_and_the_rest_is_taken() -> None:
    first = trained().folder
    sink = Notes()
    trained("data.classes=[setosa,virginica]", f"model.from_run={first}", sinks=(sink,))
    assert sink.told[:3] == (
        f"weights of run {first}: 2 tensors loaded, 2 skipped, 2 new",
        "skipped: output.weight (3x8 there, 2x8 here), output.bias (3 there, 2 here)",
        "new, with first values: output.weight, output.bias",
    )


def test_the_last_run_is_named_by_its_folder_from_the_start() -> None:
    first = trained().folder
    folder = trained("model.from_run=last").folder
    assert yaml.safe_load((folder / "config.yaml").read_text())["model"]["from_run"] == str(first)


def test_a_run_goes_on_without_the_file_and_the_run_that_it_started_from() -> None:
    first = trained().folder
    weights = Path("first.pth")
    torch.save({f"module.{k}": v for k, v in last_weights(first).items()}, weights)
    for words in (f"model.weights={weights}", f"model.from_run={first}"):
        whole = trained(words, "trainer.max_steps=10").folder
        part = trained(words, "trainer.max_steps=4").folder
        shutil.rmtree(first) if "from_run" in words else weights.unlink()
        values = yaml.safe_load((part / "config.yaml").read_text())
        values["trainer"]["max_steps"] = 10
        resume(check(Composed(values)), part)
        a, b = (checkpoints.newest(folder / CHECKPOINTS)[1] for folder in (whole, part))
        assert all(torch.equal(a[name], b[name]) for name in a)
        assert facts(part)["started_from"] == facts(whole)["started_from"]
        open_run(part)


@pytest.mark.parametrize("changes", [False, True])
def test_a_run_that_had_saved_nothing_begins_with_the_very_same_weights(changes: bool) -> None:
    torch.save(run_of().model.state_dict(), "first.pth")
    words = ("model.weights=first.pth", "trainer.max_steps=4")
    whole, config = trained(*words).folder, config_of(*words)
    folder = new_folder(config)
    with pytest.raises(KeyboardInterrupt):
        train(config, folder, [Watcher(at_save=1, error=KeyboardInterrupt())])
    config = check(Composed(yaml.safe_load((folder / "config.yaml").read_text())))
    if changes:
        torch.save(run_of("seed=1").model.state_dict(), "first.pth")
        with pytest.raises(CheckpointError, match=r"first\.pth has changed since the run started from its weights"):
            resume(config, folder)
        return
    resume(config, folder)
    assert all(torch.equal(x, last_weights(whole)[name]) for name, x in last_weights(folder).items())


@pytest.mark.parametrize("words", ["model.weights=nowhere.pth", "model.weights=DEFAULT"])
def test_what_is_not_there_is_told_before_any_data_is_read(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models import ResNet18_Weights

    monkeypatch.setenv("TORCH_HOME", str(Path("home").absolute()))
    monkeypatch.setattr(ResNet18_Weights.DEFAULT.value, "url", "http://127.0.0.1:9/resnet18-0badcafe.pth")
    with pytest.raises(CheckpointError, match=r"nowhere\.pth is not there|resnet18-0badcafe\.pth, are not in"):
        look_for_start(config_of("data=images", "data.path=nowhere", "model=resnet18", words))


def test_what_is_frozen_though_the_weights_lack_it_is_told() -> None:
    first = run_of("model.hidden=[8,7]").model.state_dict()
    torch.save({name: x for name, x in first.items() if "hidden.0" in name}, "part.pth")
    words = ("model.hidden=[8,7]", "model.weights=part.pth", "trainer.max_steps=1")
    sink = Watcher()
    trained(*words, "model.freeze=backbone", sinks=(sink,))
    told = "2 of 4 frozen tensors are not in .*part.pth, and keep first values that nobody has learned: hidden.1.linear"
    assert [bool(re.match(told, text)) for text in sink.warnings] == [True]
    other = Watcher()
    trained(*words, "model.freeze=hidden.0", sinks=(other,))
    assert other.warnings == []


@pytest.mark.parametrize(
    ("after", "epochs", "told"),
    [
        (1, 4, None),
        (
            1,
            3,
            "model.unfreeze_layers=1 does not end within trainer.max_epochs=3: 2 of 6 frozen tensors never learn",
        ),
        (3, 3, "model.unfreeze_after=3 does not come within trainer.max_epochs=3"),
    ],
)
def test_layers_that_do_not_come_to_learn_are_told(after: int, epochs: int, told: str | None) -> None:
    sink = Notes()
    words = ("model.hidden=[5,5,5]", "model.freeze=backbone", "model.unfreeze_layers=1", "trainer.max_steps=1")
    trained(*words, f"model.unfreeze_after={after}", f"trainer.max_epochs={epochs}", sinks=(sink,))
    assert [text for text in sink.told if "unfreeze" in text] == ([] if told is None else [told])


def test_torchvisions_own_file_with_other_pictures_than_it_was_learned_on_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from torchvision.models import ResNet18_Weights

    torch.save(assemble(prepare(config_of(*RESNET)), None).model.state_dict(), "mine.pth")
    words = (*RESNET[:3], "model.weights=mine.pth", *RESNET[4:], "trainer.max_steps=1")
    sink = Watcher()
    trained(*words, sinks=(sink,))
    assert sink.warnings == []
    begins = hashlib.sha256(Path("mine.pth").read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(ResNet18_Weights.DEFAULT.value, "url", f"http://127.0.0.1:9/resnet18-{begins}.pth")
    trained(*words, sinks=(sink,))
    (text,) = sink.warnings
    assert re.match(
        r".*mine\.pth is torchvision's own, learned on .* other statistics than data\.scaling=standard", text
    )


def test_a_run_that_is_none_is_told() -> None:
    with pytest.raises(ConfigError, match="elsewhere is not a run folder"):
        trained("model.from_run=elsewhere")


def test_a_run_without_a_network_of_its_own_is_told_before_any_data_is_read() -> None:
    given = ("data=images", "data.path=nowhere", "model=cnn")
    config = config_of("cv.folds=2", "cv.final=ensemble", "trainer.max_steps=1")
    folder = new_folder(config)
    cross_validate(config, folder)
    with pytest.raises(ConfigError, match="has no network of its own") as told:
        look_for_start(config_of(*given, f"model.from_run={folder}"))
    assert told.value.problems[0].hint == f"model.from_run={folder / 'fold-0'}"
    unsaved = trained("trainer.max_steps=1").folder
    shutil.rmtree(unsaved / CHECKPOINTS)
    with pytest.raises(CheckpointError, match="best does not name a checkpoint"):
        look_for_start(config_of(*given, f"model.from_run={unsaved}"))


def test_weights_of_another_network_are_refused_and_leave_no_run_behind() -> None:
    torch.save({"conv1.weight": torch.zeros(3, 3)}, "other.pth")
    config = config_of("model.weights=other.pth")
    folder = new_folder(config)
    with pytest.raises(CheckpointError, match=r"other\.pth has nothing for this network: it has conv1\.weight"):
        train(config, folder)
    assert not (folder / "config.yaml").exists()


def test_a_run_of_another_network_of_which_a_layer_fits_by_chance_is_refused() -> None:
    first = trained("data=digits", "data.limit=120", "model=cnn", "trainer.max_steps=1").folder
    config = config_of("data=digits", "data.limit=120", "model.hidden=[64]", f"model.from_run={first}")
    with pytest.raises(CheckpointError, match=r"is of another architecture: 2 of its \d+ tensors fit this network"):
        train(config, new_folder(config))


def test_a_run_of_the_same_kind_gives_what_fits_of_a_network_of_other_sizes() -> None:
    words = ("data=digits", "data.limit=120", "trainer.max_steps=1")
    first = trained(*words, "model.hidden=[16,8,8]").folder
    second = trained(*words, "model.hidden=[16,12,12]", f"model.from_run={first}").folder
    told = facts(second)["started_from"]
    assert isinstance(told, dict)
    others = {f"hidden.{layer}.linear.{name}" for layer in (1, 2) for name in ("weight", "bias")} | {"output.weight"}
    assert set(told["skipped"]) == set(told["new"]) == others


def test_a_resnet_of_ours_comes_back_from_a_file_with_the_same_features() -> None:
    folder = trained(*RESNET, "data.classes=[0,1,2,3,4]").folder
    weights = checkpoints.read_weights(checkpoints.pointed(folder / CHECKPOINTS, "best"))
    torch.save({"state_dict": {f"module.{name}": x for name, x in weights.items()}}, "resnet.pth")
    config = config_of(*RESNET[:-2], "data.classes=[0,1,2]", "model.weights=resnet.pth")
    prepared = prepare(config)
    run = assemble(prepared, None)
    told = start(run, prepared).facts["started_from"]
    assert set(told["skipped"]) == set(told["new"]) == {"fc.weight", "fc.bias"}
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(features(run.model, x), features(open_run(folder).model, x))


def features(model: torch.nn.Module, x: Tensor) -> Tensor:
    """Return what goes into the head."""
    found: list[Tensor] = []
    handle = model.get_submodule("fc").register_forward_pre_hook(lambda _, args: found.append(args[0]))
    with torch.no_grad():
        model.eval()(x)
    handle.remove()
    return found[0]


def test_a_network_of_torchvision_answers_from_its_folder_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    result = trained(*RESNET, "model.freeze=backbone")
    monkeypatch.setenv("TORCH_HOME", "/nowhere")
    prepared = prepare(config_of(*RESNET))
    found = evaluate(open_run(result.folder), prepared.source, prepared.splits.test)
    assert found.metrics["accuracy"] == pytest.approx(result.metrics["test/accuracy"])
    assert result.title == "resnet18 on digits"
    assert result.folder.parent.name == "resnet18-digits"


def test_a_folder_that_asks_for_a_larger_network_than_its_weights_is_refused_before_that_is_built() -> None:
    folder = trained(*RESNET, "model.arch=squeezenet1_1", "model.input_size=17").folder
    path = folder / "config.yaml"
    path.write_text(path.read_text().replace("squeezenet1_1", "regnet_y_128gf"))
    with pytest.raises(CheckpointError, match=r"model\.arch=regnet_y_128gf asks for 644,812,894 numbers, the tensors"):
        open_run(folder)


def test_pictures_take_size_and_statistics_of_published_weights_and_config_says_so(tmp_path: Path) -> None:
    from torchvision.models import ResNet18_Weights

    from tests.faults.every_step import write_data

    write_data()
    run_words = ("data=images", "data.path=pictures", "data.cache=null", "model=resnet18", "data.channels=3")
    prepared = prepare(config_of(*run_words))
    assert (prepared.config.data.scaling, prepared.config.data.size) == ("weights", [224, 224])  # type: ignore[union-attr]
    assert prepared.config.model.input_size == 224  # type: ignore[union-attr]
    scale = prepared.preprocess.inputs[0].scale  # type: ignore[union-attr]
    assert scale is not None
    transforms = ResNet18_Weights.DEFAULT.transforms()
    assert scale.shift == pytest.approx([255 * value for value in transforms.mean])
    assert scale.size == pytest.approx([255 * value for value in transforms.std])
    others = prepare(config_of(*run_words, "model.weights=none")).config
    assert (others.data.scaling, others.data.size, others.model.input_size) == ("standard", [5, 5], "none")  # type: ignore[union-attr]
