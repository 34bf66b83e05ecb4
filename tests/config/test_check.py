"""Wrong words, wherever they stand: what is said of them, and that all are said together."""

from __future__ import annotations

from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.fields import all_keys, leaves
from nnkit.config.identity import identity
from nnkit.config.origin import Composed, flatten
from nnkit.config.schema import Config, to_plain
from nnkit.config.suggest import key_hint
from nnkit.config.synonyms import SYNONYMS
from nnkit.errors import ConfigError, Problem

TABLE = ("data=table", "data.path=x.csv", "data.target=y")
IDX = ("data=idx", "data.path=a", "data.target_path=b")
METRIC = ("metric=code", "metric.code=m:N")

KINDS = "model.kind must be one of code, linear, mlp, cnn, unet, rnn, lstm, gru, pretrained, naive"


def problems(*words: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        check(compose(words))
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("words", "text", "hint"),
    [
        (["model.hiden=[3]"], "model.hiden is not a setting of model=mlp", "did you mean model.hidden?"),
        (["+model.hiden=[3]"], "model.hiden is not a setting of model=mlp", "did you mean model.hidden?"),
        (
            ["++trainer.max_epoch=3"],
            "trainer.max_epoch is not a setting of trainer",
            "did you mean trainer.max_epochs=3?",
        ),
        (["model.lr=1"], "model.lr is not a setting of model=mlp", "did you mean optimizer.lr=1?"),
        (["dropout=0.5"], "dropout is not a setting of nnkit", "did you mean regularization.dropout=0.5?"),
        (["batch=32"], "batch is not a setting", "did you mean batching.batch_size=32?"),
        (["wd=0.1"], "wd is not a setting", "did you mean optimizer.weight_decay=0.1?"),
        (["batch_size=0"], "batch_size is not a setting", "did you mean batching.batch_size?"),
        (["lr=inf"], "lr is not a setting", "did you mean optimizer.lr?"),
        (["epochs=ten"], "epochs is not a setting", "did you mean trainer.max_epochs?"),
        (["gpu=1"], "gpu is not a setting", "did you mean trainer.device=cuda?"),
        (["net=cnn"], "net is not a setting", "did you mean model=cnn?"),
        (["channels=[3]"], "channels is not a setting", "model.channels belongs to model=cnn"),
        (
            ["data.path=x.csv"],
            "data.path is not a setting of data=digits",
            "data.path belongs to data=images and data=idx and data=array and data=table",
        ),
        (["qqqqqq=1"], "qqqqqq is not a setting", "nnkit list"),
        (["regularization.dropout=1.5"], "regularization.dropout must be a number in [0, 1), got 1.5", "=0.0"),
        (["optimizer.lr=0"], "optimizer.lr must be a number > 0, got 0", "optimizer.lr=0.001"),
        (["optimizer.lr=nan"], "optimizer.lr must be a number > 0, got nan", "optimizer.lr=0.001"),
        (["optimizer.lr=inf"], "optimizer.lr must be a number > 0, got inf", "optimizer.lr=0.001"),
        (["optimizer.lr="], "optimizer.lr must be a number > 0, got ''", "optimizer.lr=0.001"),
        (["optimizer.lr=null"], "optimizer.lr must be a number > 0, got null", "optimizer.lr=0.001"),
        (["optimizer.lr='1e-3'"], "optimizer.lr must be a number > 0, got '1e-3'", "optimizer.lr=0.001"),
        (["batching.batch_size=true"], "batching.batch_size must be a whole number >= 1 or full, got true", "=64"),
        (["batching.batch_size=2.5"], "batching.batch_size must be a whole number >= 1 or full, got 2.5", "=64"),
        (["batching.batch_size=ful"], "batching.batch_size must be a whole number >= 1 or full, got 'ful'", "=full"),
        (["model.norm=bath"], "model.norm must be one of none, batch, layer, got 'bath'", "model.norm=batch"),
        (["model.norm=null"], "model.norm must be one of none, batch, layer, got null", "model.norm=none"),
        (["model.hidden=64"], "model.hidden must be a list, each a whole number >= 1, got 64", "'model.hidden=[64]'"),
        (["model.hidden=[64,0]"], "model.hidden must be a list, each a whole number >= 1, got [64,0]", "[128,64]"),
        (
            ["model.kind=nlp"],
            KINDS + ", got 'nlp'",
            "did you mean mlp?",
        ),
        (["seed=1.5"], "seed must be a whole number, got 1.5", "seed=…"),
        (["trainer=3"], "trainer=3 is not there", "trainer is one of default"),
        (["data=table", "data.target=y"], "data.path is missing: text", "data.path=…"),
        (["model.kwargs.width=3"], "model.kwargs is not a setting of model=mlp", "model.kwargs belongs to model=code"),
        (["model=code", "model.code=m:N", "model.kwarg.width=3"], "model.kwarg is not a setting", "model.kwargs?"),
        (["model=code", "model.code=m:N", "model.kwargs=3"], "model.kwargs must be settings by name, got 3", "kwargs="),
        (["model=code", "model.code=m:N", "model.kwargs=[3]"], "model.kwargs=[3] cannot be set", ""),
        (["model=code"], "model.code is missing: text", "model.code=…"),
        (["model=code", "model.code="], "model.code must be text", ""),
        (["trainer.decision_threshold=1"], "trainer.decision_threshold must be a number in (0, 1) or one of", "=0.5"),
        (["trainer.decision_threshold=acuracy"], "trainer.decision_threshold must be", "decision_threshold=accuracy"),
        (["batching.sampler=balance"], "batching.sampler must be one of each_once, balanced", "=balanced"),
        (["trainer.monitor=iou"], "trainer.monitor must be auto or val/METRIC, such as val/loss, got", "val/mean_iou"),
        (["name=last"], "name=last is taken: where a run is asked for it means the newest run", "name=latest"),
        (["seed=${nope}"], "seed cannot be resolved", ""),
    ],
)
def test_a_wrong_word_is_named_with_what_is_right(words: list[str], text: str, hint: str) -> None:
    found = problems(*words)
    assert len(found) == 1
    assert found[0].text.startswith(text)
    assert hint in found[0].hint


