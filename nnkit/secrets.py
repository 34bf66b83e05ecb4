"""Secrets (passwords, keys, tokens): what looks like one, and texts without them. Others read what nnkit writes."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, quote_plus

HIDDEN = "***"
SHORTEST = 8  # signs of a variable's value that is looked for: a shorter one stands in other texts by chance


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_ALONE = _set(
    "password passwords passwd passphrase passcode pass pwd secret secrets credential credentials auth "
    "authorization bearer jwt"
)
_AT_END = ("password", "passwords", "passwd", "passphrase", "apikey", "apikeys", "secretkey", "accesskey", "privatekey")
_KEYS = _set(
    "api access secret private account signing encryption license client service ssh aws gpg storage shared "
    "master deploy auth openai wandb"
)
_TOKENS = _set(  # what stands before "tokens", which networks count as well
    "api access auth session refresh security id hf hub github gitlab wandb bot service deploy oauth bearer"
)
# Networks have tokens of their own, such as pad_token.
_OF_NETWORKS = _set(
    "pad padding bos eos sos unk unknown mask sep cls class start end begin stop special word subword char next "
    "new prev last first image patch text input output target per max min num blank dummy null oov vocab prompt"
)
_OF_ENVIRONMENT = _set("TOKEN PASS PASSWORD PASSWD PWD SECRET SECRETS KEY CREDENTIAL CREDENTIALS PAT DSN AUTH")
_GLUED = ("PASS", "PASSWORD", "PASSWD", "TOKEN", "TOKENS", "SECRET", "APIKEY", "APIKEYS", "SECRETKEY", "ACCESSKEY")
_PLACES = ("FILE", "PATH", "SOCK", "DIR", "HOME")  # SSH_AUTH_SOCK: where something is, not what it is
_IN_URL = re.compile(  # a Path makes one slash of two; a password may hold @ and /, but host:80/a@b has none
    r"((?<=:)//?|(?<![\w:/.])//)([^/\s'\"]+|[^/\s'\":@\[]+:(?!\d+/)[^\s'\"]+)@"
)
_IN_QUERY = re.compile(r"(?<=[?&#])([\w.-]+)=([^&\s'\"]+)")
_BEHIND_FLAG = re.compile(r"(?<!\S)(--?([\w-]+)\s+)(?![-=])(\S+)")
_HEADER = re.compile(
    r"(?i)\b(authorization['\"]?\s*[:=]\s*['\"]?(?:(?:bearer|basic|token)\s+)?|bearer\s+)([^\s'\",;]{8,})"
)
_PAIR = re.compile(
    r"""([\w.-]+)(\\?["']?\s*[=:]\s*)("(?:[^"\\]|\\.)+"|'(?:[^'\\]|\\.)+'|\[[^\]\n]*\]"""
    r"""|\\?["']?[^\s"'&,;{}\[\]\\][^\s"'&,;}\]\\]*)"""
)
_KNOWN = re.compile(  # what the makers of tokens begin them with
    r"\b(?:gh[opsu]_[A-Za-z0-9]{8,}|github_pat_\w{8,}|glpat-[\w-]{8,}|hf_[A-Za-z0-9]{16,}|sk-[\w-]{16,}|xox[abeprs]-[\w-]{8,}"
    r"|A(?:KI|SI)A[0-9A-Z]{12,}|AIza[\w-]{30,}|eyJ[\w-]{8,}\.eyJ[\w-]{4,}\.[\w-]*)"
)
_LINE = re.compile(r"^(\s*)(?:- )?['\"]?([\w.-]+)['\"]?:(.*)$")


def is_secret(name: str) -> bool:
    """Tell whether a name, perhaps with sections before it, is that of a secret: data.kwargs.password, HF_TOKEN."""
    *before, last = _words_of(name)
    above = before[-1] if before else ""
    is_key = last in ("key", "keys") and above in _KEYS
    return last in _ALONE or last.endswith(_AT_END) or is_key or is_token(name)


def is_token(name: str) -> bool:
    """Tell whether a name is that of a token, none of those that networks have; a number is no such token."""
    *before, last = _words_of(name)
    above = before[-1] if before else ""
    if last == "tokens":
        return above in _TOKENS
    stem = last.removesuffix("token")
    return last != stem and (stem if stem else above) not in _OF_NETWORKS


@lru_cache(maxsize=4096)
def _words_of(name: str) -> list[str]:
    """Return the words of a name's last part in small letters, numbers behind them left out."""
    spread = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.rpartition(".")[2])
    words = [word.rstrip("0123456789") for word in re.split(r"[_-]+", spread.lower())]
    return [word for word in words if word] or [""]


def holder(text: str) -> str | None:
    """Return the environment variable whose name is that of a secret and whose value stands in a text, if any.

    It stands there as a whole; a plain word that is a part of a path (/home/postgres) is a name like any other.
    """
    for name, value in _variables():
        for found in re.finditer(rf"(?<![A-Za-z0-9]){re.escape(value)}(?![A-Za-z0-9])", text):
            is_part = "/" in (text[found.start() - 1 : found.start()], text[found.end() : found.end() + 1])
            if not (is_part and re.fullmatch("[a-z_]+", value)):
                return name
    return None


def has_secret(text: str) -> bool:
    """Tell whether a text holds a password by its looks: in a URL, behind a name that says so, of a known form."""
    return _by_looks(text) != text


