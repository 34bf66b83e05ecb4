"""A config file that somebody may have sent: it may choose among nnkit's parts, but not run code, nor read the
environment, nor say where files are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nnkit.config.origin import flatten
from nnkit.config.plain_yaml import checked
from nnkit.errors import Problem
from nnkit.regular import read_regular
from nnkit.usercode import PLACES

MOST_SETTINGS, MOST_VALUES = 1_000, 10_000
LARGEST = 2**17  # bytes; OmegaConf reads no more in a second
TRUST = "if the file is yours, move it into configs/experiment/, or pass --trust; or type the setting yourself"
_OPTION = re.compile(r"^(?:override\s+)?/?[\w-]+(?:/[\w-]+)*$")
_LAUNCHER = re.compile(r"^(?:override\s+)?/?hydra/(?!sweeper$)")
_TRACKER = re.compile(r"^(?:override\s+)?/?tracker(?:@|$)")
_REFERENCE = re.compile(r"\$\{(?:\.*[A-Za-z_][\w.\[\]-]*\})?")
# The options of networks that start from published weights, unless they are told otherwise.
PUBLISHED = (
    *("resnet18", "resnet50", "vgg16", "inception_v3"),
    *("mobilenet_v3", "efficientnet_b0", "convnext_tiny", "pretrained"),
)
_NAME = re.compile(r"[A-Za-z_][\w-]*(?:[./][\w-]+)*", re.ASCII)  # all of it: what Hydra would take apart is no name
OUTPUTS, CACHE, DOWNLOAD = "output_dir", "data.cache", "data.download"
WRITTEN = (OUTPUTS, CACHE)  # the places of what is written
OWN_CACHE = "~/.cache/nnkit"
_READ_BY_HYDRA = ("callbacks", "job_logging", "hydra_logging")  # refused where the composed config is looked at


def read_sent(path: Path) -> tuple[bytes, Any]:
    """Return a file's bytes and the plain values in it.

    Raises:
        OSError: it cannot be read, is no ordinary file, or is larger than anybody writes by hand.
        ValueError, yaml.YAMLError, RecursionError: it has too many settings; and as `nnkit.config.plain_yaml.checked`.
    """
    data = read_regular(path, LARGEST)
    values = checked(data, MOST_VALUES)
    if isinstance(values, Mapping) and sum(1 for _ in flatten(values)) > MOST_SETTINGS:
        raise ValueError(f"it has more than {MOST_SETTINGS:,} settings")
    return data, values


def sent_problems(values: Any, path: Path) -> list[Problem]:
    """Return what a stranger's config must not do, all of it.

    Args:
        values: as OmegaConf reads them, references not resolved: what is looked at is what will be obeyed.
        path: of the file.
    """
    if not isinstance(values, Mapping):
        return []  # that it holds no settings is told where it is laid over the others
    found = [*_of_defaults(values.get("defaults")), *_of_hydra(values.get("hydra"))]
    pairs = [(key, value) for key, value in flatten(values) if not key.startswith(("defaults", "hydra."))]
    found += [text for key, value in [*pairs, *_params(values)] for text in _of_setting(key, value)]
    found += [text for key, value in _params(values) for text in _of_word(key, value)]
    found += [text for key, value in flatten(values) for text in _of_references(key, value)]
    if _takes_published_weights(values):
        found.append("model.weights=DEFAULT would fetch files")
    return [Problem(f"{text} (in {path})", TRUST) for text in dict.fromkeys(found)]


def _takes_published_weights(values: Mapping[Any, Any]) -> bool:
    """Tell whether a config chooses weights that are fetched where they lack."""
    listed, given = values.get("defaults"), values.get("model")
    model = given if isinstance(given, Mapping) else {}
    chosen = [
        option
        for entry in (listed if isinstance(listed, list) else [])
        if isinstance(entry, Mapping)
        for key, option in entry.items()
        if str(key).removeprefix("override").strip().lstrip("/") == "model"
    ]
    is_published = model.get("kind") == "pretrained" or any(option in PUBLISHED for option in chosen)
    return bool(model.get("weights", "DEFAULT" if is_published else None) == "DEFAULT")


def word_problems(words: Mapping[str, str], place: Path) -> list[Problem]:
    """Return what words out of a folder, which may be a stranger's, must not do.

    Args:
        words: the values by their keys.
        place: of the folder.
    """
    found: list[str] = []
    for key, value in words.items():
        if key.startswith("hydra.launcher") or (key == "hydra/launcher" and value not in ("basic", "joblib")):
            found.append(f"{key}={value} would run programs")
        found += _of_grammar(key, value)
    return [Problem(f"{text} (in {place})", "if you know where it is from: --trust") for text in found]


def without_wishes(values: dict[str, Any], folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the values of a run folder's config without what would write elsewhere or fetch files, and what that was.

    Pictures are then cached where they are by default; the run is the same, and the user may type another place.

    Args:
        values: of config.yaml, not checked.
        folder: of the run.
    """
    data, told = values.get("data"), []
    if not isinstance(data, Mapping):
        return values, []
    kept = dict(data)
    if isinstance(cache := data.get("cache"), str) and cache != OWN_CACHE and leads_away(cache):
        kept["cache"] = OWN_CACHE
        told.append(f"{CACHE}={cache} of {folder} is not used; type it, or pass --trust, if the run is yours")
    if data.get("download") not in (None, False):
        kept["download"] = False
    return {**values, "data": kept}, told


