"""Words behind a command that works on a finished run: RUN, flags with values, flags without."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, final

from nnkit.cli.messages import note
from nnkit.config.origin import NEWEST
from nnkit.errors import ConfigError, Problem
from nnkit.links import Links
from nnkit.runs import FINISHED, find_run

if TYPE_CHECKING:
    from nnkit.infer.finished import Finished

LAST, OUTPUT_DIR = NEWEST, "output_dir="
MOST_NAMED = 5
MOST_VIEWS = 1_000  # of a sample


@final
@dataclass(slots=True)
class Read:
    """The sorted words.

    Attributes:
        words: those that are no flag, in order.
        flags: flags that were given, without dashes.
        values: of flags that take one.
    """

    words: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)

    @property
    def links(self) -> Links:
        """Whether links out of a run folder are refused: not with --trust."""
        return "followed" if "trust" in self.flags else "refused"

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        """Return the value of a flag that takes one of a few. Raises: ConfigError."""
        value = self.values.get(name, default)
        if value not in choices:
            near = get_close_matches(value, choices, n=1) or choices
            raise ConfigError(
                f"--{name} must be one of {', '.join(choices)}, got '{value}'", hint=f"--{name} {near[0]}"
            )
        return value

    def count(self, name: str, most: int) -> int:
        """Return the whole number that a flag names, from 1 to `most`; 1 where it is not given. Raises: ConfigError."""
        word = self.values.get(name, "1")
        number = int(word) if word.isascii() and word.isdigit() and len(word) <= len(str(most)) else 0
        if not 1 <= number <= most:
            raise ConfigError(f"--{name} must be a whole number from 1 to {most}, got '{word}'", hint=f"--{name} 8")
        return number

    def path(self, name: str, default: Path) -> Path:
        """Return the absolute path that a flag names."""
        value = self.values.get(name)
        return default.absolute() if value is None else Path(value).expanduser().absolute()

    def file(self, default: Path, endings: Sequence[str]) -> Path:
        """Return the file that --output names. Raises: ConfigError for a folder, or another ending."""
        path = self.path("output", default)
        if path.is_dir():
            raise ConfigError(f"--output names a file, but {path} is a folder", hint=f"-o {path / default.name}")
        if path.suffix.lower() not in endings:
            wanted = " or ".join(endings)
            raise ConfigError(f"--output must end in {wanted}, got {path.name}", hint=f"-o {path.stem}{endings[0]}")
        return path

    def operands(self, command: str, takes: str, most: int, hint: str) -> tuple[list[str], str | None]:
        """Return the words without output_dir=FOLDER, and that folder.

        Args:
            command: for messages.
            takes: what it takes, such as "one run".
            most: how many words.
            hint: what to type instead of more of them.

        Raises:
            ConfigError: there is none, or more than `most`.
        """
        folders = [word for word in self.words if word.startswith(OUTPUT_DIR)]
        words = [word for word in self.words if word not in folders]
        if not words:
            raise ConfigError(f"{command} needs {takes}", hint=hint)
        if len(words) > most:
            setting = next((word for word in words[1:] if "=" in word and not Path(word).exists()), None)
            if setting is not None:
                raise ConfigError(f"{setting}: a run keeps its settings", hint=f"nnkit {command} --help")
            more = f" … ({len(words)} words)" if len(words) > MOST_NAMED else ""  # of a glob that the shell has opened
            raise ConfigError(f"{command} takes {takes}, got {' '.join(words[:MOST_NAMED])}{more}", hint=hint)
        return words, folders[-1].removeprefix(OUTPUT_DIR) if folders else None


def read_command(
    argv: Sequence[str],
    *,
    command: str,
    flags: Sequence[str],
    valued: Sequence[str],
    short: dict[str, str],
    empty: Sequence[str] = (),
) -> Read:
    """Sort the words behind a command.

    Args:
        argv: the words.
        command: for messages.
        flags: names of flags without a value.
        valued: names of flags with a value, `--name value` or `--name=value`.
        short: the name behind a short flag, such as {"-o": "output"}.
        empty: names of flags whose value may be empty, `--name=`.

    Raises:
        ConfigError: with every word that cannot be taken.
    """
    found, problems, left = Read(), [], list(argv)
    while left:
        word = left.pop(0)
        head, equals, value = word.partition("=")
        name = short.get(head, head.removeprefix("--") if head.startswith("--") else "")
        if not word.startswith("-") or word == "-":
            found.words.append(word)
        elif name in flags and not equals:
            found.flags.add(name)
        elif name in flags:
            problems.append(Problem(f"{word}: {head} takes no value", head))
        elif name in valued and ((value or name in empty) if equals else left and not left[0].startswith("--")):
            if name in found.values:
                problems.append(Problem(f"{head} is given twice", f"{head} VALUE"))
            found.values[name] = value if equals else left.pop(0)
        elif name in valued:
            problems.append(Problem(f"{head} needs a value", f"{head} VALUE"))
        else:
            near = get_close_matches(head, [f"--{n}" for n in (*flags, *valued)], n=1)
            hint = f"did you mean {near[0]}?" if near else f"nnkit {command} --help"
            problems.append(Problem(f"{word} is not a flag of {command}", hint))
    if problems:
        raise ConfigError(*problems)
    return found


def run_folder(word: str, output_dir: str | None = None, links: Links = "refused") -> Path:
    """Return the run folder that RUN names.

    Args:
        word: a run folder, a sweep folder, or last.
        output_dir: where last looks; None for outputs.
        links: out of the folder, whether they are refused.

    Raises:
        ConfigError: it names no run.
    """
    if output_dir is not None and word != LAST:
        raise ConfigError(f"{OUTPUT_DIR} says where {LAST} looks, but the run is {word}", hint=f"{LAST} {OUTPUT_DIR}…")
    return find_run(word, Path(output_dir or "outputs").expanduser(), links)


def opened(folder: Path, read: Read, views: int = 1) -> Finished:
    """Return the run in a folder, and note where it has not ended.

    Args:
        folder: of the run.
        read: the words of the command.
        views: of each sample, whose answers are averaged.

    Raises: as `nnkit.infer.finished.open_run` and `nnkit.infer.views.with_views`.
    """
    import torch

    from nnkit.infer.finished import open_run, said_of
    from nnkit.infer.views import with_views

    run = with_views(open_run(folder, trust="trust" in read.flags), views)
    torch.set_num_threads(int(run.config.trainer.threads))  # as it was trained; more would wait for those that read
    if run.facts["status"] not in FINISHED:
        note(f"{folder} {said_of(run.facts['status'])}; these are its best weights so far")
    return run


def name_of(data: str) -> str:
    """Return what the files about some data are called after: its own name, without folder, endings and wildcards.

    Of wildcards alone it is the name of their folder.
    """
    path = Path(data).absolute()
    names = (re.sub(r"[^\w-]+", "_", place.name.split(".")[0]) for place in (path, path.parent))
    return next((name for name in names if name.strip("_")), "data")


def note_unknown(unknown: Mapping[str, int], tokens: int) -> None:
    """Note the words that training has not seen: how many of all there are, and the most frequent ones."""
    if not unknown:
        return
    often = sorted(unknown, key=lambda word: -unknown[word])[:MOST_NAMED]
    named = ", ".join(repr(word) for word in often) + (", …" if len(unknown) > MOST_NAMED else "")
    total = sum(unknown.values())
    note(f"{total:,} of {tokens:,} tokens are not in the vocabulary, and are read as the unknown: {named}")


def note_unseen(unseen: Mapping[str, int], run: Finished) -> None:
    """Note the categories that training has not seen: how many cells, by column."""
    table = run.preprocess.table
    for column, count in unseen.items():
        is_vague = table is not None and column in table.forgetful
        what = "has not seen, or too rarely to remember them" if is_vague else "has not seen"
        note(f"column {column}: {count} cells of categories that training {what}")
