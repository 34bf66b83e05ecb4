"""Scaling, fitted on the training rows alone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from nnkit.data.preprocess import ArrayEncoder, Preprocess, WordRules, fit_preprocess
from nnkit.data.scaling import Scale
from nnkit.data.sequence_encoder import SequenceEncoder
from nnkit.data.source import Source
from nnkit.data.times import Step
from nnkit.data.windows import windows_source
from nnkit.errors import DataError
from nnkit.spec import InputKind, InputSpec
from tests.data.series_sources import source_of_series, source_of_tags, source_of_texts, source_of_windows
from tests.data.sources import source_of, source_of_classes

SCALERS = {"standard": StandardScaler, "minmax": MinMaxScaler, "robust": RobustScaler}
SHARES = {"low": 0.25, "middle": 0.5, "high": 0.75}


def fitted(source: Source, train: Any, scaling: str) -> Scale:
    encoder = fit_preprocess(source, np.asarray(train), scaling=scaling, target_scaling="none").inputs[0]
    assert isinstance(encoder, ArrayEncoder)
    assert encoder.scale is not None
    return encoder.scale


@pytest.mark.parametrize("scaling", SCALERS)
def test_features_are_scaled_as_scikit_learn_does_from_the_training_rows(scaling: str) -> None:
    x = (np.random.default_rng(0).gamma(2, size=(41, 3)) * [1, 100, 0.01] + [0, -50, 3]).astype(np.float32)
    train = np.arange(0, 41, 3)
    expected = SCALERS[scaling]().fit(x[train].astype(np.float64)).transform(x.astype(np.float64))
    scaled = fitted(source_of(x, range(41)), train, scaling).apply(torch.from_numpy(x))
    np.testing.assert_allclose(scaled, expected, rtol=1e-5, atol=1e-4)
    assert scaled.dtype == torch.float32


@pytest.mark.parametrize("scaling", SCALERS)
def test_rows_outside_training_change_nothing(scaling: str) -> None:
    x = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    other = x.copy()
    other[10:] = 1e6
    train = np.arange(10)
    assert fitted(source_of(x, range(20)), train, scaling) == fitted(source_of(other, range(20)), train, scaling)


@pytest.mark.parametrize(("kind", "shape", "axis"), [("series", (9, 5, 2), 2), ("image", (9, 2, 3, 4), 1)])
@pytest.mark.parametrize("scaling", SCALERS)
def test_a_channel_is_scaled_as_one_column(kind: InputKind, shape: tuple[int, ...], axis: int, scaling: str) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    last = np.moveaxis(x, axis, -1)
    expected = SCALERS[scaling]().fit_transform(last.reshape(-1, 2)).reshape(last.shape)
    scaled = fitted(source_of(x, range(9), kind=kind), range(9), scaling).apply(torch.from_numpy(x))
    np.testing.assert_allclose(scaled, np.moveaxis(expected, -1, axis), rtol=1e-4, atol=1e-5)


@given(seed=st.integers(0, 99), num_rows=st.integers(1, 6), scaling=st.sampled_from(["standard", "robust"]))
def test_statistics_of_bytes_equal_those_of_numpy_on_floats(seed: int, num_rows: int, scaling: str) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (num_rows, 3, 2, 3), dtype=np.uint8)
    scale = fitted(source_of(images, range(num_rows), kind="image"), range(num_rows), scaling)
    columns = np.moveaxis(images, 1, -1).reshape(-1, 3).astype(np.float64)
    low, middle, high = (np.quantile(columns, share, axis=0) for share in SHARES.values())
    shift, size = (columns.mean(0), columns.std(0)) if scaling == "standard" else (middle, high - low)
    np.testing.assert_allclose(scale.shift, shift, rtol=1e-12)
    np.testing.assert_allclose(scale.size, np.where(size > 0, size, 1), rtol=1e-9)


def test_bytes_are_brought_to_0_and_1_by_their_range_not_by_the_darkest_and_brightest_pixel() -> None:
    images = np.array([[[[51, 102]]], [[[51, 51]]]], np.uint8)
    scaled = fitted(source_of(images, [0, 1], kind="image"), [0, 1], "minmax").apply(torch.from_numpy(images))
    np.testing.assert_allclose(scaled.flatten(), [0.2, 0.4, 0.2, 0.2], rtol=1e-6)


@pytest.mark.parametrize("scaling", SCALERS)
def test_a_constant_column_is_only_shifted(scaling: str) -> None:
    x = np.full((7, 1), 0.1, np.float32)
    scale = fitted(source_of(x, range(7)), range(7), scaling)
    assert scale.size == (1.0,)
    assert scale.apply(torch.tensor([[0.1], [1.1]])).flatten().tolist() == pytest.approx([0, 1])


@pytest.mark.parametrize("scaling", ["standard", "robust"])
def test_a_constant_channel_of_bytes_is_only_shifted(scaling: str) -> None:
    images = np.full((3, 1, 2, 2), 77, np.uint8)
    assert fitted(source_of(images, range(3), kind="image"), range(3), scaling) == Scale("image", (77.0,), (1.0,))


def test_a_constant_target_is_only_shifted_whatever_its_mean_rounds_to() -> None:
    deviations = []
    for num_rows in range(2, 60):
        y = np.full(num_rows, 0.1)
        source = source_of(np.zeros((num_rows, 1), np.float32), y)
        target = fit_preprocess(source, np.arange(num_rows), scaling="none", target_scaling="standard").target
        assert target is not None
        assert target.size == (1.0,)
        deviations.append(y.std())
    assert max(deviations) > 0


def test_a_small_spread_on_a_large_value_is_not_taken_for_a_constant() -> None:
    y = 1e9 + np.arange(8.0)
    source = source_of(np.zeros((8, 1), np.float32), y)
    target = fit_preprocess(source, np.arange(8), scaling="none", target_scaling="standard").target
    assert target is not None
    np.testing.assert_allclose(
        target.apply(torch.from_numpy(source.target)).flatten(), (y - y.mean()) / y.std(), rtol=1e-6
    )


def test_targets_are_scaled_column_by_column_from_the_training_rows() -> None:
    y = np.random.default_rng(0).normal([3, -200], [1, 50], size=(12, 2))
    source = source_of(np.zeros((12, 1), np.float32), y)
    target = fit_preprocess(source, np.arange(8), scaling="none", target_scaling="standard").target
    assert target is not None
    expected = StandardScaler().fit(y[:8]).transform(y)
    np.testing.assert_allclose(target.apply(torch.from_numpy(y)), expected, rtol=1e-5, atol=1e-6)


def test_none_leaves_inputs_and_target_as_they_are() -> None:
    preprocess = fit_preprocess(
        source_of(np.ones((3, 1), np.float32), [1, 2, 3]), np.arange(3), scaling="none", target_scaling="none"
    )
    assert (preprocess.inputs, preprocess.target) == ((ArrayEncoder(InputSpec("x", "features", (1,)), None),), None)
    stored = preprocess.store([np.array([[7.0]], np.float32)])[0]
    assert preprocess.prepare(stored)[0].tolist() == [[7.0]]


def test_classes_are_never_scaled() -> None:
    source = source_of(np.ones((3, 1), np.float32), [0, 1, 0], classes=["no", "yes"])
    preprocess = fit_preprocess(source, np.arange(3), scaling="none", target_scaling="standard")
    assert (preprocess.target, preprocess.classes) == (None, ("no", "yes"))


def test_scaling_leaves_what_it_is_given_untouched() -> None:
    for dtype in (torch.uint8, torch.float32, torch.float64):
        x = torch.tensor([[1, 2], [3, 4]], dtype=dtype)
        Scale("features", (1.0, 1.0), (2.0, 2.0)).apply(x)
        assert x.tolist() == [[1, 2], [3, 4]]


def test_what_was_fitted_survives_json() -> None:
    source = source_of(np.array([[1, 5], [3, 9]], np.float32), [10.0, 20.0])
    fitted_on = fit_preprocess(source, np.arange(2), scaling="standard", target_scaling="standard")
    plain = json.loads(json.dumps(fitted_on.to_plain()))
    assert plain == {
        "format": 3,
        "task": "regression",
        "target_names": ["y0"],
        "classes": [],
        "horizon": 1,
        "channels": [],
        "step": None,
        "target": {"kind": "features", "shift": [15.0], "size": [5.0]},
        "inputs": [
            {
                "kind": "array",
                "spec": {"name": "x", "kind": "features", "shape": [2], "sizes": []},
                "scale": {"kind": "features", "shift": [2.0, 7.0], "size": [1.0, 2.0]},
                "is_bytes": False,
            }
        ],
    }
    assert Preprocess.from_plain(plain) == fitted_on


@pytest.mark.parametrize("scaling", ["standard", "none"])
def test_images_of_classes_survive_json_too(scaling: str) -> None:
    images = np.arange(24, dtype=np.uint8).reshape(3, 2, 2, 2)
    source = source_of(images, [0, 1, 0], classes=["no", "yes"], kind="image")
    fitted_on = fit_preprocess(source, np.arange(3), scaling=scaling, target_scaling="none")
    assert Preprocess.from_plain(json.loads(json.dumps(fitted_on.to_plain()))) == fitted_on


def test_the_first_format_kept_too_little_to_be_read() -> None:
    assert Preprocess.from_plain({"inputs": [None], "target": None, "classes": []}) is None


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"format": 4}, "preprocess.json has format 4, newer than 3"),
        ({"format": 3}, "preprocess.json is damaged: KeyError"),
        ({"format": 2, "inputs": [{"kind": "array"}]}, "preprocess.json is damaged: KeyError"),
        ({"format": None}, "preprocess.json is damaged: TypeError"),
    ],
)
def test_what_cannot_be_read_is_refused(plain: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Preprocess.from_plain(plain)


def test_the_spec_of_classes_counts_them() -> None:
    source = source_of_classes([0, 1, 2], 3)
    spec = fit_preprocess(source, np.arange(3), scaling="none", target_scaling="none").spec
    assert (spec.task, spec.num_classes, spec.num_targets) == ("classification", 3, 3)


def test_the_spec_of_values_counts_the_columns() -> None:
    source = source_of(np.zeros((4, 2), np.float32), np.zeros((4, 3)))
    spec = fit_preprocess(source, np.arange(4), scaling="none", target_scaling="none").spec
    assert (spec.task, spec.num_classes, spec.num_targets) == ("regression", 0, 3)
    assert spec.inputs == (InputSpec("x", "features", (2,)),)


def test_labels_are_a_task_of_their_own_and_never_scaled() -> None:
    source = replace(source_of(np.ones((4, 1), np.float32), [[0, 1], [1, 1], [0, 0], [1, 0]]), is_multilabel=True)
    preprocess = fit_preprocess(source, np.arange(4), scaling="none", target_scaling="standard")
    spec = preprocess.spec
    assert preprocess.target is None
    assert (spec.task, spec.num_classes, spec.num_targets) == ("multilabel", 0, 2)


def test_several_arrays_are_encoded_each_by_its_own_scale() -> None:
    one, two = np.array([[1], [3]], np.float32), np.array([[[[10]]], [[[30]]]], np.uint8)
    specs = (InputSpec("x", "features", (1,)), InputSpec("image", "image", (1, 1, 1)))
    source = replace(source_of(one, [0, 1]), inputs=(one, two), specs=specs)
    preprocess = fit_preprocess(source, np.arange(2), scaling="standard", target_scaling="none")
    stored = tuple(t for part in preprocess.store(source.inputs) for t in part)
    assert [x.flatten().tolist() for x in preprocess.prepare(stored)] == [[-1.0, 1.0], [-1.0, 1.0]]
    assert preprocess.spec.inputs == specs


# sequences


@pytest.mark.parametrize(
    ("source", "task", "kinds", "targets"),
    [
        (source_of_series([np.zeros((n, 2)) for n in (2, 1, 3)]), "classification", ["series", "lengths"], 2),
        (source_of_tags([np.zeros((2, 1))] * 3, [[0, 1]] * 3), "tagging", ["series"], 2),
        (source_of_texts(["a b", "b", "c"]), "classification", ["tokens", "lengths"], 2),
        (source_of_texts(["a b", "b a", "c c"], is_language=True), "language", ["tokens"], 4),
        (source_of_windows(20, window=3, horizon=4), "forecast", ["series"], 4),
    ],
    ids=["series", "tags", "texts", "language", "windows"],
)
def test_the_spec_of_sequences_follows_from_the_source(
    source: Source, task: str, kinds: list[str], targets: int
) -> None:
    spec = fit_preprocess(source, np.arange(3), scaling="standard", target_scaling="none").spec
    assert (spec.task, [given.kind for given in spec.inputs], spec.num_targets) == (task, kinds, targets)


def test_a_target_of_classes_or_tokens_is_never_scaled() -> None:
    for source in (
        source_of_tags([np.zeros((2, 1))] * 3, [[0, 1]] * 3),
        source_of_texts(["a b"] * 4, is_language=True),
    ):
        assert fit_preprocess(source, np.arange(3), scaling="standard", target_scaling="standard").target is None


def test_what_is_known_of_the_future_has_a_scale_of_its_own() -> None:
    past, ahead = np.arange(0.0, 20), np.arange(100.0, 120)
    source = windows_source(
        "made",
        {"a": past, "b": ahead},
        inputs=["a"],
        targets=["a"],
        future=["b"],
        times=None,
        parts_of=None,
        window=3,
        horizon=2,
        stride=1,
        parts=None,
        val_fraction=0.25,
        test_fraction=0.25,
    )
    fitted = fit_preprocess(source, np.arange(6), scaling="minmax", target_scaling="none")
    scales = [encoder.scale for encoder in fitted.inputs if isinstance(encoder, SequenceEncoder)]
    assert [None if scale is None else scale.shift for scale in scales] == [(0.0,), (103.0,)]
    stored = tuple(t for part in fitted.store(source.inputs) for t in part)
    x, future = fitted.prepare(stored)
    assert (x.shape[1:], future.shape[1:]) == ((3, 1), (2, 1))
    assert future[0, 0, 0] == 0


def test_the_encoder_of_sequences_is_that_of_the_first_input() -> None:
    arrays = fit_preprocess(
        source_of(np.zeros((3, 1), np.float32), [1, 2, 3]), np.arange(3), scaling="none", target_scaling="none"
    )
    assert arrays.sequences is None
    texts = fit_preprocess(source_of_texts(["a", "b", "c"]), np.arange(3), scaling="none", target_scaling="none")
    assert texts.sequences is texts.inputs[0]


def test_a_run_of_the_second_format_knew_no_forecast() -> None:
    fitted = fit_preprocess(
        source_of(np.ones((3, 1), np.float32), [1, 2, 3]), np.arange(3), scaling="none", target_scaling="none"
    )
    plain = {k: v for k, v in fitted.to_plain().items() if k not in ("horizon", "channels")} | {"format": 2}
    assert Preprocess.from_plain(plain) == fitted


def test_the_step_of_a_forecast_survives_json_and_older_runs_have_none() -> None:
    source = replace(source_of_windows(40, window=3, horizon=2), step=Step("weekday", 1))
    fitted = fit_preprocess(source, np.arange(5), scaling="standard", target_scaling="none")
    plain = json.loads(json.dumps(fitted.to_plain()))
    assert Preprocess.from_plain(plain) == fitted
    assert fitted.step == Step("weekday", 1)
    del plain["step"]
    older = Preprocess.from_plain(plain)
    assert older == replace(fitted, step=None)
    with pytest.raises(DataError, match="damaged"):
        Preprocess.from_plain({**plain, "step": {"unit": "number", "width": 1}})


@pytest.mark.parametrize(
    ("text", "rules", "token", "hint"),
    [
        ("a a", None, "a", "another text"),
        ("a b", WordRules(max_vocabulary=2), "a", "data.max_vocabulary=null"),
        ("a a b", WordRules(min_frequency=7), "a", "data.min_frequency=1"),
    ],
)
def test_a_language_of_one_token_is_refused(text: str, rules: WordRules | None, token: str, hint: str) -> None:
    source = source_of_texts([text] * 6, is_language=True)
    with pytest.raises(
        DataError, match=rf"of data=made holds one token only \('{token}'\): nothing to foretell"
    ) as caught:
        fit_preprocess(source, np.arange(5), scaling="none", target_scaling="none", rules=rules)
    assert hint in caught.value.problems[0].hint
