"""Checks across sections that concern sequences: of the words alone, and of the words against the data."""

from __future__ import annotations

from collections.abc import Iterator

from nnkit.config.schema import Config
from nnkit.config.sections.model import (
    CNNConfig,
    CodeModelConfig,
    GRUConfig,
    LinearConfig,
    LSTMConfig,
    MLPConfig,
    NaiveConfig,
    RNNConfig,
)
from nnkit.config.sections.sequences import ForecastConfig, SeriesConfig, TextConfig
from nnkit.errors import Problem
from nnkit.spec import PER_STEP, DataSpec

RECURRENT = (RNNConfig, LSTMConfig, GRUConfig)
OF_TABLES = ("text", "target", "delimiter")
OF_TRAINING = ("optimizer", "scheduler", "regularization")


def sequence_problems(config: Config) -> Iterator[Problem]:
    """Yield the settings of recurrence, time and text that fight each other, whatever the data."""
    model, data, batching = config.model, config.data, config.batching
    is_recurrent = isinstance(model, RECURRENT)
    for key, wanted in (("batching.stateful", batching.stateful), ("trainer.tbptt_steps", config.trainer.tbptt_steps)):
        if wanted and not is_recurrent:
            yield Problem(f"{key} is for recurrent networks, but model={model.kind} has no state", "model=lstm")
        elif wanted and getattr(model, "bidirectional", False):
            text = f"{key} carries a state forward, but model.bidirectional=true reads from the end, too"
            yield Problem(text, "model.bidirectional=false")
        elif wanted and isinstance(data, ForecastConfig):
            yield from _whole_window_problems(key, data)
    if batching.stateful:
        yield from _stateful_problems(config)
    if isinstance(model, NaiveConfig) and not isinstance(data, ForecastConfig):
        yield Problem(f"model=naive is for forecasts, but data={data.kind} is none", "model=linear")
    if isinstance(model, NaiveConfig) and isinstance(data, ForecastConfig) and model.method == "seasonal":
        if data.season == 1:
            yield Problem("model.method=seasonal needs a season, but data.season is 1", "data.season=24")
        elif data.season > data.window:
            text = f"model.method=seasonal needs a whole season in the window, but data.window={data.window}"
            yield Problem(text, f"data.window={data.season}")
    if isinstance(data, TextConfig) and data.task == "language" and getattr(model, "bidirectional", False):
        yield Problem(
            "data.task=language foretells the next token, but model.bidirectional=true would read it",
            "model.bidirectional=false",
        )
    if isinstance(data, SeriesConfig) and data.strategy == "recursive" and data.future:
        text = "data.strategy=recursive feeds back its own forecasts, and has no place for data.future"
        yield Problem(text, "data.strategy=direct")


def _whole_window_problems(key: str, data: ForecastConfig) -> Iterator[Problem]:
    """Yield what stands around a network that forecasts, and has to see its window in one piece."""
    if data.strategy == "recursive":
        text = f"{key} carries a state, but data.strategy=recursive starts each step of the horizon anew"
        yield Problem(text, "data.strategy=direct")
    if data.window_norm != "none":
        text = f"{key} carries a state, but data.window_norm={data.window_norm} gives each window a level of its own"
        yield Problem(text, "data.window_norm=none")


def _stateful_problems(config: Config) -> Iterator[Problem]:
    batching = config.batching
    why = "batching.stateful=true goes through the segments in their order"
    if batching.shuffle:
        yield Problem(f"{why}, but batching.shuffle=true mixes them", "batching.shuffle=false")
    if batching.accumulate > 1:
        yield Problem(
            f"{why}, one batch a step, but batching.accumulate={batching.accumulate}", "batching.accumulate=1"
        )
    if batching.drop_last:
        yield Problem(f"{why}, and needs all of them, but batching.drop_last=true", "batching.drop_last=false")


def unread_of_sequences(config: Config) -> dict[str, str]:
    """Return the settings of sequences that nobody reads, and why."""
    data, model, unread = config.data, config.model, {}
    is_text = isinstance(data, TextConfig)
    is_per_step = data.kind == "parity" or getattr(data, "task", "") in PER_STEP
    if not is_text and isinstance(model, (*RECURRENT, CNNConfig)):
        unread["model.embedding_size"] = f"data={data.kind}"
    if is_per_step and isinstance(model, RECURRENT):
        unread["model.summary"] = f"data={data.kind} with an answer for each step"
    if is_text or isinstance(model, NaiveConfig):
        unread["regularization.input_noise"] = f"data={data.kind}" if is_text else "model=naive"
    if not is_text:
        unread["regularization.token_dropout"] = f"data={data.kind}"
    if isinstance(model, NaiveConfig):
        unread |= dict.fromkeys((*OF_TRAINING, "data.window_norm", "data.strategy"), "model=naive")
    elif isinstance(model, CodeModelConfig):
        unread |= dict.fromkeys(("data.window_norm", "data.strategy"), "model=code")
    if config.batching.stateful or config.batching.sampler == "balanced":
        unread["batching.by_length"] = "batching." + (
            "stateful=true" if config.batching.stateful else "sampler=balanced"
        )
    if isinstance(data, SeriesConfig) and data.parts is not None:
        unread |= dict.fromkeys(("data.val_fraction", "data.test_fraction"), "data.parts")
    return unread | (_unread_of_text(data) if isinstance(data, TextConfig) else {})


