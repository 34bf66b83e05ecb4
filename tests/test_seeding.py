"""Streams of chance by name."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from nnkit.seeding import derive


def test_a_stream_is_the_hash_of_its_name() -> None:
    digest = hashlib.blake2b(b"7\x1forder\x1f3", digest_size=8).hexdigest()
    assert derive(7, "order", 3) == int(digest, 16) // 2


@given(st.integers(), st.integers(), st.text(), st.text())
def test_other_seeds_and_other_names_are_other_streams(a: int, b: int, left: str, right: str) -> None:
    assert 0 <= derive(a, left) < 2**63
    assert (derive(a, left) == derive(b, left)) == (a == b)
    assert (derive(a, left) == derive(a, right)) == (left == right)


def test_words_do_not_run_together() -> None:
    assert len({derive(0, "ab", "c"), derive(0, "a", "bc"), derive(0, "abc"), derive(0, "a", "b", "c")}) == 4
