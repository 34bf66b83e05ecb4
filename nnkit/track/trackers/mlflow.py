"""MLflow: into a folder beside the runs, or to a server."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

from nnkit.errors import FolderInUseError
from nnkit.lock import FolderLock
from nnkit.storage import make_folder
from nnkit.track.trackers.start import Start

IDENTITY = "nnkit.id"  # the tag by which a run is found that goes on: MLflow alone chooses the number of a run
MOST_PARAMETERS, LONGEST = 100, 500  # of one message, and signs of a value
ENDS = {"failed": "FAILED", "lost": "FAILED", "interrupted": "KILLED"}
TRIES, TRY_EVERY_S = 100, 0.1
ALLOW_FOLDERS = "MLFLOW_ALLOW_FILE_STORE"  # a variable without which it refuses folders, from version 3.7 on
PORTS = {"http": 80, "https": 443}
LONGEST_WAIT_S = 10.0  # for a server to take a connection
_NO_NAME = re.compile(r"[^\w .:/-]")


@final
class Mlflow:
    """A run of MLflow. What it has of a step stays, so no step is told twice."""

    def __init__(self, start: Start) -> None:
        """Begin the run, or go on with it. Raises: whatever MLflow raises."""
        uri = uri_of(start.settings["uri"], start.store)
        folder = folder_of(uri)
        if folder is not None:
            make_folder(folder)
            os.environ[ALLOW_FOLDERS] = "true"
        else:
            check_answers(uri)
        from mlflow.tracking import MlflowClient

        self._client: Any = MlflowClient(tracking_uri=uri if folder is None else folder.as_uri())
        experiment = self._experiment(start.settings["experiment"], folder)
        self._run, self._last = self._found(experiment, start) if start.goes_on else ("", -1)
        if self._run:
            self._client.update_run(self._run, status="RUNNING")
            self._note_changes(start)
        else:
            self._run = self._begun(experiment, start)

    def _experiment(self, name: str, folder: Path | None) -> str:
        """Return the experiment's number; trials that begin at once must not make it twice in a folder."""
        with ExitStack() as held:
            if folder is not None:
                held.enter_context(_alone(folder))
            found = self._client.get_experiment_by_name(name)
            return str(self._client.create_experiment(name) if found is None else found.experiment_id)

    def _found(self, experiment: str, start: Start) -> tuple[str, int]:
        """Return the run that goes on, and its last step; nothing where it is not there."""
        runs = self._client.search_runs([experiment], f"tags.`{IDENTITY}` = '{start.identity}'", max_results=1)
        if not runs:
            return "", -1
        run = str(runs[0].info.run_id)
        return run, max((point.step for point in self._client.get_metric_history(run, "epoch")), default=-1)

    def _begun(self, experiment: str, start: Start) -> str:
        from mlflow.entities import Param

        tags = {IDENTITY: start.identity, "nnkit.job": start.job, "nnkit.group": start.group}
        tags |= {"nnkit.tags": ", ".join(start.tags)}
        made = self._client.create_run(experiment, run_name=start.name, tags={k: v for k, v in tags.items() if v})
        run = str(made.info.run_id)
        texts = list(_parameters(start).items())
        for first in range(0, len(texts), MOST_PARAMETERS):
            part = [Param(key, value) for key, value in texts[first : first + MOST_PARAMETERS]]
            self._client.log_batch(run, params=part)
        return run

    def _note_changes(self, start: Start) -> None:
        """Tag the settings that are not what they were: a parameter of MLflow keeps its first value."""
        known = self._client.get_run(self._run).data.params
        for key, value in _parameters(start).items():
            if known.get(key, value) != value:
                self._client.set_tag(self._run, f"nnkit.changed.{key}", f"{value} from step {start.step}")

    def _log(self, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(_NO_NAME.sub("_", name), float(value), now, step) for name, value in values.items()]
        self._client.log_batch(self._run, metrics=metrics)

    def write(self, step: int, epoch: int, values: Mapping[str, float]) -> None:
        """Add a point to each curve."""
        if step > self._last:
            self._log(step, {**values, "epoch": epoch})
            self._last = step

    def go_back(self, step: int) -> None:
        """MLflow cannot: the points it has stay, and those that follow begin behind them."""

    def finish(self, status: str, metrics: Mapping[str, float]) -> None:
        """Write the final metrics, and how it ended."""
        if metrics:
            self._log(max(self._last, 0), {f"final/{name}": value for name, value in metrics.items()})
        self._client.set_tag(self._run, "nnkit.status", status)
        self._client.set_terminated(self._run, ENDS.get(status, "FINISHED"))


def _parameters(start: Start) -> dict[str, str]:
    """Return the settings as MLflow takes them."""
    return {_NO_NAME.sub("_", key): str(value)[:LONGEST] for key, value in start.config.items()}


def uri_of(wanted: str | None, store: str) -> str:
    """Return where MLflow writes to: what is wanted, else what the environment says, else a folder."""
    return wanted or os.environ.get("MLFLOW_TRACKING_URI") or store


def check_answers(uri: str) -> None:
    """Check that somebody listens at an address: MLflow itself would try again for minutes.

    Raises:
        ConnectionError: nobody does; where a proxy stands between, that cannot be told from here.
    """
    address = urlsplit(uri)
    if address.scheme not in PORTS or not address.hostname or address.scheme in getproxies():
        return
    try:
        socket.create_connection((address.hostname, address.port or PORTS[address.scheme]), LONGEST_WAIT_S).close()
    except OSError as error:
        raise ConnectionError(f"no answer from {uri} ({(error.strerror or str(error)).lower()})") from error


def folder_of(uri: str) -> Path | None:
    """Return the folder that an address means; None for a server or a database."""
    if uri == "databricks" or ("://" in uri and not uri.startswith("file:")):
        return None
    return Path(unquote(urlsplit(uri).path) if uri.startswith("file:") else uri).expanduser().absolute()


def _alone(folder: Path) -> FolderLock:
    """Return the right to make an experiment in a folder, which others have for moments. Raises: FolderInUseError."""
    for _ in range(TRIES):
        try:
            return FolderLock(folder)
        except FolderInUseError:
            time.sleep(TRY_EVERY_S)
    return FolderLock(folder)
