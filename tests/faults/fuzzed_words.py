"""Command lines and config files with mistakes: each is valid, or refused in plain words; typos get what was meant."""

from __future__ import annotations

import itertools
import random
import string
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from nnkit.cli.flags import read_flags
from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.fields import leaves
from nnkit.config.options import Groups, find_groups, search_dirs
from nnkit.errors import ConfigError, Problem
from tests.faults.survival import Promise

SHARE = 0.95  # of one-letter typos that are answered with what was meant
TYPOS_AT_ONCE = 4
LINES = 24
LONGEST_S = 1.0
TIMES_TIMED = 3
ODD = (
    "",
    " ",
    "null",
    "~",
    "nan",
    ".inf",
    "-inf",
    "1e999",
    "-1",
    "0",
    "1e-400",
    "9" * 30,
    "0x10",
    "010",
    "on",
    "12:30",
)
ODD += (
    "true",
    "[]",
    "[[]]",
    "{}",
    "{a: 1}",
    "[1,",
    "]",
    "'",
    '"',
    "a b",
    "ä",
    "日本",
    "\u202e",
    "\x00",
    "1,2",
    "a=b",
    "$",
    "${",
    "${a}",
)
ODD += (
    "${seed}",
    "!!int 3",
    "&a",
    "*a",
    "2026-01-01",
    "choice(1,2)",
    "interval(0,1)",
    "glob(*)",
    "-",
    "--",
    "\\",
    "%",
    "#",
    "@",
)
GROUPS = ("model", "optimizer", "scheduler", "loss", "regularization", "activation", "init", "data")
# What a valid command line is made of; the data sets need no more settings.
OPTIONS = {
    "data": ("digits", "iris", "wine", "breast_cancer"),
    "model": ("mlp", "cnn", "linear"),
    "loss": ("auto", "cross_entropy"),
}
EXCEPT = {"activation": ("code", "softmax"), "init": ("constant",)}


@dataclass
class Shares:
    """How many typos there were, and how many were answered with what was meant."""

    tried: int = 0
    right: int = 0

    @property
    def share(self) -> float:
        return self.right / max(self.tried, 1)


FOUND = Shares()


@cache
def _groups() -> Groups:
    return find_groups(search_dirs())


@cache
def _composed(words: tuple[str, ...]) -> dict[str, Any]:
    return compose(words).values


def _valid(chance: random.Random) -> list[str]:
    """Return the options of a command line, one of a few: composing them takes most of the time."""
    chance = random.Random(chance.randrange(LINES))
    return [f"{group}={chance.choice(_options(group))}" for group in chance.sample(GROUPS, 2)]


def _options(group: str) -> list[str]:
    known = OPTIONS.get(group) or tuple(
        name for name in _groups()[group] if name not in ("code", *EXCEPT.get(group, ()))
    )
    return list(known)


def _setting(chance: random.Random, options: list[str]) -> tuple[str, str]:
    """Return a setting that there is under these options, and its value as it is typed."""
    values = _composed(tuple(sorted(options)))
    key = chance.choice([key for key in leaves(values) if not key.endswith(".kind")])
    section, _, name = key.partition(".")
    value = (values.get(section) or {}).get(name) if name else values.get(section)
    return key, "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value).replace(
        " ", ""
    )


def mistyped(chance: random.Random, word: str) -> str:
    """Return a word with one letter left out, doubled, replaced, added, or two of them exchanged."""
    at = chance.randrange(len(word))
    letter = chance.choice(string.ascii_lowercase)
    kind = chance.randrange(5)
    if kind == 0 and len(word) > 3:
        return word[:at] + word[at + 1 :]
    if kind == 1:
        return word[:at] + word[at] + word[at:]
    if kind == 2 and at + 1 < len(word):
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + letter + word[at + (kind == 3) :]


# One case each: nothing where it is right, or what is wrong.


def _problems(act: Callable[[], Any]) -> tuple[list[Problem], str | None]:
    """Return what a command line is told, and what is wrong with how it is told."""
    for left in reversed(range(TIMES_TIMED)):
        started, problems, broken = time.process_time(), [], None
        try:
            act()
        except ConfigError as error:
            problems = list(error.problems)
        except BaseException:  # noqa: BLE001 - that is what is looked for
            broken = traceback.format_exc()[-1500:]
        seconds = time.process_time() - started
        if broken is not None or seconds < LONGEST_S:
            break
        if not left:
            broken = f"{seconds:.1f} s"
    if any(not problem.text.strip() or "Traceback" in problem.text for problem in problems):
        broken = f"a problem without words: {problems}"
    return problems, broken


def _read(words: list[str]) -> None:
    flags = read_flags(words)
    check(compose(flags.words, config_name=flags.config_name, extra_dirs=flags.config_dirs))


