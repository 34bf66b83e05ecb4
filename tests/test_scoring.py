"""What is measured beside the loss, task by task, and from where on the second of two classes is predicted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from nnkit.assemble import in_order, measured, prepare
from nnkit.metrics.classification import ClassificationMetrics
from nnkit.metrics.forecast import ForecastMetrics
from nnkit.metrics.language import LanguageMetrics
from nnkit.metrics.multilabel import MultilabelMetrics
from nnkit.metrics.own import WithOwn
from nnkit.metrics.regression import RegressionMetrics
from nnkit.scoring import decision_threshold, metrics_of, untuned_threshold
from nnkit.train.loop import evaluate, outputs_of
from tests.trained import config_of, run_of

SINE = ("data=sine", "data.steps=200", "data.window=20", "data.horizon=3", "data.season=1")
LANGUAGE = ("data=text", "data.path=x.txt", "data.task=language", "data.tokens=char", "data.segment=4", "model=gru")
# A metric of the user's own: the mean of the outputs, or of the target, as it is given to it.
OWN = """
class Mean:
    def __init__(self, of): self.of = of
    def __call__(self, outputs, target, weight):
        given = outputs if self.of == "outputs" else target
        return given.double().sum(), given.numel()
"""


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("data=iris",), ClassificationMetrics),
        (("data=diabetes",), RegressionMetrics),
        (("data=parity", "data.samples=30", "model=gru"), ClassificationMetrics),
        (SINE, ForecastMetrics),
        (LANGUAGE, LanguageMetrics),
        (("data=array", "data.path=labels.npz", "data.task=multilabel"), MultilabelMetrics),
    ],
    ids=["classes", "values", "tags", "forecast", "language", "labels"],
)
def test_each_task_has_its_metrics_and_they_can_be_watched(words: tuple[str, ...], kind: type) -> None:
    Path("x.txt").write_text("abcab" * 40)
    np.savez("labels.npz", x=np.random.default_rng(0).normal(size=(40, 3)), y=np.arange(40)[:, None] % [2, 4] == 0)
    config = config_of(*words)
    prepared = prepare(config)
    metrics = metrics_of(config, prepared.preprocess)
    assert type(metrics) is kind
    computed = metrics.compute(metrics.zero(torch.device("cpu")))
    for name in computed:
        prepare(config_of(*words, f"trainer.monitor=val/{name}"))
    assert type(run_of(*words).metrics) is kind


@pytest.mark.parametrize("scaling", ["standard", "none"])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_users_metric_of_a_forecast_sees_values_in_their_own_units(
    scaling: str, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("users_mean.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    steps = np.arange(120)
    table = np.column_stack([steps, 1000 + steps % 7, -50 + 0.1 * (steps % 5)])
    np.savetxt("x.csv", table, delimiter=",", fmt="%g", header="t,y,z", comments="")
    names = "[y,z]" if channels == 2 else "[y]"
    words = ("data=series", "data.path=x.csv", "data.time=t", f"data.target={names}", f"data.inputs={names}")
    more = ("data.window=8", "data.horizon=3", "data.val_fraction=0.2", "data.test_fraction=0.2")
    own = ("metric=code", "metric.code=users_mean:Mean", "metric.name=mean_target", 'metric.kwargs={"of": "target"}')
    run = run_of(*words, *more, *own, f"data.scaling={scaling}")
    assert isinstance(run.metrics, WithOwn)
    prepared = prepare(config_of(*words, *more, f"data.scaling={scaling}"))
    target = np.stack(list(prepared.source.target[prepared.splits.test]))
    assert evaluate(run, run.test)["mean_target"] == pytest.approx(target.mean(), rel=1e-5)


def test_the_threshold_between_two_classes_is_tuned_over_sequences_of_all_lengths() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 9, 120)
    y = (np.arange(120) % 5 == 0).astype(np.int64)
    x = rng.normal(size=(120, 8, 1)) + y[:, None, None]
    np.savez("x.npz", x=x, y=y, lengths=lengths)
    words = ("data=array", "data.path=x.npz", "model=gru", "batching.eval_batch_size=7")
    run, config = run_of(*words), config_of(*words, "trainer.decision_threshold=f1")
    threshold = decision_threshold(run, config)
    found = [(batch.target, outputs.softmax(1)[:, 1]) for batch, outputs in outputs_of(run, run.val)]
    target, shares = (torch.cat(column).numpy() for column in zip(*found, strict=True))
    best = max(f1_score(target, shares > t, zero_division=0) for t in (0, *shares))
    assert f1_score(target, shares > threshold) == pytest.approx(best)
    assert untuned_threshold(config) == 0.5
    assert decision_threshold(run, config_of(*words, "trainer.decision_threshold=0.3")) == 0.3
    assert untuned_threshold(config_of(*words, "trainer.decision_threshold=0.3")) == 0.3


STRIDING = ("model=cnn", "model.norm=batch", "model.stride=2", "model.global_pooling=avg", "model.residual=true")


@pytest.mark.parametrize(
    "words",
    [
        ("data=parity", "data.samples=90", "data.min_length=2", "model=lstm", "model.bidirectional=true"),
        ("data=adding", "data.samples=90", "data.min_length=2", "model=gru", "model.summary=attention"),
        ("data=adding", "data.samples=90", "data.min_length=2", *STRIDING),
    ],
    ids=["tags", "sums", "cnn"],
)
def test_what_is_measured_does_not_depend_on_which_sequences_are_measured_together(words: tuple[str, ...]) -> None:
    config = config_of(*words)
    run = run_of(*words)
    whole = evaluate(run, run.val)
    for size in (1, 2, 5):
        batching = replace(config.batching, eval_batch_size=size)
        by_length = measured(run.val.samples, replace(config, batching=batching))
        plain = in_order(run.val.samples, replace(config, batching=batching))
        for batches in (by_length, plain):
            assert evaluate(run, batches) == pytest.approx(whole, rel=1e-5)