def redacted(text: str) -> str:
    """Return a text with *** in place of every secret in it.

    These are the user and password of a URL, what stands behind the name of a secret (password=…, "api_key": "…",
    --token …), tokens of a known form, and the value of every environment variable with such a name, also as Python,
    JSON, a shell or a URL would write it, and each long line of it.
    """
    for form in _forms():
        text = text.replace(form, HIDDEN)
    return _by_looks(text)


def _by_looks(text: str) -> str:
    text = _IN_URL.sub(lambda found: f"{found[1]}{HIDDEN}@" if _tells(found[2]) else found[0], text)
    text = _IN_QUERY.sub(lambda found: f"{found[1]}={HIDDEN}" if _of_query(found[1]) else found[0], text)
    text = _KNOWN.sub(HIDDEN, text)
    text = _HEADER.sub(rf"\1{HIDDEN}", text)
    text = _BEHIND_FLAG.sub(lambda found: found[1] + HIDDEN if hides(found[2], found[3]) else found[0], text)
    return _without_pairs(text)


def redacted_words(words: Sequence[str]) -> list[str]:
    """Return words of a command line with *** in place of every secret in them."""
    found = []
    for word in words:
        key, equals, value = word.partition("=")
        is_hidden = equals and hides(key.lstrip("+"), value)
        found.append(f"{key}={HIDDEN}" if is_hidden else redacted(word))  # a value of several words goes as a whole
    return found


def redacted_yaml(text: str) -> str:
    """Return YAML with *** in place of every secret; behind the name of one nothing is shown, lists neither."""
    lines: list[str] = []
    depth = None  # of the name whose value is being left out
    for line in text.splitlines(keepends=True):
        indent = len(line) - len(line.lstrip(" "))
        if depth is not None and (indent > depth or line.lstrip().startswith("- ")) and line.strip():
            continue
        found = _LINE.match(line.rstrip("\n"))
        is_hidden = found is not None and hides(found[2], found[3].strip() or "…")
        depth = indent if is_hidden else None
        lines.append(f"{line[: line.index(':') + 1]} {HIDDEN}\n" if is_hidden else redacted(line))
    return "".join(lines)


def _without_pairs(text: str) -> str:
    """Return a text without what stands behind the names of secrets; behind another name there may be one more."""
    pieces, place = [], 0
    while (found := _PAIR.search(text, place)) is not None:
        shown = _pair_without(found)
        end = found.end() if shown != found[0] else found.end(2)
        pieces.append(text[place : found.start()] + (shown if end == found.end() else found[1] + found[2]))
        place = end
    return "".join([*pieces, text[place:]])


def _pair_without(found: re.Match[str]) -> str:
    """Return a name and a value without the value where it is a secret; its quotes stay."""
    name, between, value = found.groups()
    opening = re.match(r"\\?[\"']", value)
    quotes = opening[0] if opening else ""
    closing = quotes if quotes and value.endswith(quotes) and len(value) > len(quotes) else ""
    bare = value[len(quotes) : len(value) - len(closing)]
    is_folder = found.string[: found.start()].endswith("/") and "/" in bare  # lake/token=5/: a part of a path
    return found[0] if is_folder or not hides(name, bare) else f"{name}{between}{quotes}{HIDDEN}{closing}"


def hides(name: str, value: str) -> bool:
    """Tell whether the value behind a name is to be hidden: some are none, and a token that is a number is a count."""
    if not is_secret(name) or (is_token(name) and re.match(r"\d{1,9}(?![^/])", value)):
        return False
    return value.lower() not in ("", HIDDEN, "null", "none", "true", "false", "str", "...")


def _tells(userinfo: str) -> bool:
    """Tell whether what stands before the host of a URL is more than a name, such as git@."""
    is_mixed = len(userinfo) >= SHORTEST and any(sign.isdigit() for sign in userinfo)
    return ":" in userinfo or is_mixed or len(userinfo) >= 2 * SHORTEST


def _variables() -> Iterator[tuple[str, str]]:
    """Yield the secrets of the environment: values of variables that are called so, and passwords in URLs."""
    for name, value in os.environ.items():
        if _is_variable(name) and len(value) >= SHORTEST and not (value.startswith("/") and Path(value).exists()):
            yield name, value
        elif "://" in value and (found := _IN_URL.search(value)) and _tells(found[2]):
            secret = found[2].partition(":")[2] or found[2]
            yield from ((name, each) for each in (value, secret) if len(each) >= SHORTEST)


@lru_cache(maxsize=4096)
def _is_variable(name: str) -> bool:
    words = name.upper().split("_")
    is_place = words[-1] in _PLACES or name in ("PWD", "OLDPWD")
    return not is_place and (is_secret(name) or any(word in _OF_ENVIRONMENT or word.endswith(_GLUED) for word in words))


def _forms() -> list[str]:
    """Return the secrets of the environment in each form that a text may show, the longest first."""
    return _forms_of(tuple(dict.fromkeys(value for _, value in _variables())))


@lru_cache(maxsize=4)
def _forms_of(values: tuple[str, ...]) -> list[str]:
    found: set[str] = set()
    for value in values:
        for part in (value, *(line.strip() for line in value.splitlines() if not line.startswith("-----"))):
            written = (part, repr(part)[1:-1], json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1])
            escaped = (quote(part, safe="", errors="replace"), quote_plus(part, errors="replace"), shlex.quote(part))
            found |= {form for form in (*written, *escaped) if len(part) >= SHORTEST}
    return sorted(found, key=lambda form: (-len(form), form))


def _of_query(name: str) -> bool:
    return is_secret(name) or name.lower() in ("sig", "signature", "x-amz-signature", "x-amz-credential", "key")
