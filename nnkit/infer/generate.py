"""Text from a language model, token by token, each drawn from what the network says of the next one."""

# V vocabulary, T tokens of the prompt

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from nnkit.config.sections.model import CodeModelConfig
from nnkit.config.sections.sequences import TextConfig
from nnkit.data.tokens import UNKNOWN_NUMBER, How, join_tokens, split_text
from nnkit.errors import ConfigError
from nnkit.infer.finished import Finished
from nnkit.infer.sampling import sampling_problems
from nnkit.seeding import derive

MOST_FREQUENT = 1  # a vocabulary goes by falling frequency
NEWLINE = "\n"


def language_model(run: str = "RUN") -> ConfigError:
    """Return the error of one who asks a language model for predictions."""
    text = "a language model continues a text, and has no predictions of rows"
    return ConfigError(text, hint=f"nnkit generate {run} --prompt TEXT")


def generate(
    run: Finished, prompt: str, *, length: int, temperature: float, top_k: int | None, seed: int
) -> Iterator[str]:
    """Return the pieces of a text: the prompt as it is, if there is one, and what follows, token by token.

    The network reads the prompt first, and then each token that was drawn, with its state carried. Without a prompt it
    reads the end of a line, or the most frequent token where lines do not end. The same seed gives the same text.

    Args:
        run: a language model.
        prompt: what comes first; tokens that the vocabulary lacks are read as the unknown. May be empty.
        length: how many tokens to draw, >= 1.
        temperature: what the logits are divided by, >= 0; 0 always takes the most likely token.
        top_k: how many of the most likely tokens to draw from; None for all. The unknown is never drawn.
        seed: of the draws.

    Raises:
        ConfigError: the run is no language model, a number is out of its range, or the user's own network has no right
            `step`.
    """
    section, network = run.config.data, run.model
    if run.spec.task != "language" or not isinstance(section, TextConfig):
        text = f"{run.folder} is no language model: its task is {run.spec.task}"
        raise ConfigError(text, hint=f"nnkit predict {run.folder} INPUT")
    if not hasattr(network, "step"):
        text = f"{run.title} cannot carry a state: its network has no step(x, state=…) -> (outputs, state)"
        raise ConfigError(text, hint="model=lstm, or a method step of your own")
    if problems := list(sampling_problems(length, temperature, top_k)):
        raise ConfigError(*problems)
    most = len(run.spec.target.classes) - 1
    if top_k is not None and top_k > most:
        raise ConfigError(f"top-k must be from 1 to {most}, the tokens of the vocabulary, got {top_k}")
    tokens = split_text(prompt, section.tokens, lower=section.lower)
    numbers = numbers_of(run, tokens) or [_start(run)]
    _check_step(run, numbers)
    drawn = _drawn(run, numbers, temperature, top_k or most, derive(seed, "generate"))
    return _pieces(run, prompt, tokens, drawn, length, section.tokens)


def numbers_of(run: Finished, tokens: Sequence[str]) -> list[int]:
    """Return the numbers of tokens in the vocabulary; of those that it lacks, that of the unknown."""
    place = {word: number for number, word in enumerate(run.spec.target.classes)}
    return [place.get(token, UNKNOWN_NUMBER) for token in tokens]


def unknown_in(run: Finished, prompt: str) -> list[str]:
    """Return the different tokens of a prompt that the vocabulary lacks, in their order."""
    section = run.config.data
    if not isinstance(section, TextConfig):
        return []
    tokens = split_text(prompt, section.tokens, lower=section.lower)
    pairs = zip(tokens, numbers_of(run, tokens), strict=True)
    return list(dict.fromkeys(token for token, number in pairs if number == UNKNOWN_NUMBER))


def _start(run: Finished) -> int:
    """Return the number of the token that a text starts behind."""
    words = run.spec.target.classes
    return words.index(NEWLINE) if NEWLINE in words else MOST_FREQUENT


def _pieces(
    run: Finished, prompt: str, tokens: Sequence[str], drawn: Iterator[int], length: int, how: How
) -> Iterator[str]:
    if prompt:
        yield prompt
    before = tokens[-1] if tokens else NEWLINE
    ends_blank = not tokens or prompt[-1].isspace()
    for _, number in zip(range(length), drawn, strict=False):
        token = run.spec.target.classes[number]
        # Whether a blank stands before a word depends on the word before it alone.
        piece = join_tokens([before, token], how)[len(before) :]
        yield piece.removeprefix(" ") if how == "word" and ends_blank else piece
        before, ends_blank = token, False


def _check_step(run: Finished, numbers: list[int]) -> None:
    """Try the `step` of a network of the user's own, from the beginning and from its state. Raises: ConfigError."""
    model = run.config.model
    if not isinstance(model, CodeModelConfig):
        return
    told = f"model.code={model.code}: step must take (x, state=…) and return (outputs, state)"
    try:
        _, state = _read(run, numbers, None)
        outputs, _ = _read(run, numbers[-1:], state)
        shape = tuple(outputs.shape)
    except Exception as error:
        raise ConfigError(f"{told}: {type(error).__name__}: {' '.join(str(error).split())}") from error
    wanted = (1, 1, len(run.spec.target.classes))
    if shape != wanted:
        raise ConfigError(f"{told}, for one token outputs of shape {wanted}, got {shape}")


@torch.no_grad()
def _read(run: Finished, numbers: list[int], state: Any) -> tuple[Tensor, Any]:
    """Return what the network says (1, T, V) behind each of T tokens, and its state at their end."""
    x = torch.tensor([numbers], dtype=torch.int32, device=run.arithmetic.device)  # (1, T)
    network: Any = run.model
    with run.arithmetic.autocast():
        outputs, state = network.step(x, state=state)
    return outputs, state


def _drawn(run: Finished, numbers: list[int], temperature: float, top_k: int, seed: int) -> Iterator[int]:
    """Yield tokens without end, each drawn from what the network says behind all those before it."""
    chance = torch.Generator().manual_seed(seed)
    state: Any = None
    while True:
        outputs, state = _read(run, numbers, state)
        numbers = [drawn_token(outputs[0, -1].float().cpu(), temperature, top_k, chance)]
        yield numbers[0]


def drawn_token(logits: Tensor, temperature: float, top_k: int, chance: torch.Generator) -> int:
    """Return the number of a token, drawn by its logit (V,).

    Args:
        logits: of all tokens; that of the unknown is not looked at.
        temperature: as in `generate`.
        top_k: as in `generate`, a number.
        chance: what the draw is made with, on the CPU.
    """
    best, places = logits[UNKNOWN_NUMBER + 1 :].double().topk(top_k)
    if temperature == 0:
        return int(places[0]) + UNKNOWN_NUMBER + 1
    likely = ((best - best[0]) / temperature).softmax(0)  # the largest is 0: no temperature makes it overflow
    return int(places[torch.multinomial(likely, 1, generator=chance)]) + UNKNOWN_NUMBER + 1
