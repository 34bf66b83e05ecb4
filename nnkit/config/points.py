"""The points of a space that a sweep tries."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nnkit.config.domains import Choices, Domain, Interval
from nnkit.config.fields import leaf_of, leaves
from nnkit.config.identity import LIMITS
from nnkit.config.marks import Resume
from nnkit.config.origin import flatten
from nnkit.config.sections.sweeper import RandomConfig, SweepConfig
from nnkit.config.space import Combination, Space, check_number, grid
from nnkit.errors import ConfigError, Problem
from nnkit.seeding import derive

MOST_DRAWS = 200  # of one point, before the space counts as used up


def points(space: Space, sweeper: SweepConfig) -> list[Combination]:
    """Return the points of a sweep, each as often as there are seeds; those of equal settings stand together.

    Raises:
        ConfigError: nothing varies where it has to, an interval under grid, more points asked for than there are.
    """
    _check_seeds(space, sweeper)
    found = drawn(space, sweeper) if isinstance(sweeper, RandomConfig) else grid(space)
    return [seeded for point in found for seeded in space.seeded(point, sweeper.seeds)]


def probes(space: Space, sweeper: SweepConfig) -> list[Combination]:
    """Return points that show whether a space has sense, before points of it are proposed one by one: each end of each
    interval and each value, beside the first ones of the others.

    Raises:
        ConfigError: nothing varies.
    """
    _check_seeds(space, sweeper)
    _check_varies(space, "bayes")
    return [*ends(space)]


def ends(space: Space) -> Iterator[Combination]:
    """Yield each end of each interval and each value of a space once, beside the first ones of the others."""
    first = {key: domain.at(0) for key, domain in space.domains.items()}
    lists = ((key, _ends_of(domain)) for key, domain in space.domains.items())
    seen: set[tuple[tuple[str, str], ...]] = set()
    for changed in ({}, *({key: value} for key, values in lists for value in values)):
        point = space.point({**first, **changed})
        if (key := tuple(point.changed.items())) not in seen:
            seen.add(key)
            yield point


def _ends_of(domain: Domain) -> Sequence[str]:
    return domain.values if isinstance(domain, Choices) else (domain.at(0), domain.written(domain.high))


def bases(space: Space) -> dict[str, dict[str, Any]]:
    """Return what the trials of a sweep have in common: for each set of swept group choices, settings by key.

    What touches no result (threads, the place of the runs) is left out.
    """
    found = {}
    for label, composed in space.bases():
        known = leaves(composed.values)
        flat = dict(flatten(composed.values))
        found[label] = {key: value for key, value in flat.items() if key not in space.domains and _decides(key, known)}
    return found


def _decides(key: str, known: Mapping[str, Any]) -> bool:
    try:
        mark = leaf_of(known, key).mark
    except KeyError:
        return True
    is_data = key.startswith("data.") and key.rpartition("_")[2] in ("data.path", "path")
    return mark is not Resume.LIVE or key in LIMITS or is_data


def _check_seeds(space: Space, sweeper: SweepConfig) -> None:
    if sweeper.seeds > 1 and "seed" in space.domains:
        text = f"hydra.sweeper.seeds={sweeper.seeds} trains each point with several seeds, but seed is swept over, too"
        raise ConfigError(Problem(text, "one of the two"))


def _check_varies(space: Space, sweeper: str) -> None:
    if not space.domains:
        hint = f"hydra/sweeper={sweeper} 'optimizer.lr=tag(log, interval(1e-4,1e-1))'"
        text = f"hydra/sweeper={sweeper} has nothing to draw: no setting has several values"
        raise ConfigError(Problem(text, hint))


def drawn(space: Space, sweeper: RandomConfig) -> Iterator[Combination]:
    """Yield distinct points, each a function of the seed and of its number alone, but for repeats.

    Raises:
        ConfigError: nothing varies, or the space has fewer points.
    """
    _check_varies(space, "random")
    check_number(sweeper.trials, "hydra.sweeper.trials={:,} asks for that many")
    seen: set[tuple[tuple[str, str], ...]] = set()
    for number in range(sweeper.trials):
        chance = random.Random(derive(sweeper.seed, "point", number))
        for _ in range(MOST_DRAWS):
            point = space.point({key: domain.at(chance.random()) for key, domain in space.domains.items()})
            key = tuple(point.changed.items())
            if key not in seen:
                break
        else:
            text = f"hydra.sweeper.trials={sweeper.trials} asks for more points than the space has"
            raise ConfigError(Problem(text, f"hydra.sweeper.trials={number}" + _hint_at_grid(space.domains)))
        seen.add(key)
        yield point


def _hint_at_grid(domains: Mapping[str, Domain]) -> str:
    return "" if any(isinstance(domain, Interval) for domain in domains.values()) else ", or hydra/sweeper=grid"
