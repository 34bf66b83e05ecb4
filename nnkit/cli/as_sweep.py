"""The command line as a sweep, beside an error of words that only a sweep takes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from nnkit.cli.flags import Flags
from nnkit.config.options import find_groups, search_dirs
from nnkit.config.words import SWEEP, SWEEPERS, sweeper_in_file
from nnkit.errors import ConfigError
from nnkit.secrets import redacted_words

NO_GRID = "interval("  # what the grid, which is the default, cannot try all of


@contextmanager
def telling_sweep(flags: Flags) -> Iterator[None]:
    """Let an error that hints at a sweep say what to type as a whole, once."""
    try:
        yield
    except ConfigError as error:
        hinting = [number for number, problem in enumerate(error.problems) if SWEEP in problem.hint]
        line = _line(flags) if hinting else ""
        error.problems = [
            replace(each, hint="" if each.hint == SWEEP and number < hinting[-1] else each.hint.replace(SWEEP, line))
            for number, each in enumerate(error.problems)
        ]
        raise


def _line(flags: Flags) -> str:
    words = flags.words
    is_chosen = any(word.startswith(f"{SWEEPERS}=") for word in words)
    needs_one = any(NO_GRID in word for word in words) and not is_chosen
    sampler = (
        [f"{SWEEPERS}=random"]
        if needs_one and not sweeper_in_file(words, find_groups(search_dirs(flags.config_dirs)))
        else []
    )
    own = sorted(flags.own - {"--dry-run", "--multirun"})
    own += [word for place in flags.config_dirs for word in ("--config-dir", str(place))]
    own += ["--config-name", flags.config_name] if flags.config_name != Flags().config_name else []
    return shlex.join(["nnkit", "train", "-m", *redacted_words(words), *sampler, *own])
