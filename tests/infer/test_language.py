"""What a language model is worth, against the same sums over all its outputs at once."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nnkit.data.source import class_numbers
from nnkit.infer.evaluate import evaluate
from nnkit.infer.labelled import new_rows, own_rows
from nnkit.infer.language import _measured
from tests.finished import facts_of, opened, text


def test_measures_are_those_of_all_outputs_at_once() -> None:
    run = opened("letters")
    source, rows = own_rows(run, "test")
    found = evaluate(run, source, rows)
    samples = run.samples(source, rows)
    logits = run.outputs_of(samples)
    wanted = torch.nn.functional.cross_entropy(logits, torch.from_numpy(found.target)).item()
    assert logits.shape == (len(found.target), run.spec.num_classes)
    assert found.metrics["nats"] == pytest.approx(wanted, rel=1e-5)
    assert found.metrics["perplexity"] == pytest.approx(math.exp(wanted), rel=1e-5)
    assert found.metrics["bits_per_token"] == pytest.approx(wanted / math.log(2), rel=1e-5)
    assert found.metrics["bits_per_character"] == found.metrics["bits_per_token"]
    assert found.metrics["tokens"] == found.metrics["characters"] == len(rows) * 12
    assert found.answers.predicted.tolist() == logits.argmax(1).tolist()
    chance = logits.softmax(1)[torch.arange(len(logits)), torch.from_numpy(found.target)]
    np.testing.assert_allclose(found.answers.probabilities, chance, rtol=1e-4)
    words = run.spec.target.classes
    assert "".join(words[k] for k in found.target[:12]) in text()


def test_states_are_carried_as_in_the_training() -> None:
    run = opened("words")
    assert run.config.batching.stateful
    source, rows = own_rows(run, "test")
    carried = evaluate(run, source, rows).metrics["nats"]
    assert carried == pytest.approx(facts_of(run.folder)["metrics"]["test/loss"], rel=1e-5)
    batching = replace(run.config.batching, stateful=False)
    fresh = evaluate(replace(run, config=replace(run.config, batching=batching)), source, rows).metrics["nats"]
    assert fresh != pytest.approx(carried, rel=1e-5)


def test_the_characters_of_words_are_those_of_the_text_that_they_make() -> None:
    Path("new.txt").write_text("the cat sat, on a mat.\none (two) three\n" * 3)
    run = opened("words")
    source, rows = new_rows(run, Path("new.txt"))
    found = evaluate(run, source, rows).metrics
    tokens = [source.target.words[k] for k in class_numbers(source.target, rows)]  # type: ignore[union-attr]
    assert tokens[:8] == ["cat", "sat", ",", "on", "a", "mat", ".", "\n"]
    # The text goes on from "cat" for 40 tokens: three times both lines, less "the " and the end.
    assert found["characters"] == len("".join(_rebuilt(tokens)))
    assert found["bits_per_character"] == pytest.approx(
        found["bits_per_token"] * found["tokens"] / found["characters"], rel=1e-6
    )


def _rebuilt(tokens: list[str]) -> str:
    glued = " ".join(tokens).replace(" \n ", "\n").replace("( ", "(").replace(" \n", "\n")
    for sign in ",.)":
        glued = glued.replace(f" {sign}", sign)
    return glued


def test_unknown_tokens_are_counted() -> None:
    Path("new.txt").write_text("the cat zat, on a mat.\n" * 20)
    run = opened("letters")
    found = evaluate(run, *new_rows(run, Path("new.txt")))
    share = found.metrics["unknown_share"]
    assert found.unknown == {"z": round(share * found.metrics["tokens"])}
    assert share == pytest.approx((found.target == 0).mean())


def test_a_perplexity_beyond_all_numbers_is_none() -> None:
    found = _measured(torch.zeros(2).long(), torch.tensor([800.0, 800.0]), 2)
    assert found["perplexity"] is None
    assert found["nats"] == 800


def test_a_segment_alone_is_measured_like_all() -> None:
    run = opened("letters")
    source, rows = own_rows(run, "test")
    whole, one = evaluate(run, source, rows), evaluate(run, source, rows[3:4])
    np.testing.assert_allclose(one.answers.probabilities, whole.answers.probabilities[36:48], rtol=1e-4)
