"""`nnkit list [GROUP[/OPTION]] [--json]`: groups, options, and the settings of an option with their comments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from nnkit.config.architectures import CLASSIFIERS, SEGMENTERS
from nnkit.config.options import PRIMARY, Groups, config_dir, find_groups, search_dirs
from nnkit.config.synonyms import nearest
from nnkit.config.words import SWEEPERS
from nnkit.errors import ConfigError

ARCH = "model.arch"
FOLDS = "cv"  # a section without options
NETWORKS = {"pictures": CLASSIFIERS, "masks": SEGMENTERS}
OURS = (SWEEPERS,)  # the groups of Hydra that have options of nnkit
USAGE = "usage: nnkit list [GROUP | GROUP/OPTION | GROUP=OPTION | model.arch] [--json]"


def command(argv: list[str]) -> int:
    """Print what there is, and return the exit code."""
    if "--help" in argv or "-h" in argv:
        print(USAGE)
        return 0
    words = [word for word in argv if word != "--json"]
    wrong = [word for word in words if word.startswith("-")]
    if wrong or len(words) > 1:
        raise ConfigError(
            f"list takes one group or option, got {' '.join(wrong or words)}", hint=USAGE.removeprefix("usage: ")
        )
    if words[:1] == [ARCH]:
        print(json.dumps({ARCH: NETWORKS}, indent=2) if "--json" in argv else _architectures())
        return 0
    if words[:1] == [FOLDS]:
        print(_of_primary(FOLDS))
        return 0
    groups = {name: options for name, options in find_groups(search_dirs()).items() if "/" not in name or name in OURS}
    group, option = _asked(words[0] if words else "", groups)
    if group and group not in groups:
        near = nearest(group, [*groups, ARCH])
        raise ConfigError(
            f"{group} is not a group", hint=f"did you mean {near}?" if near else f"groups: {', '.join(groups)}"
        )
    if option and option not in groups[group]:
        near = nearest(option, groups[group])
        hint = f"did you mean {group}/{near}?" if near else f"options: {', '.join(groups[group])}"
        raise ConfigError(f"{group} has no option {option}", hint=hint)
    print(_as_json(groups, group) if "--json" in argv else _as_text(groups, group, option))
    return 0


def _architectures() -> str:
    """Return torchvision's networks as words, with what each answers for."""
    return "\n".join(f"{ARCH}={arch:<32}for {what}" for what, names in NETWORKS.items() for arch in names)


def _of_primary(section: str) -> str:
    """Return the lines of a section that has no options and stands in the primary config."""
    lines = (config_dir() / PRIMARY).read_text().splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith(f"{section}:"))
    behind = (n for n, line in enumerate(lines[first + 1 :], first + 1) if not line.startswith(" "))
    return "\n".join(lines[first : next(behind, len(lines))]).rstrip()


def _asked(word: str, groups: Groups) -> tuple[str, str]:
    """Return group and option of GROUP, GROUP/OPTION or GROUP=OPTION; a group may have a slash of its own."""
    word = word.replace("=", "/").strip("/")
    if word in groups:
        return word, ""
    count = 2 if word.startswith("hydra/") else 1
    whole = "/".join(word.split("/")[:count])
    return whole, word.removeprefix(whole).lstrip("/")


def _as_json(groups: Groups, group: str) -> str:
    chosen = {group: groups[group]} if group else groups
    return json.dumps({name: sorted(options) for name, options in sorted(chosen.items())}, indent=2)


def _as_text(groups: Groups, group: str, option: str) -> str:
    if option:
        return groups[group][option].read_text().rstrip()
    if group:
        return "\n".join(f"{group}={name:<16}{summary(path)}" for name, path in sorted(groups[group].items()))
    return "\n".join(f"{name:<16}{', '.join(_names(options))}" for name, options in sorted(groups.items()))


def _names(options: Mapping[str, Path]) -> list[str]:
    return sorted(options)


def summary(path: Path) -> str:
    """Return an option's first comment."""
    comments = [line.removeprefix("#").strip() for line in path.read_text().splitlines() if line.startswith("#")]
    return next((text for text in comments if not text.startswith("@package")), "")
