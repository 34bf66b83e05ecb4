"""The user's own parts, from their name to a trained network."""

from __future__ import annotations

import functools
import importlib
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from sklearn.metrics import top_k_accuracy_score

from nnkit.assemble import assemble, prepare
from nnkit.baseline import baseline
from nnkit.cli import main
from nnkit.data import read, split_by
from nnkit.errors import ConfigError, DataError, NnkitError
from nnkit.models import build
from nnkit.models.activations import gain
from nnkit.train.loop import evaluate
from nnkit.usercode import check_code, check_signature, load, refuse_untrusted, sections_with_code
from tests.own_code import HERE, AmongTheFirst, Net
from tests.trained import config_of, run_of, trained

NUMBERS = itertools.count()


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that writes a module of a new name into the working directory."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    written: list[str] = []

    def write(text: str) -> str:
        written.append(f"users_own_{next(NUMBERS)}")
        Path(f"{written[-1]}.py").write_text(text)
        importlib.invalidate_caches()
        return written[-1]

    yield write
    for name in written:
        sys.modules.pop(name, None)


# finding it

SEVENS = """
from torch import nn
class Net(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.output = nn.Linear(spec.inputs[0].shape[0], spec.num_targets)
        nn.init.constant_(self.output.weight, 7.0)
    def forward(self, x):
        return self.output(x)
"""


def test_a_module_of_the_working_directory_is_found(module: Any) -> None:
    name = module("def half(x):\n    return x / 2\n")
    assert load(f"{name}:half", key="loss.code")(3) == 1.5


def test_an_installed_module_is_found() -> None:
    assert load("collections.abc:Mapping", key="x") is importlib.import_module("collections.abc").Mapping


@pytest.mark.parametrize("code", ["module", "module:", ":Name", "", "module.Name"])
def test_a_name_of_another_form_is_told_the_form(code: str) -> None:
    with pytest.raises(ConfigError, match=rf"^model\.code must be package\.module:Name, got '{code}'$") as raised:
        load(code, key="model.code")
    assert raised.value.problems[0].hint == "model.code=my_module:MyName"


def test_a_module_that_is_not_there_is_named_with_where_it_was_looked_for() -> None:
    with pytest.raises(ConfigError, match=r"^loss\.code: no module named nosuchthing$") as raised:
        load("nosuchthing.inner:Name", key="loss.code")
    assert raised.value.problems[0].hint == f"it is looked for in {Path.cwd()}"


def test_a_module_that_itself_imports_what_is_not_there_is_told_apart(module: Any) -> None:
    name = module("import nosuchthing\n")
    with pytest.raises(ConfigError, match=r"^loss\.code: no module named nosuchthing \(\w+\.py, line 1\)$") as raised:
        load(f"{name}:Name", key="loss.code")
    assert raised.value.problems[0].hint == "--debug shows the traceback"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("1 / 0\n", "ZeroDivisionError: division by zero"), ("def f(:\n", "SyntaxError"), ("raise OSError(5)", "OSError")],
)
def test_a_module_that_fails_while_it_is_imported_is_told(text: str, reason: str, module: Any) -> None:
    name = module(text)
    with pytest.raises(ConfigError, match=f"^data.code: importing {name} failed: {reason}"):
        load(f"{name}:f", key="data.code")


@pytest.mark.parametrize(
    ("name", "what"), [("NUMBER", "is nothing that can be called"), ("Nett", "is not there"), ("Net.x", "is not there")]
)
def test_a_name_that_cannot_be_called_is_told_what_there_is(name: str, what: str) -> None:
    with pytest.raises(ConfigError, match=rf"^model\.code: {name} {what} in tests\.own_code$") as raised:
        load(f"{HERE}:{name}", key="model.code")
    assert raised.value.problems[0].hint.startswith("it has Net, Tied, Bump, ")  # what it imports is not its own


def test_an_empty_module_has_nothing(module: Any) -> None:
    with pytest.raises(ConfigError) as raised:
        load(f"{module('')}:f", key="model.code")
    assert raised.value.problems[0].hint == "it has nothing"


# its arguments


@pytest.mark.parametrize(
    ("kwargs", "positional", "reason"),
    [
        ({"widht": 3}, 1, "got an unexpected keyword argument 'widht'"),
        ({}, 0, "missing a required argument: 'spec'"),
        ({"spec": 1}, 1, "multiple values for argument 'spec'"),
    ],
)
def test_arguments_that_do_not_fit_are_named_with_the_signature(
    kwargs: dict[str, Any], positional: int, reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason) as raised:
        check_signature(Net, kwargs, positional, key="model")
    text = raised.value.problems[0].text
    assert text.startswith("model.kwargs does not fit Net(spec: ")
    assert "width: " in text


