"""`nnkit completion SHELL`, and the hidden query behind it, answered from the config files alone."""

from __future__ import annotations

from pathlib import Path

import yaml

from nnkit.catalog.entry import COLUMNS
from nnkit.cli import COMMANDS
from nnkit.cli.runs import COMMANDS as RUNS
from nnkit.cli.words import LAST
from nnkit.config.options import Groups, config_dir, find_groups, search_dirs
from nnkit.config.origin import flatten
from nnkit.errors import ConfigError

BASH = """\
_nnkit() {
    local IFS=$'\\n' word="${COMP_LINE:0:COMP_POINT}"
    word="${word##* }"
    COMPREPLY=($(nnkit _complete "${COMP_CWORD}" "${COMP_WORDS[1]}" "$word" 2>/dev/null))
    if [[ "$word" == *=* && "$COMP_WORDBREAKS" == *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]#*=}")
    fi
    [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == *[=./] ]] && compopt -o nospace
}
complete -o default -F _nnkit nnkit"""
ZSH = """\
#compdef nnkit
_nnkit() {
    local -a found
    found=("${(@f)$(nnkit _complete $((CURRENT - 1)) "${words[2]}" "${words[CURRENT]}" 2>/dev/null)}")
    compadd -S '' -- $found
}
compdef _nnkit nnkit"""
FISH = """\
function __nnkit
    nnkit _complete (count (commandline -opc)) (commandline -opc)[2] (commandline -ct) 2>/dev/null
end
complete -c nnkit -f -a '(__nnkit)'"""
OF_A_RUN = ("resume", "eval", "predict", "generate", "export")
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def command(argv: list[str]) -> int:
    """Print a completion script, or answer its query; return the exit code."""
    if argv[:1] == ["_complete"]:
        print("\n".join(candidates(*[*argv[1:], "", "", ""][:3])))
        return 0
    if argv == ["--help"] or argv == ["-h"]:
        print('usage: nnkit completion bash|zsh|fish      (bash: eval "$(nnkit completion bash)" in ~/.bashrc)')
        return 0
    if len(argv) != 1 or argv[0] not in SCRIPTS:
        raise ConfigError(
            f"completion takes one of {', '.join(SCRIPTS)}, got '{' '.join(argv)}'", hint="nnkit completion bash"
        )
    print(SCRIPTS[argv[0]])
    return 0


def candidates(position: str, first: str, word: str) -> list[str]:
    """Return what may stand in place of the word under the cursor.

    Args:
        position: of the word on the line; 1 is the command.
        first: the word at position 1.
        word: what has been typed of it so far.
    """
    if position in ("", "0", "1"):
        return [name for name in COMMANDS if name.startswith(word)]
    if first in OF_A_RUN and position == "2":
        return [*([LAST] if LAST.startswith(word) else []), *_paths(word, folders=True)]
    if first in ("eval", "predict", "generate", "export"):
        return _paths(word)
    groups = {name: options for name, options in find_groups(search_dirs()).items() if "/" not in name}
    if first == "list":
        return [name for name in groups if name.startswith(word)]
    if first == "completion":
        return [name for name in SCRIPTS if name.startswith(word)]
    group, equals, _ = word.partition("=")
    if equals:
        return [found for o in groups.get(group, {}) if (found := f"{group}={o}").startswith(word)]
    settings = [found for found in [*(f"{g}=" for g in groups), *_settings(groups)] if found.startswith(word)]
    if first == "runs":
        words = [*(RUNS if position == "2" else ()), *(f"{name}=" for name in COLUMNS if f"{name}=" not in settings)]
        return [*(name for name in words if name.startswith(word)), *settings, *_paths(word, folders=True)]
    return [*settings, *_paths(word)] if first == "data" and position == "2" else settings


def _paths(word: str, *, folders: bool = False) -> list[str]:
    """Return the files and folders, or the folders alone, that begin with a word; a folder ends with a slash."""
    head, slash, name = word.rpartition("/")
    place = Path(f"{head}{slash}" or ".").expanduser()
    try:
        found = sorted(path for path in place.iterdir() if path.name.startswith(name))
    except OSError:
        return []
    shown = (path for path in found if name.startswith(".") or not path.name.startswith("."))
    return [f"{head}{slash}{path.name}{'/' * path.is_dir()}" for path in shown if path.is_dir() or not folders]


def _settings(groups: Groups) -> list[str]:
    """Return every setting of every option, as `section.setting=`."""
    found = {f"{name}=" for name in ("name", "seed", "tags", "output_dir")}
    cv = yaml.safe_load((config_dir() / "train.yaml").read_text())["cv"]
    found.update(f"cv.{key}=" for key in cv)
    for group, options in groups.items():
        if group != "experiment":
            found.update(f"{group}.{key}=" for path in options.values() for key in _keys(path) if key != "kind")
    return sorted(found)


def _keys(path: Path) -> list[str]:
    loaded = yaml.safe_load(path.read_text())
    return [key for key, _ in flatten(loaded)] if isinstance(loaded, dict) else []
