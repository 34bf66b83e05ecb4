"""`nnkit predict RUN INPUT`: answers for rows without labels."""

from __future__ import annotations

import io
import os
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast, final

from nnkit.cli.messages import note, show_usage
from nnkit.cli.words import LAST, MOST_VIEWS, Read, name_of, note_unknown, note_unseen, opened, read_command, run_folder
from nnkit.errors import ConfigError, DataError, StorageError
from nnkit.links import Links
from nnkit.runs import CONFIG

if TYPE_CHECKING:
    import pyarrow as pa

    from nnkit.config.sections.data import OnBad
    from nnkit.infer.finished import Finished
    from nnkit.infer.mask_files import MaskFolder
    from nnkit.infer.predict import Part, Told

LOOK_EVERY_S = 0.2
LARGEST_PIECE = 1 << 20

USAGE = """\
usage: nnkit predict RUN INPUT [-o FILE] [--masks FOLDER] [--proba] [--tta N] [--on-bad error|skip] [--trust]

RUN is a run folder, a sweep folder (its best run), or last (the newest below outputs/ or output_dir=FOLDER).
INPUT is a file in the form of the run's data without its target, a glob of such tables, - for CSV from standard input,
a picture, a folder or a glob (in quotes) of pictures. The order of the columns is free; columns that the run does not
know go along into the answers. Of texts it is a file with a text a line (or - for such lines), or a table with the
column of texts; of series a .ts file, or an array x (.npz with lengths, .npy). A forecast starts from the last window
of its table, whose rows end with those of known columns ahead, where there are such; its answers are the steps ahead.
Where each pixel has a class, a mask is written for each picture, in its own size, and the file says how much of it is
of which class.

  -o, --output FILE  .csv or .parquet, or - for standard output (default: predictions-of-INPUT.csv in the run's folder)
  --masks FOLDER     where masks go: a new folder, or one of answers (default: masks-of-INPUT in the run's folder)
  --proba            the probability of each class, too
  --tta N            answer with the mean over N views: the row itself, and N - 1 that the run's augmentation draws
  --on-bad skip      leave out rows that cannot be read, and say which (default: error)
  --trust            the run names code of its own, or has links out of its folder, and you trust it"""

HINT = 'nnkit predict last rows.csv; several files as a glob in quotes: "part-*.csv"'
SUFFIXES = (".csv", ".parquet")
ARRAYS = (".npz", ".npy")
DATA_FILES = ("path", "val_path", "test_path")
OF_INPUT, MASKS_OF_INPUT = "predictions-of-", "masks-of-"


def command(argv: list[str]) -> int:
    """Predict as the words say, and return the exit code."""
    if not argv or "--help" in argv or "-h" in argv:
        return show_usage(USAGE, argv)
    read = read_command(
        argv,
        command="predict",
        flags=("proba", "trust"),
        valued=("output", "on-bad", "masks", "tta"),
        short={"-o": "output"},
    )
    on_bad: Any = read.choice("on-bad", ("error", "skip"), "error")
    views = read.count("tta", MOST_VIEWS)
    words, output_dir = read.operands("predict", "a run and an input", 2, _hint(read.words))
    if len(words) < 2:
        raise ConfigError(f"predict needs a run and an input, got {words[0]} alone", hint=HINT)
    word, source = words
    folder = _run_folder(word, source, output_dir, read.links)
    name, notes = _name(folder, source, read)
    out = _output(read, source, folder / f"{OF_INPUT}{name}.csv")
    run = opened(folder, read, views)
    _spare_data(run, out)
    from nnkit.infer.answers import check_has_probabilities
    from nnkit.infer.places import identity, is_there, remember
    from nnkit.infer.predict import Told, ahead, predict_parts

    if "proba" in read.flags:
        check_has_probabilities(run, "leave out --proba")
    told = Told(notes=notes)
    masks = _masks(read, run, source, folder / f"{MASKS_OF_INPUT}{name}")
    parts = _parts(run, source, told, on_bad)
    parts = parts if source == "-" else ahead(parts)
    batches = predict_parts(run, parts, told, proba="proba" in read.flags, masks=masks and masks.columns)
    if is_there(source):  # noted first: masks are written early
        remember(folder, [out, None if masks is None else masks.path], identity(source))
    with _ending_at_sigterm():
        _write(batches, out, told)
    _tell(told, run, masks)
    if out is not None:
        print(out)
    return 0


