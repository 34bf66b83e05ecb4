"""The trials of a sweep: from overrides that list values to one composed config a combination."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from nnkit.config.compose import composed_of, load, parse, translated
from nnkit.config.options import Groups
from nnkit.config.origin import COMMAND_LINE, Composed
from nnkit.errors import ConfigError, Problem


@final
@dataclass(frozen=True, slots=True)
class Combination:
    """One combination of the listed values.

    Attributes:
        changed: the keys that differ between trials, with this trial's values as written.
        composed: the whole config, not checked yet.
    """

    changed: Mapping[str, str]
    composed: Composed


def grid(overrides: Sequence[str], config_name: str, groups: Groups, *, trust: bool = False) -> list[Combination]:
    """Return every combination of the values that the overrides list, in the order of a nested loop.

    Each distinct set of group choices is composed once; settings are laid over a copy. Inside `opened`.

    Args:
        overrides: in Hydra's form, as `hydra_overrides` returns them.
        config_name: the primary config.
        groups: the options there are.
        trust: whether the configs may run code.

    Raises:
        ConfigError: a range without points, or an override that Hydra cannot take.
    """
    parsed = parse(overrides)
    endless = [o for o in parsed if o.is_interval_sweep()]
    if endless:
        raise ConfigError(
            *(
                Problem(
                    f"{o.key_or_group} is an interval, which has no grid", f"{o.key_or_group}=1e-3,1e-2 or range(1,9,2)"
                )
                for o in endless
            )
        )
    swept = [o.key_or_group for o in parsed if o.is_sweep_override()]
    typed = {o.key_or_group: COMMAND_LINE for o in parsed if not o.key_or_group.startswith("hydra")}
    cache: dict[tuple[str, ...], DictConfig] = {}
    combinations = []
    for words in itertools.product(*(_alternatives(o) for o in parsed)):
        with translated(groups):
            config = _composed(words, config_name, cache, trust)
            composed = composed_of(config, typed, groups)
        pairs = [word.lstrip("+").partition("=") for word in words]
        written = {key: value.replace("\\:", ":") for key, _, value in pairs}  # Hydra escapes it in module:Name
        combinations.append(Combination({key: written[key] for key in swept}, composed))
    return combinations


def _alternatives(override: Override) -> list[str]:
    if override.is_sweep_override():
        prefix = "++" if (override.input_line or "").startswith("++") else ""
        key = override.get_key_element().lstrip("+")
        return [f"{prefix}{key}={value}" for value in override.sweep_string_iterator()]
    return [override.input_line or ""]


def _composed(
    words: Sequence[str], config_name: str, cache: dict[tuple[str, ...], DictConfig], trust: bool
) -> DictConfig:
    """Return the config of one combination; the part that the groups decide comes from the cache."""
    choices = tuple(word for word in words if not word.startswith("++"))
    if choices not in cache:
        cache[choices] = load(config_name, choices, trust=trust)
    config = cache[choices].copy()
    for override in parse([word for word in words if word.startswith("++")]):
        value: Any = override.value()
        with open_dict(config):
            OmegaConf.update(config, override.key_or_group, value, merge=True, force_add=True)
    return config
