"""The words behind `nnkit train`: which are options of a group, which are settings, and which are neither."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import cast, final

import yaml

from nnkit.config.architectures import architecture_of
from nnkit.config.options import Groups
from nnkit.config.origin import COMMAND_LINE
from nnkit.config.sent import read_sent
from nnkit.config.synonyms import SYNONYMS, nearest
from nnkit.config.written import word_problem
from nnkit.errors import ConfigError, Problem

# Settings that are free text, such as a path or a separator; those that take a list, too, are one only in brackets.
TEXT_KEYS = frozenset({"root", "output_dir", "target_path", "test_target_path", "cache"})
TEXT_KEYS |= {"delimiter", "target_separator", "comment", "strip"}
TEXT_KEYS |= {"project", "entity", "experiment", "uri"}
LISTED_KEYS = frozenset({"path", "val_path", "test_path"})
SEVERAL, ALONE = "tracker", "none"  # the group that takes several options at once, and the one that stands alone
SWEEPERS = "hydra/sweeper"
SWEEP = "nnkit train -m …"  # of a hint: who knows all words puts them in its place
HYDRA_WORDS = ("hydra/sweeper=", "hydra/launcher=", "hydra.sweeper.", "hydra.launcher.")
TABLES = (".csv", ".tsv", ".txt", ".gz", ".parquet")  # endings of files that are no options
LONGEST_WORD, DEEPEST, LONGEST_NUMBER = 10_000, 20, 400
_ENDLESS = re.compile(rf"\d{{{LONGEST_NUMBER}}}")
_WORD = re.compile(r"^(?P<prefix>[+~]*)(?P<key>[^=]*)(?:=(?P<value>.*))?$", re.DOTALL)
_KEY = re.compile(r"^[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*|\.\d+|\.kwargs(\.[\w-]+)+)*$", re.ASCII)
_LIST = re.compile(r"^\[.*\]$", re.DOTALL)
_SAFE = re.compile(r"^(null)?$")  # a folder may be named 12 or true
_SAFE_LIST = re.compile(r"^[A-Za-z0-9_./,-]*$")


@final
@dataclass(frozen=True, slots=True)
class Words:
    """Checked words.

    Attributes:
        overrides: for Hydra; a setting has become `++key=value`.
        typed: each group and setting that was named, and where.
        overlay: a YAML file that was named, to be laid over the config as an experiment.
    """

    overrides: list[str]
    typed: dict[str, str] = field(default_factory=dict)
    overlay: Path | None = None


def read_words(words: Sequence[str], groups: Groups, *, multirun: bool = False) -> Words:
    """Return the words, ready for Hydra.

    Args:
        words: as typed, without flags.
        groups: the options there are.
        multirun: whether a word may list several values.

    Raises:
        ConfigError: with every word that cannot be taken.
    """
    good, problems = sort_words(words, groups, multirun=multirun)
    if problems:
        raise ConfigError(*problems)
    found = Words([])
    for word in good:
        if not _is_file(word):
            _read_word(word, groups, multirun, found)
    overlay = next((Path(word).resolve() for word in good if _is_file(word)), None)
    return Words(found.overrides, found.typed, overlay)


def sort_words(words: Sequence[str], groups: Groups, *, multirun: bool = False) -> tuple[list[str], list[Problem]]:
    """Return the words that can be taken, and what is wrong with the others."""
    problems: list[Problem] = []
    good, found = [], Words([])
    overlays = [word for word in words if _is_file(word)]
    for word in words:
        if word not in overlays:
            refused = _length_problem(word) or word_problem(word)
            wrong = [refused] if refused else _read_word(word, groups, multirun, found)
            problems += wrong
            good += [] if wrong else [word]
    if overlays and "experiment" in found.typed:
        problems.append(Problem(f"one experiment at a time, got {overlays[0]} and experiment="))
        overlays.clear()
    if len(overlays) > 1:
        problems.append(Problem(f"one config file at a time, got {', '.join(overlays)}"))
    unknown = _sweeper_problems([*good, *overlays], groups)
    problems += unknown.values()
    good = [word for word in good if word not in unknown]
    missing = [path for path in overlays if not Path(path).exists()]
    problems += [Problem(f"{path} is not there", _near_file(Path(path))) for path in missing]
    return good + [path for path in overlays[:1] if path not in missing], problems


def _near_file(path: Path) -> str:
    """Return the YAML file that was meant, or where it was looked for."""
    there = [other.name for other in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    near = nearest(path.name, there)
    return f"did you mean {path.with_name(near)}?" if near else f"it was looked for in {path.parent.absolute()}"


def _length_problem(word: str) -> Problem | None:
    """Return what is wrong with a word that nobody types: Hydra's grammar would take minutes for it."""
    shown, depth, deepest = f"{word[:60]}…", 0, 0
    for sign in word[: LONGEST_WORD + 1]:
        depth += (sign in "[{(") - (sign in ")}]")
        deepest = max(depth, deepest)
    if len(word) > LONGEST_WORD:
        return Problem(f"{shown} has {len(word):,} signs, more than {LONGEST_WORD:,}", "a file: nnkit train my.yaml")
    if deepest > DEEPEST:
        return Problem(f"{shown} is nested {deepest} brackets deep, more than {DEEPEST}")
    if _ENDLESS.search(word):
        return Problem(f"{shown} has a number of more than {LONGEST_NUMBER} digits")
    return None


