"""YAML that a stranger may have written."""

from __future__ import annotations

import pytest
import yaml

from nnkit.config.plain_yaml import LARGEST, checked, parsed

BOMB = b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"


def test_plain_yaml_is_read() -> None:
    assert parsed(b"a: [1, {b: null}]\n") == {"a": [1, {"b": None}]}
    assert checked(BOMB, 100)["c"] == [[["x", "x"], ["x", "x"]]] * 2
    assert checked(b"", 1) is None


def test_our_own_files_have_no_aliases() -> None:
    with pytest.raises(ValueError, match="it has aliases"):
        parsed(BOMB)
    assert parsed(b"a: 2 * 3\n") == {"a": "2 * 3"}


def test_aliases_count_as_often_as_they_are_used() -> None:
    with pytest.raises(ValueError, match="it stands for more than 20 values"):
        checked(BOMB, 20)
    with pytest.raises(ValueError, match="it is nested too deeply"):
        checked(b"a: &a [*a]\n", 20)


@pytest.mark.parametrize("read", [parsed, lambda data: checked(data, 10**6)])
def test_what_is_too_large_or_too_deep_is_refused(read: object) -> None:
    assert callable(read)
    with pytest.raises(ValueError, match="it has 1,048,577 bytes, more than 1,048,576"):
        read(b"#" * (LARGEST + 1))
    for sign in (b"- ", b"? "):
        with pytest.raises(ValueError, match="it is nested too deeply"):
            read(sign * 300_000)
    with pytest.raises((ValueError, yaml.YAMLError)):
        read(b"[" * 5000)


def test_no_object_is_made() -> None:
    with pytest.raises(yaml.YAMLError, match=r"python/object/apply:os\.mknod"):
        parsed(b"a: !!python/object/apply:os.mknod [x]\n")
