"""Settings of sequences that fight each other, that nobody reads, or that do not fit the data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnkit.assemble import prepare
from nnkit.cli import main
from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.cross import DataFacts, data_problems
from nnkit.errors import ConfigError, DataError, Problem
from nnkit.spec import DataSpec, InputSpec, TargetSpec
from tests.trained import config_of

CLASSES = TargetSpec(("y",), ("a", "b", "c"))
SERIES = InputSpec("x", "series", (9, 2))
WORDS = InputSpec("tokens", "tokens", (7,), (30,))
LENGTHS = InputSpec("lengths", "lengths", ())
TAGS = DataSpec("tagging", (SERIES, LENGTHS), CLASSES)
EVEN = DataSpec("classification", (SERIES,), CLASSES)
VARYING = DataSpec("classification", (SERIES, LENGTHS), CLASSES)
TEXTS = DataSpec("classification", (WORDS, LENGTHS), CLASSES)
LANGUAGE = DataSpec("language", (WORDS,), CLASSES)
FEATURES = DataSpec("classification", (InputSpec("x", "features", (5,)),), CLASSES)
IMAGES = DataSpec("classification", (InputSpec("x", "image", (1, 8, 8)),), CLASSES)
ONE = DataSpec("forecast", (SERIES,), TargetSpec(("y",), horizon=4, channels=(1,)))
BOTH = DataSpec("forecast", (SERIES,), TargetSpec(("y", "z"), horizon=4, channels=(1, 0)))
FUTURE = replace(BOTH, inputs=(SERIES, InputSpec("future", "series", (4, 1))))
FACTS = DataFacts(train=100, smallest_target=0.0, devices=("cpu",))

TEXT = ("data=text", "data.path=x.txt")
LM = (*TEXT, "data.task=language")
LOAD = ("data=series", "data.path=x.csv", "data.time=t", "data.target=y", "data.window=48", "data.horizon=4")
IN_ORDER = ("batching.stateful=true", "batching.shuffle=false")
TAGGED = ("data=array", "data.path=x.npz", "data.task=tagging")


def problems(*words: str) -> list[Problem]:
    """Return what is wrong with the words alone."""
    with pytest.raises(ConfigError) as caught:
        check(compose(words))
    return list(caught.value.problems)


def found(words: tuple[str, ...], spec: DataSpec, **facts: Any) -> list[Problem]:
    """Return what is wrong with the words beside the data."""
    return list(data_problems(config_of(*words), spec, replace(FACTS, **facts)))


@pytest.mark.parametrize(
    ("words", "text", "hint"),
    [
        (
            (*LM, "model=mlp", *IN_ORDER),
            "batching.stateful is for recurrent networks, but model=mlp has no state",
            "model=lstm",
        ),
        (
            ("model=cnn", "trainer.tbptt_steps=5"),
            "trainer.tbptt_steps is for recurrent networks, but model=cnn has no state",
            "model=lstm",
        ),
        (
            ("data=parity", "model=gru", "model.bidirectional=true", "trainer.tbptt_steps=5"),
            "trainer.tbptt_steps carries a state forward, but model.bidirectional=true reads from the end, too",
            "model.bidirectional=false",
        ),
        (
            ("data=sine", "model=gru", "trainer.tbptt_steps=5", "data.strategy=recursive"),
            "trainer.tbptt_steps carries a state, but data.strategy=recursive starts each step of the horizon anew",
            "data.strategy=direct",
        ),
        (
            ("data=sine", "model=gru", "trainer.tbptt_steps=5", "data.window_norm=standard"),
            "trainer.tbptt_steps carries a state, but data.window_norm=standard gives each window a level of its own",
            "data.window_norm=none",
        ),
        (
            ("data=sine", "data.stride=50", "model=gru", *IN_ORDER),
            "batching.stateful=true is for a long text, but a forecast starts from its window alone, 50 steps of "
            "data=sine",
            "batching.stateful=false data.window=100",
        ),
        (
            (*LM, "model=gru", *IN_ORDER, "batching.batch_size=full"),
            "batching.stateful=true goes through the segments in their order, but batching.batch_size=full takes all "
            "of them at once",
            "batching.batch_size=16",
        ),
        (
            (*LM, "model=gru", "loss=cross_entropy", "loss.class_weights=balanced"),
            "loss.class_weights is for classes, but data.task=language foretells tokens",
            "loss.class_weights=none",
        ),
        (
            (*LM, "model=gru", "loss=cross_entropy", "loss.class_weights=[1,2]"),
            "loss.class_weights is for classes, but data.task=language foretells tokens",
            "loss.class_weights=none",
        ),
        (
            ("data=parity", "model=gru", "data.min_length=13"),
            "data.min_length=13 is more than data.length=12",
            "data.length=13",
        ),
        (
            ("data=sine", "model=linear", "data.window=1", "data.season=1", "data.window_norm=standard"),
            "data.window_norm=standard divides by the deviation of a window, but data.window=1 has none",
            "data.window_norm=last",
        ),
        (
            (*LOAD, "model=gru", "data.delimiter=';;'"),
            "data.delimiter must be auto, tab, whitespace or one ASCII character, got ';;'",
            "data.delimiter=auto",
        ),
        (
            (*TEXT, "model=gru", "data.delimiter=';;'"),
            "data.delimiter must be auto, tab, whitespace or one ASCII character, got ';;'",
            "data.delimiter=auto",
        ),
        (
            (*LM, "model=gru", "batching.stateful=true"),
            "batching.stateful=true goes through the segments in their order, but batching.shuffle=true mixes them",
            "batching.shuffle=false",
        ),
        (
            (*LM, "model=gru", *IN_ORDER, "batching.accumulate=3"),
            "batching.stateful=true goes through the segments in their order, one batch a step, but "
            "batching.accumulate=3",
            "batching.accumulate=1",
        ),
        (
            (*LM, "model=gru", *IN_ORDER, "batching.drop_last=true"),
            "batching.stateful=true goes through the segments in their order, and needs all of them, but "
            "batching.drop_last=true",
            "batching.drop_last=false",
        ),
        (("model=naive",), "model=naive is for forecasts, but data=digits is none", "model=linear"),
        ((*TEXT, "model=naive"), "model=naive is for forecasts, but data=text is none", "model=linear"),
        (
            (*LOAD, "model=naive", "model.method=seasonal"),
            "model.method=seasonal needs a season, but data.season is 1",
            "data.season=24",
        ),
        (
            (*LOAD, "model=naive", "model.method=seasonal", "data.season=168"),
            "model.method=seasonal needs a whole season in the window, but data.window=48",
            "data.window=168",
        ),
        (
            (*LM, "model=lstm", "model.bidirectional=true"),
            "data.task=language foretells the next token, but model.bidirectional=true would read it",
            "model.bidirectional=false",
        ),
        (
            (*LOAD, "data.strategy=recursive", "data.future=[holiday]"),
            "data.strategy=recursive feeds back its own forecasts, and has no place for data.future",
            "data.strategy=direct",
        ),
    ],
)
def test_settings_that_fight_are_told_with_what_to_type(words: tuple[str, ...], text: str, hint: str) -> None:
    assert [(problem.text, problem.hint) for problem in problems(*words)] == [(text, hint)]


@pytest.mark.parametrize(
    ("words", "spec", "text", "hint"),
    [
        (
            ("model=lstm",),
            FEATURES,
            "model=lstm expects series, text or images, got 5 features from data=iris",
            "model=mlp",
        ),
        (
            ("model=gru", "model.summary=all"),
            VARYING,
            "model.summary=all needs sequences of one length, but those of data=iris vary",
            "model.summary=last",
        ),
        (
            ("model=gru", "model.summary=mean", "trainer.tbptt_steps=4"),
            EVEN,
            "trainer.tbptt_steps goes back from the last step, but model.summary=mean",
            "model.summary=last",
        ),
        (
            ("model=gru", "trainer.tbptt_steps=4"),
            IMAGES,
            "trainer.tbptt_steps is for series and text, not for images",
            "trainer.tbptt_steps=null",
        ),
        (
            ("data=sine", "model=gru", "trainer.tbptt_steps=4"),
            FUTURE,
            "trainer.tbptt_steps cannot be used with data.future",
            "trainer.tbptt_steps=null",
        ),
        (
            ("data=parity", "model=mlp"),
            TAGS,
            "model=mlp gives one answer a sequence, but data=parity has one a step",
            "model=lstm",
        ),
        (
            ("data=parity", "model=cnn"),
            TAGS,
            "model=cnn gives one answer a sequence, but data=parity has",
            "model=lstm",
        ),
        ((*LM, "model=linear"), LANGUAGE, "model=linear gives one answer a sequence, but data=text has", "model=lstm"),
        ((*TEXT, "model=mlp"), TEXTS, "model=mlp takes numbers, but data=text has words", "model=cnn or model=gru"),
        (
            ("data=adding", "model=linear"),
            VARYING,
            "model=linear takes samples of one length, but those of data=adding vary",
            "model=gru, or model=cnn model.global_pooling=max",
        ),
        (
            ("data=adding", "model=cnn", "model.norm=batch"),
            VARYING,
            "the sequences of data=adding vary in length, so model=cnn has to pool over time",
            "model.global_pooling=max",
        ),
        (
            ("data=adding", "model=cnn", "model.norm=layer", "model.global_pooling=avg"),
            VARYING,
            "the sequences of data=adding vary in length, and model.norm=layer would count the padding",
            "model.norm=batch",
        ),
        (
            ("data=adding", "model=gru", *IN_ORDER),
            VARYING,
            "batching.stateful=true carries states along a long text, but data=adding has samples of their own",
            "batching.stateful=false",
        ),
        (
            (*LM, "model=gru", *IN_ORDER),
            LANGUAGE,
            "batching.stateful=true carries states along a long text, but data=text has samples of their own",
            "a smaller data.segment",
        ),
        (
            ("data=sine", "model=gru", "data.strategy=recursive"),
            ONE,
            "data.strategy=recursive feeds forecasts back, but 2 columns go in and 1 come out",
            "data.inputs: the same as data.target",
        ),
    ],
)
def test_words_that_do_not_fit_sequences_are_told_with_what_to_type(
    words: tuple[str, ...], spec: DataSpec, text: str, hint: str
) -> None:
    (problem,) = found(words, spec)
    assert problem.text.startswith(text)
    assert problem.hint == hint


@pytest.mark.parametrize(
    ("words", "spec"),
    [
        (("model=lstm", "model.bidirectional=true", "model.summary=attention"), VARYING),
        (("model=gru", "model.summary=all"), EVEN),
        (("model=rnn", "trainer.tbptt_steps=4"), VARYING),
        (("model=gru",), IMAGES),
        (("data=parity", "model=gru", "trainer.tbptt_steps=4"), TAGS),
        ((*LM, "model=lstm", *IN_ORDER, "trainer.tbptt_steps=4"), LANGUAGE),
        ((*TEXT, "model=cnn", "model.norm=batch", "model.global_pooling=max", "model.embedding_size=9"), TEXTS),
        ((*TEXT, "model=gru", "model.summary=mean", "model.embedding_size=9"), TEXTS),
        (("data=sine", "model=gru", "data.strategy=recursive"), BOTH),
        (("data=sine", "model=lstm", "data.window_norm=last"), FUTURE),
        (("data=sine", "model=naive", "model.method=seasonal"), ONE),
        (("model=linear",), EVEN),
        ((*TAGGED, "model=code", "model.code=m:N"), TAGS),
    ],
)
def test_what_fits_passes(words: tuple[str, ...], spec: DataSpec) -> None:
    assert found(words, spec, has_segments=True) == []


def test_a_batch_is_no_larger_than_lets_each_place_go_on() -> None:
    words = (*LM, "model=gru", *IN_ORDER, "batching.batch_size=50")
    assert found(words, LANGUAGE, has_segments=True, train=100) == []
    (problem,) = found(words, LANGUAGE, has_segments=True, train=99)
    assert problem.text == (
        "batching.stateful=true carries nothing: batching.batch_size=50 is more than half of 99 segments"
    )
    assert problem.hint == "batching.batch_size=12"
    assert found((*words, problem.hint), LANGUAGE, has_segments=True, train=99) == []


@pytest.mark.parametrize("loss", ["mse", "bce", "poisson"])
def test_a_class_a_step_has_one_loss(loss: str) -> None:
    texts = [problem.text for problem in found(("data=parity", "model=gru", f"loss={loss}"), TAGS)]
    assert texts == [texts[0]]
    assert f"loss={loss} needs" in texts[0]


@pytest.mark.parametrize(
    ("words", "spec", "text"),
    [
        (("data=sine", "model=gru", "loss=poisson"), ONE, "loss=poisson is for a count a sample, not for a forecast"),
        (("data=sine", "model=gru", "loss=cross_entropy"), ONE, "loss=cross_entropy needs classes, but data=sine has"),
        (("data=sine", "trainer.monitor=val/r2"), ONE, "trainer.monitor must be one of auto, val/loss, val/rmse, val"),
        ((*LM, "model=gru", "trainer.monitor=val/macro_f1"), LANGUAGE, "trainer.monitor must be one of auto, val/loss"),
        (
            ("data=parity", "model=gru", "trainer.decision_threshold=0.3"),
            TAGS,
            "trainer.decision_threshold is for two classes, but data=parity has task tagging",
        ),
        (
            ("data=parity", "model=gru", "batching.sampler=balanced"),
            TAGS,
            "batching.sampler=balanced is for classes, not for tagging",
        ),
    ],
)
def test_losses_and_metrics_of_other_tasks_are_told(words: tuple[str, ...], spec: DataSpec, text: str) -> None:
    (problem,) = found(words, spec)
    assert problem.text.startswith(text)


@pytest.mark.parametrize("monitor", ["val/perplexity", "val/bits_per_token", "val/accuracy"])
def test_the_metrics_of_a_language_can_be_watched(monitor: str) -> None:
    assert found((*LM, "model=gru", f"trainer.monitor={monitor}"), LANGUAGE) == []


@pytest.mark.parametrize("monitor", ["val/scaled_mse", "val/scaled_mae", "val/rmse"])
def test_the_metrics_of_a_forecast_can_be_watched(monitor: str) -> None:
    assert found(("data=sine", "model=gru", f"trainer.monitor={monitor}"), ONE) == []


# on the command line


def test_several_problems_of_a_command_come_together(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", *LM, "model=gru", "model.bidirectional=true", "batching.stateful=true"]
    assert main(words) == 2
    told = capsys.readouterr().err
    for text in ("reads from the end", "would read it", "batching.shuffle=true mixes them"):
        assert text in " ".join(told.split())


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("data=iris", "model=lstm"), "model=lstm expects series, text or images, got 4 features from data=iris"),
        (("data=adding", "data.samples=30", "data.min_length=5", "model=gru", "model.summary=all"), "of one length"),
        (("data=adding", "data.samples=30", "model=gru", *IN_ORDER), "data=adding has samples of their own"),
        (("data=parity", "data.samples=30", "model=mlp"), "data=parity has one a step"),
    ],
)
def test_data_is_read_before_the_words_are_held_against_it(words: tuple[str, ...], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        prepare(config_of(*words))
    assert text in str(caught.value)


def test_words_for_a_network_of_numbers_are_refused_before_the_first_step() -> None:
    Path("x.txt").write_text("".join(f"{'pos' if k % 2 else 'neg'} word{k % 5} again\n" for k in range(40)))
    with pytest.raises(ConfigError, match="model=mlp takes numbers, but data=text has words"):
        prepare(config_of(*TEXT, "data.layout=lines", "model=mlp"))


def test_more_columns_than_are_forecast_cannot_be_fed_back() -> None:
    rows = "".join(f"{k},{k % 7},{k % 5}\n" for k in range(120))
    Path("x.csv").write_text("t,y,z\n" + rows)
    with pytest.raises(ConfigError, match="2 columns go in and 1 come out"):
        prepare(config_of(*LOAD, "data.strategy=recursive", "model=gru", "data.val_fraction=0.2"))


def test_tags_of_another_shape_than_the_series_are_refused() -> None:
    np.savez("x.npz", x=np.zeros((30, 6, 2)), y=np.zeros((30, 5)))
    with pytest.raises(DataError, match=r"needs series \(N, T, C\) and y \(N, T\), got \(30, 6, 2\) and \(30, 5\)"):
        prepare(config_of(*TAGGED, "model=gru"))