def test_all_problems_are_reported_together() -> None:
    words = ["epochs=3", "model.hiden=1", "optimizer.lr=-1", "regularization.dropout=2", "trainer.device=tpu"]
    assert len(problems(*words)) == len(words)


def test_a_word_that_cannot_be_read_hides_no_other_problem() -> None:
    words = ["foo", "optimizer=sdg", "epochs=3", "model=linear", "activation=gelu", "trainer.mode=max"]
    texts = " | ".join(problem.text for problem in problems(*words))
    for text in (
        "foo is not",
        "optimizer=sdg is not",
        "epochs is not",
        "activation is set",
        "trainer.mode=max contradicts",
    ):
        assert text in texts


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ["loss=cross_entropy", "loss.class_weights=balanced", "batching.sampler=balanced"],
            "batching.sampler=balanced and loss.class_weights=balanced both make up for rare classes, twice together",
        ),
        (["model=linear", "activation=gelu"], "activation is set, but model=linear does not read it"),
        (["model=linear", "regularization.dropout=0.1"], "regularization.dropout is set, but model=linear"),
        (["model=linear", "regularization=dropout"], "regularization is set, but model=linear does not read it"),
        (["model=cnn", "model.pooling=none", "model.pool_size=3"], "model.pool_size is set, but model.pooling=none"),
        (
            ["optimizer=sgd", "optimizer.nesterov=true", "optimizer.momentum=0"],
            "optimizer.nesterov=true needs momentum",
        ),
        (["batching.batch_size=full", "batching.drop_last=true"], "batching.batch_size=full is one batch an epoch"),
        (["batching.batch_size=full", "batching.accumulate=2"], "batching.batch_size=full is one batch an epoch"),
        (["model.norm=batch", "batching.batch_size=1"], "model.norm=batch needs at least 2 samples a batch"),
        (["trainer.validate_every_steps=5"], "trainer.validate_every and trainer.validate_every_steps are both set"),
        (
            ["trainer.monitor=val/accuracy", "trainer.mode=min"],
            "trainer.mode=min contradicts trainer.monitor=val/accuracy",
        ),
        (["name=../../x"], "name must be the name of one folder, got '../../x'"),
        (["model.hidden=[]", "model.norm=batch"], "model.norm and model.residual are for hidden layers"),
        (
            ["model=cnn", "model.kernel_size=[3]"],
            "model.kernel_size must be one number, or one for each of 2 blocks, got 1",
        ),
        (["model=cnn", "model.kernel_size=[[3,4],3]"], "model.kernel_size=[3, 4] side by side leave maps of different"),
        (
            ["model=cnn", "model.kernel_size=[[3,5],3]", "model.padding=1"],
            "model.kernel_size=[3, 5] side by side leave maps of",
        ),
        (
            ["model=cnn", "model.kernel_size=[3,[3,5,7]]", "model.channels=[8,2]"],
            "model.channels=2 is too few for 3 kernels side by side",
        ),
        (["model=cnn", "model.kernel_size=[[3],3]"], "model.kernel_size"),
        (["model.hidden=[]", "activation=gelu"], "activation is set, but model.hidden=[] does not read it"),
        (["trainer.validate_every=null"], "trainer.validate_every and trainer.validate_every_steps are both null"),
        (["data=mnist", "data.root=null"], "data=mnist needs the folder of its files, but data.root is null"),
        (["data=torchvision", "data.dataset=KMNIST", "data.root=null"], "data=torchvision needs the folder"),
        (
            ["data=idx", "data.path=a", "data.target_path=b", "data.test_path=c"],
            "data.test_path and data.test_target_path go together",
        ),
        (["batching.sampler=balanced", "batching.shuffle=false"], "batching.sampler=balanced draws at random"),
        ([*TABLE, "data.drop=[y]"], "column y is both data.target and data.drop"),
        ([*TABLE, "data.group=g", "data.id=[i,g]"], "column g is both data.id and data.group"),
        ([*TABLE, "data.numeric=[a,b]", "data.categorical=[b]"], "column b is in data.numeric and in data.categorical"),
        ([*TABLE[:2], "data.target=[y,z]", "data.target_separator=;"], "data.target_separator is for one column"),
        ([*TABLE, "data.target_separator=;", "data.task=regression"], "data.target_separator is for one column"),
        (
            [*TABLE, "data.split_column=s", "data.test_path=t.csv"],
            "data.split_column and data.val_path or data.test_path",
        ),
        (
            [*TABLE, "data.delimiter=ab"],
            "data.delimiter must be auto, tab, whitespace or one ASCII character, got 'ab'",
        ),
        (
            [*TABLE, "data.delimiter='\"'"],
            "data.delimiter must be auto, tab, whitespace or one ASCII character, got '\"'",
        ),
        ([*TABLE, "data.delimiter=ö"], "data.delimiter must be auto, tab, whitespace or one ASCII character, got 'ö'"),
        ([*TABLE, "data.comment='\"'"], 'data.comment must not begin or end with a quote, got "'),
        ([*TABLE, "data.names=[a,b,a]"], "data.names has a twice"),
        ([*TABLE, "data.fill_value=3"], "data.fill_value is set, but data.missing_numeric=mean does not read it"),
        ([*TABLE, "data.test_path=t.csv", "data.test_fraction=0.3"], "data.test_fraction is set, but data.test_path"),
        ([*TABLE, "data.val_path=[v.csv]", "data.val_fraction=0.3"], "data.val_fraction is set, but data.val_path"),
        (
            [*IDX, "data.test_path=c", "data.test_target_path=d", "data.test_fraction=0.3"],
            "data.test_fraction is set, but data.test_path",
        ),
        (
            ["data=images", "data.path=a", "data.in_memory=true", "data.workers=2"],
            "data.workers is set, but data.in_memory",
        ),
        (["model.embedding_size=3"], "model.embedding_size is set, but data=digits without data.categories=embedding"),
        ([*TABLE, "model.embedding_size=3"], "model.embedding_size is set, but data=table without"),
        ([*METRIC, "metric.name=accuracy"], "metric.name must be a word that no other metric has, got 'accuracy'"),
        ([*METRIC, "metric.name=loss"], "metric.name must be a word that no other metric has, got 'loss'"),
        ([*METRIC, "metric.name='a b'"], "metric.name must be a word that no other metric has, got 'a b'"),
        ([*METRIC, "trainer.monitor=val/mine"], "trainer.monitor must be one of auto, val/loss, val/accuracy"),
        (
            [*METRIC, "metric.name=mine", "trainer.monitor=val/mine", "trainer.mode=min"],
            "trainer.mode=min contradicts trainer.monitor=val/mine",
        ),
        (["model=code", "model.code=m:N", "activation=gelu"], "activation is set, but model=code does not read it"),
        (["model=code", "model.code=m:N", "init=orthogonal"], "init is set, but model=code does not read it"),
        (["data=images", "data.path=/", "data.root=x"], "data.root is set, but a folder of pictures does not read it"),
        (
            ["data=table", "data.path=x.parquet", "data.target=y", "data.delimiter=tab"],
            "data.delimiter is set, but a Parquet file does not read it",
        ),
    ],
)
def test_settings_that_fight_or_that_nobody_reads_are_errors(words: list[str], text: str) -> None:
    assert problems(*words)[0].text.startswith(text)