def test_a_partial_and_a_builtin_without_signature_are_taken() -> None:
    check_signature(functools.partial(Net, width=3), {}, 1, key="model")
    check_signature(dict.fromkeys, {}, 1, key="x")
    check_signature(type, {}, 1, key="x")


def code_words(**names: str) -> dict[str, Any]:
    return {place: {"kind": "code", "code": f"{HERE}:{name}"} for place, name in names.items()}


def test_all_places_are_checked_and_their_problems_told_together() -> None:
    values = code_words(model="Nett", loss="Focal", activation="Bump", metric="NUMBER", data="blobs")
    values["loss"]["kwargs"] = {"gama": 1}
    values["optimizer"] = {"kind": "adam"}
    with pytest.raises(ConfigError) as raised:
        check_code(values)
    texts = [problem.text.partition(" ")[0] for problem in raised.value.problems]
    assert texts == ["model.code:", "loss.kwargs", "metric.code:"]


def test_what_fits_passes() -> None:
    check_code(code_words(model="Net", loss="Focal", activation="Bump", metric="AmongTheFirst", data="blobs"))
    check_code({"model": {"kind": "mlp"}, "data": "text", "loss": {"kind": "auto", "code": "no:Name"}})


def test_sections_that_name_code_are_found_and_an_unknown_folder_with_them_is_refused() -> None:
    values = {**code_words(model="Net", loss="Focal"), "activation": {"kind": "relu"}}
    assert sections_with_code(values) == {"model": f"{HERE}:Net", "loss": f"{HERE}:Focal"}
    with pytest.raises(ConfigError, match=r"run-1: model runs code of its own, tests\.own_code:Net") as raised:
        refuse_untrusted(values, Path("run-1"))
    assert len(raised.value.problems) == 2
    assert "--trust" in raised.value.problems[0].hint
    refuse_untrusted({"model": {"kind": "mlp"}}, Path("run-1"))


# training with it, in each of the five places

WORDS: dict[str, tuple[str, ...]] = {
    "model": ("model=code", f"model.code={HERE}:Net", 'model.kwargs={"width": 6}'),
    "activation": ("activation=code", f"activation.code={HERE}:Bump", 'activation.kwargs={"slope": 0.2}'),
    "loss": ("loss=code", f"loss.code={HERE}:Focal", 'loss.kwargs={"gamma": 0}'),
    "metric": (
        "metric=code",
        f"metric.code={HERE}:AmongTheFirst",
        'metric.kwargs={"k": 2}',
        "metric.name=top2",
        "trainer.monitor=val/top2",
    ),
    "data": ("data=code", f"data.code={HERE}:blobs", 'data.kwargs={"size": 90}'),
}


@pytest.mark.parametrize("place", WORDS)
def test_a_tiny_network_learns_with_a_users_part(place: str) -> None:
    result = trained(*WORDS[place], "trainer.max_epochs=12", "optimizer.lr=0.03")
    assert result.metrics["test/accuracy"] > 0.7  # a third by chance
    assert yaml.safe_load((result.folder / "config.yaml").read_text())[place]["code"].startswith(HERE)


def test_a_users_loss_that_is_cross_entropy_trains_to_the_same_bits() -> None:
    own, built_in = trained(*WORDS["loss"]), trained("loss=cross_entropy")
    assert own.metrics["val/loss"] == pytest.approx(built_in.metrics["val/loss"], rel=1e-5)


def test_a_users_metric_is_scikit_learns_on_the_test_part_and_can_be_watched() -> None:
    words = WORDS["metric"]
    result = trained(*words)
    assert result.best is not None
    assert result.best["monitor"] == "val/top2"
    prepared = prepare(config_of(*words))
    assert (prepared.config.trainer.monitor, prepared.config.trainer.mode) == ("val/top2", "max")
    run = assemble(prepared, None)
    with torch.no_grad():
        outputs = torch.cat([run.model(*batch.inputs) for batch in run.test.epoch(0)])
    target = prepared.source.target[prepared.splits.test]
    expected = top_k_accuracy_score(target, outputs.numpy(), k=2)
    assert evaluate(run, run.test)["top2"] == pytest.approx(expected)
    assert baseline(run, prepared)["top2"] > 0


def test_a_users_metric_is_better_at_its_own_mode() -> None:
    words = (*WORDS["metric"], "metric.mode=min")
    assert prepare(config_of(*words)).config.trainer.mode == "min"


