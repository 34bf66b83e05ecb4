"""`nnkit tune data=… [--budget 10m]`: given data, find a model and its settings in a given time."""

from __future__ import annotations

import math
import re
import time
from typing import TYPE_CHECKING

from nnkit.cli.as_sweep import telling_sweep
from nnkit.cli.flags import Flags
from nnkit.cli.messages import note, note_overruled, show_usage
from nnkit.cli.own_code import leaving_log
from nnkit.cli.words import Read, read_command
from nnkit.command import Command
from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.words import SWEEPERS
from nnkit.errors import ConfigError
from nnkit.machine import cores

if TYPE_CHECKING:
    from nnkit.config.schema import Config
    from nnkit.spec import DataSpec

USAGE = """\
usage: nnkit tune data=OPTION [section.setting=value ...] [--budget 10m] [--jobs N]

Tries models and settings that fit the data, the promising ones longer, until the time is over, and chooses on the
validation rows alone. The winner looks at the test set once. Words narrow the search: model=mlp, optimizer=adam.
--budget  the time in all: 90s, 10m, 2h; 10m by default
--jobs    trials at once; one a core by default
The spaces are nnkit's options of hydra/sweeper that begin with tune_ (nnkit list hydra/sweeper)."""
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
SHORTEST_S = 20.0
RESERVE, LEAST_RESERVE_S = 0.03, 2.0  # of the time, for the table and the winner's test
LEAST_LEFT_S, TIMES_SPENT = 1.0, 5  # for trials, without which there is nothing to choose; how much more to give
BATCH_SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
FEWEST_STEPS = 10  # an epoch, for a batch size to be tried
LONG_STEPS = 12_000  # of the longest training, at the middle batch size
EPOCHS = (10, 150)


def command(argv: list[str]) -> int:
    """Tune as the words say, and return the exit code."""
    if not argv or "--help" in argv or "-h" in argv:
        return show_usage(USAGE, argv)
    begun = time.monotonic()
    read = read_command(argv, command="tune", flags=(), valued=("budget", "jobs"), short={})
    note_overruled(read.words)
    budget = seconds_of(read.values.get("budget", "10m"))
    jobs = _jobs(read)
    if not any(word.startswith(("data=", "experiment=")) or word.endswith((".yaml", ".yml")) for word in read.words):
        raise ConfigError("tune needs data", hint="nnkit tune data=table data.path=my.csv data.target=price")
    for word in read.words:
        if word.lstrip("+").startswith("hydra"):
            raise ConfigError(
                f"{word}: tune sets the sweeper itself", hint="--budget, --jobs, and words that narrow it"
            )
    with telling_sweep(Flags(words=read.words)):
        config = check(compose(read.words))
    if config.cv.is_on:
        raise ConfigError("tune chooses on the validation rows, and cv.folds has none", hint="leave out cv.folds")
    with leaving_log(config, Command.here("tune", *argv)):
        spec, rows = _seen(config)
    from nnkit.cli.train import sweep

    left = left_of(budget, time.monotonic() - begun)
    named = {word.partition("=")[0] for word in read.words}
    words = [word for word in _by_size(rows) if word.partition("=")[0] not in named]
    words += [f"{SWEEPERS}=tune_{_kind(spec)}", f"hydra.sweeper.timeout_s={left:.1f}", f"hydra.sweeper.jobs={jobs}"]
    note(f"{rows:,} training rows; the space is hydra/sweeper=tune_{_kind(spec)}, for {budget:g} s with {jobs} at once")
    return sweep(Flags(words=[*read.words, *words], own={"--multirun"}), is_tuning=True)


def left_of(budget: float, spent: float) -> float:
    """Return the seconds that are left for trials, of a budget of which some are spent. Raises: ConfigError."""
    left = budget - max(budget * RESERVE, LEAST_RESERVE_S) - spent
    if left < LEAST_LEFT_S:
        text = f"--budget {budget:g}s leaves no time for a trial: looking at the data alone took {spent:.1f} s"
        raise ConfigError(text, hint=f"--budget {math.ceil(TIMES_SPENT * spent / 60)}m")
    return left


def seconds_of(text: str) -> float:
    """Return a span of time, such as 90s, 10m, 2h, in seconds. Raises: ConfigError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip().lower())
    if match is None:
        raise ConfigError(f"--budget must be a time such as 90s, 10m, 2h, got {text}", hint="--budget 10m")
    seconds = float(match[1]) * UNITS[match[2]]
    if seconds < SHORTEST_S:
        raise ConfigError(f"--budget must be at least {SHORTEST_S:g}s, got {text}", hint="--budget 1m")
    return seconds


def _jobs(read: Read) -> int:
    text = read.values.get("jobs")
    if text is None:
        return cores()
    if not text.isdigit() or int(text) < 1:
        raise ConfigError(f"--jobs must be a whole number >= 1, got {text}", hint="--jobs 2")
    return int(text)


def _seen(config: Config) -> tuple[DataSpec, int]:
    """Return what the data is, and how many rows there are to train on. Raises: DataError, ConfigError."""
    from nnkit import data
    from nnkit.assemble import fitted

    source = data.read(config.data)
    train = data.split_by(config.data, source).train
    return fitted(config.data, source, train, target_scaling="none").spec, len(train)


def _kind(spec: DataSpec) -> str:
    """Return the space that fits the data."""
    if spec.task in ("forecast", "language"):
        return spec.task
    if spec.is_per_pixel:
        return "masks"
    return {"image": "images", "series": "series", "tokens": "texts"}.get(spec.inputs[0].kind, "features")


def _by_size(rows: int) -> list[str]:
    """Return what depends on the number of training rows: batch sizes, and the longest training."""
    sizes = [size for size in BATCH_SIZES if size * FEWEST_STEPS <= rows][-4:] or [BATCH_SIZES[0]]
    middle = sizes[len(sizes) // 2]
    epochs = round(min(max(LONG_STEPS * middle / rows, EPOCHS[0]), EPOCHS[1]))
    return [f"batching.batch_size={','.join(map(str, sizes))}", f"trainer.max_epochs={epochs}"]
