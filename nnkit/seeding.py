"""Seeds by name: every use of chance has its own stream, derived from one number."""

from __future__ import annotations

import hashlib


def derive(seed: int, *words: str | int) -> int:
    """Return the seed of the stream named by `words`.

    Streams with different words, or with different seeds, are independent of each other.

    Args:
        seed: the user's seed, any whole number.
        words: the stream's name, such as ("order", epoch) or ("step", step, rank).

    Returns:
        A whole number in [0, 2**63), the same on every machine and in every process.

    Raises: nothing.
    Source: BLAKE2b (RFC 7693), used as a pseudo-random function of the name.
    """
    name = "\x1f".join([str(seed), *map(str, words)])
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 1
