"""Answers part by part: equal to an independent computation, the same however the file is cut, in constant memory."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import safetensors.torch

from nnkit.errors import ConfigError, DataError
from nnkit.infer.predict import Part, Told, ahead, batch_writer, predict_parts
from nnkit.infer.rows import array_parts
from nnkit.train import checkpoints
from tests.finished import data_path, folder_of, opened, table, unlabelled

X = np.random.default_rng(3).normal(size=(10, 4)).astype(np.float32)


def by_hand(kind: str, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    """The outputs of a network on the table, from its weights and what the training rows say, with numpy and pandas."""
    from nnkit.infer.labelled import own_rows

    train = table().iloc[own_rows(opened(kind), "train")[1]]
    columns = []
    for name in ("size", "weight"):
        columns.append((frame[name].fillna(train[name].mean()) - train[name].mean()) / train[name].std(ddof=0))
    columns.append((frame["is_new"] == "yes").astype(float))
    days = [pd.to_datetime(f["built"]).astype("datetime64[s]").astype("int64") / 86400 for f in (frame, train)]
    columns.append((days[0] - days[1].mean()) / days[1].std(ddof=0))
    for period in (365.2425, 7):
        columns += [np.sin(2 * np.pi * days[0] / period), np.cos(2 * np.pi * days[0] / period)]
    columns.append(frame["town"].isna().astype(float))
    counts = train["town"].value_counts()
    columns += [(frame["town"] == name).astype(float) for name in sorted(counts.index, key=lambda n: (-counts[n], n))]
    x = np.stack([np.asarray(column, dtype=np.float64) for column in columns], 1)
    folder = checkpoints.pointed(folder_of(kind) / "checkpoints", "best")
    w = {k: v.numpy() for k, v in safetensors.torch.load_file(folder / "model.safetensors").items()}
    hidden = np.maximum(x @ w["hidden.0.linear.weight"].T + w["hidden.0.linear.bias"], 0)
    found: np.ndarray[Any, Any] = hidden @ w["output.weight"].T + w["output.bias"]
    if kind == "values":
        price = train["price"]
        return found * price.std(ddof=0) + price.mean()
    return found


def answered(kind: str, frame: pd.DataFrame, *words: str) -> pd.DataFrame:
    from nnkit.cli import main

    frame.to_csv("in.csv", index=False)
    assert main(["predict", str(folder_of(kind)), "in.csv", "-o", "out.csv", *words]) == 0
    return pd.read_csv("out.csv")


def test_values_equal_an_independent_computation() -> None:
    found = answered("values", unlabelled())
    np.testing.assert_allclose(found["prediction"], by_hand("values", unlabelled())[:, 0], rtol=1e-5)
    assert found["prediction"].std() > 1000


def test_rates_equal_an_independent_computation() -> None:
    found = answered("counts", unlabelled())
    np.testing.assert_allclose(found["prediction"], np.exp(by_hand("counts", unlabelled()))[:, 0], rtol=1e-4)


def test_classes_equal_an_independent_computation() -> None:
    found = answered("binary", unlabelled(), "--proba")
    logits = by_hand("binary", unlabelled())
    second = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    np.testing.assert_allclose(found["probability_yes, gladly"], second, rtol=1e-4)
    wanted = np.where(second > opened("binary").threshold, "yes, gladly", "no")
    assert found["prediction"].tolist() == wanted.tolist()
    assert wanted.tolist() != np.where(second > 0.5, "yes, gladly", "no").tolist()
    assert found["id"].tolist() == table()["id"].tolist()


# parts


def parts(*sizes: int) -> Iterator[Part]:
    starts = np.cumsum([0, *sizes])
    for start, size in zip(starts, sizes, strict=False):
        yield Part((X[start : start + size],), {"row": pa.array(range(start, start + size))})


def test_answers_do_not_depend_on_the_parts() -> None:
    told = Told()
    run = opened("array")
    whole, cut = (pa.Table.from_batches(predict_parts(run, parts(*s), told, proba=True)) for s in ([10], [3, 1, 6]))
    assert whole["row"].to_pylist() == cut["row"].to_pylist() == list(range(10))
    assert whole["prediction"].to_pylist() == cut["prediction"].to_pylist()
    np.testing.assert_allclose(whole["probability_0"], cut["probability_0"], rtol=1e-5)
    assert told.rows == 20


def test_a_column_of_the_name_of_an_answer_gives_way() -> None:
    told = Told()
    given = iter([Part((X,), {"prediction": pa.array(range(10)), "b": pa.array(range(10))})])
    (batch,) = predict_parts(opened("array"), given, told, proba=False)
    assert batch.schema.names == ["b", "prediction"]
    assert batch["prediction"].type == pa.string()
    assert told.renamed == {"prediction"}


def test_types_that_change_between_files_are_cast_or_told() -> None:
    two = [Part((X[:2],), {"a": pa.array(["1", "2"])}), Part((X[:2],), {"a": pa.array([3, 4])})]
    found = pa.Table.from_batches(predict_parts(opened("array"), iter(two), Told(), proba=False))
    assert found["a"].to_pylist() == ["1", "2", "3", "4"]
    two = [Part((X[:2],), {"a": pa.array([3, 4])}), Part((X[:2],), {"a": pa.array(["1", "x"])})]
    with pytest.raises(DataError, match="column a holds string, but int64 in the files before"):
        list(predict_parts(opened("array"), iter(two), Told(), proba=False))


def test_an_error_while_reading_ahead_arrives() -> None:
    def broken() -> Iterator[Part]:
        yield Part((X,))
        raise DataError("torn")

    found = predict_parts(opened("array"), ahead(broken()), Told(), proba=False)
    assert next(found).num_rows == 10
    with pytest.raises(DataError, match="torn"):
        next(found)


def test_only_the_first_texts_are_kept() -> None:
    told = Told()
    told.skip(30, [str(i) for i in range(30)])
    told.skip(30, [str(i) for i in range(30)])
    assert (told.skipped, told.lines) == (60, [str(i) for i in range(20)])


# files


@pytest.mark.parametrize("as_parquet", [False, True])
def test_a_writer_leaves_its_stream_open(as_parquet: bool) -> None:
    batch, out = pa.RecordBatch.from_pydict({"a": [1, 2], "b": ["x", 'y"']}), io.BytesIO()
    with batch_writer(out, batch.schema, as_parquet=as_parquet) as write:
        write(batch)
        write(batch)
    read = pq.read_table if as_parquet else pa.csv.read_csv
    assert read(io.BytesIO(out.getvalue())).to_pydict() == {"a": [1, 2] * 2, "b": ["x", 'y"'] * 2}


def test_a_column_that_no_csv_file_can_hold_is_told() -> None:
    schema = pa.schema({"a": pa.list_(pa.int64())})
    with (
        pytest.raises(ConfigError, match=r"cannot go along: .*list") as caught,
        batch_writer(io.BytesIO(), schema, as_parquet=False),
    ):
        pass
    assert caught.value.problems[0].hint == "-o FILE.parquet"


MEASURE = """
import sys
from pathlib import Path
import nnkit.data.blocks, nnkit.data.delimited
from nnkit.cli import main
run, *files = sys.argv[1:]
nnkit.data.blocks.BLOCK_BYTES = nnkit.data.delimited.BLOCK_BYTES = 1 << 20  # the pipeline fills up soon
for path in files:
    assert main(["predict", run, path, "-o", "out.csv", "--proba"]) == 0
    (peak,) = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line]
    print(int(peak) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_memory_does_not_grow_with_the_file() -> None:
    frame = pd.concat([unlabelled()] * 10).assign(words="what goes along is as long as a diary's line " * 4)
    header, _, rows = frame.to_csv(index=False).partition("\n")
    for name, times in (("small.csv", 20), ("large.csv", 125)):  # 48,000 and 300,000 rows
        Path(name).write_text(f"{header}\n{rows * times}")
    more_mib = (Path("large.csv").stat().st_size - Path("small.csv").stat().st_size) >> 20
    command = [sys.executable, "-c", MEASURE, str(folder_of("binary")), "small.csv", "small.csv", "large.csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    _, small, large = (int(line) for line in done.stdout.splitlines() if line.isdigit())
    assert "300,000 rows predicted" in done.stderr
    assert large - small < more_mib / 2  # in memory, text and its copies would take several times as much
    assert Path("out.csv").read_bytes().count(b"\n") == 300_001


def test_an_array_has_the_answers_of_the_training(tmp_path: Path) -> None:
    run = opened("array")
    found = pa.Table.from_batches(
        predict_parts(run, array_parts(run, data_path("array"), Told(), on_bad="error"), Told(), proba=False)
    )
    guessed = np.array([int(c) for c in found["prediction"].to_pylist()])
    with np.load(data_path("array")) as arrays:
        assert (guessed == arrays["y"]).mean() > 0.5
    assert tmp_path.is_dir()
