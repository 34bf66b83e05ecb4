"""The user's own parts: `package.module:Name` becomes an object, from the words of its user alone."""

from __future__ import annotations

import importlib
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, final

from nnkit.errors import ConfigError, DataError, NnkitError, Problem

# Where user code may stand, and what it is called with beside its kwargs.
PLACES: Mapping[str, int] = {"model": 1, "activation": 0, "loss": 0, "metric": 0, "data": 0}
TRACEBACK = "--debug shows the traceback"


@final
class OwnCodeError(ConfigError):
    """Code of the user's own raised: where that was, and below what, its writer wants to know."""


@final
class OwnDataError(DataError):
    """The user's own function that makes the data raised."""


OWN = (OwnCodeError, OwnDataError)


def load(code: str, *, key: str) -> Callable[..., Any]:
    """Return the object that `code` names.

    Args:
        code: package.module:Name; modules are found in the working directory, then where Python finds its own.
        key: the setting, for messages.

    Raises:
        ConfigError: it is not of this form, is not there, or is nothing that can be called.
        OwnCodeError: it raises while it is imported.
    """
    module_name, colon, name = code.partition(":")
    if not colon or not module_name or not name:
        raise ConfigError(f"{key} must be package.module:Name, got '{code}'", hint=f"{key}=my_module:MyName")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # it stays, since the user's module may import more when it is used
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and module_name.startswith(error.name):
            raise ConfigError(f"{key}: no module named {error.name}", hint=f"it is looked for in {here}") from error
        raise OwnCodeError(f"{key}: no module named {error.name}{_place(error)}", hint=TRACEBACK) from error
    except (Exception, SystemExit) as error:
        raise OwnCodeError(f"{key}: importing {module_name} failed: {said(error)}", hint=TRACEBACK) from error
    found = getattr(module, name, None)
    if not callable(found):
        named = [n for n, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == module_name]
        what = "is nothing that can be called" if hasattr(module, name) else "is not there"
        raise ConfigError(f"{key}: {name} {what} in {module_name}", hint=f"it has {', '.join(named) or 'nothing'}")
    return found  # type: ignore[no-any-return]


def made(code: str, kwargs: Mapping[str, Any], *facts: Any, key: str) -> Any:
    """Return what the user's own class or function makes.

    Args:
        code: package.module:Name.
        kwargs: its keyword arguments.
        facts: what nnkit gives it beside them.
        key: the setting, for messages.

    Raises:
        ConfigError, DataError: as `load`; or its own, as it was worded.
        OwnCodeError: it raises; of data OwnDataError.
    """
    found = load(code, key=key)
    try:
        return found(*facts, **kwargs)
    except NnkitError:
        raise
    except (Exception, SystemExit) as error:
        kind = OwnDataError if key == "data.code" else OwnCodeError
        raise kind(f"{key}={code} failed: {said(error)}", hint=TRACEBACK) from error


def said(error: BaseException) -> str:
    """Return what an error out of the user's own code says, and at which of the user's lines."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{_place(error)}"


def _place(error: BaseException) -> str:
    """Return the last line of the user's own that an error came through; empty where there is none."""
    others = (f"{Path(__file__).parent}/", f"{sysconfig.get_path('stdlib')}/", "<")
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(others) and "site-packages" not in frame.filename:
            return f" ({Path(frame.filename).name}, line {frame.lineno})"
    return ""


def check_signature(found: Callable[..., Any], kwargs: Mapping[str, Any], positional: int, *, key: str) -> None:
    """Check that an object can be called with its keyword arguments.

    Args:
        found: a class or a function.
        kwargs: its keyword arguments.
        positional: how many arguments nnkit gives it beside them.
        key: the section, for messages.

    Raises:
        ConfigError: it cannot.
    """
    try:
        inspect.signature(found).bind(*[None] * positional, **kwargs)
    except TypeError as error:
        name = getattr(found, "__name__", str(found))
        raise ConfigError(
            f"{key}.kwargs does not fit {name}{inspect.signature(found)}: {error}", hint=f"{key}.kwargs.NAME=VALUE"
        ) from error
    except ValueError:  # built-in callables may hide their signature
        return


def sections_with_code(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the sections of a plain config that name user code, with that code."""
    found = {}
    for place in PLACES:
        section = values.get(place)
        if isinstance(section, Mapping) and section.get("kind") == "code":
            found[place] = str(section.get("code"))
    return found


def refuse_untrusted(values: Mapping[str, Any], folder: Path) -> None:
    """Refuse a run folder that names user code. Raises: ConfigError."""
    problems = [
        Problem(f"{folder}: {place} runs code of its own, {code}", "if you know where it is from: --trust")
        for place, code in sections_with_code(values).items()
    ]
    if problems:
        raise ConfigError(*problems)


def check_code(values: Mapping[str, Any], failed: dict[tuple[str, str], ConfigError] | None = None) -> None:
    """Import every piece of user code that a plain config names, and bind it to its arguments.

    Args:
        values: of the config.
        failed: what could not be imported for earlier configs, and why, by section and code; it is not run again.

    Raises:
        ConfigError: with every problem.
        OwnCodeError: the same, where a module raises.
    """
    problems: list[Problem] = []
    raised: OwnCodeError | None = None
    for place, code in sections_with_code(values).items():
        try:
            found = _loaded(place, code, {} if failed is None else failed)
            check_signature(found, values[place].get("kwargs") or {}, PLACES[place], key=place)
        except ConfigError as error:
            problems += error.problems
            raised = raised or (error if isinstance(error, OwnCodeError) else None)
    if raised is not None:
        raise OwnCodeError(*problems) from raised.__cause__
    if problems:
        raise ConfigError(*problems)


def _loaded(place: str, code: str, failed: dict[tuple[str, str], ConfigError]) -> Any:
    if (place, code) in failed:
        raise failed[place, code]
    try:
        return load(code, key=f"{place}.code")
    except ConfigError as error:
        failed[place, code] = error
        raise