def _is_file(word: str) -> bool:
    return "=" not in word and word.endswith((".yaml", ".yml"))


def _read_word(word: str, groups: Groups, multirun: bool, found: Words) -> list[Problem]:
    match = _WORD.match(word)
    assert match is not None  # the pattern takes any text
    key, value = match["key"], match["value"]
    if "~" in match["prefix"]:
        hint = f"{key}={next(iter(groups[key]))}" if key in groups else f"{key}=null turns it off, where it can be off"
        return [Problem(f"{word} removes a setting, but each one is needed", hint)]
    if value is None:
        return [_not_a_word(word, groups)]
    if word.startswith(HYDRA_WORDS) and not multirun:
        return [Problem(f"{word} is for a sweep", SWEEP)]
    if word.startswith(HYDRA_WORDS):
        # An option of the sweepers need not show all settings; which there are is checked beside.
        found.overrides.append(f"++{word}" if word.startswith("hydra.sweeper.") else word)
        return _option_problems(key, value, groups, multirun) if "/" in key else []
    if key.partition(".")[0] == "hydra" or key.startswith("hydra/"):
        return [_hydra_problem(word, key)]
    if key == "experiment" and value == "null":
        return []  # no experiment is the default, and Hydra takes no null for a group
    if key in groups:
        found.overrides.append(f"{key}={value}")
        found.typed[key] = COMMAND_LINE
        return _option_problems(key, value, groups, multirun)
    if not _KEY.match(key):
        return [_no_key(key, word, value)]
    found.overrides.append(f"++{key}={quoted(key, value, multirun=multirun)}")
    found.typed[key] = COMMAND_LINE
    return []


def _no_key(key: str, word: str, value: str) -> Problem:
    from nnkit.config.fields import all_keys  # the schema, which a right command line does not need here

    near = nearest(key, sorted(all_keys()), cutoff=0.75)
    hint = f"did you mean {near}={value}?" if near else "section.setting=value, such as optimizer.lr=0.01"
    return Problem(f"{key or word} is not the name of a setting", hint)


