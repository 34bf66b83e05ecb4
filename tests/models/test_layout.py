"""What a network on sequences knows of its input."""

from __future__ import annotations

import pytest
import torch

from nnkit.models.layout import SequenceLayout
from nnkit.spec import DataSpec, InputSpec, TargetSpec, Task
from tests.models.built import THREE_CLASSES, images

SERIES = InputSpec("x", "series", (9, 2))
TOKENS = InputSpec("tokens", "tokens", (7,), (30,))
LENGTHS = InputSpec("lengths", "lengths", ())
FUTURE = InputSpec("future", "series", (3, 4))


@pytest.mark.parametrize(
    ("task", "inputs", "expected"),
    [
        ("classification", (SERIES,), SequenceLayout(2, steps=9)),
        ("classification", (SERIES, LENGTHS), SequenceLayout(2, steps=9, has_lengths=True)),
        ("tagging", (SERIES, LENGTHS), SequenceLayout(2, steps=9, has_lengths=True, per_step=True)),
        ("language", (TOKENS,), SequenceLayout(0, 30, 7, per_step=True)),
        ("classification", (TOKENS, LENGTHS), SequenceLayout(0, 30, 7, has_lengths=True)),
        ("forecast", (SERIES, FUTURE), SequenceLayout(2, steps=9, future=12)),
        ("regression", (SERIES,), SequenceLayout(2, steps=9)),
    ],
)
def test_the_layout_follows_from_the_spec(task: Task, inputs: tuple[InputSpec, ...], expected: SequenceLayout) -> None:
    assert SequenceLayout.of(DataSpec(task, inputs, THREE_CLASSES)) == expected


def test_the_rows_of_an_image_are_steps_of_all_channels() -> None:
    assert SequenceLayout.of(images(3, 5, 4)) == SequenceLayout(12, steps=5)
    pictures = torch.randn(2, 3, 5, 4)
    x, lengths, future = SequenceLayout(12, steps=5).named((pictures,))
    assert x.shape == (2, 5, 12)
    for row in range(5):
        assert torch.equal(x[:, row], pictures[:, :, row].flatten(1))
    assert lengths is None
    assert future is None


def test_inputs_get_their_names() -> None:
    x, lengths, ahead = torch.randn(2, 9, 2), torch.tensor([4, 9]), torch.randn(2, 3, 4)
    found = SequenceLayout(2, has_lengths=True).named((x, lengths))
    assert found[0] is x
    assert found[1] is lengths
    assert found[2] is None
    x, none, future = SequenceLayout(2, future=12).named((x, ahead))
    assert none is None
    assert future is not None
    assert torch.equal(future, ahead.flatten(1))


def test_a_spec_counts_what_a_step_or_a_sample_is_to_give() -> None:
    spec = DataSpec("forecast", (SERIES,), TargetSpec(("a", "b"), horizon=5, channels=(0, 1)))
    assert (spec.num_targets, spec.num_classes, spec.is_per_step, spec.has_lengths) == (10, 0, False, False)
    tags = DataSpec("tagging", (SERIES, LENGTHS), THREE_CLASSES)
    assert (tags.num_targets, tags.is_per_step, tags.has_lengths) == (3, True, True)
