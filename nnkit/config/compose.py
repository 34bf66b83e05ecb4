"""Hydra's part: from words to plain values. Every error of Hydra and OmegaConf leaves here in our own words."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nnkit.config.instead import instead_of_several, unreadable
from nnkit.config.options import Groups, find_groups, search_dirs
from nnkit.config.origin import Composed, flatten
from nnkit.config.plain_yaml import one_line, unread
from nnkit.config.sent import read_sent, sent_problems
from nnkit.config.stranger import environment_for, sender_of
from nnkit.config.synonyms import nearest
from nnkit.config.words import SWEEP, SWEEPERS, Words, mended, read_words, sort_words, sweeper_in_file
from nnkit.errors import ConfigError, Problem

NO_SETTING = " is not a setting of "
# What an experiment may put under hydra/: anything else with a `_target_` would run code while Hydra starts.
TRUSTED_TARGETS = ("hydra_plugins.", "hydra._internal.core_plugins.")
PLAIN_CLASSES = ("logging.StreamHandler", "logging.NullHandler", "logging.Formatter")
PLAIN_STREAMS = ("ext://sys.stdout", "ext://sys.stderr")
# A function's value, or another section: either may hold a `_target_` that is not seen before it is resolved.
_CALLED = re.compile(r"\$\{(?!hydra[.:]|now:|\.)")


def compose(
    words: Sequence[str], *, config_name: str = "train", extra_dirs: Sequence[Path] = (), trust: bool = False
) -> Composed:
    """Return the values that the words ask for, not checked yet.

    Args:
        words: options, settings and at most one YAML file, without flags.
        config_name: the primary config.
        extra_dirs: folders of options beside nnkit's own and ./configs.
        trust: whether the configs may run code.

    Raises:
        ConfigError: with every word that cannot be taken.
    """
    dirs = search_dirs(extra_dirs)
    groups = find_groups(dirs)
    again = {"config_name": config_name, "extra_dirs": extra_dirs, "trust": trust}
    problems = sort_words(words, groups)[1]
    if problems:
        raise ConfigError(*problems, *_problems_of_the_rest(words, groups, again))
    read = read_words(words, groups)
    overrides = hydra_overrides(read, dirs, trust=trust)
    with opened(dirs), translated(groups):
        try:
            refuse_sweeps(overrides)
        except ConfigError as error:
            raise ConfigError(*error.problems, *_problems_of_the_rest(words, groups, again)) from None
        stranger = None if trust else sender_of(read.overlay, words, dirs, config_name)
        with environment_for(stranger):
            composed = composed_of(load(config_name, overrides, trust=trust), read.typed, groups)
    if stranger is not None and (asked_for := stranger.problems(composed)):
        raise ConfigError(*asked_for)
    swept = [key for key in composed.typed if key.startswith(("hydra.sweeper", "hydra/sweeper"))]
    if swept and not trust:
        raise ConfigError(f"{swept[0]} is for a sweep (in {composed.typed[swept[0]]})", hint=SWEEP)
    return composed


def _problems_of_the_rest(words: Sequence[str], groups: Groups, settings: Mapping[str, Any]) -> Sequence[Problem]:
    """Return what else is wrong with words of which some cannot be taken, so that one look shows everything.

    Args:
        words: all of them.
        groups: the options there are.
        settings: for `compose`.
    """
    from nnkit.config.check import check  # the schema, which a right command line does not need here

    good = sort_words(words, groups)[0]
    rest = {word: taken for word in words if (taken := _one_value_of(word, groups, word in good)) is not None}
    unsaid = {word.partition("=")[0].lstrip("+~") for word in words if rest.get(word) != word}
    if sort_words([*rest.values()], groups)[1]:  # two files, say: nobody knows which one was meant
        return ()
    try:
        check(compose([*rest.values()], **settings))
    except ConfigError as error:
        return [each for each in error.problems if each.text.partition(" ")[0] not in unsaid or NO_SETTING in each.text]
    return ()


def _one_value_of(word: str, groups: Groups, is_good: bool) -> str | None:
    """Return a word with one value: the first of several, or the option that was meant; None where there is none."""
    if not is_good:
        word = mended(word, groups).partition(",")[0]
    try:
        swept = [each for each in parse(read_words([word], groups).overrides) if each.is_sweep_override()]
        values = [next(iter(each.sweep_string_iterator()), None) for each in swept if not each.is_interval_sweep()]
    except (ConfigError, HydraException):
        return None
    key = word.partition("=")[0]
    return f"{key}={values[0]}" if values and values[0] else word if not swept else f"{key}=1"


def load(config_name: str, overrides: Sequence[str], *, mode: RunMode = RunMode.RUN, trust: bool = False) -> DictConfig:
    """Return Hydra's composed config, with the node `hydra`; inside `opened`. Raises: ConfigError; Hydra's errors."""
    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    try:
        config = hydra.compose_config(
            config_name=config_name, overrides=list(overrides), run_mode=mode, from_shell=False
        )
    except ValueError as error:  # a defaults list that is none, a name in a list's place, a file that is not UTF-8
        raise ConfigError(_uncomposable(error, {})) from None
    problems = [] if trust else foreign_code(config.hydra)
    if problems:
        raise ConfigError(*problems)
    return config


def hydra_words(
    words: Sequence[str], *, config_name: str, extra_dirs: Sequence[Path], multirun: bool, trust: bool, starts: bool
) -> tuple[list[str], Path, Groups]:
    """Return the overrides for Hydra's own main, the folder of the primary config, and the groups.

    Where Hydra starts loggers or plugins (`starts`: all but showing the config), the config is composed once before,
    so that what they would run is refused before they start.

    Raises:
        ConfigError: with every word that cannot be taken.
    """
    dirs = search_dirs(extra_dirs)
    groups = find_groups(dirs)
    read = read_words(words, groups, multirun=multirun)
    named = sweeper_in_file(words, groups)
    overrides = [*hydra_overrides(read, dirs, trust=trust), *([f"{SWEEPERS}={named}"] if named else [])]
    with opened(dirs), translated(groups):
        if multirun:
            parse(overrides)
        else:
            refuse_sweeps(overrides)
        if starts:
            load(config_name, overrides, mode=RunMode.MULTIRUN if multirun else RunMode.RUN, trust=trust)
    return overrides, dirs[0], groups


def hydra_overrides(read: Words, dirs: Sequence[Path], *, trust: bool = False) -> list[str]:
    """Return Hydra's overrides for the words: the search path, the overlay as an experiment, and the words.

    Raises:
        ConfigError: the overlay cannot be read, or does what a file that was sent must not do, unless it is trusted or
            lies in one of the config folders.
    """
    overrides = list(read.overrides)
    if read.overlay is not None:
        is_own = trust or sender_of(read.overlay, (), dirs, "") is None
        overrides.append(f"experiment={_store_overlay(read.overlay, is_own=is_own)}")
    if len(dirs) > 1:
        places = ",".join(f"'file://{path}'" for path in dirs[1:])
        overrides.append(f"hydra.searchpath=[{places}]")
    return overrides


@contextmanager
def opened(dirs: Sequence[Path]) -> Iterator[None]:
    """Open Hydra on the config folders, and leave no trace of it afterwards."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(dirs[0]), job_name="train"):
        yield


