"""Small random tables with all kinds of faults, and what must hold for each: refused with its name, or trained on."""

from __future__ import annotations

import csv
import gzip
import io
import math
import random
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq

from nnkit.assemble import assemble, prepare
from nnkit.data import blocks, delimited
from nnkit.data.delimited import TextFile, TextFormat
from nnkit.errors import ConfigError, DataError, NnkitError
from nnkit.train.loop import evaluate, take_step
from tests.trained import config_of, state_of

Rows = list[list[str]]
# What a ConfigError may be about: a name or a share that does not fit this table.
SETTINGS = ("has no column", "leaves no", "leave no", "is too few", "samples,", "data.encoding", "needs", "loss=")


@dataclass
class Table:
    """A table while it is being broken.

    Attributes:
        rng: what chooses.
        names: the header; None for none.
        rows: texts of the cells, the target last.
        faults: what was done to it.
    """

    rng: random.Random
    names: list[str] | None
    rows: Rows
    faults: list[str]

    def some_row(self) -> list[str]:
        """Return a row to be changed; a new one where there is none."""
        return self.rng.choice(self.rows) if self.rows else ["1"] * len(self.names or "ay")

    def put(self, text: str, *, into_target: bool = False) -> None:
        """Replace a cell."""
        row = self.some_row()
        row[len(row) - 1 if into_target else self.rng.randrange(max(1, len(row) - 1))] = text

    def fill(self, text: str, *, column: int | None = None) -> None:
        """Replace a whole column."""
        width = len(self.rows[0]) if self.rows else 1
        place = self.rng.randrange(max(1, width - 1)) if column is None else column
        for row in self.rows:
            row[place] = text


def sound_table(rng: random.Random) -> Table:
    """Return a table without a fault: numbers, words, dates and truths, and a target of one of four kinds."""
    makers: list[Callable[[], str]] = [
        lambda: f"{rng.gauss(0, 3):.3f}",
        lambda: str(rng.randrange(100)),
        lambda: rng.choice("abc") + "lpha",
        lambda: rng.choice(["yes", "no"]),
        lambda: f"20{rng.randrange(10, 30)}-0{rng.randrange(1, 10)}-1{rng.randrange(10)}",
        lambda: rng.choice(["", "NA", "1", "2.5", " 3"]),
        lambda: rng.choice(["größe", "naïve", "x y", 'a "word"', "p,q"]),
        lambda: f"id-{rng.randrange(10**9)}",
    ]
    targets: list[Callable[[], str]] = [
        lambda: f"{rng.gauss(50, 9):.2f}",
        lambda: rng.choice(["cat", "dog"]),
        lambda: rng.choice("012"),
        lambda: rng.choice(["True", "False"]),
    ]
    columns = [rng.choice(makers) for _ in range(rng.randrange(1, 6))] + [rng.choice(targets)]
    num_rows = rng.choice([0, 1, 2, 3, 5, *[rng.randrange(20, 90)] * 9, *[rng.randrange(150, 300)] * 3])
    rows = [[make() for make in columns] for _ in range(num_rows)]
    return Table(rng, [f"f{i}" for i in range(len(columns) - 1)] + ["y"], rows, [f"{num_rows} rows"])


def _swap_names(table: Table, change: Callable[[list[str]], None]) -> None:
    if table.names:
        change(table.names)


CELLS: dict[str, Callable[[Table], Any]] = {
    "a huge number": lambda t: t.put(t.rng.choice(["1e39", "1e400", "9" * 500, "-1e308", "1e38", "inf", "nan"])),
    "text among numbers": lambda t: t.put("oops"),
    "a zero byte": lambda t: t.put("a\0b"),
    "quotes and newlines": lambda t: t.put('say "hi",\nthen\r\n"go"'),
    "a quote alone": lambda t: t.put('"'),
    "an empty column": lambda t: t.fill(t.rng.choice(["", "NA", "  ", "?"])),
    "a constant column": lambda t: t.fill("7"),
    "a column of one text": lambda t: t.fill("same"),
    "decimal commas": lambda t: t.fill("1,5"),
    "a target missing": lambda t: t.put(t.rng.choice(["", "NA"]), into_target=True),
    "no target at all": lambda t: t.fill("", column=-1),
    "one class": lambda t: t.fill("dog", column=-1),
    "a rare label": lambda t: t.put("rare", into_target=True),
    "a target of its own kind": lambda t: t.put("12.5", into_target=True),
    "a large cell": lambda t: t.put("x" * 1_000_000),
    "a large cell of quotes": lambda t: t.put('"\n' * 100_000),
    "whole numbers beyond 64 bits": lambda t: t.fill(str(10**25 + t.rng.randrange(9))),
    "blanks around": lambda t: t.put(" \t5 "),
    "a false date": lambda t: t.put("2021-02-30"),
    "a header twice": lambda t: _swap_names(t, lambda n: n.__setitem__(0, n[-1])),
    "an empty header": lambda t: _swap_names(t, lambda n: n.__setitem__(t.rng.randrange(len(n)), "")),
    "a header of lines": lambda t: _swap_names(t, lambda n: n.__setitem__(0, "first\nsecond")),
    "no header": lambda t: setattr(t, "names", None),
    "only a header": lambda t: t.rows.clear(),
    "a row less": lambda t: t.some_row().pop(0),
    "a cell more": lambda t: t.some_row().insert(0, "more"),
    "long rows": lambda t: [row.append("") for row in t.rows],
}


