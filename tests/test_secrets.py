"""What looks like a secret, and texts without one."""

from __future__ import annotations

import pytest

from nnkit.secrets import has_secret, holder, is_secret, redacted, redacted_words


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
    ],
)
def test_the_name_of_a_secret_is_known(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name", ["pad_token", "max_tokens", "tokens", "key", "hidden_size", "mask_token", "key_size", "secretary", "", "a."]
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
