"""The points of a space that a sweep tries."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

from nnkit.config.domains import Domain, Interval
from nnkit.config.sections.sweeper import GridConfig, RandomConfig, SweepConfig
from nnkit.config.space import Combination, Space, grid
from nnkit.errors import ConfigError, Problem
from nnkit.seeding import derive

MOST_DRAWS = 200  # of one point, before the space counts as used up


def points(space: Space, sweeper: SweepConfig) -> list[Combination]:
    """Return the points of a sweep, each as often as there are seeds; those of equal settings stand together.

    Raises:
        ConfigError: nothing varies where it has to, an interval under grid, more points asked for than there are.
    """
    if sweeper.seeds > 1 and "seed" in space.domains:
        text = f"hydra.sweeper.seeds={sweeper.seeds} trains each point with several seeds, but seed is swept over, too"
        raise ConfigError(Problem(text, "one of the two"))
    found = drawn(space, sweeper) if isinstance(sweeper, RandomConfig) else grid(space)
    return [seeded for point in found for seeded in space.seeded(point, sweeper.seeds)]


def drawn(space: Space, sweeper: RandomConfig) -> Iterator[Combination]:
    """Yield distinct points, each a function of the seed and of its number alone, but for repeats.

    Raises:
        ConfigError: nothing varies, or the space has fewer points.
    """
    if not space.domains:
        hint = "hydra/sweeper=random 'optimizer.lr=tag(log, interval(1e-4,1e-1))'"
        raise ConfigError(Problem("hydra/sweeper=random has nothing to draw: no setting has several values", hint))
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


SWEEPERS: Mapping[str, type[SweepConfig]] = {"grid": GridConfig, "random": RandomConfig}
