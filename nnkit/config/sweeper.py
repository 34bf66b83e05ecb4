"""The settings of a sweeper, checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from nnkit.config.fields import choices_of, describe, hints
from nnkit.config.sections.sweeper import SweepConfig
from nnkit.config.suggest import spell
from nnkit.config.synonyms import nearest
from nnkit.errors import ConfigError, Problem

S = TypeVar("S", bound=SweepConfig)
PREFIX = "hydra.sweeper."


def sweeper_of(schema: type[S], values: Mapping[str, Any]) -> S:
    """Return the checked settings of a sweeper. Raises: ConfigError, with every one that is wrong."""
    try:
        return TypeAdapter(schema).validate_json(json.dumps(values))
    except ValidationError as error:
        wrong = dict.fromkeys(str(item["loc"][0]) for item in error.errors(include_url=False))
    known = {field.name: field for field in fields(schema)}
    annotations = hints(cast(type, schema))
    raise ConfigError(
        *(
            _problem(name, values.get(name), annotations[name], known[name].default)
            if name in known
            else Problem(f"{PREFIX}{name} is not a setting of this sweeper")
            for name in wrong
        )
    )


def _problem(name: str, value: Any, annotation: Any, default: Any) -> Problem:
    got = f"'{value}'" if isinstance(value, str) else spell(value)
    near = nearest(str(value), choices_of(annotation))
    hint = f"{PREFIX}{name}={near or spell(default)}"
    return Problem(f"{PREFIX}{name} must be {describe(annotation)}, got {got}", hint)
