"""Text from a language model: what is drawn, in which order, and what cannot be asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from nnkit.config.sections.model import CodeModelConfig
from nnkit.data.tokens import join_tokens, split_text
from nnkit.errors import ConfigError
from nnkit.infer.finished import Finished
from nnkit.infer.generate import drawn_token, generate, numbers_of, unknown_in
from tests.finished import opened

CHOICES: dict[str, Any] = {"length": 30, "temperature": 1.0, "top_k": None, "seed": 0}


def text_of(kind: str, prompt: str = "", **choices: Any) -> str:
    return "".join(generate(opened(kind), prompt, **{**CHOICES, **choices}))


class Counting(nn.Module):
    """The token whose number comes next, whatever came before; its state is what it has read."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.seen: list[list[int]] = []

    def step(self, x: Tensor, *, state: Any = None) -> tuple[Tensor, Any]:
        self.seen.append(x[0].tolist())
        assert x.dtype == torch.int32
        logits = nn.functional.one_hot((x.long() + 1) % self.size, self.size) * 50.0
        return logits, (state or 0) + x.shape[1]


def counting(kind: str = "letters") -> tuple[Finished, Counting]:
    run = opened(kind)
    model = Counting(len(run.spec.target.classes))
    return replace(run, model=model), model


def test_the_same_seed_gives_the_same_text_and_another_one_another() -> None:
    found = text_of("letters", "the cat")
    assert found == text_of("letters", "the cat")
    assert found != text_of("letters", "the cat", seed=1)
    assert found.startswith("the cat")
    assert len(found) == 7 + 30
    torch.manual_seed(5)
    before = torch.get_rng_state()
    text_of("letters")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_prompt_is_read_first_and_then_each_token_that_was_drawn() -> None:
    run, model = counting()
    words = run.spec.target.classes
    prompt = words[3] + words[5]
    found = list(generate(run, prompt, **{**CHOICES, "length": 3}))
    assert model.seen == [[3, 5], [6], [7]]
    assert found == [prompt, words[6], words[7], words[8]]


def test_without_a_prompt_a_line_begins() -> None:
    run, model = counting()
    words = run.spec.target.classes
    start = words.index("\n")
    assert list(generate(run, "", **{**CHOICES, "length": 1})) == [words[start + 1]]
    assert model.seen == [[start]]
    preprocess = replace(run.preprocess, classes=tuple(word.replace("\n", "%") for word in words))
    list(generate(replace(run, preprocess=preprocess), "", **{**CHOICES, "length": 1}))
    assert model.seen[1] == [1]


def test_the_states_go_along_as_if_the_text_were_read_at_once() -> None:
    run = opened("letters")
    words = run.spec.target.classes
    found = text_of("letters", "the", temperature=0, length=12)
    numbers = [words.index(sign) for sign in found]
    logits = run.outputs([(torch.tensor([numbers[:-1]], dtype=torch.int32),)])[2:, 1:]
    assert (logits.argmax(1) + 1).tolist() == numbers[3:]


def test_a_greedy_text_has_no_seed() -> None:
    assert text_of("words", "a dog", temperature=0) == text_of("words", "a dog", temperature=0, seed=9)
    assert text_of("words", "a dog", temperature=0) == text_of("words", "a dog", top_k=1, seed=3)
    assert text_of("words", "a dog", temperature=0) == text_of("words", "a dog", temperature=1e-300)


def test_the_unknown_is_never_drawn() -> None:
    logits = torch.tensor([50.0, 0.0, 1.0])
    chance = torch.Generator().manual_seed(0)
    drawn = {drawn_token(logits, 1.0, 2, chance) for _ in range(200)}
    assert drawn == {1, 2}
    assert drawn_token(logits, 0.0, 2, chance) == 2


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_by_their_probability(temperature: float) -> None:
    logits = torch.tensor([9.0, 0.0, 1.0, 2.0])
    chance = torch.Generator().manual_seed(0)
    drawn = np.bincount([drawn_token(logits, temperature, 3, chance) for _ in range(4000)], minlength=4) / 4000
    wanted = (logits[1:] / temperature).softmax(0).numpy()
    np.testing.assert_allclose(drawn[1:], wanted, atol=0.03)


def test_only_the_likeliest_tokens_are_drawn_from() -> None:
    logits = torch.tensor([9.0, 0.0, 1.0, 2.0, 1.5])
    chance = torch.Generator().manual_seed(0)
    assert {drawn_token(logits, 1.0, 2, chance) for _ in range(200)} == {3, 4}


