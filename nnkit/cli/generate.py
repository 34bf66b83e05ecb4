"""`nnkit generate RUN`: what a language model makes of the beginning of a text."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from nnkit.cli.messages import note, show_usage
from nnkit.cli.words import MOST_NAMED, Read, opened, read_command, run_folder
from nnkit.errors import ConfigError, Problem, StorageError

USAGE = """\
usage: nnkit generate RUN [--prompt TEXT] [--length N] [--temperature T] [--top-k K] [--seed S] [--trust]

RUN is a run folder, a sweep folder (its best run), or last (the newest below outputs/ or output_dir=FOLDER), of a
language model (data=text data.task=language). Standard output carries the prompt and what follows, token by token.

  --prompt TEXT    what the text begins with (default, and with --prompt=: the end of a line, which is not shown, or
                   where the vocabulary has none the most frequent token)
  --length N       tokens to draw: characters or words, as the run has them (default: 200)
  --temperature T  below 1 the likely tokens become likelier, above 1 the others; 0: always the likeliest (default: 1)
  --top-k K        draw from the K likeliest tokens alone (default: all)
  --seed S         of the draws: the same seed, the same text (default: 0)
  --trust          the run names code of its own, or has links out of its folder, and you trust it"""

# By flag: its kind, its default, and what to type instead of a wrong value.
NUMBERS: Mapping[str, tuple[type[int] | type[float], float | None, int]] = {
    "length": (int, 200, 200),
    "temperature": (float, 1.0, 1),
    "top-k": (int, None, 5),
    "seed": (int, 0, 1),
}
HINT = 'nnkit generate last --prompt "Once upon a time"'


def command(argv: list[str]) -> int:
    """Generate as the words say, and return the exit code."""
    if not argv or "--help" in argv or "-h" in argv:
        return show_usage(USAGE, argv)
    valued = ("prompt", *NUMBERS)
    read = read_command(argv, command="generate", flags=("trust",), valued=valued, short={}, empty=("prompt",))
    numbers = numbers_of(read)
    (word,), output_dir = read.operands("generate", "one run", 1, HINT)
    folder = run_folder(word, output_dir, read.links)
    run = opened(folder, read)
    from nnkit.infer.generate import generate, unknown_in

    prompt = read.values.get("prompt", "")
    pieces = generate(run, prompt, **numbers)
    if unknown := unknown_in(run, prompt):
        named = ", ".join(repr(token) for token in unknown[:MOST_NAMED]) + (", …" if len(unknown) > MOST_NAMED else "")
        note(f"the prompt has tokens that are not in the vocabulary, and are read as the unknown: {named}")
    _stream(pieces)
    return 0


def numbers_of(read: Read) -> dict[str, Any]:
    """Return the numbers behind the flags, as `generate` takes them. Raises: ConfigError, with all that is wrong."""
    from nnkit.infer.sampling import sampling_problems

    found: dict[str, Any] = {}
    problems = []
    for name, (kind, default, instead) in NUMBERS.items():
        value = read.values.get(name)
        key = name.replace("-", "_")
        try:
            found[key] = default if value is None else kind(value)
        except ValueError:
            found[key] = default
            what = "a whole number" if kind is int else "a number"
            problems.append(Problem(f"--{name} must be {what}, got '{value}'", f"--{name} {instead}"))
    problems += sampling_problems(found["length"], found["temperature"], found["top_k"])
    if problems:
        raise ConfigError(*problems)
    return found


def _stream(pieces: Iterator[str]) -> None:
    """Print pieces of a text as they come, and the end of a line. A reader that has enough ends it quietly."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a character that the terminal cannot show ends no text
    try:
        try:
            for piece in pieces:
                print(piece, end="", flush=True)
        finally:
            print(flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer has a place to go
    except OSError as error:
        raise StorageError(f"cannot write standard output: {error.strerror} (errno {error.errno})") from error
