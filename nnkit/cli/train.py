"""`nnkit train`: one run, a dry run, or a sweep."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnkit.cli.as_sweep import telling_sweep
from nnkit.cli.flags import Flags, read_flags
from nnkit.cli.messages import note, note_overruled
from nnkit.cli.own_code import leaving_log, tell_log
from nnkit.command import Command
from nnkit.config.compose import compose
from nnkit.config.trackers import refuse_missing
from nnkit.config.words import SWEEP
from nnkit.errors import ConfigError, StorageError
from nnkit.lock import FolderLock
from nnkit.secrets import redacted_yaml
from nnkit.storage import remove_folder
from nnkit.usercode import check_code

if TYPE_CHECKING:
    from nnkit.config.options import Groups
    from nnkit.config.schema import Config
    from nnkit.config.stranger import Stranger
    from nnkit.final import Result
    from nnkit.train.sink import Sink


def command(argv: list[str]) -> int:
    """Train as the words say, and return the exit code."""
    flags = read_flags(argv)
    note_overruled(flags.words)
    with telling_sweep(flags):
        return _command(flags, argv)


def _command(flags: Flags, argv: list[str]) -> int:
    if "--help" in flags.own:
        from nnkit.cli.help import train_help

        print(train_help())
        return 0
    if "--dry-run" in flags.own and (flags.multirun or flags.hydra):
        raise ConfigError("--dry-run looks at one run", hint="leave out -m, --cfg and --info")
    if "--retry-failed" in flags.own:
        if not flags.multirun:
            raise ConfigError("--retry-failed is for a sweep", hint=SWEEP)
        flags.words.append("hydra.sweeper.retry_failed=true")
    if flags.multirun:
        return sweep(flags)
    if flags.hydra:
        return _shown_by_hydra(flags)
    from nnkit.config.check import check  # the schema; showing a config does without

    composed = compose(
        flags.words, config_name=flags.config_name, extra_dirs=flags.config_dirs, trust="--trust" in flags.own
    )
    config = check(composed)
    if "--dry-run" in flags.own:
        from nnkit.cli.dry import dry_run

        check_code(composed.values)
        refuse_missing(config)
        dry_run(config)
        return 0
    typed = Command.here("train", *argv)
    with leaving_log(config, typed):
        check_code(composed.values)
    refuse_missing(config)
    return _train(config, typed)


def _train(config: Config, command: Command) -> int:
    from nnkit.runs import CHECKPOINTS, CONFIG, new_folder
    from nnkit.track.log import LOG

    folder = new_folder(config)
    with FolderLock(folder):  # before torch is imported: a second process on the folder is told at once
        try:
            from nnkit.cli.folds import train_folds
            from nnkit.cli.guard_table import show_report
            from nnkit.cli.way_on import telling_way_on
            from nnkit.run import train
            from nnkit.track.console import Picks, ProgressBar
            from nnkit.train.stopping import catching_signals

            with catching_signals() as signals, telling_way_on(folder, config):
                show = partial(show_report, columns=config.data.kind == "table", classes=False)
                sinks: list[Sink] = [Picks(show), ProgressBar()]
                result = (train_folds if config.cv.is_on else train)(config, folder, sinks, signals, command=command)
        except BaseException:
            if any((folder / name).exists() for name in (CONFIG, CHECKPOINTS)):
                print(f"the run is in {folder}", file=sys.stderr)
            elif (folder / LOG).exists():
                tell_log(folder)
            else:  # it never began: wrong words for the data, bad data
                with suppress(StorageError):  # what is wrong has been said
                    remove_folder(folder)
            raise
    return report(result, signals.number, config)


def report(result: Result, signal_number: int, config: Config) -> int:
    """Print how a run ended: a table on standard error, the folder on standard output. Returns the exit code."""
    from nnkit.cli.folds import show_folds
    from nnkit.cli.report import show_result
    from nnkit.tracking import where_to_look

    show_folds(result.folder)
    show_result(result)
    for line in where_to_look(config, result.folder, result.untold):
        note(line)
    print(result.folder, flush=True)
    if config.trainer.plots and result.best is not None and result.status != "interrupted":
        from nnkit.cli.pictures import draw_training

        draw_training(result.folder, result.title, result.best["epoch"])
    return 128 + signal_number if result.status == "interrupted" else 0


def sweep(flags: Flags, folder: Path | None = None, *, is_tuning: bool = False) -> int:
    """Sweep as the words say, and return the exit code.

    Args:
        flags: with the words.
        folder: of the sweep that shall go on, whose words they are; None for what the user has typed.
        is_tuning: whether hydra.sweeper.params are suggestions, and the time ends the trials that run, too.
    """
    from nnkit.cli.sweep_asked import Asked, asking, sender

    asked = Asked(
        words=flags.words,
        config_name=flags.config_name,
        config_dirs=flags.config_dirs,
        folder=folder,
        is_tuning=is_tuning,
        trust="--trust" in flags.own,
    )
    with asking(asked):
        return _through_hydra(flags, sender(asked))


def _shown_by_hydra(flags: Flags) -> int:
    """Let Hydra show the config, or itself: without the schema, which takes a third of the time."""
    from nnkit.config.options import search_dirs
    from nnkit.config.stranger import sender_of_words

    if "--trust" in flags.own:
        return _through_hydra(flags, None)
    return _through_hydra(flags, sender_of_words(flags.words, search_dirs(flags.config_dirs), flags.config_name))


def _through_hydra(flags: Flags, sender: Stranger | None) -> int:
    """Let Hydra's own main do what its flags ask for: show the config, show itself, or sweep."""
    from nnkit.config.compose import hydra_words
    from nnkit.config.stranger import environment_for

    with environment_for(sender):
        asked: Any = {
            "config_name": flags.config_name,
            "extra_dirs": flags.config_dirs,
            "trust": "--trust" in flags.own,
        }
        starts = flags.multirun or "--cfg" not in flags.hydra
        telling: AbstractContextManager[None] = nullcontext()
        if flags.multirun:
            from nnkit.config.beside import telling_all

            telling = telling_all(flags.words, **asked)
        with telling:
            overrides, folder, groups = hydra_words(flags.words, multirun=flags.multirun, starts=starts, **asked)
        _run_hydra(flags, overrides, folder, groups)
    return 0


