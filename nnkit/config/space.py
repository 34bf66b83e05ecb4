"""The space of a sweep: what is fixed, what varies, and the composed config of each point."""

from __future__ import annotations

import copy
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, final

from hydra.core.override_parser.types import Glob, IntervalSweep, Override
from omegaconf import DictConfig, OmegaConf, open_dict

from nnkit.config.check import read_by
from nnkit.config.compose import composed_of, load, parse, translated
from nnkit.config.domains import Choices, Domain, Interval
from nnkit.config.options import Groups
from nnkit.config.origin import COMMAND_LINE, Composed
from nnkit.errors import ConfigError, Problem

# A reference that no setting changes; where there are others, OmegaConf resolves each point anew.
_OF_THE_ENVIRONMENT = re.compile(r"\$\{oc\.env:[^${}]*\}")
OF_THE_SWEEP = ("name", "output_dir", "tags", "tracker")
MOST_TRIALS = 100_000
MOST_BASES = 256  # sets of group choices that are looked at to see whether a setting is read anywhere


@final
@dataclass(frozen=True, slots=True)
class Combination:
    """One point of a space.

    Attributes:
        changed: the keys that differ between trials, with this trial's values as written; those that nothing reads here
            are left out.
        composed: the whole config, not checked yet.
        values: of all keys that vary, as written.
    """

    changed: Mapping[str, str]
    composed: Composed
    values: Mapping[str, str]


@final
@dataclass(frozen=True, slots=True)
class _Base:
    """What one set of group choices composes.

    Attributes:
        config: Hydra's, with the node `hydra`.
        composed: its values.
        is_plain: whether no value refers to another setting.
    """

    config: DictConfig
    composed: Composed
    is_plain: bool

    def has(self, key: str) -> bool:
        """Whether it has a setting."""
        section, _, name = key.partition(".")
        return name in self.composed.values.get(section, {}) if name else section in self.composed.values


