"""Settings that must not be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.origin import Composed
from nnkit.config.written import word_problem
from nnkit.errors import ConfigError
from nnkit.secrets import redacted
from tests.own_code import HERE


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("model.kwargs.api_key=abc", "model.kwargs.api_key looks like a secret, which config.yaml would show"),
        ("data.path=s3://a:b@c/d", "data.path=s3://***@c/d holds a password or a key, which config.yaml would show"),
        (
            "name=canary-0123",
            "name=*** holds the value of the environment variable HF_TOKEN, which config.yaml would show",
        ),
    ],
)
def test_a_word_with_a_secret_is_refused_without_it(word: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "canary-0123")
    problem = word_problem(word)
    assert problem is not None
    assert problem.text.startswith(text)
    with pytest.raises(ConfigError) as caught:
        compose([word])
    assert problem in caught.value.problems


def test_the_hint_says_how_code_gets_its_secret() -> None:
    problem = word_problem("data.kwargs.db.password=abc")
    assert problem is not None
    assert problem.hint == "read it in your own code: os.environ['PASSWORD']"


@pytest.mark.parametrize(
    "word", ["seed=3", "model.kwargs.pad_token=x", "model.kwargs.api_key=null", "-m", "data.path=a@b"]
)
def test_other_words_are_no_secrets(word: str) -> None:
    assert word_problem(word) is None


def test_a_secret_in_a_file_is_refused_and_an_old_run_is_read() -> None:
    model = f"{{code: '{HERE}:Net', kwargs: {{token: x}}}}"
    Path("own.yaml").write_text(f"defaults: [{{override /model: code}}]\nmodel: {model}\n")
    composed = compose(["own.yaml"], trust=True)
    with pytest.raises(ConfigError, match=r"model\.kwargs\.token looks like a secret.*\(in .*own\.yaml\)"):
        check(composed)
    assert check(Composed(composed.values)).model.kind == "code"


def test_a_value_that_is_a_variables_is_told_with_its_name_and_a_way_past(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIO_SECRET_KEY", "minioadmin")
    problem = word_problem("name=minioadmin")
    assert problem is not None
    assert problem.text.startswith("name=*** holds the value of the environment variable MINIO_SECRET_KEY")
    assert problem.hint == "another value; where it is none to hide, env -u MINIO_SECRET_KEY nnkit …"
    assert redacted(problem.hint) == problem.hint  # as it is shown
    assert word_problem("data.path=/home/minioadmin/x.csv") is None


def test_what_is_no_secret_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOO_AUTH", "he_uniform")
    assert check(compose(["data=iris"])).init.kind == "he_uniform"
    for word in ("data.path=lake/token=5/rows.csv", "model.kwargs.id_token=5", "model.kwargs.auth=true"):
        assert word_problem(word) is None


def test_a_secret_within_a_list_and_in_ones_own_option_is_refused() -> None:
    option = Path("configs/model/own.yaml")
    option.parent.mkdir(parents=True)
    option.write_text(f"kind: code\ncode: {HERE}:Net\nkwargs: {{stores: [{{password: x}}], api_key: 1.5}}\n")
    with pytest.raises(ConfigError) as caught:
        check(compose(["model=own"]))
    assert [problem.text.partition(" looks")[0] for problem in caught.value.problems] == [
        "model.kwargs.stores.password",
        "model.kwargs.api_key",
    ]


def test_words_of_a_resume_are_looked_at_alone() -> None:
    values = compose(["data=iris"]).values | {"tags": ["https://me:abcdefgh@h/"]}
    assert check(Composed(values, typed={"seed": "the command line"})).tags
    with pytest.raises(ConfigError, match=r"tags=.* holds a password or a key"):
        check(Composed(values, typed={"tags": "the command line"}))


def test_each_trial_of_a_sweep_is_looked_through_without_asking_the_file_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    composed = compose(["data=iris"])
    check(composed)
    monkeypatch.setattr("nnkit.config.written.config_dir", lambda: pytest.fail("the folders were looked for again"))
    check(composed)
