"""What is known to be the user's own where a part of a config was sent, and whether the whole obeys nobody else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import yaml
from omegaconf import OmegaConf
from omegaconf.resolvers import oc

from nnkit.config.options import PRIMARY
from nnkit.config.origin import Composed
from nnkit.config.sent import CACHE, DOWNLOAD, OUTPUTS, TRUST, leads_away
from nnkit.errors import Problem
from nnkit.usercode import sections_with_code

_VARIABLE = re.compile(r"oc\.env:\s*([A-Za-z_]\w*)")


@final
@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody who has sent a part of a config: a file, or the words of a sweep.

    Attributes:
        typed: the keys that the user has typed beside it, which are the user's own.
        dirs: the config folders, which are the user's own, too.
        words: that the user has typed.
        config_name: the primary config, in one of the folders.
        hint: what lets the config do what it asks for.
        is_placed: whether the folder of the runs is known already, so that output_dir decides nothing.
    """

    typed: frozenset[str]
    dirs: Sequence[Path]
    words: Sequence[str] = ()
    config_name: str = Path(PRIMARY).stem
    hint: str = TRUST
    is_placed: bool = False

    def problems(self, composed: Composed) -> list[Problem]:
        """Return what a composed config would do that neither the user nor the user's own files ask for.

        However it was spelled: what is looked at is what would be obeyed.
        """
        found = []
        for place, code in sections_with_code(composed.values).items():
            if not self._is_own(composed, f"{place}.code", code):
                found.append(f"{place} would run code: {code}")
        for key in (CACHE, *(() if self.is_placed else (OUTPUTS,))):
            value = _at(composed.values, key)
            if value is not None and leads_away(str(value)) and not self._is_own(composed, key, value):
                found.append(f"{key}={value} would write files there")
        if _at(composed.values, DOWNLOAD) and not self._is_own(composed, DOWNLOAD, True):
            found.append(f"{DOWNLOAD}=true would fetch files")
        return [Problem(text, self.hint) for text in found]

    def _is_own(self, composed: Composed, key: str, value: Any) -> bool:
        """Whether the user has typed a setting, or its value stands in the user's own file."""
        section, _, name = key.rpartition(".")
        path = composed.files.get(section) if section else self._primary()
        loaded = yaml.safe_load(path.read_text()) if path is not None else None
        own = loaded.get(name) if isinstance(loaded, dict) else None
        return key in self.typed or own == value or (isinstance(own, str) and "${" in own)

    def _primary(self) -> Path | None:
        paths = (folder / f"{self.config_name}.yaml" for folder in self.dirs)
        return next((path for path in paths if path.is_file()), None)

    def variables(self) -> frozenset[str]:
        """Return the names of the environment variables that the user's own files and words ask for."""
        texts = [path.read_text(errors="replace") for folder in self.dirs for path in folder.rglob("*.yaml")]
        return frozenset(name for text in (*texts, *self.words) for name in _VARIABLE.findall(text))


def sender_of(overlay: Path | None, words: Sequence[str], dirs: Sequence[Path], config_name: str) -> Stranger | None:
    """Return who has sent a file that the words name; None for a file of the user's own, and for none.

    Args:
        overlay: the file.
        words: all that the user has typed.
        dirs: the config folders; what lies in them is the user's own.
        config_name: the primary config.
    """
    if overlay is None or any(overlay.is_relative_to(path) for path in dirs):
        return None
    typed = frozenset(word.partition("=")[0].lstrip("+") for word in words if "=" in word)
    return Stranger(typed, dirs, words, config_name)


def sender_of_words(words: Sequence[str], dirs: Sequence[Path], config_name: str) -> Stranger | None:
    """Return who has sent a file among the words; None where none is another's. Args: as `sender_of`."""
    overlays = [Path(word).resolve() for word in words if "=" not in word and word.endswith((".yaml", ".yml"))]
    return next((found for path in overlays if (found := sender_of(path, words, dirs, config_name))), None)


@contextmanager
def environment_for(stranger: Stranger | None) -> Iterator[None]:
    """Let no other variable of the environment be read than those that the user's own files and words ask for.

    However a reference to one is spelled, this is where OmegaConf asks for it.
    """
    if stranger is None:
        yield
        return
    names = stranger.variables()

    def known(key: str, *default: Any) -> Any:
        if key not in names:
            raise ValueError(f"no file of yours asks for the environment variable {key}")
        return oc.env(key, *default)

    OmegaConf.register_new_resolver("oc.env", known, replace=True)
    try:
        yield
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)


def _at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values