def _of_defaults(listed: Any) -> Iterator[str]:
    """Yield the options that are none of the config folders', or that start programs."""
    for entry in listed if isinstance(listed, list) else []:
        for key, option in entry.items() if isinstance(entry, Mapping) else [(entry, None)]:
            names = [key, *_names(option)]
            if not all(_OPTION.match(name) for name in names if isinstance(name, str)):  # Hydra tells of others
                yield f"defaults: {key}: {option} is no option of a group"
            elif _TRACKER.match(str(key)) and not {*_names(option)} <= {"none", "tensorboard"}:
                yield f"tracker: {option} would send what is trained elsewhere"
            elif _LAUNCHER.match(str(key)):
                yield f"{str(key).removeprefix('override').strip().lstrip('/')} would run programs"


def _names(option: Any) -> list[Any]:
    return option if isinstance(option, list) else [option]


def _of_hydra(node: Any) -> Iterator[str]:
    """Yield what would start programs beside what is refused in the composed config."""
    if not isinstance(node, Mapping):
        if node is not None:
            yield f"hydra must be a section, got {node!r}"
        return
    launcher = node.get("launcher")
    if launcher is not None:
        target = launcher.get("_target_") if isinstance(launcher, Mapping) else None
        yield f"hydra.launcher would run {target or 'programs'}"
    for key in ("sweeper", *_READ_BY_HYDRA):
        if node.get(key) is not None and not isinstance(node[key], Mapping):
            yield f"hydra.{key} must be a section, got {node[key]!r}"


def _params(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the space of a sweep that a file has: it is as good as words."""
    hydra = values.get("hydra")
    sweeper = hydra.get("sweeper") if isinstance(hydra, Mapping) else None
    params = sweeper.get("params") if isinstance(sweeper, Mapping) else None
    return list(flatten(params)) if isinstance(params, Mapping) else []


def _of_setting(key: Any, value: Any) -> Iterator[str]:
    """Yield what one setting would do: run code, or write somewhere."""
    name = str(key).lstrip("+~")
    section, _, rest = name.partition(".")
    if section in PLACES and (rest == "code" or (not rest and not isinstance(value, Mapping) and "$" in str(value))):
        yield f"{name} would run code: {value}"
    if name.startswith("hydra"):
        yield f"{name} is no setting to sweep over"
    if name.startswith(("tracker.wandb", "tracker.mlflow")) and value is not False:
        yield f"{name}={value} would send what is trained elsewhere"
    if name in WRITTEN and value is not None and leads_away(str(value)):
        yield f"{name}={value} would write files there"
    if name == DOWNLOAD and str(value).lower() not in ("false", "none", "null"):
        yield f"{DOWNLOAD}={str(value).lower()} would fetch files"


def _of_word(key: Any, value: Any) -> Iterator[str]:
    """Yield what makes one entry of a sweep's space, of which Hydra makes a word, more than a name and its values."""
    if not _NAME.fullmatch(str(key)):
        yield f"hydra.sweeper.params: {str(key)[:200]} is not the name of a setting"
    for text in _texts(value):
        if "$" in text or "\\" in text:
            yield f"hydra.sweeper.params: {key}: {text[:200]} must be values alone, without $ and \\"


def _of_grammar(key: str, value: str) -> Iterator[str]:
    """Yield what of a word Hydra would take for more than the name of another setting, escapes looked through."""
    if not _NAME.fullmatch(key.removeprefix("++")):
        yield f"{key[:200]} is not the name of a setting"
    yield from _of_references(key, value.replace("$\\", "$"))


def leads_away(path: str) -> bool:
    """Tell whether a path leads out of the folder that the user works in, or may do so."""
    return path.startswith(("/", "~")) or ".." in Path(path).parts or ":" in path or "$" in path


def _of_references(key: Any, value: Any) -> Iterator[str]:
    """Yield the references that are more than another setting's name: to the environment, or to a function."""
    for text in _texts(value):
        if any(found[0] == "${" for found in _REFERENCE.finditer(text)):
            yield f"{key}: {text[:200]} may refer to other settings alone"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in (*value.keys(), *value.values()):
            yield from _texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)
