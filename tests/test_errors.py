"""The error tree: one exit code a leaf."""

from __future__ import annotations

from nnkit import errors
from nnkit.errors import ConfigError, NnkitError, Problem


def test_each_error_has_the_exit_code_that_the_tree_names() -> None:
    named = {}
    for line in (errors.__doc__ or "").splitlines():
        words = line.replace("├── ", "").replace("└── ", "").split()
        if words and words[0].endswith("Error") and words[1].isdigit():
            named[words[0]] = int(words[1])
    real = {
        e.__name__: e.exit_code for e in [NnkitError, *NnkitError.__subclasses__()] if e.__module__ == errors.__name__
    }
    assert named == real
    assert len(set(real.values())) == len(real)


def test_an_error_carries_all_its_problems() -> None:
    error = ConfigError(Problem("a", "b"), "c", hint="d")
    assert error.problems == (Problem("a", "b"), Problem("c", "d"))
    assert str(error) == "a; c"
