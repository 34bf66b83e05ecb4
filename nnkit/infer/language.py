"""What a language model is worth: how likely it finds the tokens that came, batch by batch."""

# N segments, M tokens of all of them, B segments of a batch, T steps, V vocabulary

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnkit.config.sections.sequences import TextConfig
from nnkit.data.sequences import Sequences
from nnkit.data.source import Rows, Source, class_numbers
from nnkit.data.tokens import join_tokens
from nnkit.infer.answers import Answers
from nnkit.infer.evaluation import Evaluation
from nnkit.infer.finished import Finished, in_sample_order
from nnkit.infer.own import own_value, with_own
from nnkit.objective.aligned import aligned
from nnkit.scoring import metrics_of


def evaluate_language(run: Finished, source: Source, rows: Rows) -> Evaluation:
    """Measure a language model on segments of a text; no outputs (M, V) are kept.

    Where the training carried states from segment to segment, they are carried here.

    Returns:
        Metrics: nats a token, perplexity, bits_per_token, bits_per_character (all bits by the characters of the text,
        for words with blanks as `join_tokens` sets them), accuracy, unknown_share (of tokens that the vocabulary
        lacks), tokens, characters. Target and prediction are (M,) numbers of tokens, and the probability is that of the
        token that came.
    """
    samples = run.samples(source, rows)
    metrics = metrics_of(run.config, run.preprocess, run.threshold)
    sums = metrics.zero(samples.device)
    parts = []
    for batch, outputs in run.answered(samples):
        logits, target, weight = aligned(outputs, batch.target, batch.weight)
        metrics.add(sums, logits, target, weight)
        nats = torch.nn.functional.cross_entropy(logits, target, reduction="none")
        places = batch.index.repeat_interleave(batch.target.shape[1])
        parts.append((places, target.cpu(), logits.argmax(1).cpu(), nats.cpu()))
    target, predicted, nats = in_sample_order(parts)
    computed = metrics.compute(sums)
    measured = _measured(target, nats, characters_of(run, source, rows)) | {"accuracy": computed["accuracy"]}
    ahead, encoder = source.target, run.preprocess.sequences
    assert isinstance(ahead, Sequences)
    assert encoder is not None
    return Evaluation(
        rows,
        with_own(measured, own_value(run, computed)),
        {},
        target.numpy(),
        Answers(predicted.numpy(), nats.neg().exp().numpy()),
        lengths=ahead.lengths[rows],
        unknown=encoder.unknown(ahead[rows]),
        tokens=len(target),
    )


def _measured(target: Tensor, nats: Tensor, characters: int) -> dict[str, Any]:
    """Return the measures of M tokens from their nats (M,)."""
    total = float(nats.double().sum())
    mean, bits = total / len(target), total / math.log(2)
    return {
        "nats": mean,
        "perplexity": math.exp(mean) if mean < math.log(np.finfo(np.float64).max) else None,
        "bits_per_token": bits / len(target),
        "bits_per_character": bits / characters,
        "unknown_share": float((target == 0).double().mean()),
        "tokens": len(target),
        "characters": characters,
    }


def characters_of(run: Finished, source: Source, rows: Rows) -> int:
    """Return how many characters the tokens that come have as a text."""
    section, ahead = run.config.data, source.target
    assert isinstance(section, TextConfig)
    assert isinstance(ahead, Sequences)
    numbers = class_numbers(ahead, rows)
    if section.tokens == "char":
        return len(numbers)
    return len(join_tokens([ahead.words[number] for number in numbers.tolist()], section.tokens))
