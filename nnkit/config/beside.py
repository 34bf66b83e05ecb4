"""All that is wrong with a sweep, in one look: beside the words that cannot be taken, and each mistake once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import final

from nnkit.config.check import check
from nnkit.config.compose import NO_SETTING, hydra_overrides, opened, translated
from nnkit.config.domains import Interval
from nnkit.config.options import Groups, find_groups, search_dirs
from nnkit.config.points import ends
from nnkit.config.space import Combination, Space
from nnkit.config.words import mended, read_words
from nnkit.errors import ConfigError, Problem

MOST_WRONG = 50  # points that are looked at where the sweep is wrong already


@final
class Told:
    """What is wrong with points of a space, each mistake once, with the first point that has it."""

    def __init__(self, space: Space) -> None:
        """Take the space."""
        self._domains = space.domains
        self._problems: dict[str, Problem] = {}

    @property
    def problems(self) -> list[Problem]:
        """All of them, in the order in which they were found."""
        return [*self._problems.values()]

    def add(self, error: ConfigError, point: Combination) -> None:
        """Take what is wrong with a point."""
        where = f" (with {words_of(point.changed)})" if point.changed else ""
        for problem in error.problems:
            self._problems.setdefault(self._mistake(problem), Problem(problem.text + where, problem.hint))

    def _mistake(self, problem: Problem) -> str:
        """Return what all problems of one mistake have in common."""
        name, is_name, _ = problem.text.partition(NO_SETTING)
        if is_name:  # whatever the model: it is mistyped, or belongs to none of them
            return name
        key = problem.text.partition(" ")[0]
        return problem.text.partition(", got ")[0] if isinstance(self._domains.get(key), Interval) else problem.text


def words_of(changed: Mapping[str, str]) -> str:
    """Return changed settings as they are typed."""
    return " ".join(f"{key}={value}" for key, value in changed.items()) or "no change"


@contextmanager
def telling_all(words: Sequence[str], *, config_name: str, extra_dirs: Sequence[Path], trust: bool) -> Iterator[None]:
    """Let an error that the words of a sweep meet tell what is wrong with all others, too.

    Args:
        words: as they were typed, without flags.
        config_name: the primary config.
        extra_dirs: more folders of options.
        trust: whether the configs may run code.
    """
    try:
        yield
    except ConfigError as error:
        try:
            rest = _problems_of_the_rest(words, config_name, extra_dirs, trust)
        except ConfigError as other:  # the words do not go together at all
            rest = other.problems
        told = {problem.text for problem in error.problems}
        more = [problem for problem in rest if problem.text not in told]
        if not more:
            raise
        raise ConfigError(*error.problems, *more) from error


def _problems_of_the_rest(
    words: Sequence[str], config_name: str, extra_dirs: Sequence[Path], trust: bool
) -> Sequence[Problem]:
    dirs = search_dirs(extra_dirs)
    groups = find_groups(dirs)
    with opened(dirs), translated(groups):
        taken = [word for word in _mended(words, groups) if _is_taken(word, config_name, groups)]
        refused = {_key(word) for word in words} - {_key(word) for word in taken}
        read = read_words(taken, groups, multirun=True)
        space = Space(hydra_overrides(read, dirs, trust=trust), config_name, groups, trust=trust)
        found = problems_of(islice(ends(space), MOST_WRONG), space)
    return [each for each in found if each.text.partition(" is missing: ")[0] not in refused]


def problems_of(points: Iterable[Combination], space: Space) -> list[Problem]:
    """Return what is wrong with points of a space, as far as words alone tell."""
    told = Told(space)
    for point in points:
        try:
            check(point.composed)
        except ConfigError as error:
            told.add(error, point)
    return told.problems


def _mended(words: Sequence[str], groups: Groups) -> Iterator[str]:
    """Yield the words without those of Hydra, and with the option that was meant for one that is not there."""
    for word in words:
        if not word.lstrip("+").startswith("hydra"):
            yield mended(word, groups) if _key(word) in groups else word


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def _is_taken(word: str, config_name: str, groups: Groups) -> bool:
    """Tell whether a word alone is a value, or a list of values, that a sweep can have."""
    try:
        Space(read_words([word], groups, multirun=True).overrides, config_name, groups)
    except ConfigError:
        return False
    return True