def test_words_are_joined_as_a_text_is() -> None:
    for prompt in ("the cat", "(", "", "one.", "a\n"):
        found = text_of("words", prompt, length=40)
        tokens = split_text(found, "word")
        assert join_tokens(tokens, "word") == found
    assert "  " not in text_of("words", "the cat ", length=40)


@given(prompt=st.text(alphabet="the cat,(\n ", max_size=12))
def test_a_text_begins_with_its_prompt(prompt: str) -> None:
    run, _ = counting("words")
    found = list(generate(run, prompt, **{**CHOICES, "length": 4}))
    assert "".join(found).startswith(prompt)
    assert len(found) == 4 + bool(prompt)
    assert "  " not in "".join(found[1:])


def test_tokens_that_training_has_not_are_read_as_the_unknown() -> None:
    run = opened("letters")
    assert unknown_in(run, "the Q#Q") == ["Q", "#"]
    assert numbers_of(run, ["Q", "t"])[0] == 0
    assert text_of("letters", "Q#").startswith("Q#")
    assert unknown_in(opened("words"), "the zebra") == ["zebra"]
    assert unknown_in(opened("bits"), "x") == []


@pytest.mark.parametrize(
    ("choices", "text"),
    [
        ({"length": 0}, "length must be a whole number from 1, got 0"),
        ({"temperature": -1.0}, "temperature must be 0 for the most likely token, or a number above it, got -1.0"),
        ({"length": 0, "top_k": 0}, "length must be .*; top-k must be"),
        ({"temperature": float("inf")}, "got inf"),
        ({"temperature": float("nan")}, "got nan"),
        ({"top_k": 0}, "top-k must be a whole number from 1, got 0"),
        ({"top_k": 21}, "top-k must be from 1 to 20, .*got 21"),
    ],
)
def test_what_cannot_be_asked_for_is_told_before_the_first_token(choices: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        generate(opened("letters"), "the", **{**CHOICES, **choices})


def test_a_run_that_is_no_language_model_is_told() -> None:
    with pytest.raises(ConfigError, match="vowels is no language model: its task is classification") as caught:
        generate(opened("vowels"), "the", **CHOICES)
    assert caught.value.problems[0].hint.startswith("nnkit predict ")


def test_a_network_without_a_state_is_told() -> None:
    run = replace(opened("letters"), model=nn.Linear(2, 2))
    with pytest.raises(ConfigError, match="cannot carry a state: its network has no step"):
        generate(run, "the", **CHOICES)


class Stepping(nn.Module):
    """A language model of the user's own, with the `step` that is given."""

    def __init__(self, step: Any) -> None:
        super().__init__()
        self.step = step


def with_step(step: Any) -> Finished:
    run = opened("letters")
    code = CodeModelConfig(kind="code", code="mine:Net")
    return replace(run, model=Stepping(step), config=replace(run.config, model=code))


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (lambda x: (x, None), r"TypeError: .*unexpected keyword argument 'state'"),
        (lambda x, state: torch.zeros(1, x.shape[1], 21), "ValueError: not enough values to unpack"),
        (lambda x, state: (torch.zeros(*x.shape, 21), 1 if state is None else state + "a"), "TypeError: "),
        (lambda x, state: (3, state), "AttributeError: 'int' object has no attribute 'shape'"),
        ("no function", "TypeError: 'str' object is not callable"),
        (lambda x, state: (torch.zeros(*x.shape, 7), state), r"outputs of shape \(1, 1, 21\), got \(1, 1, 7\)"),
    ],
)
def test_a_wrong_step_of_the_users_own_is_told_before_the_first_piece(step: Any, text: str) -> None:
    told = r"model\.code=mine:Net: step must take \(x, state=…\) and return \(outputs, state\)"
    with pytest.raises(ConfigError, match=f"{told}.* {text}"):
        generate(with_step(step), "the", **CHOICES)


def test_a_right_step_of_the_users_own_generates() -> None:
    counted = Counting(21)
    words = opened("letters").spec.target.classes
    found = list(generate(with_step(counted.step), words[3] + words[5], **{**CHOICES, "length": 2}))
    assert found[1:] == [words[6], words[7]]
    assert counted.seen == [[3, 5], [5], [3, 5], [6]]  # it was tried first