def _sweeper_problems(words: Sequence[str], groups: Groups) -> dict[str, Problem]:
    """Return the words that name settings of hydra.sweeper which the chosen sweeper does not have."""
    sweepers = groups.get(SWEEPERS, {})
    chosen = [word.partition("=")[2] for word in words if word.startswith(f"{SWEEPERS}=")]
    name = chosen[-1] if chosen else sweeper_in_file(words, groups) or "grid"
    if name not in sweepers:
        return {}
    known = _settings_of(sweepers[name])
    problems = {}
    for word in words:
        key = word.partition("=")[0].removeprefix("hydra.sweeper.")
        if word.startswith("hydra.sweeper.") and key not in known:
            others = [other for other, path in sweepers.items() if "_" not in other and key in _settings_of(path)]
            hint = f"{' and '.join(f'hydra/sweeper={other}' for other in others)} have it" if others else ""
            near = nearest(key, known)
            hint = hint or (f"did you mean hydra.sweeper.{near}?" if near else f"it has {', '.join(known)}")
            problems[word] = Problem(f"hydra.sweeper.{key} is not a setting of hydra/sweeper={name}", hint)
    return problems


def sweeper_in_file(words: Sequence[str], groups: Groups) -> str:
    """Return the sweeper that an experiment names, where the words name none; empty for none.

    In the file it has no weight beside our default, so it is made a word.
    """
    if any(word.startswith(f"{SWEEPERS}=") for word in words):
        return ""
    experiments = groups.get("experiment", {})
    named = [experiments.get(word.partition("=")[2]) for word in words if word.startswith("experiment=")]
    paths = [path for path in (*named, *(Path(word) for word in words if _is_file(word))) if path and path.is_file()]
    try:
        loaded = read_sent(paths[0])[1] if paths else None
    except (yaml.YAMLError, ValueError, RecursionError, OSError):
        return ""  # it is told where the file is read as a config
    entries = loaded.get("defaults") if isinstance(loaded, dict) else None
    listed = entries if isinstance(entries, list) else []  # what is none is told where Hydra reads it
    pairs = [pair for entry in listed if isinstance(entry, dict) for pair in entry.items()]
    return next((str(option) for key, option in reversed(pairs) if str(key).endswith(SWEEPERS)), "")


def _settings_of(path: Path) -> list[str]:
    """Return the settings of a sweeper: those of its schema, of a stranger's those in its file."""
    from nnkit.config.sections.sweeper import SWEEPERS  # the schema, which most command lines do without

    loaded = yaml.safe_load(path.read_text())
    kind = str(loaded.get("_target_", "")).rpartition(".")[2].removesuffix("Sweeper").lower()
    if kind in SWEEPERS:
        return [field.name for field in fields(cast(type, SWEEPERS[kind]))]
    return [str(key) for key in loaded if key != "_target_"]


def _not_a_word(word: str, groups: Groups) -> Problem:
    for group, options in groups.items():
        if word in options and "/" not in group:
            return Problem(f"{word} is not of the form key=value", f"did you mean {group}={word}?")
    if word in groups:
        return Problem(f"{word} has no value", f"{word}={next(iter(groups[word]))}; options: {', '.join(groups[word])}")
    if word.endswith(TABLES):
        return Problem(f"{word} is not of the form key=value", f"data=table data.path={word} data.target=COLUMN")
    return Problem(f"{word} is not of the form key=value", "such as model=cnn or optimizer.lr=0.01")


def _hydra_problem(word: str, key: str) -> Problem:
    if key.startswith(("hydra.run.", "hydra.sweep.")):
        return Problem(f"{word} is not used: nnkit makes the run folders itself", "output_dir=FOLDER name=NAME")
    if key == "hydra.searchpath":
        return Problem(f"{word} is not used", "--config-dir FOLDER")
    section, _, rest = key.removeprefix("hydra.").removeprefix("hydra/").partition(".")
    near = nearest(section, ["sweeper", "launcher"])
    hint = f"did you mean hydra.{near}.{rest}?" if near and rest else f"did you mean hydra/{near}?" if near else ""
    return Problem(f"{word} is not used: of Hydra's own settings nnkit reads hydra/sweeper and hydra/launcher", hint)


