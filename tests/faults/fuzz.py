"""Words, files and configs with mistakes in them: each is taken, or refused in words, and a typo is set right."""

from __future__ import annotations

import copy
import random
import re
import string
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.fields import leaves
from nnkit.config.options import find_groups, search_dirs
from nnkit.config.origin import Composed
from nnkit.errors import ConfigError, NnkitError
from tests.faults.survival import Promise

LONGEST_S = 1.0  # of computing
RIGHT = 0.95  # of the typos of one letter, at least, are set right
VALUES = ["", "null", "true", "abc", "-1", "0", "1e999", "nan", "-inf", "[1,2", "{a: 1}", "'", '"', "ünï", "1" * 400]
VALUES += ["0x10", "1_000", "${seed}", "${nope}", "${oc.env:HOME}", "${model}", "a=b", "\t", "[[[]]]", "!!set {x}", "~"]
VALUES += [
    "1,2",
    "choice(1,2)",
    "$(ls)",
    "2026-11-28",
    "12:30",
    "on",
    "[",
    "}",
    "#",
    "&a",
    "*a",
    "\\",
    "a b",
    "a:b",
    "%",
    "a\udcff",
    "b\udcff.csv",
]
STRUCTURES = [
    "~model",
    "+model=cnn",
    "++x=1",
    "=",
    "=x",
    "model=",
    "model",
    "model.hidden",
    "model=mlp=cnn",
    ".=1",
    "a..b=1",
]
STRUCTURES += [
    "model=mlp",
    "model=cnn",
    "seed=1",
    "seed=2",
    "@",
    "model@x=cnn",
    "hydra=x",
    "hydra.run.dir=x",
    "experiment=x",
]
STRUCTURES += [
    "data=digits",
    "no/such=1",
    "model/mlp=1",
    "/model=mlp",
    "model:=1",
    "trainer={max_epochs: 3}",
    "trainer=5",
]


@dataclass(frozen=True)
class Case:
    """Something with mistakes, what takes it, and for typos what has to be said."""

    shown: str
    take: Callable[[], object]
    wanted: Sequence[str] = ()


@cache
def known() -> tuple[dict[str, Any], list[str], list[tuple[str, str]]]:
    """Return the values of the default config, its settings, and all options with their groups."""
    values = compose([]).values
    options = [(group, option) for group, found in find_groups(search_dirs()).items() for option in found]
    plain = [key for key in leaves(values) if not key.endswith(".kind")]
    return values, plain, [each for each in options if not each[0].startswith("hydra") and each[0] != "experiment"]


def typo(word: str, chance: random.Random) -> str:
    """Return a word with one letter too few, too many, wrong, or two that have changed places."""
    place, letter = chance.randrange(len(word)), chance.choice(string.ascii_lowercase)
    way = chance.choice(["less", "more", "other", "swapped"])
    if way == "swapped" and place + 1 < len(word):
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    if way == "less" and len(word) > 2:
        return word[:place] + word[place + 1 :]
    return word[:place] + letter + word[place + (way == "other") :]


def typed_wrong(chance: random.Random) -> Case:
    """Return a command line in which some settings, or an option, are misspelled by one letter."""
    _, keys, options = known()
    if chance.random() < 0.4:
        group, option = chance.choice([each for each in options if len(each[1]) > 2])
        wrong = typo(option, chance)
        found = [] if (group, wrong) in options else [option]
        return _line([f"{group}={wrong}"], found)
    words, wanted = [], []
    for key in chance.sample(keys, chance.choice([1, 1, 2, 3])):
        section, dot, name = key.rpartition(".")
        is_section = dot and len(section) > 2 and chance.random() < 0.3
        wrong = f"{typo(section, chance)}.{name}" if is_section else f"{section}{dot}{typo(name, chance)}"
        if wrong not in keys:
            words.append(f"{wrong}=1")
            wanted.append(key)
    return _line(words, wanted)


def written_wrong(chance: random.Random) -> Case:
    """Return a file in which a setting is misspelled by one letter."""
    key = chance.choice([each for each in known()[1] if "." in each])
    section, _, name = key.rpartition(".")
    wrong = typo(name, chance)
    return _file(
        f"# @package _global_\n{section}:\n  {wrong}: 1\n", [] if f"{section}.{wrong}" in known()[1] else [key]
    )


