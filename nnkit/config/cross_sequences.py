"""Checks across sections that concern sequences: of the words alone, and of the words against the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nnkit.config.origin import Composed
from nnkit.config.schema import Config
from nnkit.config.sections.loss import CrossEntropyConfig
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
from nnkit.config.sections.sequences import AddingConfig, ForecastConfig, ParityConfig, SeriesConfig, TextConfig
from nnkit.errors import Problem
from nnkit.spec import PER_STEP, DataSpec

RECURRENT = (RNNConfig, LSTMConfig, GRUConfig)
OF_TABLES = ("text", "target", "delimiter")
MAY_VARY = ("text", "ts", "array", "code", "adding", "parity")  # data with sequences of more than one length
# What training alone reads; trainer.tbptt_steps and batching.stateful are refused where there is no state.
OF_TRAINING = (
    *("optimizer", "scheduler", "regularization"),
    *(f"trainer.{name}" for name in ("max_epochs", "max_steps", "max_time_s", "patience", "min_delta")),
    *(f"trainer.{name}" for name in ("validate_every", "validate_every_steps", "checkpoint_every", "keep_last")),
    *(f"trainer.{name}" for name in ("clip_norm", "clip_value", "gradient_norms", "ema_decay")),
    *(f"batching.{name}" for name in ("batch_size", "shuffle", "sampler", "drop_last", "accumulate", "by_length")),
)


def as_typed(config: Config, composed: Composed) -> Config:
    """Return the config with what typed settings say of others: who names the columns of texts has a table."""
    data = config.data
    if not isinstance(data, TextConfig) or data.layout != "auto" or data.task == "language":
        return config
    if not any(f"data.{name}" in composed.typed for name in OF_TABLES):
        return config
    return replace(config, data=replace(data, layout="table"))


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
        elif wanted and key == "trainer.tbptt_steps" and isinstance(data, ForecastConfig):
            yield from _whole_window_problems(key, data)
    if batching.stateful:
        yield from _stateful_problems(config)
    yield from _forecast_problems(config)
    if isinstance(data, TextConfig) and data.task == "language":
        yield from _language_problems(config)
    if isinstance(data, AddingConfig | ParityConfig) and data.min_length is not None and data.min_length > data.length:
        text = f"data.min_length={data.min_length} is more than data.length={data.length}"
        yield Problem(text, f"data.length={data.min_length}")


def _forecast_problems(config: Config) -> Iterator[Problem]:
    model, data = config.model, config.data
    if isinstance(model, NaiveConfig) and not isinstance(data, ForecastConfig):
        yield Problem(f"model=naive is for forecasts, but data={data.kind} is none", "model=linear")
    if isinstance(model, NaiveConfig) and isinstance(data, ForecastConfig) and model.method == "seasonal":
        if data.season == 1:
            yield Problem("model.method=seasonal needs a season, but data.season is 1", "data.season=24")
        elif data.season > data.window:
            text = f"model.method=seasonal needs a whole season in the window, but data.window={data.window}"
            yield Problem(text, f"data.window={data.season}")
    if isinstance(data, ForecastConfig) and data.window_norm == "standard" and data.window == 1:
        text = "data.window_norm=standard divides by the deviation of a window, but data.window=1 has none"
        yield Problem(text, "data.window_norm=last")
    if isinstance(data, SeriesConfig) and data.strategy == "recursive" and data.future:
        text = "data.strategy=recursive feeds back its own forecasts, and has no place for data.future"
        yield Problem(text, "data.strategy=direct")


def _language_problems(config: Config) -> Iterator[Problem]:
    if getattr(config.model, "bidirectional", False):
        yield Problem(
            "data.task=language foretells the next token, but model.bidirectional=true would read it",
            "model.bidirectional=false",
        )
    if isinstance(config.loss, CrossEntropyConfig) and config.loss.class_weights != "none":
        text = "loss.class_weights is for classes, but data.task=language foretells tokens"
        yield Problem(text, "loss.class_weights=none")


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
    if isinstance(config.data, ForecastConfig):
        window, kind = config.data.window, config.data.kind
        text = "batching.stateful=true is for a long text, but a forecast starts from its window alone,"
        yield Problem(f"{text} {window} steps of data={kind}", f"batching.stateful=false data.window={2 * window}")
    why = "batching.stateful=true goes through the segments in their order"
    if batching.batch_size == "full":
        yield Problem(f"{why}, but batching.batch_size=full takes all of them at once", "batching.batch_size=16")
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
    if why := _no_lengths(config):
        unread["batching.by_length"] = why
    if isinstance(data, SeriesConfig) and data.parts is not None:
        unread |= dict.fromkeys(("data.val_fraction", "data.test_fraction"), "data.parts")
    return unread | (_unread_of_text(data) if isinstance(data, TextConfig) else {})


def _no_lengths(config: Config) -> str:
    """Return what makes that training looks at no length, as far as words can tell; empty where it may."""
    batching, data = config.batching, config.data
    if batching.stateful:
        return "batching.stateful=true"
    if batching.sampler == "balanced":
        return "batching.sampler=balanced"
    if data.kind not in MAY_VARY or getattr(data, "task", "") == "language":
        return f"data={data.kind}, where nothing varies in length,"
    if isinstance(data, AddingConfig | ParityConfig) and data.min_length in (None, data.length):
        return "data.min_length=null" if data.min_length is None else f"data.min_length={data.min_length}"
    return "" if batching.shuffle else "batching.shuffle=false"


def _unread_of_text(data: TextConfig) -> dict[str, str]:
    unread: dict[str, str] = {}
    if data.task == "language":
        names = ("layout", *OF_TABLES, "deduplicate", "max_length", "classes", "limit", "split_seed")
        unread |= {f"data.{name}": "data.task=language" for name in names}
    else:
        unread["data.segment"] = "data.task=classification"
        if data.layout not in ("auto", "table"):
            unread |= {f"data.{name}": f"data.layout={data.layout}" for name in OF_TABLES}
    return unread


def sequence_data_problems(config: Config, spec: DataSpec, *, train: int, has_segments: bool) -> Iterator[Problem]:
    """Yield what in the words does not fit sequences, or data that is none.

    Args:
        config: checked alone.
        spec: of the data.
        train: number of training samples.
        has_segments: whether some training samples go on where others end.
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
    if config.batching.stateful:
        yield from _segment_problems(config, train, has_segments=has_segments)
    section = config.data
    is_fed_back = isinstance(section, ForecastConfig) and section.strategy == "recursive"
    if is_fed_back and not isinstance(model, NaiveConfig) and given.shape[1] != len(spec.target.names):
        text = f"data.strategy=recursive feeds forecasts back, but {given.shape[1]} columns go in and"
        yield Problem(f"{text} {len(spec.target.names)} come out", "data.inputs: the same as data.target")


def _segment_problems(config: Config, train: int, *, has_segments: bool) -> Iterator[Problem]:
    data, size = config.data, config.batching.batch_size
    if not has_segments:
        text = f"batching.stateful=true carries states along a long text, but data={data.kind} has samples of their own"
        is_text = isinstance(data, TextConfig) and data.task == "language"
        yield Problem(text, "a smaller data.segment" if is_text else "batching.stateful=false")
    elif size != "full" and 2 * size > train:
        text = (
            f"batching.stateful=true carries nothing: batching.batch_size={size} is more than half of {train} segments"
        )
        yield Problem(text, f"batching.batch_size={max(1, train // 8)}")


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
