"""`nnkit runs`: list, show, compare, pick and remove runs. No torch: the run folders are plain files."""

from __future__ import annotations

from importlib import import_module

from nnkit.catalog.filters import looks_like_filter
from nnkit.cli.runs.words import is_folder
from nnkit.config.synonyms import nearest
from nnkit.errors import ConfigError

COMMANDS = {
    "ls": "list runs, the newest first",
    "show": "what a run is, how it went, and where its files are",
    "diff": "what two runs differ in: settings, metrics, versions, data",
    "best": "print the folder of the best run",
    "rm": "remove runs",
}
MEANT = {
    **dict.fromkeys(("list", "table", "all"), "ls"),
    **dict.fromkeys(("info", "cat", "status"), "show"),
    "compare": "diff",
    "top": "best",
    **dict.fromkeys(("delete", "remove", "del"), "rm"),
}
USAGE = """\
usage: nnkit runs [ls] [FILTER ...] [FOLDER] [--sort KEY] [--reverse] [--by-seed] [--limit N] [--all] [--json | --csv]
       nnkit runs show RUN [--json]
       nnkit runs diff RUN RUN [--json]
       nnkit runs best [FILTER ...] [--by METRIC] [--json]
       nnkit runs rm RUN ... | FILTER ... [--dry-run] [--yes]

RUN is a folder, also relative to outputs/ or output_dir=FOLDER as `ls` shows it, a sweep folder (for show and diff its
best trial), or last (the newest). Several filters must all hold:

  model=cnn,lstm    data=iris     status=failed,lost     name='try*'       a section alone is its kind
  'epochs>10'       'val/accuracy>=0.9'                  'started>=2026-11-20'
  'optimizer.lr<0.01'             model.hidden=[256,128]                   any setting; quote < and >

ls: a sweep is one line with the figures of its best trial; --all, or its folder, lists its trials and folds, too.
  --sort KEY   a column, metric or setting: the newest, the best metric first, all else ascending; --reverse turns it
  --by-seed    runs and trials that are equal but for their seed together: mean ± standard deviation
  --limit N    so many lines; 0: all (default: all, on a terminal 40)
best: by the task's metric on validation, or --by METRIC; of one data set, as others do not compare.
rm:   asks first, or needs --yes; refuses runs that are alive, and a trial without its sweep."""


def command(argv: list[str]) -> int:
    """Run one of the commands on runs, and return the exit code."""
    if "--help" in argv or "-h" in argv:
        print(USAGE)
        return 0
    if not argv or argv[0].startswith("-") or looks_like_filter(argv[0]):
        return _run("ls", argv)
    name = MEANT.get(argv[0], argv[0])
    if name in COMMANDS:
        return _run(name, argv[1:])
    if is_folder(argv[0]):
        return _run("ls", argv)
    near = nearest(argv[0], [*COMMANDS, *MEANT])
    hint = f"did you mean nnkit runs {MEANT.get(near, near)}?" if near else f"one of {', '.join(COMMANDS)}"
    raise ConfigError(f"runs {argv[0]} is not a command", hint=hint)


def _run(name: str, words: list[str]) -> int:
    code: int = import_module(f"nnkit.cli.runs.{name}").command(words)
    return code
