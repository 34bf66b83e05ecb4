"""Settings of sequences that nobody reads, and what typed ones say of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnkit.assemble import prepare
from nnkit.config.check import check
from nnkit.config.compose import compose
from tests.config.test_cross_sequences import IN_ORDER, LM, LOAD, TAGGED, TEXT, problems


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("data=parity", "model=gru", "model.embedding_size=8"), "model.embedding_size is set, but data=parity"),
        (("model=cnn", "model.embedding_size=8"), "model.embedding_size is set, but data=digits does not read it"),
        (
            ("data=parity", "model=gru", "model.summary=mean"),
            "model.summary is set, but data=parity with an answer for each step does not read it",
        ),
        ((*LM, "model=gru", "model.summary=mean"), "model.summary is set, but data=text with an answer for each step"),
        (
            (*TAGGED, "model=gru", "model.summary=mean"),
            "model.summary is set, but data=array with an answer for each step does not read it",
        ),
        ((*LM, "model=gru", "regularization.input_noise=0.1"), "regularization.input_noise is set, but data=text"),
        (
            ("data=parity", "model=gru", "regularization.token_dropout=0.1"),
            "regularization.token_dropout is set, but data=parity does not read it",
        ),
        (("data=sine", "model=naive", "optimizer=sgd"), "optimizer is set, but model=naive does not read it"),
        (("data=sine", "model=naive", "optimizer.lr=0.1"), "optimizer.lr is set, but model=naive does not read it"),
        (("data=sine", "model=naive", "scheduler=cosine"), "scheduler is set, but model=naive does not read it"),
        (("data=sine", "model=naive", "regularization=l1"), "regularization is set, but model=naive"),
        (("data=sine", "model=naive", "data.window_norm=last"), "data.window_norm is set, but model=naive"),
        (("data=sine", "model=naive", "data.strategy=recursive"), "data.strategy is set, but model=naive"),
        (
            ("data=sine", "model=code", "model.code=tests.own_code:Net", "data.window_norm=last"),
            "data.window_norm is set, but model=code does not read it",
        ),
        ((*LOAD, "data.parts=[9,9,9]", "data.val_fraction=0.2"), "data.val_fraction is set, but data.parts"),
        ((*LOAD, "data.parts=[9,9,9]", "data.test_fraction=0.2"), "data.test_fraction is set, but data.parts"),
        ((*LM, "model=gru", "data.layout=lines"), "data.layout is set, but data.task=language does not read it"),
        ((*LM, "model=gru", "data.limit=9"), "data.limit is set, but data.task=language does not read it"),
        ((*LM, "model=gru", "data.split_seed=9"), "data.split_seed is set, but data.task=language"),
        ((*TEXT, "model=gru", "data.segment=9"), "data.segment is set, but data.task=classification does not read it"),
        ((*TEXT, "model=gru", "data.layout=lines", "data.text=a"), "data.text is set, but data.layout=lines"),
        (
            ("data=ts", "data.path=a.ts", "model=gru", "data.test_path=b.ts", "data.test_fraction=0.1"),
            "data.test_fraction is set, but data.test_path does not read it",
        ),
        (
            ("data=ts", "data.path=a.ts", "model=gru", "data.val_path=b.ts", "data.val_fraction=0.1"),
            "data.val_fraction is set, but data.val_path does not read it",
        ),
        ((*LOAD, "data.path=x.PARQUET", "data.delimiter=tab"), "data.delimiter is set, but a Parquet file does not"),
        ((*LOAD, "data.path=x.pq", "data.encoding=latin-1"), "data.encoding is set, but a Parquet file does not read"),
        (
            (*TEXT, "data.path=x.parquet", "model=gru", "data.encoding=latin-1"),
            "data.encoding is set, but a Parquet file does not read it",
        ),
        (
            (*TEXT, "data.path=x.parquet", "model=gru", "data.delimiter=tab"),
            "data.delimiter is set, but a Parquet file does not read it",
        ),
        (
            (*TEXT, "model=gru", "data.val_path=v.txt", "data.val_fraction=0.1"),
            "data.val_fraction is set, but data.val",
        ),
        (
            (*TEXT, "model=gru", "data.test_path=v.txt", "data.test_fraction=0.1"),
            "data.test_fraction is set, but data.t",
        ),
        (("data=parity", "model=gru", "activation=gelu"), "activation is set, but model.dense=[] does not read it"),
        (
            (*LM, "model=gru", *IN_ORDER, "batching.by_length=true"),
            "batching.by_length is set, but batching.stateful=true",
        ),
        (
            (*TEXT, "model=gru", "batching.shuffle=false", "batching.by_length=true"),
            "batching.by_length is set, but batching.shuffle=false does not read it",
        ),
        (
            ("batching.by_length=true",),
            "batching.by_length is set, but data=digits, where nothing varies in length, does not read it",
        ),
        (
            (*LM, "model=gru", "batching.by_length=false"),
            "batching.by_length is set, but data=text, where nothing varies",
        ),
        (("data=sine", "batching.by_length=true"), "batching.by_length is set, but data=sine, where nothing varies"),
        (
            ("data=adding", "model=gru", "batching.by_length=true"),
            "batching.by_length is set, but data.min_length=null does not read it",
        ),
        (
            ("data=adding", "model=gru", "data.min_length=20", "batching.by_length=true"),
            "batching.by_length is set, but data.min_length=20 does not read it",
        ),
        (
            (*TEXT, "model=gru", "batching.sampler=balanced", "batching.by_length=true"),
            "batching.by_length is set, but batching.sampler=balanced does not read it",
        ),
    ],
)
def test_a_setting_that_nobody_reads_is_told(words: tuple[str, ...], text: str) -> None:
    (problem,) = problems(*words)
    assert problem.text.startswith(text)


@pytest.mark.parametrize(
    "word",
    [
        *("trainer.max_epochs=3", "trainer.max_steps=3", "trainer.max_time_s=3.0", "trainer.patience=3"),
        *("trainer.min_delta=0.1", "trainer.validate_every=3", "trainer.checkpoint_every=3", "trainer.keep_last=3"),
        *("trainer.clip_norm=1.0", "trainer.clip_value=1.0", "trainer.ema_decay=0.9", "trainer.gradient_norms=true"),
        *("batching.batch_size=8", "batching.shuffle=false", "batching.accumulate=2", "batching.drop_last=true"),
    ],
)
def test_a_forecast_that_learns_nothing_reads_nothing_of_the_training(word: str) -> None:
    name = word.partition("=")[0]
    (problem,) = problems("data=sine", "model=naive", word)
    assert problem.text == f"{name} is set, but model=naive does not read it"
    assert problems("data=sine", "model=naive", "trainer.tbptt_steps=3")[0].text.startswith(
        "trainer.tbptt_steps is for"
    )


def test_who_names_the_columns_of_texts_has_a_table() -> None:
    for word in ("data.text=review", "data.target=mood", "data.text=text", "data.delimiter=tab"):
        section = check(compose([*TEXT, "model=gru", word])).data
        assert getattr(section, "layout", None) == "table"
    assert getattr(check(compose([*TEXT, "model=gru"])).data, "layout", None) == "auto"
    Path("x.txt").write_text(
        "mood;review\n" + "".join(f"{'good' if k % 2 else 'bad'};word{k % 5}\n" for k in range(40))
    )
    found = prepare(check(compose([*TEXT, "model=gru", "data.text=review", "data.target=mood"])))
    assert (found.source.classes, found.source.inputs[0].words) == (
        ("bad", "good"),
        tuple(f"word{k}" for k in range(5)),
    )