@final
class Space:
    """The settings of a sweep. Each distinct set of group choices is composed once. Use it inside `opened`."""

    def __init__(
        self,
        overrides: Sequence[str],
        config_name: str,
        groups: Groups,
        *,
        trust: bool = False,
        suggested: Iterable[str] = (),
    ) -> None:
        """Take what a sweep was asked for.

        Args:
            overrides: in Hydra's form, as `hydra_overrides` returns them.
            config_name: the primary config.
            groups: the options there are.
            trust: whether the configs may run code.
            suggested: keys that are left out without a word where nothing reads them.

        Raises:
            ConfigError: a sweep over nothing, or an interval that is none.
        """
        self._parsed = _last_of_each(parse(overrides))
        self._config_name, self._groups, self._trust = config_name, groups, trust
        self._typed = {o.key_or_group: COMMAND_LINE for o in self._parsed if not o.key_or_group.startswith("hydra")}
        found = {o.key_or_group: domain_of(o, groups) for o in self._parsed}
        self.domains: Mapping[str, Domain] = {key: domain for key, domain in found.items() if domain is not None}
        self._suggested = frozenset(suggested)
        self._bases: dict[tuple[str, ...], _Base] = {}

    def seeded(self, point: Combination, seeds: int) -> list[Combination]:
        """Return a point once for each of several seeds, from its own upwards; for one, as it is."""
        if seeds == 1:
            return [point]
        first = point.composed.values["seed"]
        return [self.point(point.values, seed=first + k) for k in range(seeds)]

    def point(self, values: Mapping[str, str], *, seed: int | None = None) -> Combination:
        """Return the config where each swept setting has this value.

        What a point does not read (model.channels where model=mlp) is left out there, if another choice of groups reads
        it; otherwise it stays, for the check to tell.

        Args:
            values: of each key of `domains`, as written.
            seed: of the training, where it is not to be the config's own.

        Raises:
            ConfigError: an override that Hydra cannot take.
        """
        idle: frozenset[str] = frozenset()
        while True:
            combination = self._combined(values, idle, seed)
            more = self._idle(combination.composed, self._base(values, idle)) - idle
            if not more:
                return combination
            idle |= more

    def _combined(self, values: Mapping[str, str], idle: frozenset[str], seed: int | None = None) -> Combination:
        base = self._base(values, idle)
        settings = {o.key_or_group: self._value(o, values) for o in self._parsed if _is_setting(o)}
        settings = {key: value for key, value in settings.items() if key not in idle}
        typed = {key: where for key, where in self._typed.items() if key not in idle}
        # Hydra escapes the colon in module:Name
        changed = {key: values[key].replace("\\:", ":") for key in self.domains if key not in idle}
        if seed is not None:
            settings["seed"], typed["seed"], changed["seed"] = seed, COMMAND_LINE, str(seed)
        if not base.is_plain or any(isinstance(v, str) and "${" in v for v in settings.values()):
            return Combination(changed, self._resolved(base, settings, typed), values)
        plain = copy.deepcopy(base.composed.values)
        for key, value in settings.items():
            _put(plain, key, value)
        in_file = {key: where for key, where in base.composed.typed.items() if where != COMMAND_LINE}
        return Combination(changed, replace(base.composed, values=plain, typed=in_file | typed), values)

    def _resolved(self, base: _Base, settings: Mapping[str, Any], typed: Mapping[str, str]) -> Composed:
        config = base.config.copy()
        for key, value in settings.items():
            with open_dict(config):
                OmegaConf.update(config, key, value, merge=True, force_add=True)
        with translated(self._groups):
            return composed_of(config, typed, self._groups)

    def _value(self, override: Override, values: Mapping[str, str]) -> Any:
        if not override.is_sweep_override():
            return override.value()
        key = override.key_or_group
        domain = self.domains[key]
        if isinstance(domain, Interval):
            return int(values[key]) if domain.is_int else float(values[key])
        return copy.deepcopy(_read(f"++{key}={values[key]}").value())

    def _base(self, values: Mapping[str, str], idle: frozenset[str]) -> _Base:
        words = [_word(o, values) for o in self._parsed if not _is_setting(o) and o.key_or_group not in idle]
        choices = tuple(words)
        if choices not in self._bases:
            with translated(self._groups):
                config = load(self._config_name, choices, trust=self._trust)
                composed = composed_of(config, self._typed, self._groups)
            names: list[Any] = [name for name in config if name != "hydra"]
            text = str(OmegaConf.to_container(OmegaConf.masked_copy(config, names)))
            self._bases[choices] = _Base(config, composed, "${" not in _OF_THE_ENVIRONMENT.sub("", text))
        return self._bases[choices]

    def _idle(self, composed: Composed, base: _Base) -> frozenset[str]:
        """Return the swept keys that this point does not read, but another one does."""
        if not self.group_choices and not self._suggested:
            return frozenset()
        unread = {key for key in {*self.domains, *self._suggested} if not self._reads(composed, base, key)}
        return frozenset(key for key in unread if key in self._suggested or key in self._read_somewhere)

    def _reads(self, composed: Composed, base: _Base, key: str) -> bool:
        return (key not in self._settings or base.has(key)) and read_by(composed, key)

    @cached_property
    def _settings(self) -> frozenset[str]:
        return frozenset(o.key_or_group for o in self._parsed if _is_setting(o))

    @cached_property
    def group_choices(self) -> Mapping[str, Choices]:
        """The swept groups."""
        return {
            key: domain
            for key, domain in self.domains.items()
            if key not in self._settings and isinstance(domain, Choices)
        }

    def _sets_of_choices(self) -> Iterator[dict[str, str]]:
        products = itertools.product(*(choices.values for choices in self.group_choices.values()))
        for chosen in itertools.islice(products, MOST_BASES):
            yield dict(zip(self.group_choices, chosen, strict=True))

    def bases(self) -> Iterator[tuple[str, Composed]]:
        """Yield each set of swept group choices, as typed, with what it composes beside the settings' first values."""
        first = {key: domain.at(0) for key, domain in self.domains.items()}
        for chosen in self._sets_of_choices():
            label = " ".join(f"{group}={option}" for group, option in chosen.items())
            yield label, self.point({**first, **chosen}).composed

    @cached_property
    def _read_somewhere(self) -> frozenset[str]:
        """The swept keys that some choice of groups reads."""
        first = {key: domain.at(0) for key, domain in self.domains.items()}
        found: set[str] = set()
        for chosen in self._sets_of_choices():
            values = {**first, **chosen}
            base = self._base(values, frozenset())
            there = frozenset(key for key in self._settings if key in self.domains and not base.has(key))
            composed = self._combined(values, there).composed
            found |= {key for key in self.domains if self._reads(composed, base, key)}
        return frozenset(found)


def grid(space: Space) -> Iterator[Combination]:
    """Yield every combination of the listed values, in the order of a nested loop; equal ones once.

    Raises:
        ConfigError: an interval, which has no grid; or as `Space.point`.
    """
    endless = [key for key, domain in space.domains.items() if isinstance(domain, Interval)]
    if endless:
        hint = "{0}=1e-3,1e-2 or range(1,9,2); an interval is for hydra/sweeper=random or bayes"
        raise ConfigError(*(Problem(f"{key} is an interval, which has no grid", hint.format(key)) for key in endless))
    lists = [domain.values for domain in space.domains.values() if isinstance(domain, Choices)]
    check_number(math.prod(len(values) for values in lists), "the grid has {:,} points")
    seen: set[tuple[tuple[str, str], ...]] = set()
    for values in itertools.product(*lists):
        combination = space.point(dict(zip(space.domains, values, strict=True)))
        key = tuple(combination.changed.items())
        if key not in seen:
            seen.add(key)
            yield combination


