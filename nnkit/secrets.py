"""Secrets (passwords, keys, tokens): what looks like one, and texts without them. Others read what nnkit writes."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

HIDDEN = "***"
SHORTEST = 8  # signs of a variable's value that is looked for: a shorter one stands in other texts by chance
_ALONE = frozenset(
    ["password", "passwd", "passphrase", "pwd", "secret", "secrets", "credential", "credentials", "apikey", "bearer"]
)
_KEYS = frozenset(
    [
        "api",
        "access",
        "secret",
        "private",
        "account",
        "signing",
        "encryption",
        "license",
        "client",
        "service",
        "ssh",
        "aws",
        "gpg",
    ]
)
# Networks have tokens of their own, such as pad_token.
_TOKENS = frozenset(
    [
        "api",
        "access",
        "auth",
        "session",
        "refresh",
        "security",
        "id",
        "hf",
        "hub",
        "github",
        "gitlab",
        "wandb",
        "bot",
        "service",
        "deploy",
    ]
)
_OF_ENVIRONMENT = frozenset(
    ["TOKEN", "PASS", "PASSWORD", "PASSWD", "PWD", "SECRET", "KEY", "CREDENTIAL", "CREDENTIALS", "PAT", "DSN", "AUTH"]
)
_IN_URL = re.compile(r"(?<=:/)(/?)[^/\s@'\"]*:[^/\s@'\"]*@")  # a Path makes one slash of two
_IN_QUERY = re.compile(r"(?<=[?&])([\w.-]+)=([^&\s'\"]+)")
_PAIR = re.compile(r"""([\w.-]+)((?:\\?["'])?\s*[=:]\s*(?:\\?["'])?)([^\s"'&,;}\]\\]+)""")


def is_secret(name: str) -> bool:
    """Tell whether a name, perhaps with sections before it, is that of a secret: data.kwargs.password, HF_TOKEN."""
    spread = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.rpartition(".")[2])
    words = [word for word in re.split(r"[_-]+", spread.lower()) if word]
    *before, last = words or [""]
    above = before[-1] if before else ""
    is_key = last in ("key", "keys") and above in _KEYS
    is_token = last in ("token", "tokens") and (above in _TOKENS or (not above and last == "token"))
    return last in _ALONE or is_key or is_token


def holder(text: str) -> str | None:
    """Return the environment variable whose name is that of a secret and whose value stands in a text, if any."""
    return next((name for name, value in _variables() if value in text), None)


def has_secret(text: str) -> bool:
    """Tell whether a text holds a password: in a URL, behind a name that says so, or out of the environment."""
    return redacted(text) != text


def redacted(text: str) -> str:
    """Return a text with *** in place of every secret in it.

    These are the user and password of a URL, what stands behind the name of a secret (password=…, "api_key": "…"), and
    the value of every environment variable with such a name.
    """
    for _, value in _variables():
        text = text.replace(value, HIDDEN)
    text = _IN_URL.sub(rf"\1{HIDDEN}@", text)
    text = _IN_QUERY.sub(lambda found: f"{found[1]}={HIDDEN}" if _of_query(found[1]) else found[0], text)
    return _PAIR.sub(lambda found: f"{found[1]}{found[2]}{HIDDEN}" if _hides(found[1], found[3]) else found[0], text)


def redacted_words(words: Sequence[str]) -> list[str]:
    """Return words of a command line with *** in place of every secret in them."""
    found = []
    for word in words:
        key, equals, value = word.partition("=")
        is_hidden = equals and is_secret(key.lstrip("+")) and _hides(key, value)
        found.append(f"{key}={HIDDEN}" if is_hidden else redacted(word))  # a value of several words goes as a whole
    return found


def _variables() -> list[tuple[str, str]]:
    """Return the secrets of the environment, the longest first: a shorter one may stand in it."""
    found = [
        (name, value)
        for name, value in os.environ.items()
        if len(value) >= SHORTEST and _OF_ENVIRONMENT & {*name.upper().split("_")} and not value.startswith("/")
    ]
    return sorted(found, key=lambda pair: -len(pair[1]))


def _of_query(name: str) -> bool:
    return is_secret(name) or name.lower() in ("sig", "signature", "x-amz-signature", "x-amz-credential", "key")


def _hides(name: str, value: str) -> bool:
    return is_secret(name) and value.lower() not in ("", HIDDEN, "null", "none", "true", "false", "str", "...")
