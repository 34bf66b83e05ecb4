"""Flags of `nnkit train`: nnkit's own are taken out, Hydra's are kept, and words may stand on both sides of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import final

from nnkit.errors import ConfigError, Problem

OWN = ("--dry-run", "--trust", "--help", "--multirun", "--retry-failed")
VALUED = {"--config-name": "name", "--config-dir": "dir", "--cfg": "hydra", "--package": "hydra", "--info": "hydra"}
HYDRA = ("--resolve", "--hydra-help")
SHORT = {
    "-h": "--help",
    "-m": "--multirun",
    "-c": "--cfg",
    "-p": "--package",
    "-i": "--info",
    "-cn": "--config-name",
    "-cd": "--config-dir",
}
REFUSED = {
    "--experimental-rerun": "it would run code from a pickle",
    "--config-path": "use --config-dir FOLDER",
    "-cp": "use --config-dir FOLDER",
    "--shell-completion": "use nnkit completion bash",
    "-sc": "use nnkit completion bash",
    "--run": "it is what train does without -m",
    "-r": "it is what train does without -m",
}
CFG = ("job", "hydra", "all")
INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


@final
@dataclass(slots=True)
class Flags:
    """What stands behind `nnkit train`, sorted.

    Attributes:
        words: options and settings.
        own: nnkit's flags that were given.
        hydra: Hydra's flags with their values, for Hydra's own parser.
        config_name: the primary config.
        config_dirs: more folders of options.
    """

    words: list[str] = field(default_factory=list)
    own: set[str] = field(default_factory=set)
    hydra: list[str] = field(default_factory=list)
    config_name: str = "train"
    config_dirs: list[Path] = field(default_factory=list)

    @property
    def multirun(self) -> bool:
        """Whether a sweep was asked for."""
        return "--multirun" in self.own


def read_flags(argv: Sequence[str]) -> Flags:
    """Sort the words behind `nnkit train`. Raises: ConfigError with every flag that cannot be taken."""
    flags, problems, left = Flags(), [], list(argv)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=") if word.startswith("-") else (word, "", "")
        name = SHORT.get(name, name)
        if not word.startswith("-"):
            flags.words.append(word)
        elif name in REFUSED:
            problems.append(Problem(f"{name} is not used", REFUSED[name]))
        elif name in OWN:
            flags.own.add(name)
        elif name in HYDRA:
            flags.hydra.append(name)
        elif name == "--info":
            given = value or (left.pop(0) if left and left[0] in INFO else "all")
            flags.hydra += [name, given]
        elif name in VALUED:
            if not equals and not left:
                problems.append(Problem(f"{name} needs a value"))
            else:
                _take(flags, name, value if equals else left.pop(0))
        else:
            problems.append(_unknown(word, left[0] if left else ""))
    if problems:
        raise ConfigError(*problems)
    return flags


def _take(flags: Flags, name: str, value: str) -> None:
    if VALUED[name] == "name":
        flags.config_name = value.removesuffix(".yaml")
    elif VALUED[name] == "dir":
        flags.config_dirs.append(Path(value))
    elif name == "--cfg" and value not in CFG:
        raise ConfigError(f"--cfg must be one of {', '.join(CFG)}, got '{value}'", hint="nnkit train --cfg job")
    else:
        flags.hydra += [name, value]


def _unknown(word: str, behind: str) -> Problem:
    known = [*OWN, *VALUED, *HYDRA, *SHORT, "--debug"]
    is_value = behind and not behind.startswith("-") and "=" not in behind and "=" not in word
    if word.startswith("--") and is_value and not get_close_matches(word, known, n=1, cutoff=0.75):
        return Problem(f"{word} is not a flag", f"a setting has no dashes: {word[2:].replace('-', '_')}={behind}")
    if word.startswith("--") and ("=" in word or "-" in word[2:]):
        near = get_close_matches(word.partition("=")[0], known, n=1)
        return Problem(
            f"{word} is not a flag",
            f"did you mean {near[0]}?" if near else f"a setting has no dashes: {word.lstrip('-')}",
        )
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return Problem(f"{word} is not a flag", f"did you mean {near[0]}?" if near else "nnkit train --help")