def _hint(words: Sequence[str]) -> str:
    """Return what to type instead of so many words: of several pictures their folder, or a glob of them."""
    if len(words) < 3 or not all(Path(word).is_file() for word in words[1:]):
        return HINT
    from nnkit.data.images import looks_like_picture

    if not all(map(looks_like_picture, words[1:])):
        return HINT
    folders, endings = ({getattr(Path(word), part) for word in words[1:]} for part in ("parent", "suffix"))
    if len({folder.is_absolute() for folder in folders}) > 1:
        folders = {folder.absolute() for folder in folders}
    folder = Path(os.path.commonpath(folders)) if len(folders) > 1 else folders.pop()
    pattern = folder / ("**" if folders else "") / f"*{endings.pop() if len(endings) == 1 else ''}"
    return (
        f"nnkit predict {words[0]} '{pattern}' (a glob, in quotes), or their folder: nnkit predict {words[0]} {folder}"
    )


def _run_folder(word: str, source: str, output_dir: str | None, links: Links) -> Path:
    try:
        return run_folder(word, output_dir, links)
    except ConfigError as error:
        if source == LAST or (Path(source) / CONFIG).is_file():
            raise ConfigError(error.problems[0].text, hint=f"nnkit predict {source} {word}") from error
        raise


def _name(folder: Path, source: str, read: Read) -> tuple[str, list[str]]:
    """Return what the answers are called after in the run's folder, and what there is to note of that."""
    from nnkit.infer.places import free_name, identity

    own = "stdin" if source == "-" else name_of(source)
    name = free_name(folder, own, identity(source), (f"{OF_INPUT}{{}}.csv", f"{MASKS_OF_INPUT}{{}}"))
    if name == own or "output" in read.values:
        return name, []
    return name, [f"{folder.name} has answers to another input called {own}, so these are called {name}"]


def _masks(read: Read, run: Finished, source: str, default: Path) -> MaskFolder | None:
    """Return what writes masks; None where the run has none. Raises: ConfigError."""
    if not run.spec.is_per_pixel:
        if "masks" in read.values:
            raise ConfigError(f"--masks is for masks, but the run is for {run.spec.task}", hint="leave out --masks")
        return None
    from nnkit.infer.mask_files import MaskFolder, check_place
    from nnkit.infer.places import is_within

    place = read.path("masks", default)
    if place.is_file():
        raise ConfigError(f"--masks names a folder, but {place} is a file", hint=f"--masks {place.parent / 'masks'}")
    given = Path(source).expanduser().absolute()
    if place.resolve() == (given if given.is_dir() else given.parent).resolve():
        raise ConfigError(f"the masks would overwrite their pictures in {source}", hint="another --masks FOLDER")
    if "masks" in read.values and given.is_dir() and is_within(place, given):
        told = f"{place} lies among the pictures in {source}: its masks would be pictures to predict, the next time"
        raise ConfigError(told, hint=f"--masks {given}-predicted")
    check_place(run, place)
    return MaskFolder(run, place)


def _output(read: Read, source: str, default: Path) -> Path | None:
    """Return where the answers go; None for standard output. Raises: ConfigError."""
    if read.values.get("output") == "-":
        return None
    out = read.file(default, SUFFIXES)
    if source != "-" and out.resolve() == Path(source).expanduser().resolve():
        raise ConfigError(f"the answers would overwrite their input {source}", hint="another name behind -o")
    return out


def _spare_data(run: Finished, out: Path | None) -> None:
    """Refuse to write over a file that the run learned from. Raises: ConfigError."""
    from nnkit.data.tables import found_files

    words = [getattr(run.config.data, key, None) or [] for key in DATA_FILES]
    for word in (word for given in words for word in ([given] if isinstance(given, str) else given)):
        with suppress(DataError):  # what is not there any more cannot be lost
            if out is not None and out.resolve() in (path.resolve() for path in found_files(word)):
                raise ConfigError(
                    f"the answers would overwrite what the run learned from: {out}", hint="-o another.csv"
                )