def test_what_a_constructor_draws_by_itself_depends_on_the_seed_alone() -> None:
    spec = prepare(config_of()).spec
    torch.manual_seed(1)
    first = build(config_of(*WORDS["model"]), spec, 3).state_dict()
    torch.manual_seed(2)
    again = build(config_of(*WORDS["model"]), spec, 3).state_dict()
    other = build(config_of(*WORDS["model"], "seed=1"), spec, 3).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["scale"], other["scale"])
    assert not torch.equal(first["hidden.weight"], other["hidden.weight"])


def test_a_users_network_keeps_the_values_that_its_constructor_gives_it(module: Any) -> None:
    name = module(SEVENS)
    spec = prepare(config_of()).spec
    found = build(config_of("model=code", f"model.code={name}:Net", "init=constant"), spec, 3).state_dict()
    assert found["output.weight"].unique().tolist() == [7.0]


def test_a_users_activation_has_the_gain_that_keeps_a_signals_mean_square() -> None:
    config = config_of(*WORDS["activation"]).activation
    z = torch.randn(1_000_000, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    square = (z * torch.exp(-0.2 * z**2)).square().mean().sqrt().item()
    assert gain(config) * square == pytest.approx(1, rel=5e-3)
    for name in ("torch.nn:GLU", f"{HERE}:Halving", "torch.nn:Flatten"):
        assert gain(config_of("activation=code", f"activation.code={name}").activation) > 0


def test_the_parts_that_a_users_data_comes_with_are_kept() -> None:
    config = config_of(*WORDS["data"][:2], 'data.kwargs={"is_split": true}').data
    source = read(config)
    splits = split_by(config, source)
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [30, 30, 30]
    assert splits.val.tolist() == list(range(30, 60))
    assert splits.test.tolist() == list(range(60, 90))


# what goes wrong once it is called


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (
            ("model=code", "model.code={}:broken"),
            ConfigError,
            r"^model\.code=\S+:broken failed: KeyError: 'oh no' \(own_code\.py, line \d+\)$",
        ),
        (("model=code", "model.code=torch.nn:Identity"), ConfigError, r"must return an nn\.Module with parameters"),
        (
            ("model=code", "model.code=builtins:repr"),
            ConfigError,
            r"must return an nn\.Module with parameters, got str",
        ),
        (
            ("model=code", "model.code={}:Net", 'model.kwargs={"outputs": 7}'),
            ConfigError,
            r"^model\.code=\S+:Net: the network must give \(2, 3\) for two samples, got \(2, 7\)$",
        ),
        (
            ("activation=code", "activation.code={}:broken"),
            ConfigError,
            r"^activation\.code=\S+:broken failed: KeyError",
        ),
        (
            ("activation=code", "activation.code=builtins:dict"),
            ConfigError,
            r"activation\.code=builtins:dict must return an nn\.Module, got dict",
        ),
        (
            ("activation=code", "activation.code={}:Halving"),
            ConfigError,
            r"^activation\.code=\S+:Halving: the network fails on two samples: RuntimeError: mat1 and mat2",
        ),
        (("loss=code", "loss.code={}:broken"), ConfigError, r"^loss\.code=\S+:broken failed: KeyError"),
        (("loss=code", "loss.code={}:mean_loss"), ConfigError, r"loss\.code=\S+ must return one number a sample"),
        (("metric=code", "metric.code={}:broken"), ConfigError, r"^metric\.code=\S+:broken failed: KeyError"),
        (("metric=code", "metric.code={}:one_number"), ConfigError, r"metric\.code=\S+ must return \(total, weight\)"),
        (
            ("data=code", "data.code={}:broken"),
            DataError,
            r"^data\.code=\S+:broken failed: KeyError: 'oh no' \(own_code\.py, line \d+\)$",
        ),
        (("data=code", "data.code={}:nothing"), DataError, "must return a dict of arrays x and y, got NoneType"),
        (("data=code", "data.code=builtins:dict"), DataError, r"data\.code=builtins:dict has no array named x or y"),
    ],
)
def test_a_part_that_returns_something_else_is_named(
    words: tuple[str, ...], kind: type[NnkitError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        trained(*(word.replace("{}", HERE) for word in words))


def test_errors_of_our_own_pass_through_a_users_part(module: Any) -> None:
    name = module(
        "from nnkit.errors import ConfigError, DataError\n"
        "def words(*_, **__):\n    raise ConfigError('my words')\n"
        "def rows(*_, **__):\n    raise DataError('my rows')\n"
    )
    for section in ("model", "activation", "loss", "metric"):
        with pytest.raises(ConfigError, match=r"^my words$"):
            run_of(f"{section}=code", f"{section}.code={name}:words")
    with pytest.raises(DataError, match=r"^my rows$"):
        prepare(config_of("data=code", f"data.code={name}:rows"))


# from the command line


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


QUICK = ["data=iris", "trainer.max_epochs=2"]
NET = ["model=code", f"model.code={HERE}:Net"]


@pytest.mark.parametrize("prefix", ["", "+", "++"])
def test_keyword_arguments_are_settings_of_their_own(prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["train", *QUICK, *NET, f"{prefix}model.kwargs.width=5"], capsys)
    assert code == 0, err
    folder = Path(out.strip())
    assert yaml.safe_load((folder / "config.yaml").read_text())["model"]["kwargs"] == {"width": 5}
    assert json.loads((folder / "run.json").read_text())["parameters"] == 4 + 4 * 5 + 5 + 5 * 3 + 3


def test_a_module_beside_the_user_is_trained(capsys: pytest.CaptureFixture[str], module: Any) -> None:
    name = module(
        "from torch import nn\n"
        "class Mine(nn.Sequential):\n"
        "    def __init__(self, spec, *, sizes):\n"
        "        widths = [*spec.inputs[0].shape, *sizes, spec.num_targets]\n"
        "        super().__init__(*(nn.Linear(a, b) for a, b in zip(widths, widths[1:])))\n"
    )
    code, out, err = run(["train", *QUICK, "model=code", f"model.code={name}:Mine", "model.kwargs.sizes=[3,4]"], capsys)
    assert code == 0, err
    facts = json.loads((Path(out.strip()) / "run.json").read_text())
    assert facts["parameters"] == 4 * 3 + 3 + 3 * 4 + 4 + 4 * 3 + 3


@pytest.mark.parametrize("start", [["train"], ["train", "--dry-run"], ["train", "-m"]])
@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([*NET, "model.kwargs.widht=5"], "model.kwargs does not fit Net("),
        (["model=code", f"model.code={HERE}:Nett"], "model.code: Nett is not there in tests.own_code"),
        (["loss=code", "loss.code=nosuch:Thing"], "loss.code: no module named nosuch"),
        (["metric=code", f"metric.code={HERE}"], f"metric.code must be package.module:Name, got '{HERE}'"),
        (["model=code"], "model.code is missing: text"),
        ([*NET, "model.kwargs=5"], "model.kwargs"),
    ],
)
def test_code_that_cannot_be_used_is_told_before_data_is_read(
    start: list[str], words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run([*start, "data=table", "data.path=nowhere.csv", "data.target=y", *words], capsys)
    assert (code, out) == (2, "")
    assert text in err
    assert "nowhere.csv" not in err
    assert "Traceback" not in err
    assert not Path("outputs").exists()


def test_keyword_arguments_can_be_swept_and_tell_trials_apart(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["train", "-m", *QUICK, *NET, "model.kwargs.width=2,3"], capsys)
    assert code == 0, err
    trials = json.loads((Path(out.strip()) / "sweep.json").read_text())["trials"]
    assert [trial["changed"] for trial in trials] == [{"model.kwargs.width": "2"}, {"model.kwargs.width": "3"}]
    assert len({trial["identity"] for trial in trials}) == 2


def test_a_sweep_names_the_trial_whose_arguments_do_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["loss=code", f"loss.code={HERE}:Focal,{HERE}:Focall"]
    code, _, err = run(["train", "-m", *QUICK, *words], capsys)
    assert code == 2
    assert f"loss.code: Focall is not there in tests.own_code (with loss.code={HERE}:Focall)" in err


def test_an_experiment_file_may_hold_keyword_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /data: iris\n  - override /model: code\n"
        f"model:\n  code: {HERE}:Net\n  kwargs:\n    width: 4\ntrainer:\n  max_epochs: 1\n"
    )
    code, _, err = run(["train", "my.yaml"], capsys)
    assert code == 2
    assert f"model.code would run code: {HERE}:Net" in err  # the file may be a stranger's
    code, out, err = run(["train", "my.yaml", "--trust"], capsys)
    assert code == 0, err
    assert yaml.safe_load((Path(out.strip()) / "config.yaml").read_text())["model"]["kwargs"] == {"width": 4}


def test_the_example_metric_is_what_it_says() -> None:
    outputs = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    total, weight = AmongTheFirst(k=2)(outputs, torch.tensor([1, 0]), torch.tensor([1.0, 2.0]))
    np.testing.assert_allclose([total, weight], [1, 3])
