"""What looks like a secret, and texts without one."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from nnkit.secrets import has_secret, holder, is_secret, redacted, redacted_words, redacted_yaml


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "data.kwargs.password",
        "db_passwd",
        "api_key",
        "apiKey",
        "AWS_SECRET_ACCESS_KEY",
        "HF_TOKEN",
        "token",
        "client-secret",
        "WANDB_API_KEY",
        "private_key",
        "model.kwargs.auth_token",
        "credentials",
        "apikey",
        "passwords",
        "pass",
        "auth",
        "authorization",
        "openai_token",
        "oauth_token",
        "bearer_token",
        "secretkey",
        "jwt",
        "password2",
        "PGPASSWORD",
        "MYTOKEN",
        "id_token",
    ],
)
def test_the_name_of_a_secret_is_known(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "pad_token",
        "max_tokens",
        "tokens",
        "key",
        "hidden_size",
        "mask_token",
        "key_size",
        "secretary",
        "",
        "a.",
        "bos_token",
        "train_tokens",
    ],
)
def test_the_names_of_settings_are_no_secrets(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("https://user:hunter2@host/x.csv is not there", "https://***@host/x.csv is not there"),
        ("/home/me/s3:/AKIA:abc@bucket/x", "/home/me/s3:/***@bucket/x"),
        ("https://host/x?sig=abc&n=3", "https://host/x?sig=***&n=3"),
        ("data.kwargs.password=hunter2 seed=3", "data.kwargs.password=*** seed=3"),
        ('{"api_key": "hunter2", "width": 3}', '{"api_key": "***", "width": 3}'),
        ("Net(password='hunter2')", "Net(password='***')"),
        ("mail me@host about it: 3:4", "mail me@host about it: 3:4"),
        ("https://ghp_abcdef1234567@host/x", "https://***@host/x"),
        ("https://user:p@ss@host/x", "https://***@host/x"),
        ("https://user:pa/ss@host", "https://***@host"),
        ("copy //user:pw@host/share", "copy //***@host/share"),
        ("https://h/x#access_token=zz", "https://h/x#access_token=***"),
        ("Bearer abcdefgh123", "Bearer ***"),
        ("train --password hunter22 -m", "train --password *** -m"),
        ("data.kwargs={password: 'my own words'}", "data.kwargs={password: '***'}"),
        ("refused: password=hunter22", "refused: password=***"),
        ("api_key=[abc, def]", "api_key=***"),
        ("AKIAIOSFODNN7EXAMPLE", "***"),
        ("with hf_abcdefghijklmnopqrst", "with ***"),
        ("ssh://git@host:22/x", "ssh://git@host:22/x"),
        ("https://host:8080/a@b.csv", "https://host:8080/a@b.csv"),
        ("lake/token=5/rows.csv id_token=5", "lake/token=5/rows.csv id_token=5"),
        ("lake/secret=blue/rows.csv", "lake/secret=blue/rows.csv"),
        ("pad_token=7 key=3 token=null", "pad_token=7 key=3 token=null"),
    ],
)
def test_a_text_is_shown_without_its_secrets(text: str, wanted: str) -> None:
    assert redacted(text) == wanted
    assert has_secret(text) == (text != wanted)
    assert redacted(wanted) == wanted


def test_a_secret_of_the_environment_is_hidden_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "canary-0123")
    assert redacted("it said canary-0123!") == "it said ***!"
    assert holder("name=canary-0123") == "WANDB_API_KEY"
    assert holder("name=canary") is None


def test_words_lose_their_secrets_alone() -> None:
    words = ["data.kwargs.password=two words", "seed=3", "data.path=s3://a:b@c/d", "-m"]
    assert redacted_words(words) == ["data.kwargs.password=***", "seed=3", "data.path=s3://***@c/d", "-m"]


AWKWARD = "ab'c\"de\\f@g h%#\nsecond line of it"


def test_a_secret_is_hidden_in_each_form_in_which_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", AWKWARD)
    forms = [repr(AWKWARD), json.dumps(AWKWARD), shlex.quote(AWKWARD), quote(AWKWARD, safe=""), quote_plus(AWKWARD)]
    forms += ["f: second line of it", repr(AWKWARD.splitlines()[0]), f"{AWKWARD!r:>80}"]
    for form in forms:
        assert "second" not in redacted(form)
        assert "de" not in redacted(form)


@pytest.mark.parametrize(
    "name",
    ["PGPASSWORD", "SSHPASS", "GITHUB_TOKENS", "OPENAI_APIKEY", "MYTOKEN", "REDISCLI_AUTH", "npm_config__authToken"],
)
def test_variables_are_known_by_their_names(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "qwertyuiop")
    assert redacted("it said qwertyuiop") == "it said ***"
    assert holder("a-qwertyuiop") == name
    assert holder("aqwertyuiop") is None


def test_variables_are_known_by_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://me:tr0ub4dor@host/db")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "/abcDEF12345678901234567890")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/agent.sock")
    monkeypatch.setenv("MY_KEY", str(Path.cwd()))
    monkeypatch.setenv("PWD", "/nowhere/at/all")
    assert redacted("tr0ub4dor /abcDEF12345678901234567890") == "*** ***"
    assert redacted(text := f"/tmp/agent.sock {Path.cwd()} /nowhere/at/all") == text


def test_a_plain_word_in_a_path_is_a_name_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "postgres")
    assert holder("/home/postgres/x.csv") is None
    assert holder("name=postgres") == "DB_PASSWORD"


def test_a_config_is_shown_without_what_stands_behind_the_names_of_secrets() -> None:
    text = "model:\n  kwargs:\n    api_key: two words\n    passwords:\n    - a\n    - b\n    pad_token: 3\nseed: 1\n"
    wanted = "model:\n  kwargs:\n    api_key: ***\n    passwords: ***\n    pad_token: 3\nseed: 1\n"
    assert redacted_yaml(text) == wanted
