"""What trackers have written, read by their own packages; and what they are told in the tests."""

from __future__ import annotations

import json
import struct
import warnings
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from nnkit.track.trackers.start import Start

BLOCK = 32768  # of a .wandb file: LevelDB's log format behind a header of 7 bytes
RECORDS = [{"do": "write", "step": s, "epoch": s // 5, "values": {"val/loss": 1 / s}} for s in (5, 10, 15)]
CLOSE = {"do": "close", "status": "completed", "metrics": {"test/accuracy": 0.75}}


def start_of(folder: Path, **changes: Any) -> Start:
    """What a tracker is told first."""
    start = Start(
        identity="0123456789abcdef",
        name="mlp-iris/now",
        group="mlp-iris/sweep-1",
        job="trial",
        tags=["a", "b"],
        folder=str(folder),
        store=str(folder / "mlruns"),
        step=0,
        goes_on=False,
        config={"optimizer.lr": 0.1, "seed": 3, "model.kind": "mlp", "trainer.plots": False},
        settings={"project": "p", "entity": None, "mode": "offline", "experiment": "e", "uri": None},
        wait_s=60.0,
    )
    return replace(start, **changes)


def lines(start: Start, *messages: dict[str, Any]) -> list[bytes]:
    """The messages of a training, as the process of a tracker gets them."""
    return [json.dumps(each).encode() + b"\n" for each in (asdict(start), *messages)]


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The curves of a run in TensorBoard's own reader."""
    found = _events(folder)
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def texts(folder: Path, tag: str) -> list[str]:
    """The texts of a run in TensorBoard's own reader."""
    return [event.tensor_proto.string_val[0].decode() for event in _events(folder).Tensors(tag)]


def _events(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its imports
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return found


def wandb_records(folder: Path) -> list[list[Any]]:
    """The records of each offline run in a folder, by wandb's own messages."""
    from wandb.proto.wandb_internal_pb2 import Record

    return [[Record.FromString(data) for data in _logged(path)] for path in sorted(folder.glob("wandb/*/*.wandb"))]


def _logged(path: Path) -> Iterator[bytes]:
    data, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:  # no room for a header: the rest of the block is empty
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        if kind == 0:
            return
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # the whole record, or its last part
            yield whole
            whole = b""


def wandb_curve(records: list[Any], name: str) -> list[tuple[int, float]]:
    """A curve of an offline run: step and value."""
    found = []
    for record in records:
        if record.HasField("history"):
            row = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            if name in row:
                found.append((record.history.step.num, row[name]))
    return found


def mlflow_runs(store: Path) -> list[dict[str, Any]]:
    """The runs in a folder of MLflow, from its files."""
    found = []
    for path in sorted(store.glob("*/*/meta.yaml"), key=lambda path: path.stat().st_mtime_ns):
        run = path.parent
        texts = {
            kind: {f.relative_to(run / kind).as_posix(): f.read_text() for f in (run / kind).rglob("*") if f.is_file()}
            for kind in ("params", "tags", "metrics")
        }
        curves = {name: [line.split() for line in text.splitlines()] for name, text in texts["metrics"].items()}
        metrics = {name: [(int(step), float(value)) for _, value, step in rows] for name, rows in curves.items()}
        found.append({**texts, "metrics": metrics, "meta": path.read_text()})
    return found