def _parts(run: Finished, source: str, told: Told, on_bad: OnBad) -> Iterator[Part]:
    from nnkit.infer.rows import array_parts, table_parts

    encoder = run.preprocess.table
    if encoder is not None:
        stream: str | BinaryIO = _standard_input() if source == "-" else source
        return table_parts(run, encoder, stream, told, on_bad=on_bad)
    if run.spec.task == "language":
        from nnkit.infer.generate import language_model

        raise language_model(str(run.folder))
    kind = run.spec.inputs[0].kind
    if kind == "tokens" and not source.lower().endswith(ARRAYS):
        from nnkit.infer.sequences import text_parts

        return text_parts(run, _standard_input() if source == "-" else source, told, on_bad=on_bad)
    if source == "-":
        raise ConfigError(
            "standard input is for tables and texts, but the run was trained on "
            f"{'a series' if run.spec.task == 'forecast' else 'arrays or pictures'}",
            hint=f"a file instead of {source}",
        )
    path = Path(source).expanduser().absolute()
    suffix = path.suffix.lower()
    if run.spec.task == "forecast":
        from nnkit.infer.history import history_part

        return history_part(run, path, told)
    if ".ts" in path.suffixes[-2:]:  # packed or not
        from nnkit.infer.sequences import ts_parts

        return ts_parts(run, path)
    if kind == "image" and suffix not in ARRAYS:
        from nnkit.infer.pictures import picture_parts

        return picture_parts(run, path, told, on_bad=on_bad)
    return array_parts(run, path, told, on_bad=on_bad)


def _write(batches: Iterator[pa.RecordBatch], out: Path | None, told: Told) -> None:
    """Write the answers; the first ones are made before a file is opened, so that wrong words leave nothing behind."""
    from nnkit.infer.predict import batch_writer
    from nnkit.storage import make_folder, write_file

    first = next(batches, None)
    if first is None:
        raise DataError("the input holds no row that could be predicted", *told.lines, hint="is it the right file?")

    def fill(file: BinaryIO) -> None:
        as_parquet = out is not None and out.suffix.lower() == ".parquet"
        with batch_writer(file, first.schema, as_parquet=as_parquet) as write:
            write(first)
            for batch in batches:
                write(batch)

    if out is not None:
        make_folder(out.parent)
        write_file(out, fill)
        return
    try:
        fill(sys.stdout.buffer)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError(f"cannot write standard output: {error.strerror} (errno {error.errno})") from error


@contextmanager
def _ending_at_sigterm() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does, through every clean-up, so that no half of a file stays."""

    def end(number: int, _: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would end the clean-up
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell(told: Told, run: Finished, masks: MaskFolder | None = None) -> None:
    if masks is not None:
        note(f"{masks.count:,} masks are in {masks.path}")
    for line in told.lines:
        print(f"left out: {line}", file=sys.stderr)
    if told.skipped:
        note(f"{told.skipped:,} of {told.rows + told.skipped:,} rows were left out")
    note_unseen(told.unseen, run)
    note_unknown(told.unknown, told.tokens)
    if told.cut:
        note(f"{told.cut:,} texts are longer than those of training may be, and cut off")
    for text in told.notes:
        note(text)
    for column in sorted(told.renamed):
        note(f"the input's own column {column} gave way to the answer of that name")
    horizon = run.spec.target.horizon
    done = f"{horizon:,} steps ahead forecast" if run.spec.task == "forecast" else f"{told.rows:,} rows predicted"
    seen = "" if run.views is None else f", each the mean of {run.views.count} views"
    print(f"{done}{seen}", file=sys.stderr)


def _standard_input() -> BinaryIO:
    """Return standard input as a stream that signals can end while it waits."""
    try:
        return cast(BinaryIO, _Interruptible(sys.stdin.fileno()))
    except (OSError, ValueError):  # what stands in for it is no file
        return sys.stdin.buffer


@final
class _Interruptible(io.RawIOBase):
    """A descriptor that is looked at several times a second: one long read may sleep through a signal."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return so many bytes, or all up to the end."""
        pieces, wanted = [], size if size >= 0 else sys.maxsize
        while wanted:
            while not select.select([self._descriptor], [], [], LOOK_EVERY_S)[0]:
                pass
            piece = os.read(self._descriptor, min(wanted, LARGEST_PIECE))
            if not piece:
                break
            pieces.append(piece)
            wanted -= len(piece)
        return b"".join(pieces)
