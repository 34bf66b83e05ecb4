"""TensorBoard: event files in the run folder, written by us in the package's own format, each event at once."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, final

from nnkit.storage import appended, make_folder
from nnkit.track.trackers.start import Start

FOLDER = "tensorboard"


@final
class Tensorboard:
    """One file for each start of the run; those that follow say from which step on they count instead."""

    def __init__(self, start: Start) -> None:
        """Open the file, and write the settings. Raises: ImportError, StorageError."""
        from tensorboard.compat.proto import event_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder = Path(start.folder) / FOLDER
        make_folder(folder)
        number = len(list(folder.glob("*tfevents*")))
        self._events: Any = event_pb2
        self._file = appended(folder / f"events.out.tfevents.{number:06d}.nnkit")
        self._records = RecordWriter(self._file)
        self._last = start.step
        self._write(file_version="brain.Event:2")
        if start.goes_on:
            self.go_back(start.step)
        for summary in _settings(start):
            self._write(step=start.step, summary=summary)

    def _write(self, **what: Any) -> None:
        event = self._events.Event(wall_time=time.time(), **what)
        self._records.write(event.SerializeToString())

    def write(self, step: int, epoch: int, values: Mapping[str, float]) -> None:
        """Add a point to each curve."""
        self._last = step
        self._write(step=step, summary=_scalars({**values, "epoch": epoch}))

    def go_back(self, step: int) -> None:
        """Let readers forget what stands behind a step."""
        self._last = step
        log = self._events.SessionLog(status=self._events.SessionLog.START)
        self._write(step=step + 1, session_log=log)

    def finish(self, status: str, metrics: Mapping[str, float]) -> None:
        """Write the final metrics, and how it ended."""
        if metrics:
            self._write(step=self._last, summary=_scalars({f"final/{name}": value for name, value in metrics.items()}))
        self._write(step=self._last, summary=_ended(status))
        self._file.close()


def _scalars(values: Mapping[str, float]) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])


def _settings(start: Start) -> Iterator[Any]:
    """Yield the settings as a table, and as what TensorBoard compares runs by; equal but for the seed is a group."""
    from tensorboard.compat.proto import summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
    from tensorboard.plugins.hparams.plugin_data_pb2 import SessionStartInfo
    from tensorboard.plugins.text.plugin_data_pb2 import TextPluginData

    told = {"name": start.name, "group": start.group, "tags": ", ".join(start.tags)}
    rows = [f"| {key} | {value} |" for key, value in {**told, **start.config}.items()]
    table = "\n".join(["| setting | value |", "|---|---|", *rows])
    data = summary_pb2.SummaryMetadata.PluginData(plugin_name="text", content=TextPluginData().SerializeToString())
    shape = tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=1)])
    text = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[table.encode()], tensor_shape=shape)
    metadata = summary_pb2.SummaryMetadata(plugin_data=data)
    yield summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag="config", metadata=metadata, tensor=text)])
    but_seed = json.dumps({key: value for key, value in start.config.items() if key != "seed"}, sort_keys=True)
    group = hashlib.sha256(f"{start.group} {but_seed}".encode()).hexdigest()
    info = SessionStartInfo(group_name=group, start_time_secs=time.time())
    for key, value in start.config.items():
        kind = "bool" if isinstance(value, bool) else "string" if isinstance(value, str) else "number"
        setattr(info.hparams[key], f"{kind}_value", value)
    yield _of_session(session_start_info=info)


def _ended(status: str) -> Any:
    from tensorboard.plugins.hparams.api_pb2 import Status
    from tensorboard.plugins.hparams.plugin_data_pb2 import SessionEndInfo

    found = {"failed": "STATUS_FAILURE", "lost": "STATUS_UNKNOWN", "interrupted": "STATUS_UNKNOWN"}
    code = Status.Value(found.get(status, "STATUS_SUCCESS"))
    return _of_session(session_end_info=SessionEndInfo(status=code, end_time_secs=time.time()))


def _of_session(**what: Any) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    tag = metadata.SESSION_START_INFO_TAG if "session_start_info" in what else metadata.SESSION_END_INFO_TAG
    about = metadata.create_summary_metadata(HParamsPluginData(**what))
    return Summary(value=[Summary.Value(tag=tag, metadata=about, tensor=metadata.NULL_TENSOR)])