def check_number(trials: int, text: str) -> None:
    """Refuse a sweep that nobody waits for the end of. Raises: ConfigError, with the text that the number stands in."""
    if trials > MOST_TRIALS:
        hint = "hydra/sweeper=random hydra.sweeper.trials=100"
        raise ConfigError(Problem(f"{text.format(trials)}, more than {MOST_TRIALS:,}", hint))


def _last_of_each(parsed: Sequence[Override]) -> list[Override]:
    """Return the overrides that count: of a key that is given twice the last one, as Hydra has it.

    Raises:
        ConfigError: one that decides nothing is swept over.
    """
    problems = []
    for override in parsed:
        if override.key_or_group.partition(".")[0] in OF_THE_SWEEP and override.is_sweep_override():
            text = f"{override.key_or_group} decides nothing, and all trials of a sweep have it in common"
            problems.append(Problem(text, f"{override.key_or_group}=VALUE"))
    if problems:
        raise ConfigError(*problems)
    return list({override.key_or_group: override for override in parsed}.values())


@lru_cache(4096)  # each value of a sweep comes many times
def _read(word: str) -> Override:
    return parse([word])[0]


def _is_setting(override: Override) -> bool:
    """Whether an override is of a setting, not of a group: `hydra_overrides` writes those with ++."""
    return (override.input_line or "").startswith("++")


def _word(override: Override, values: Mapping[str, str]) -> str:
    if not override.is_sweep_override():
        return override.input_line or ""
    return f"{override.get_key_element().lstrip('+')}={values[override.key_or_group]}"


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a leaf of nested dicts; a mapping joins the one that is there."""
    *above, name = key.split(".")
    for part in above:
        below = values.setdefault(part, {})
        if not isinstance(below, dict):
            below = values[part] = {}
        values = below
    old = values.get(name)
    if isinstance(value, dict) and isinstance(old, dict):
        for part, inner in value.items():
            _put(old, str(part), inner)
    else:
        values[name] = copy.deepcopy(value)


def domain_of(override: Override, groups: Groups) -> Domain | None:
    """Return what an override sweeps over, or None if it is one value. Raises: ConfigError, for one that is empty."""
    if not override.is_sweep_override():
        return None
    key, value = override.key_or_group, override.value()
    if getattr(value, "shuffle", False):
        raise ConfigError(Problem(f"{key}: shuffle(…) would be another sweep each time", f"{key}=choice(…)"))
    if isinstance(value, Glob):
        return _options_of(key, value, groups)
    if isinstance(value, IntervalSweep):
        return _interval_of(key, value)
    if unknown := getattr(value, "tags", ()):
        raise ConfigError(
            Problem(f"{key}: the tag {', '.join(sorted(unknown))} is for an interval", "tag(log, interval(1e-4,1e-1))")
        )
    values = tuple(itertools.islice(override.sweep_string_iterator(), MOST_TRIALS + 1))
    if len(values) > MOST_TRIALS:
        raise ConfigError(Problem(f"{key} sweeps over more than {MOST_TRIALS:,} values", f"{key}=interval(LOW,HIGH)"))
    if not values:
        raise ConfigError(Problem(f"{key} sweeps over no value", f"{key}=1,2 or {key}=range(1,9,2)"))
    return Choices(values)


def _options_of(key: str, value: Glob, groups: Groups) -> Choices:
    """Return the options of a group that a glob names. Raises: ConfigError."""
    if key not in groups:
        raise ConfigError(Problem(f"{key}: glob(…) is for a group, and {key} is a setting", f"{key}=choice(1,2)"))
    names = value.filter(sorted(groups[key]))
    if not names:
        raise ConfigError(Problem(f"{key}: no option fits the glob", f"options: {', '.join(sorted(groups[key]))}"))
    return Choices(tuple(names))


def _interval_of(key: str, value: IntervalSweep) -> Interval:
    assert value.start is not None
    assert value.end is not None
    low, high = value.start, value.end
    tags = value.tags
    if unknown := sorted(tags - {"log"}):
        raise ConfigError(Problem(f"{key}: the tag {', '.join(unknown)} is unknown", "tag(log, interval(1e-4,1e-1))"))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ConfigError(Problem(f"{key}: an interval needs two finite numbers, got {low} and {high}"))
    if low >= high:
        hint = f"{key}=interval({high},{low})" if low > high else f"{key}={low}"
        raise ConfigError(Problem(f"{key}: interval({low},{high}) holds no number between its ends", hint))
    if "log" in tags and low <= 0:
        raise ConfigError(
            Problem(f"{key}: tag(log, …) needs an interval above 0, got {low}", "begin above 0, or no log")
        )
    return Interval(low, high, "log" in tags, isinstance(low, int) and isinstance(high, int))
