"""Weights & Biases: offline into the run folder, or to its server. Nothing is sent but what we give it."""

from __future__ import annotations

import netrc
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, final
from urllib.parse import urlsplit

from nnkit.storage import make_folder, remove_links, write_bytes
from nnkit.track.trackers.start import Start

FOLDER, LAST_STEP = "wandb", "last-step"
HOST = "https://api.wandb.ai"
LONGEST = 128  # signs of a name, a group and a tag
# What it would find out by itself: the command, the machine, git, the packages, what is printed; and links, which a run
# folder must not have. An older or a newer version may not know each of them.
QUIET: Mapping[str, Any] = {
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "host": "hidden",
    "save_code": False,
    "silent": True,
    "symlink": False,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}


@final
class Wandb:
    """A run of W&B. Its steps only grow: what it has of a step stays, and no step is told twice."""

    def __init__(self, start: Start) -> None:
        """Begin the run, or go on with it. Raises: whatever wandb raises."""
        import wandb

        mode: Any = mode_of(start.settings["mode"])
        self._mark = Path(start.folder) / FOLDER / LAST_STEP
        make_folder(self._mark.parent)
        known = getattr(wandb.Settings, "model_fields", QUIET)
        self._run: Any = wandb.init(
            project=start.settings["project"],
            entity=start.settings["entity"],
            id=start.identity,
            name=start.name[:LONGEST],
            group=start.group[:LONGEST] or None,
            job_type=start.job,
            tags=[tag[:64] for tag in start.tags if tag],
            config=dict(start.config),
            dir=start.folder,
            mode=mode,
            resume="allow" if start.goes_on else None,
            settings=wandb.Settings(**{name: value for name, value in QUIET.items() if name in known}),
        )
        remove_links(self._mark.parent)  # such as that of its service to a log, which would make the run unreadable
        before = int(self._mark.read_text()) if start.goes_on and self._mark.exists() else -1
        self._last = max(before, int(getattr(self._run, "starting_step", 0)) - 1)

    def write(self, step: int, epoch: int, values: Mapping[str, float]) -> None:
        """Add a point to each curve."""
        if step > self._last:
            self._run.log({**values, "epoch": epoch}, step=step)
            self._last = step

    def go_back(self, step: int) -> None:
        """W&B cannot: the points it has stay, and those that follow begin behind them."""

    def finish(self, status: str, metrics: Mapping[str, float]) -> None:
        """Write the final metrics, and wait until all is written or sent."""
        self._run.summary.update({**{f"final/{name}": value for name, value in metrics.items()}, "status": status})
        write_bytes(self._mark, str(self._last).encode())
        self._run.finish(exit_code={"failed": 1, "lost": 1, "interrupted": 130}.get(status, 0))
        remove_links(self._mark.parent)


def mode_of(wanted: str) -> str:
    """Return where the run goes: without a key there is no server for it."""
    if wanted != "auto":
        return wanted
    if given := os.environ.get("WANDB_MODE"):
        return given
    return "online" if os.environ.get("WANDB_API_KEY") or _is_logged_in() else "offline"


def _is_logged_in() -> bool:
    """Tell whether `wandb login` has left a key."""
    host = urlsplit(os.environ.get("WANDB_BASE_URL", HOST)).hostname or ""
    with suppress(OSError, netrc.NetrcParseError):
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    return False