def test_a_run_that_was_called_last_before_that_was_refused_goes_on() -> None:
    values = compose([]).values
    assert check(Composed({**values, "name": "last"})).name == "last"


def test_a_default_that_nobody_reads_is_silent() -> None:
    assert check(compose(["model=linear"])).activation.kind == "relu"
    assert check(compose(["model=linear", "regularization=l2"])).regularization.l2 > 0


def test_a_typo_in_a_file_names_the_file() -> None:
    folder = Path("configs/model")
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("kind: mlp\nhiden: [3]\nhidden: [4]\n")
    assert problems("model=mine")[0].text == (
        f"model.hiden is not a setting of model=mine (in {(folder / 'mine.yaml').resolve()})"
    )
    Path("my.yaml").write_text("optimizer:\n  learning: 0.1\n  lr: fast\n")
    texts = [problem.text for problem in problems("my.yaml")]
    assert f"optimizer.learning is not a setting of optimizer=adam (in {Path('my.yaml').resolve()})" in texts
    assert f"optimizer.lr must be a number > 0, got 'fast' (in {Path('my.yaml').resolve()})" in texts


def test_what_an_experiment_names_must_be_read() -> None:
    Path("my.yaml").write_text("defaults:\n  - override /model: linear\n  - override /activation: gelu\n")
    assert problems("my.yaml")[0].text == (
        f"activation is set, but model=linear does not read it (in {Path('my.yaml').resolve()})"
    )


