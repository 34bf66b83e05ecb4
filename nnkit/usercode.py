"""The user's own parts: `package.module:Name` becomes an object, from the words of its user alone."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nnkit.errors import ConfigError, Problem

# Where user code may stand, and what it is called with beside its kwargs.
PLACES: Mapping[str, int] = {"model": 1, "activation": 0, "loss": 0, "metric": 0, "data": 0}


def load(code: str, *, key: str) -> Callable[..., Any]:
    """Return the object that `code` names.

    Args:
        code: package.module:Name; modules are found in the working directory, then where Python finds its own.
        key: the setting, for messages.

    Raises:
        ConfigError: it is not of this form, cannot be imported, or is nothing that can be called.
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
        hint = f"it is looked for in {here}" if error.name and module_name.startswith(error.name) else ""
        raise ConfigError(f"{key}: no module named {error.name}", hint=hint) from error
    except Exception as error:
        raise ConfigError(f"{key}: importing {module_name} failed: {type(error).__name__}: {error}") from error
    found = getattr(module, name, None)
    if not callable(found):
        named = [n for n, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == module_name]
        what = "is nothing that can be called" if hasattr(module, name) else "is not there"
        raise ConfigError(f"{key}: {name} {what} in {module_name}", hint=f"it has {', '.join(named) or 'nothing'}")
    return found  # type: ignore[no-any-return]


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


def check_code(values: Mapping[str, Any]) -> None:
    """Import every piece of user code that a plain config names, and bind it to its arguments. Raises: ConfigError."""
    problems: list[Problem] = []
    for place, code in sections_with_code(values).items():
        try:
            found = load(code, key=f"{place}.code")
            check_signature(found, values[place].get("kwargs") or {}, PLACES[place], key=place)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*problems)
