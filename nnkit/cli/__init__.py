"""The `nnkit` command: from the first word to the function that does the work. Light: heavy imports wait for it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

from nnkit import __version__
from nnkit.cli.messages import show_error, show_traceback
from nnkit.errors import ConfigError, NnkitError, OutOfMemoryError

# What the loader of shared libraries says.
NO_MEMORY_TO_LOAD = ("failed to map segment", "annot allocate memory", "cannot create shared object descriptor")
# Command, its module, what it does.
COMMANDS = {
    "train": ("nnkit.cli.train", "train one network, or with -m a sweep of them"),
    "resume": ("nnkit.cli.resume", "go on with a run that was stopped"),
    "tune": ("nnkit.cli.tune", "given data, find a model and its settings in a given time"),
    "eval": ("nnkit.cli.evaluate", "measure a finished run on its test set, or on new data"),
    "predict": ("nnkit.cli.predict", "answers of a finished run for rows without labels"),
    "generate": ("nnkit.cli.generate", "let a finished language model continue a text"),
    "export": ("nnkit.cli.export", "write a finished run's network as onnx, torch_export or safetensors"),
    "runs": ("nnkit.cli.runs", "list, show, compare, pick and remove runs"),
    "data": ("nnkit.cli.data", "what is in the data, and what looks wrong with it"),
    "list": ("nnkit.cli.listing", "show config groups, their options and settings"),
    "completion": ("nnkit.cli.completion", "print the shell's completion script: bash, zsh or fish"),
}

USAGE = """\
nnkit trains standard neural networks from YAML on the command line.

usage: nnkit COMMAND [words]

commands:
{commands}

  nnkit train                                  an MLP on the digits that come with scikit-learn
  nnkit train model=cnn optimizer.lr=3e-3      another network, another learning rate
  nnkit train -m model=mlp,cnn                 a sweep with one table
  nnkit tune data=wine --budget 2m             models and settings that fit the data, the best one found in the time
  nnkit resume last                            go on where the newest run stopped
  nnkit eval last                              what the newest run is worth on its test set
  nnkit predict last rows.csv                  its answers for new rows
  nnkit generate last --prompt "Once"          what a language model makes of a beginning
  nnkit runs                                   all runs; also show, diff, best, rm
  nnkit data my.csv                            what is in a file, and what looks wrong with it
  nnkit train --help                           all groups, options and the most used settings

--help, --version; exit codes: 0 done, 1 failed, 2 wrong words, 3 bad data, 4 bad checkpoint, 5 I/O, 6 folder in use,
7 out of memory, 8 a data worker died, 9 trials of a sweep failed, 10 divergence, 129/130/138/143 stopped by a
signal and resumable."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: the words behind `nnkit`; those of the process by default.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        return _dispatch(words)
    except NnkitError as error:
        if _was_interrupted(error):
            return 130
        if debug:
            show_traceback()
        show_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except Exception as error:  # noqa: BLE001 - the last line of defence: our own bugs
        if _was_interrupted(error):
            return 130
        if (no_memory := _no_memory_to_load(error)) is not None:
            show_error(no_memory)
            return no_memory.exit_code
        show_traceback()
        show_error(NnkitError("this is a bug in nnkit, please report it with the lines above"))
        return 1


def _was_interrupted(error: BaseException | None) -> bool:
    """Tell whether an error follows from Ctrl-C: some packages turn it into an error of their own while they load."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _no_memory_to_load(error: BaseException) -> OutOfMemoryError | None:
    """Return what it means that a library cannot be loaded for want of memory; None for any other error."""
    text = str(error)
    if not isinstance(error, (ImportError, OSError)) or not any(words in text for words in NO_MEMORY_TO_LOAD):
        return None
    said = f"not enough memory to load a library: {text}"
    return OutOfMemoryError(said, hint="is there a limit? ulimit -v; torch needs several gigabytes of addresses")


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("--help", "-h", "help"):
        listed = "\n".join(f"  {name:<12} {text}" for name, (_, text) in COMMANDS.items())
        print(USAGE.format(commands=listed))
        return 0
    if words[0] in ("--version", "-V"):
        print(f"nnkit {__version__}")
        return 0
    if words[0] == "_complete":
        return _run("nnkit.cli.completion", ["_complete", *words[1:]])
    if words[0] in COMMANDS:
        return _run(COMMANDS[words[0]][0], words[1:])
    raise _unknown_command(words)


def _run(module: str, words: list[str]) -> int:
    code: int = import_module(module).command(words)
    return code


def _unknown_command(words: list[str]) -> ConfigError:
    if "=" in words[0] or words[0].endswith((".yaml", ".yml")):
        return ConfigError(f"{words[0]} is not a command", hint=f"nnkit train {' '.join(words)}")
    synonyms = {
        "fit": "train",
        "run": "train",
        "continue": "resume",
        "restart": "resume",
        "evaluate": "eval",
        "test": "eval",
        "score": "eval",
        "infer": "predict",
        "inference": "predict",
        "sample": "generate",
        "save": "export",
        "search": "tune",
        "optimize": "tune",
        "automl": "tune",
        "describe": "data",
        "inspect": "data",
        **dict.fromkeys(("ls", "history", "experiments"), "runs"),
        **{word: f"runs {word}" for word in ("show", "diff", "best", "rm")},
        "compare": "runs diff",
        "options": "list",
    }
    if words[0] in ("sweep", "multirun", "grid"):
        return ConfigError(f"{words[0]} is not a command", hint=shlex.join(["nnkit", "train", "-m", *words[1:]]))
    near = [synonyms[words[0]]] if words[0] in synonyms else get_close_matches(words[0], COMMANDS, n=1, cutoff=0.5)
    hint = f"did you mean nnkit {near[0]}?" if near else f"commands: {', '.join(COMMANDS)}"
    return ConfigError(f"{words[0]} is not a command", hint=hint)