def test_an_option_by_name_inside_a_file_is_told_how_to_write_it() -> None:
    Path("my.yaml").write_text("model: cnn\n")
    found = problems("my.yaml")[0]
    assert found.text.startswith("model must be a section, got 'cnn'")
    assert "override /model: cnn" in found.hint


def test_a_checked_config_survives_the_way_through_plain_data() -> None:
    config = check(compose(["model=cnn", "loss=cross_entropy", "loss.class_weights=balanced", "tags=[a,b]"]))
    assert isinstance(config, Config)
    assert check(Composed(to_plain(config))) == config
    assert config.tags == ["a", "b"]


def test_keyword_arguments_are_taken_as_they_are() -> None:
    words = ["loss=code", "loss.code=m:N", "loss.kwargs.gamma=2", "+loss.kwargs.deep.list=[1,a]", "loss.kwargs.no=null"]
    composed = compose(words)
    config = check(composed)
    assert config.loss.kwargs == {"gamma": 2, "deep": {"list": [1, "a"]}, "no": None}  # type: ignore[union-attr]
    assert dict(flatten(to_plain(config)))["loss.kwargs.deep.list"] == [1, "a"]
    assert check(Composed(to_plain(config))) == config
    assert composed.typed["loss.kwargs.gamma"] == "the command line"


