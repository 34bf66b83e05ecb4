"""What a sweep was asked for, kept in its folder, so that it can go on and what has changed since is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, final

from nnkit.config.sections.sweeper import often_changed
from nnkit.config.suggest import spell
from nnkit.errors import ConfigError, Problem


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a sweep was asked for.

    Attributes:
        words: behind `nnkit train`, as they were typed, without flags.
        config_name: the primary config.
        config_dirs: absolute, more folders of options.
        folder: where the user was, for ./configs and relative paths.
        sweeper: its name.
        settings: of hydra.sweeper that decide which trials there are, by name.
        space: the domain of each swept setting, as plain data.
        is_tuning: whether `nnkit tune` asks.
        bases: by each set of swept group choices, what the trials have in common: settings by key.
    """

    words: list[str]
    config_name: str
    config_dirs: list[str] = field(default_factory=list)
    folder: str
    sweeper: str
    settings: dict[str, Any]
    space: dict[str, Any]
    bases: dict[str, dict[str, Any]]
    is_tuning: bool = False

    def to_plain(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return asdict(self)

    def check_same(self, now: Plan) -> None:
        """Refuse to mix two sweeps. Raises: ConfigError, with every difference between this plan and `now`."""
        *others, last = often_changed(self.sweeper)
        hint = f"hydra.sweeper.{', '.join(others)} and {last} may change; for anything else choose another name=NAME"
        problems = [Problem(text, hint) for text in self._differences(now)]
        if problems:
            raise ConfigError(*problems)

    def _differences(self, now: Plan) -> Iterator[str]:
        if self.sweeper != now.sweeper:
            yield f"the sweep was begun with hydra/sweeper={self.sweeper}, not {now.sweeper}"
            return
        yield from _changed(self.settings, now.settings, "hydra.sweeper.")
        for key in {**self.space, **now.space}:
            then, here = self.space.get(key), now.space.get(key)
            if then != here:
                yield f"{key} is swept over {_domain(here)}; in this sweep it was {_domain(then)}"
        told: set[str] = set()
        for label in self.bases.keys() & now.bases.keys():
            for text in _changed(self.bases[label], now.bases[label]):
                if text not in told:
                    told.add(text)
                    yield text


def _changed(then: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key in {**then, **now}:
        if then.get(key) != now.get(key):
            yield f"{prefix}{key} is {spell(now.get(key))}; in this sweep it was {spell(then.get(key))}"


def _domain(plain: Any) -> str:
    if plain is None:
        return "nothing"
    if "values" in plain:
        return ",".join(plain["values"])
    inner = f"interval({plain['low']},{plain['high']})"
    return f"tag(log, {inner})" if plain["log"] else inner