def _run_hydra(flags: Flags, overrides: Sequence[str], folder: Path, groups: Groups) -> None:
    """Run Hydra's main on words of ours, and leave the process as it was. Raises: ConfigError; what a sweep raises."""
    import hydra

    from nnkit.config.compose import translated

    words = ["nnkit train", *overrides, *flags.hydra, *(["--multirun"] if flags.multirun else [])]
    before, had = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    log = logging.getLogger()
    level, handlers = log.level, [*log.handlers]
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = words, had or "1"
    _let_argparse_take_hydras_help()
    try:
        with translated(groups), _shown_without_secrets(flags):
            hydra.main(version_base="1.3", config_path=str(folder), config_name=flags.config_name)(_never_called)()
    except ValueError as error:
        raise ConfigError(str(error)) from None
    except RuntimeError as error:
        if not str(error).startswith("Unknown plugin class"):
            raise
        raise ConfigError(f"hydra/sweeper or hydra/launcher: {error}", hint="nnkit list hydra/sweeper") from None
    finally:
        sys.argv = before
        log.setLevel(level)
        log.handlers[:] = handlers  # with --info, Hydra logs to the terminal from here on
        if had is None:
            os.environ.pop("HYDRA_FULL_ERROR", None)


@contextmanager
def _shown_without_secrets(flags: Flags) -> Iterator[None]:
    """Let Hydra show a config without the secrets in it: it is shown before it is checked."""
    if not flags.hydra:
        yield
        return
    shown = io.StringIO()
    try:
        with redirect_stdout(shown):
            yield
    finally:
        print(redacted_yaml(shown.getvalue()), end="", flush=True)


def _never_called(config: object) -> None:
    """Stand in as Hydra's task: with --cfg and --info Hydra calls none, and the sweeper trains by itself."""
    raise AssertionError(f"Hydra ran a task outside the sweeper: {config}")


def _let_argparse_take_hydras_help() -> None:
    """From Python 3.14 on, argparse formats each help text when it is added, which Hydra 1.3's lazy one cannot bear."""
    import argparse

    if sys.version_info >= (3, 14):
        argparse.ArgumentParser._check_help = lambda *_: None  # type: ignore[attr-defined]