def test_keyword_arguments_decide_a_runs_identity_and_its_limits_do_not() -> None:
    base = ["loss=code", "loss.code=m:N", "loss.kwargs.gamma=2"]
    found = [
        identity(check(compose([*base, *more]))) for more in ([], ["loss.kwargs.gamma=3"], ["trainer.max_epochs=3"])
    ]
    assert found[0] != found[1]
    assert found[0] == found[2]


KEYS = sorted(key for key in leaves(compose(["model=cnn"]).values) if not key.endswith(".kind"))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_one_letter_typo_is_told_the_key(data: st.DataObject) -> None:
    key = data.draw(st.sampled_from([k for k in KEYS if len(k.rpartition(".")[2]) >= 4]))
    head, _, last = key.rpartition(".")
    at = data.draw(st.integers(0, len(last) - 1))
    letter = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz"))
    wrong = data.draw(
        st.sampled_from(
            [last[:at] + last[at + 1 :], last[:at] + letter + last[at + 1 :], last[:at] + letter + last[at:]]
        )
    )
    typo = f"{head}.{wrong}" if head else wrong
    if typo not in KEYS and wrong not in SYNONYMS and wrong not in {k.rpartition(".")[2] for k in all_keys()}:
        hint = key_hint(typo, compose_values())
        suggested = hint.removeprefix("did you mean ").rstrip("?")
        as_near = SequenceMatcher(None, suggested, typo).ratio() >= SequenceMatcher(None, key, typo).ratio()
        assert suggested == key or ((suggested in KEYS or suggested.endswith(".kind")) and as_near), (typo, hint)


def compose_values() -> dict[str, object]:
    if not _values:
        _values.update(compose(["model=cnn"]).values)
    return _values


_values: dict[str, object] = {}


def test_of_very_many_problems_the_first_are_told() -> None:
    values = {**compose([]).values, **{f"k{number}": 1 for number in range(40)}}
    with pytest.raises(ConfigError) as caught:
        check(Composed(values))
    texts = [problem.text for problem in caught.value.problems]
    assert texts[0] == "k0 is not a setting of nnkit"
    assert texts[30] == "and 10 more"


def test_a_section_that_does_not_exist_is_set_right_with_its_settings() -> None:
    for word, key in {
        "optimzer.lr": "optimizer.lr",
        "trainr.max_epochs": "trainer.max_epochs",
        "ccv.repeats": "cv.repeats",
    }.items():
        (problem,) = problems(f"{word}=1")
        assert (problem.text, problem.hint) == (f"{word} is not a setting of nnkit", f"did you mean {key}=1?")


def test_a_slip_of_one_letter_goes_before_the_same_name_under_another_option() -> None:
    (problem,) = problems("optimizer.beta=0.9")  # activation=swish has a beta, which nobody meant who wrote optimizer
    assert problem.hint == "did you mean optimizer.beta2=0.9?"


def test_a_setting_that_was_misspelled_or_refused_is_not_missing_too() -> None:
    (misspelled,) = problems("data=table", "data.pth=x.csv", "data.target=y")
    assert misspelled.hint == "did you mean data.path=x.csv?"
    texts = [problem.text for problem in problems("data=table", "data.path=https://u:p@h/x", "data.target=y")]
    assert len(texts) == 1
    assert texts[0].startswith("data.path=https://***@h/x holds a password")


def test_bytes_that_are_no_text_are_told() -> None:
    (problem,) = problems("name=a\udcff")
    assert problem.text == "name has bytes that are no UTF-8"
    assert "ln -s" in problem.hint


def test_a_name_with_a_dot_at_the_top_of_a_file_is_told() -> None:
    composed = compose([])
    with pytest.raises(ConfigError, match=r"tracker\.tensorboard is not a setting of tracker"):
        check(replace(composed, values={**composed.values, "tracker.tensorboard": {"sue": 1}}))