def composed_of(config: DictConfig, typed: Mapping[str, str], groups: Groups) -> Composed:
    """Return the values of a composed config with their origin.

    Args:
        config: with the node `hydra`.
        typed: the groups and settings on the command line; what the experiment names is added.
        groups: the options there are.

    Raises:
        ConfigError: a value refers to something that is not there.
    """
    choices = {
        k: str(v) for k, v in config.hydra.runtime.choices.items() if v is not None and not k.startswith("hydra/")
    }
    experiment = choices.pop("experiment", None)
    files = {g: groups[g][o] for g, o in choices.items() if o in groups.get(g, {})}
    named = dict(typed)
    if experiment is not None:
        in_file = _typed_in(groups.get("experiment", {}).get(experiment) or _overlay(experiment))
        _refuse_unread_hydra(in_file)
        named = {**in_file, **named}
    names: list[Any] = [k for k in config if k != "hydra"]  # not all of them text: YAML takes `1: x`
    plain = OmegaConf.masked_copy(config, names)
    try:
        values = OmegaConf.to_container(plain, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(Problem(f"{error.full_key or 'config'} cannot be resolved: {_first_line(error)}")) from None
    assert isinstance(values, dict)
    return Composed(_without_missing(values), dict(sorted(choices.items())), named, files)


def _refuse_unread_hydra(typed: Mapping[str, str]) -> None:
    """Refuse settings of Hydra in an experiment that nnkit does not use, such as hydra.run.dir. Raises: ConfigError."""
    used = ("hydra.callbacks", "hydra.job_logging", "hydra.hydra_logging", "hydra.sweeper", "hydra.launcher")
    unread = [key for key in typed if key.startswith("hydra.") and not key.startswith(used)]
    if unread:
        raise ConfigError(
            *(Problem(f"{key} is not used (in {typed[key]})", "output_dir=FOLDER name=NAME") for key in unread)
        )


def _overlay(name: str) -> Path:
    """Return the file behind an experiment that `_store_overlay` made known."""
    return Path(str(ConfigStore.instance().repo["experiment"][f"{name}.yaml"].provider))


def _typed_in(path: Path) -> dict[str, str]:
    """Return the groups and settings that an experiment file names. Raises: ConfigError."""
    loaded = read_sent(path)[1] or {}
    if not isinstance(loaded, dict):
        raise ConfigError(Problem(f"{path} must hold settings by name, got {loaded!r}"))
    entries = [entry for entry in loaded.pop("defaults", []) if isinstance(entry, dict)]
    named = [str(key).removeprefix("override ").lstrip("/") for entry in entries for key in entry]
    return dict.fromkeys([*named, *(key for key, _ in flatten(loaded))], str(path))


def _store_overlay(path: Path, *, is_own: bool) -> str:
    """Make a YAML file known to Hydra as an option of `experiment`, and return its name. Raises: ConfigError."""
    with translated({}):
        try:
            data, values = read_sent(path)
            problems = [] if is_own else sent_problems(values, path)  # at once: OmegaConf takes minutes for some texts
            node = OmegaConf.load(io.StringIO(data.decode())) if not problems else None
            if node is not None and not is_own:
                problems = sent_problems(OmegaConf.to_container(node, resolve=False), path)
        except (yaml.YAMLError, ValueError, RecursionError, OSError) as error:
            raise ConfigError(unread(path, error)) from None
    if problems:
        raise ConfigError(*problems)
    if not isinstance(node, DictConfig):
        raise ConfigError(Problem(f"{path} must hold settings by name, got {type(node).__name__}"))
    name = "file_" + re.sub(r"\W", "_", path.stem)  # not the name of a shipped experiment
    ConfigStore.instance().store(group="experiment", name=name, node=node, package="_global_", provider=str(path))
    return name


def _without_missing(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Drop mandatory values that nobody gave (`???`), so that the schema reports them as missing."""
    return {
        str(k): _without_missing(v) if isinstance(v, Mapping) else v
        for k, v in values.items()
        if not (isinstance(v, str) and v == "???")
    }


def parse(overrides: Sequence[str]) -> list[Override]:
    """Parse overrides, each for itself. Raises: ConfigError with every one that is not of Hydra's grammar."""
    parser, parsed, problems = OverridesParser.create(), [], []
    for word in overrides:
        try:
            parsed.append(parser.parse_override(word))
        except (OverrideParseException, HydraException, ValueError) as error:  # a ValueError: a number of 5,000 digits
            problems.append(unreadable(word, _first_line(error.__cause__ or error)))
    if problems:
        raise ConfigError(*problems)
    return parsed


def refuse_sweeps(overrides: Sequence[str]) -> None:
    """Refuse words that list several values where one run is asked for. Raises: ConfigError."""
    swept = [o for o in parse(overrides) if o.is_sweep_override()]
    if swept:
        shown = [f"{o.key_or_group}={(o.input_line or '').partition('=')[2]}" for o in swept]
        raise ConfigError(*(Problem(f"{word} lists several values", instead_of_several(word)) for word in shown))


def foreign_code(hydra_node: DictConfig) -> list[Problem]:
    """Return what Hydra would run or import while it starts: callbacks, logging factories, foreign plugins."""
    node = OmegaConf.to_container(hydra_node, resolve=False)
    assert isinstance(node, dict)
    problems = []
    if node.get("callbacks"):
        problems.append(Problem("hydra.callbacks would run code from a config", "leave it out, or pass --trust"))
    for name in ("job_logging", "hydra_logging"):
        if any(_is_made(key, value) for key, value in _walk(node.get(name) or {})):
            problems.append(Problem(f"hydra.{name} would run code from a config", "leave it out, or pass --trust"))
    for name in ("sweeper", "launcher"):
        section = node.get(name) or {}
        plugin = section.get("_target_") if isinstance(section, dict) else section
        for key, value in _walk({name: section}):
            is_plugin = value is plugin and str(value).startswith(TRUSTED_TARGETS)
            if (key == "_target_" and not is_plugin) or (isinstance(value, str) and _CALLED.search(value)):
                problems.append(Problem(f"hydra.{name} would run {value}", "name a plugin, or pass --trust"))
    return problems


def _is_made(key: str, value: Any) -> bool:
    """Tell whether Python's logging would make something of an entry: what it names is imported and called."""
    is_named = isinstance(value, str) and value.startswith(("ext://", "cfg://")) and value not in PLAIN_STREAMS
    return key in ("()", "_target_") or (key == "class" and value not in PLAIN_CLASSES) or is_named


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key), inner
            yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)


