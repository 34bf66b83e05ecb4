"""What was typed to start a run, and where: kept, so that it can be typed again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nnkit.secrets import redacted_words


@final
@dataclass(frozen=True, slots=True)
class Command:
    """A command line of nnkit.

    Attributes:
        words: as the shell has taken them apart, from "nnkit" on.
        place: the working folder, which paths among the words start from.
    """

    words: Sequence[str]
    place: Path

    @classmethod
    def here(cls, *words: str) -> Command:
        """Return the command of these words behind `nnkit`, typed in the folder where this process works."""
        return cls(("nnkit", *words), Path.cwd())

    def line(self) -> str:
        """Return it as it is typed, without secrets, the way to its folder first. Nothing else writes it down."""
        return f"cd {shlex.quote(str(self.place))} && {shlex.join(redacted_words(self.words))}"
