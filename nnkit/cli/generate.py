"""`nnkit generate RUN`: what a language model makes of the beginning of a text."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator

from nnkit.cli.messages import note
from nnkit.cli.words import MOST_NAMED, Read, opened, read_command, run_folder
from nnkit.errors import ConfigError, StorageError

USAGE = """\
usage: nnkit generate RUN [--prompt TEXT] [--length N] [--temperature T] [--top-k K] [--seed S] [--trust]

RUN is a run folder, a sweep folder (its best run), or last (the newest below outputs/ or output_dir=FOLDER), of a
language model (data=text data.task=language). Standard output carries the prompt and what follows, token by token.

  --prompt TEXT    what the text begins with (default: the end of a line, which is not shown)
  --length N       tokens to draw: characters or words, as the run has them (default: 200)
  --temperature T  below 1 the likely tokens become likelier, above 1 the others; 0: always the likeliest (default: 1)
  --top-k K        draw from the K likeliest tokens alone (default: all)
  --seed S         of the draws: the same seed, the same text (default: 0)
  --trust          the run names code of its own, and you know where it is from"""

HINT = 'nnkit generate last --prompt "Once upon a time"'


def command(argv: list[str]) -> int:
    """Generate as the words say, and return the exit code."""
    if not argv or "--help" in argv or "-h" in argv:
        print(USAGE)
        return 0 if argv else 2
    valued = ("prompt", "length", "temperature", "top-k", "seed")
    read = read_command(argv, command="generate", flags=("trust",), valued=valued, short={})
    length, seed = whole(read, "length", 200), whole(read, "seed", 0)
    temperature = number(read, "temperature", 1.0)
    top_k = whole(read, "top-k", 0) if "top-k" in read.values else None
    (word,), output_dir = read.operands("generate", "one run", 1, HINT)
    folder = run_folder(word, output_dir)
    run = opened(folder, read)
    from nnkit.infer.generate import generate, unknown_in

    prompt = read.values.get("prompt", "")
    pieces = generate(run, prompt, length=length, temperature=temperature, top_k=top_k, seed=seed)
    if unknown := unknown_in(run, prompt):
        named = ", ".join(repr(token) for token in unknown[:MOST_NAMED]) + (", …" if len(unknown) > MOST_NAMED else "")
        note(f"the prompt has tokens that are not in the vocabulary, and are read as the unknown: {named}")
    _stream(pieces)
    return 0


def whole(read: Read, name: str, default: int) -> int:
    """Return the whole number behind a flag. Raises: ConfigError."""
    value = read.values.get(name, str(default))
    try:
        return int(value)
    except ValueError:
        raise ConfigError(f"--{name} must be a whole number, got '{value}'", hint=f"--{name} {default or 1}") from None


def number(read: Read, name: str, default: float) -> float:
    """Return the number behind a flag. Raises: ConfigError."""
    value = read.values.get(name, str(default))
    try:
        return float(value)
    except ValueError:
        raise ConfigError(f"--{name} must be a number, got '{value}'", hint=f"--{name} {default:g}") from None


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