def _line_break(text: str, rng: random.Random, added: str) -> str:
    lines = text.splitlines(keepends=True)
    lines.insert(rng.randrange(len(lines) + 1), added)
    return "".join(lines)


TEXTS: dict[str, Callable[[str, random.Random], str]] = {
    "CRLF": lambda s, r: s.replace("\n", "\r\n"),
    "lone CR": lambda s, r: s.replace("\n", "\r"),
    "blank lines": lambda s, r: _line_break(s, r, "\n\n"),
    "a line of blanks": lambda s, r: _line_break(s, r, "   \n"),
    "a stray quote": lambda s, r: _line_break(s, r, '"'),
    "a quote within": lambda s, r: s[: len(s) // 2] + '"' + s[len(s) // 2 :],
    "trailing delimiters": lambda s, r: s.replace("\n", ",\n"),
    "no end of the last line": lambda s, r: s.rstrip("\n"),
    "cut": lambda s, r: s[: r.randrange(len(s) + 1)],
    "other delimiters": lambda s, r: s.replace(",", r.choice(";\t|: ")),
    "a separator of lines": lambda s, r: s.replace("a", "a\u2028\x0b\x1c", 1),
    "a control character": lambda s, r: s[: len(s) // 3] + "\x1a" + s[len(s) // 3 :],
}


def _zipped(data: bytes, rng: random.Random) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("xl/workbook.xml", data)
    return out.getvalue()


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


BYTES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "a byte-order mark": lambda d, r: b"\xef\xbb\xbf" + d,
    "latin-1": lambda d, r: d.decode().encode("latin-1", "replace"),
    "utf-16": lambda d, r: d.decode().encode("utf-16"),
    "utf-16 without a mark": lambda d, r: d.decode().encode("utf-16-le"),
    "zip": _zipped,
    "junk": lambda d, r: r.randbytes(2000),
    "junk within": lambda d, r: d[: len(d) // 2] + r.randbytes(5) + d[len(d) // 2 :],
    "zeros": lambda d, r: bytes(500),
    "gz": lambda d, r: gzip.compress(d),
    "cut gz": lambda d, r: _cut(gzip.compress(d), r),
    "nothing": lambda d, r: b"",
}


def broken_table(seed: int) -> tuple[bytes, str, str]:
    """Return a file's bytes, its suffix and what is wrong with it; one in ten has no fault."""
    rng = random.Random(seed)
    table = sound_table(rng)
    for kind in (CELLS, TEXTS, BYTES):
        for _ in range(rng.choice([0, 0, 0, 1, 1, 2]) if kind is not BYTES else rng.random() < 0.3):
            table.faults.append(rng.choice(sorted(kind)))
    for fault in table.faults:
        if fault in CELLS and (table.rows or fault.startswith(("a header", "an empty header"))):
            CELLS[fault](table)
    if rng.random() < 0.12:
        return (*_parquet(table), "; ".join(table.faults))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    writer.writerows([*([table.names] if table.names else []), *table.rows])
    text = out.getvalue()
    for fault in table.faults:
        text = TEXTS[fault](text, rng) if fault in TEXTS else text
    data = text.encode()
    for fault in table.faults:
        data = BYTES[fault](data, rng) if fault in BYTES else data
    suffix = ".csv.gz" if "gz" in table.faults else rng.choice([".csv", ".csv", ".tsv", ".txt", ".data"])
    return data, suffix, "; ".join(table.faults)


def _parquet(table: Table) -> tuple[bytes, str]:
    """Return a Parquet file of the table, perhaps cut or with some bytes changed."""
    rng, out = table.rng, io.BytesIO()
    width = max([len(row) for row in table.rows], default=2)
    names = (table.names or [])[:width] + [f"more{i}" for i in range(width - len(table.names or []))]
    columns = [[(row[i] if i < len(row) else None) or None for row in table.rows] for i in range(width)]
    arrays = [_typed(column, rng) for column in columns]
    pq.write_table(pa.Table.from_arrays(arrays, names=names), out, row_group_size=rng.choice([7, 1000]))
    data, fault = bytearray(out.getvalue()), rng.choice(["", "", "cut parquet", "changed parquet"])
    if fault == "cut parquet":
        data = data[: rng.randrange(len(data))]
    elif fault:
        for _ in range(rng.randrange(1, 9)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    table.faults.append(fault or "parquet")
    return bytes(data), ".parquet"


def _typed(column: Sequence[str | None], rng: random.Random) -> Any:
    array = pa.array(column, pa.string())
    for kind in rng.sample([pa.float64(), pa.int32(), pa.date32(), pa.bool_(), pa.timestamp("ns")], 5):
        try:
            return array.cast(kind)
        except pa.ArrowInvalid:
            continue
    other = rng.random()
    return array.dictionary_encode() if other < 0.2 else array.cast(pa.binary()) if other < 0.3 else array


def outcome(seed: int, folder: Path) -> str:
    """Read a broken table, train on it for two steps, and say what came of it: trained, or the kind of the error.

    Raises: AssertionError where a promise is broken, and whatever is no error of ours.
    """
    faults = broken_table(seed)[2]
    paths = _written(seed, folder)
    config = config_of("data=table", "data.path=x", "data.target=y", "model.hidden=[4]", "batching.batch_size=16")
    changes: dict[str, Any] = {**paths, "on_bad": ["error", "skip"][seed % 2]}
    try:
        with small_blocks() if seed % 3 else nullcontext():
            prepared = prepare(replace(config, data=replace(config.data, **changes)))
    except DataError as error:
        return refused("data", error, [str(folder)], faults)
    except ConfigError as error:
        return refused("settings", error, SETTINGS, faults)
    rows = prepared.source.rows
    assert rows.rows_in == len(prepared.source) + sum(rows.dropped.values()), faults
    assert rows.rows_in == sum(_num_rows(Path(path)) for path in paths.values()), faults
    run = assemble(prepared, None)
    state = state_of(run)
    batches = [batch for epoch in (0, 1) for batch in run.train.epoch(epoch, 0)]
    for batch in batches[:2]:
        take_step(run, batch, state)  # raises where the loss is not finite
    assert bool(run.parameters.values.isfinite().all()), faults
    assert all(math.isfinite(evaluate(run, part)["loss"]) for part in (run.val, run.test)), faults
    return "trained, rows left out" if rows.dropped else "trained"


def refused(what: str, error: NnkitError, words: Sequence[str], faults: str) -> str:
    """Return what was refused; the error's first text has one of the words."""
    assert any(word in error.problems[0].text for word in words), (faults, str(error))
    return f"refused: {what}"


def _written(seed: int, folder: Path) -> dict[str, str]:
    """Write the table, and for one in seven a test table, which has other faults for every second of these."""
    data, suffix, _ = broken_table(seed)
    paths = {"path": str(folder / f"table{seed}{suffix}")}
    Path(paths["path"]).write_bytes(data)
    if seed % 7 == 0:
        data, suffix, _ = broken_table(seed + seed % 2)
        paths["test_path"] = str(folder / f"test{seed}{suffix}")
        Path(paths["test_path"]).write_bytes(data)
    return paths


def _num_rows(path: Path) -> int:
    """Return how many rows a file has by the csv module, or by Parquet's own count."""
    if path.suffix == ".parquet":
        return int(pq.read_metadata(path).num_rows)
    head = TextFile(path, TextFormat()).head
    data = path.read_bytes()
    text = (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode("utf-8-sig")
    csv.field_size_limit(1 << 30)
    is_spaced = head.delimiter == "whitespace"
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=" " if is_spaced else head.delimiter))
    filled = [row for row in rows if "".join(row).strip() or (len(row) > 1 and not is_spaced)]
    return len(filled) - head.has_header


@contextmanager
def small_blocks(size: int = 200) -> Iterator[None]:
    """Read text files in blocks of few bytes."""
    with ExitStack() as stack:
        for module, name in ((blocks, "BLOCK_BYTES"), (blocks, "BYTES_A_COLUMN"), (delimited, "PIECE_BYTES")):
            stack.enter_context(patch.object(module, name, size if name != "BYTES_A_COLUMN" else 1))
        stack.enter_context(patch.object(delimited, "HEAD_BYTES", size))
        yield