def _typos(chance: random.Random) -> str | None:
    """Mistype several settings and one option; each must be told, with what was meant."""
    options, meant, words = _valid(chance), {}, []
    values = _composed(tuple(sorted(options)))
    known = {*leaves(values), *_groups(), *values}
    for _ in range(TYPOS_AT_ONCE - 1):
        key, value = _setting(chance, options)
        section, dot, name = key.rpartition(".")
        wrong = f"{section}{dot}{mistyped(chance, name)}" if len(name) > 1 else key
        if wrong not in known and wrong not in meant:
            meant[wrong] = key
            words.append(f"{wrong}={value}")
    group, _, option = chance.choice(options).partition("=")
    wrong = mistyped(chance, option) if len(option) > 2 else option
    rest = [word for word in options if not word.startswith(f"{group}=")]
    if wrong not in _groups()[group]:
        meant[f"{group}={wrong}"] = f"{group}={option}"
        rest.append(f"{group}={wrong}")
        # The settings of that option are not there, so that they cannot be what was meant.
        gone = [key for key, right in meant.items() if right.startswith(f"{group}.")]
        words = [word for word in words if word.partition("=")[0] not in gone]
        meant = {key: right for key, right in meant.items() if key not in gone}
    problems, broken = _problems(lambda: _read(["train", *rest, *words][1:]))
    for key, right in meant.items():
        told = [p for p in problems if p.text.startswith(f"{key} ") or p.text.startswith(f"{key}=")]
        if not told and not broken:
            broken = f"nothing is told of {key}: {[p.text for p in problems]}"
        FOUND.tried += 1
        FOUND.right += any(right in f"{p.hint} " for p in told)
    return f"{' '.join([*rest, *words])}: {broken}" if broken else None


def _values(chance: random.Random) -> str | None:
    """Give settings values of the wrong kind."""
    options, words = _valid(chance), []
    for _ in range(3):
        key, value = _setting(chance, options)
        words.append(f"{chance.choice(('', '', '+', '++', '~'))}{key}={chance.choice((*ODD, value + '0', value * 2))}")
    _, broken = _problems(lambda: _read([*options, *words]))
    return f"{[*options, *words]}: {broken}" if broken else None


def _letters(chance: random.Random) -> str | None:
    """Put odd signs anywhere into a valid line, or take parts out, or say things twice."""
    options = _valid(chance)
    words = [
        *options,
        *("=".join(_setting(chance, options)) for _ in range(2)),
        *chance.choice(([], ["--dry-run"], ["--cfg", "job"])),
    ]
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(words))
        word = words[at]
        place = chance.randrange(len(word) + 1)
        kind = chance.randrange(5)
        if kind == 0:
            words[at] = word[:place] + chance.choice((*ODD, "=", ".", "/", "..", "-m", "hydra.")) + word[place:]
        elif kind == 1:
            words[at] = word[:place]
        elif kind == 2:
            words.insert(at, word)
        elif kind == 3:
            words[at] = word[::-1]
        else:
            words[at] = word.replace("=", chance.choice(("==", ":", " = ", "")))
    _, broken = _problems(lambda: _read(words))
    return f"{words}: {broken}" if broken else None


def _files(chance: random.Random) -> str | None:
    """Change a valid file: letters, whole lines, values, keys of other kinds."""
    options = _valid(chance)
    plain: dict[str, Any] = {
        "defaults": [{f"override /{group}": name} for group, _, name in (w.partition("=") for w in options)]
    }
    for _ in range(4):
        key, value = _setting(chance, options)
        section, _, name = key.partition(".")
        if name:
            plain.setdefault(section, {})[name] = yaml.safe_load(value)
        else:
            plain[section] = yaml.safe_load(value)
    if chance.random() < 0.5:
        section = chance.choice([key for key in plain if key != "defaults"] or ["seed"])
        plain[section] = chance.choice(
            (None, [], [1, {"a": None}], "x", -1, {1: 2}, {"kind": [1]}, {"kind": None}, 1e400, {})
        )
    text = yaml.safe_dump(plain, allow_unicode=True)
    if chance.random() < 0.7:
        lines = text.splitlines()
        for _ in range(chance.randrange(1, 3)):
            at = chance.randrange(len(lines))
            line, place = lines[at], chance.randrange(len(lines[at]) + 1)
            lines[at] = chance.choice(
                (
                    line[:place] + chance.choice(ODD) + line[place:],
                    f"  {line}",
                    line[:place],
                    f"{line}\n{line}",
                    f"\t{line}",
                )
            )
        text = "\n".join(lines)
    with tempfile.TemporaryDirectory() as place_of:
        path = Path(place_of) / "my.yaml"
        path.write_text(text)
        _, broken = _problems(lambda: _read([str(path)]))
    return f"{text!r}: {broken}" if broken else None


KINDS: tuple[Callable[[random.Random], str | None], ...] = (_typos, _values, _letters, _files)


def case(seed: int) -> str | None:
    """Try one mistaken command line or file."""
    try:
        broken = KINDS[seed % len(KINDS)](random.Random(seed))
    except Exception:  # noqa: BLE001 - a mistake of this file, told like any other
        broken = traceback.format_exc()
    return None if broken is None else f"seed {seed}: {broken}"


def cases(count: int) -> Iterator[str | None]:
    """Try so many, each typo being one, and the share of typos that are answered with what was meant."""
    FOUND.tried, FOUND.right, done = 0, 0, 0
    for seed in itertools.count():
        before = FOUND.tried
        yield case(seed)
        more = max(FOUND.tried - before - 1, 0)  # the others of its line
        yield from [None] * more
        done += 1 + more
        if done >= count - 1:
            break
    told = f"{FOUND.right} of {FOUND.tried} one-letter typos are answered with what was meant"
    yield None if FOUND.share >= SHARE else told


FUZZED = Promise(
    name="fuzzed-words",
    text="mistaken command lines and files: valid, or refused in plain words within a second",
    cases=cases,
    in_ci=300,
    in_soak=2000,
)