def odd_values(chance: random.Random) -> Case:
    """Return a command line of settings with values that nobody means, and words that are none."""
    keys = known()[1]
    words = [f"{chance.choice(keys)}={chance.choice(VALUES)}" for _ in range(chance.choice([1, 1, 2]))]
    return _line([*words, *chance.sample(STRUCTURES, chance.choice([0, 0, 1, 2]))])


def broken_file(chance: random.Random) -> Case:
    """Return a file of ours in which some signs are gone, doubled, or others."""
    files = sorted(Path(search_dirs()[0]).glob("experiment/*.yaml"))
    text = chance.choice(files).read_text()
    for _ in range(chance.choice([1, 2, 5])):
        place = chance.randrange(len(text))
        sign = chance.choice(["", text[place] * 2, chance.choice("{}[]:#&*!|>'\"%@`,-?\t \n\0é")])
        text = text[:place] + sign + text[place + 1 :]
    return _file(text)


def broken_config(chance: random.Random) -> Case:
    """Return a run's config in which something lacks, is of another type, or is too much."""
    values = copy.deepcopy(known()[0])
    for _ in range(chance.choice([1, 1, 3])):
        section = chance.choice(list(values))
        within = values[section] if isinstance(values[section], dict) and chance.random() < 0.8 else values
        key = chance.choice([*within, "nope"])
        odd = chance.choice(
            [None, -1, 1e308, "x", [], {}, [[1]], {"a": {"b": 1}}, True, "", 10**30, chance.choice(VALUES)]
        )
        if chance.random() < 0.4:
            within.pop(key, None)
        else:
            within[key] = odd
        if not values:
            break
    return Case(yaml.safe_dump(values)[:200], lambda: check(Composed(values)))


def _line(words: Sequence[str], wanted: Sequence[str] = ()) -> Case:
    return Case(" ".join(words), lambda: check(compose(words)), wanted)


def _file(text: str, wanted: Sequence[str] = ()) -> Case:
    def take() -> object:
        Path("fuzz.yaml").write_text(text)
        return check(compose(["fuzz.yaml"]))

    return Case(text, take, wanted)


def judged(case: Case) -> tuple[str | None, int]:
    """Return what is wrong with how a case was taken, and how many of its typos were set right."""
    begun, said = time.process_time(), ""
    try:
        case.take()
    except NnkitError as error:
        said = "\n".join(f"{problem.text}\n{problem.hint}" for problem in error.problems)
        if not isinstance(error, ConfigError):
            return f"{case.shown!r}: exit code {error.exit_code}", 0
        if not all(problem.text.strip() for problem in error.problems):
            return f"{case.shown!r}: nothing is said", 0
    except BaseException:  # noqa: BLE001 - whatever it is, it is no message
        return f"{case.shown!r}: {traceback.format_exc(limit=-3)}", 0
    seconds = time.process_time() - begun
    if seconds > LONGEST_S:
        return f"{case.shown!r}: {seconds:.2f} s", 0
    if case.wanted and not said:
        return f"{case.shown!r}: a typo was taken", 0
    return None, sum(is_asked(key, said) for key in case.wanted)


def is_asked(key: str, said: str) -> bool:
    """Whether a hint asks for this key or option as a whole: one that stands in a list, or as an echo, is no answer."""
    return re.search(rf"^did you mean (?:\S+; )?(?:[\w/]+=)?{re.escape(key)}(?![\w.])", said, re.MULTILINE) is not None


def cases(count: int) -> Iterator[str | None]:
    """Try so many cases; the share of the typos that are set right is one more."""
    known()
    kinds = (typed_wrong, typed_wrong, written_wrong, odd_values, odd_values, broken_file, broken_config, broken_config)
    wanted = right = 0
    missed: list[str] = []
    for number in range(count):
        case = kinds[number % len(kinds)](random.Random(number))
        problem, found = judged(case)
        yield problem
        wanted, right = wanted + len(case.wanted), right + found
        if found < len(case.wanted):
            missed.append(case.shown)
    yield None if right >= RIGHT * wanted else f"{right} of {wanted} typos were set right, not so {missed[:20]}"


FUZZ = Promise(
    "fuzz",
    "words, files and configs with mistakes: taken, or exit 2 with what is wrong; 95 % of typos set right",
    cases,
    300,
    2000,
)