def _option_problems(group: str, value: str, groups: Groups, multirun: bool) -> list[Problem]:
    """Return what is wrong with the option behind `group=`; sweeps in Hydra's longer syntax are left to Hydra."""
    options = groups.get(group, {})
    if group.startswith("hydra/") and value not in options:
        return []  # plugins bring options of their own; Hydra names an unknown one
    if group == SEVERAL:
        return _several_problems(value, groups)
    if value.startswith("["):
        return [Problem(f"{group} takes one option, got the list {value}", f"{group}={next(iter(options))}")]
    if "(" in value:
        return []
    if "," in value and not multirun:
        return [Problem(f"{group}={value} lists several options", SWEEP)]
    return [p for option in value.split(",") for p in _unknown_option(group, option, groups)]


def mended(word: str, groups: Groups) -> str:
    """Return the word of a group with the options that were meant in place of those that are not there."""
    key, equals, value = word.partition("=")
    options = groups.get(key.lstrip("+"), {})
    if not equals or set(value) & set("[(") or not options:
        return word
    meant = (option if option in options else nearest(option, options) for option in value.split(","))
    return f"{key}={','.join(dict.fromkeys(option for option in meant if option))}"


def _several_problems(value: str, groups: Groups) -> list[Problem]:
    """Return what is wrong with one option, or with a list of them in brackets."""
    names = [name.strip() for name in value.strip().removeprefix("[").removesuffix("]").split(",")]
    listed = f"'{SEVERAL}=[{','.join(name for name in dict.fromkeys(names) if name != ALONE)}]'"
    if len(names) > 1 and not _LIST.match(value):
        return [Problem(f"{SEVERAL}={value} must be one option, or several in brackets", listed)]
    if len(names) > 1 and ALONE in names:
        return [Problem(f"{SEVERAL}={value}: {ALONE} stands alone", listed)]
    if names == [""]:
        return [Problem(f"{SEVERAL}={value} names no option", f"{SEVERAL}={ALONE}")]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        return [Problem(f"{SEVERAL}={value} has {double} twice", listed)]
    return [problem for name in names for problem in _unknown_option(SEVERAL, name, groups)]


def _unknown_option(group: str, option: str, groups: Groups) -> list[Problem]:
    options = groups.get(group, {})
    if option in options:
        return []
    near = nearest(option, options) or (SYNONYMS.get(option) if SYNONYMS.get(option) in options else None)
    listed = f"{group} is one of {', '.join(options)}"
    text = f"{group}={option} is not there" if option else f"{group}= has no value"
    if group == "data" and option.endswith(TABLES):
        return [Problem(text, f"data=table data.path={option} data.target=COLUMN")]
    if (meant := _of_another_kind(group, option, groups)) is not None:
        return [Problem(text, f"did you mean {meant}?")]
    return [Problem(text, f"did you mean {group}={near}? ({listed})" if near else listed)]


def _of_another_kind(group: str, option: str, groups: Groups) -> str | None:
    """Return what is no option of the group, but is there: a network of torchvision, a switch, an experiment."""
    if group == "model" and (arch := architecture_of(option)) is not None:
        return f"model=pretrained model.arch={arch}"
    if (synonym := SYNONYMS.get(option, "")).startswith(f"{group}.") and "=" in synonym:
        return synonym
    return f"experiment={option}" if option in groups.get("experiment", {}) else None


def quoted(key: str, value: str, *, multirun: bool = False) -> str:
    """Quote a text that Hydra's grammar would take apart, such as the path `My Data (1).csv`.

    In a sweep a comma separates values.
    """
    safe = _SAFE_LIST if multirun else _SAFE
    name = key.rpartition(".")[2]
    is_path = name in TEXT_KEYS or (name in LISTED_KEYS and not _LIST.match(value))
    is_foreign_text = not value.isascii() and not set(value) & set("()[]{},$")  # Hydra's grammar knows ASCII alone
    if not (is_path or is_foreign_text) or safe.match(value) or value[:1] in "'\"" or value.startswith("${"):
        return value
    return in_quotes(value)


def in_quotes(value: str) -> str:
    """Return a text in quotes, as Hydra's grammar reads it."""
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
    return "'" + re.sub(r"(\\+)$", r"\1\1", escaped) + "'"