@contextmanager
def translated(groups: Groups) -> Iterator[None]:
    """Turn what Hydra, OmegaConf and the YAML parser raise into a ConfigError."""
    try:
        yield
    except MissingConfigException as error:
        raise ConfigError(_missing_option(error, groups)) from None
    except yaml.YAMLError as error:
        raise ConfigError(Problem(f"a config file is not valid YAML: {one_line(error)}")) from None
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_uncomposable(error, groups)) from None


def _uncomposable(error: Exception, groups: Groups) -> Problem:
    """Word what Hydra, or OmegaConf under it, says of values that do not go together."""
    text = _first_line(error)
    if error.__cause__ is not None:
        word = text.removeprefix("Error merging override ").lstrip("+")
        return Problem(f"{word} cannot be set: {_first_line(error.__cause__)}")
    if text.endswith(":"):
        text = " ".join(str(error).strip().splitlines()[:2])
    unknown = re.search(r"Could not override '([^']+)'", text)
    near = nearest(unknown[1], groups) if unknown else None
    return Problem(f"the config cannot be composed: {text}", f"did you mean override /{near}?" if near else "")


def _missing_option(error: MissingConfigException, groups: Groups) -> Problem:
    group, _, option = (error.missing_cfg_file or "").rpartition("/")
    options = groups.get(group, {})
    near = nearest(option, options)
    listed = f"{group} is one of {', '.join(options)}" if options else _first_line(error)
    return Problem(
        f"{group or 'config'}={option} is not there", f"did you mean {group}={near}? ({listed})" if near else listed
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