def _unread_of_text(data: TextConfig) -> dict[str, str]:
    unread: dict[str, str] = {}
    if data.task == "language":
        names = ("layout", *OF_TABLES, "deduplicate", "max_length", "classes", "limit", "split_seed")
        unread |= {f"data.{name}": "data.task=language" for name in names}
    else:
        unread["data.segment"] = "data.task=classification"
        if data.layout not in ("auto", "table"):
            unread |= {f"data.{name}": f"data.layout={data.layout}" for name in OF_TABLES}
    if data.val_path is not None:
        unread["data.val_fraction"] = "data.val_path"
    if data.test_path is not None:
        unread["data.test_fraction"] = "data.test_path"
    return unread


def sequence_data_problems(config: Config, spec: DataSpec, *, has_segments: bool) -> Iterator[Problem]:
    """Yield what in the words does not fit sequences, or data that is none.

    Args:
        config: checked alone.
        spec: of the data.
        has_segments: whether some samples go on where others end.
    """
    model, given, data = config.model, spec.inputs[0], config.data.kind
    if isinstance(model, RECURRENT):
        yield from _recurrent_problems(config, spec)
    elif spec.is_per_step and not isinstance(model, CodeModelConfig):
        yield Problem(f"model={model.kind} gives one answer a sequence, but data={data} has one a step", "model=lstm")
    elif isinstance(model, (LinearConfig, MLPConfig)):
        if given.kind == "tokens":
            yield Problem(f"model={model.kind} takes numbers, but data={data} has words", "model=cnn or model=gru")
        elif spec.has_lengths:
            text = f"model={model.kind} takes samples of one length, but those of data={data} vary"
            yield Problem(text, "model=gru, or model=cnn model.global_pooling=max")
    elif isinstance(model, CNNConfig) and spec.has_lengths:
        why = f"the sequences of data={data} vary in length"
        if model.global_pooling == "none":
            yield Problem(f"{why}, so model=cnn has to pool over time", "model.global_pooling=max")
        if model.norm == "layer":
            yield Problem(f"{why}, and model.norm=layer would count the padding", "model.norm=batch")
    if config.batching.stateful and not has_segments:
        text = f"batching.stateful=true carries states along a long sequence, but data={data} has samples of their own"
        yield Problem(text, "batching.stateful=false")
    section = config.data
    is_fed_back = isinstance(section, ForecastConfig) and section.strategy == "recursive"
    if is_fed_back and not isinstance(model, NaiveConfig) and given.shape[1] != len(spec.target.names):
        text = f"data.strategy=recursive feeds forecasts back, but {given.shape[1]} columns go in and"
        yield Problem(f"{text} {len(spec.target.names)} come out", "data.inputs: the same as data.target")


def _recurrent_problems(config: Config, spec: DataSpec) -> Iterator[Problem]:
    model, given, data = config.model, spec.inputs[0], config.data.kind
    assert isinstance(model, RECURRENT)
    if given.kind in ("features", "categories"):
        text = f"model={model.kind} expects series, text or images, got {given.shape[0]} features from data={data}"
        yield Problem(text, "model=mlp")
        return
    if model.summary == "all" and spec.has_lengths and not spec.is_per_step:
        text = f"model.summary=all needs sequences of one length, but those of data={data} vary"
        yield Problem(text, "model.summary=last")
    if config.trainer.tbptt_steps and not spec.is_per_step and model.summary != "last":
        text = f"trainer.tbptt_steps goes back from the last step, but model.summary={model.summary}"
        yield Problem(text, "model.summary=last")
    if config.trainer.tbptt_steps and given.kind == "image":
        yield Problem("trainer.tbptt_steps is for series and text, not for images", "trainer.tbptt_steps=null")
    if config.trainer.tbptt_steps and any(each.name == "future" for each in spec.inputs):
        yield Problem("trainer.tbptt_steps cannot be used with data.future", "trainer.tbptt_steps=null")
