"""Secrets of the user: in the environment, in words and in URLs; none of them may be written or shown."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nnkit.cli import main
from tests.faults.sent_folders import RUN, sent
from tests.faults.strangers import in_child, spread, warm_up
from tests.faults.survival import Promise

PASSWORD = "canary-4711-secret"
TINY = ["data=iris", "model.hidden=[2]", "trainer.max_epochs=1", "trainer.plots=false"]
OWN = f"""
import os
import torch

def secret():
    return next(value for value in os.environ.values() if value.startswith("{PASSWORD}"))

def net(spec):
    raise RuntimeError("the server refused " + secret())

class Repeats:
    def __call__(self, outputs, target):
        import json, shlex, urllib.parse
        value = os.environ["NNKIT_AWKWARD"]
        told = [repr(value), json.dumps(value), shlex.quote(value), urllib.parse.quote(value, safe=""), value]
        raise RuntimeError(" ".join(told) + " " + " ".join(value.splitlines()) + "x" * 2900 + value)

class Loss:
    def __call__(self, outputs, target):
        raise RuntimeError("the server refused https://me:" + secret() + "@host/log")

class Net(torch.nn.Linear):
    def __init__(self, spec, **kwargs):
        super().__init__(4, 3)
"""


@dataclass(frozen=True)
class Canary:
    """A secret, and what the user does.

    Attributes:
        name: for messages.
        words: behind `nnkit`.
        codes: exit codes that are right.
        variables: of the environment.
        file: of the user's, named in the words.
    """

    name: str
    words: Sequence[str]
    codes: Sequence[int] = (2,)
    variables: Mapping[str, str] = field(default_factory=dict)
    file: str = ""


# Each hides its password among signs that are written in other ways elsewhere.
AWKWARD = (f"a\"{PASSWORD}'b", f"a\\{PASSWORD}@b", f'first line\n{PASSWORD} "\\n second', f"%{PASSWORD}#é b")


def awkward() -> Iterator[Canary]:
    """Secrets with other names and values than those that were thought of first."""
    told = ["train", *TINY, "loss=code", "loss.code=own:Repeats"]
    for number, value in enumerate(AWKWARD):
        names = ("PGPASSWORD", "OPENAI_APIKEY", "MYTOKEN", "GITHUB_TOKENS")
        secret = {names[number]: value, "NNKIT_AWKWARD": value}
        yield Canary(f"{names[number]}={value!r}, told in an error", told, (1,), secret)
    own = ["train", "data=iris", "model=code", "model.code=own:Net", "trainer.max_epochs=1"]
    for key in ("passwords", "auth", "openai_token", "secretkey", "jwt"):
        yield Canary(f"model.kwargs.{key}", [*own, f"model.kwargs.{key}={PASSWORD}"])
    yield Canary("a password in a list of mappings", [*own, f"model.kwargs.a=[{{password: {PASSWORD}}}]"])
    yield Canary("passwords", [*own, f"model.kwargs.passwords=[{PASSWORD},b]"])
    yield Canary("a token as the user of a URL", ["train", *TINY, f'tags=["https://{PASSWORD}@host/x"]'])
    for url in (f"https://me:a@{PASSWORD}@host/x", f"https://me:a/{PASSWORD}@host/x", f"//me:{PASSWORD}@host/x"):
        yield Canary(url, ["train", "data=table", f"data.path={url}", "data.target=y"])
    text = f"model:\n  kwargs: {{api_key: 'two {PASSWORD}', auth: [{PASSWORD}]}}\n  code: own:Net\n"
    text += "defaults: [{override /model: code}]\n"
    yield Canary("a key in a file that is shown", ["train", "own.yaml", "--trust", "--cfg", "job"], (0,), {}, text)
    yield Canary("a mistyped flag", ["train", "--password", PASSWORD])


def canaries() -> Iterator[Canary]:
    """All of them."""
    yield from awkward()
    names = ("WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "MLFLOW_TRACKING_PASSWORD", "GITHUB_TOKEN", "DB_PWD")
    for number, name in enumerate(names):
        secret = {name: f"{PASSWORD}-{number}"}
        yield Canary(f"{name} in the environment", ["train", *TINY], (0,), secret)
    yield from _told_to_trackers()
    secret = {"WANDB_API_KEY": PASSWORD}
    yield Canary(
        "an error of the user's network",
        ["train", *TINY[2:], "data=iris", "model=code", "model.code=own:net"],
        (2,),
        secret,
    )
    broken = ["train", *TINY, "loss=code", "loss.code=own:Loss"]
    yield Canary("an error of the user's loss", broken, (1,), secret)
    yield Canary("an error of the user's loss in a sweep", [broken[0], "-m", *broken[1:], "seed=1,2"], (9,), secret)
    yield Canary("a word that the shell has filled in", ["train", *TINY, f"name={PASSWORD}"], (2,), secret)
    yield Canary("a tag that the shell has filled in", ["train", *TINY, f"tags=[a,{PASSWORD}]"], (2,), secret)
    yield Canary("a word that reads the environment", ["train", *TINY, "name=${oc.env:WANDB_API_KEY}"], (2,), secret)
    own = ["data=iris", "model=code", "model.code=own:Net", "trainer.max_epochs=1"]
    for key in ("model.kwargs.api_key", "model.kwargs.password", "model.kwargs.auth_token"):
        yield Canary(key, ["train", *own, f"{key}={PASSWORD}"])
        yield Canary(f"{key} in a sweep", ["train", "-m", *own, f"{key}={PASSWORD},{PASSWORD}2"])
    yield Canary("a key within a key", ["train", *own, f"model.kwargs.a={{client_secret: {PASSWORD}}}"])
    data = ["train", "data=code", "data.code=own:net", f"data.kwargs.passwd={PASSWORD}"]
    yield Canary("data.kwargs.passwd", data)
    setup = f"hydra.launcher.setup=['export HF_TOKEN={PASSWORD}']"
    yield Canary("a launcher's environment", ["train", "-m", *TINY, "seed=1,2", "hydra/launcher=submitit_local", setup])
    for url in (
        f"https://me:{PASSWORD}@host/x.csv",
        f"s3://{PASSWORD}:{PASSWORD}@bucket/x.csv",
        f"https://h/x?token={PASSWORD}",
    ):
        yield Canary(url, ["train", "data=table", f"data.path={url}", "data.target=y"])
        yield Canary(
            f"{url} in a sweep", ["train", "-m", "data=table", f"data.path={url}", "data.target=y", "seed=1,2"]
        )
        yield Canary(f"{url} to predict", ["predict", RUN, url], (2, 3))
        yield Canary(f"{url} to resume with", ["resume", RUN, f"data.path={url}"])
    text = f"data:\n  path: https://me:{PASSWORD}@host/x.csv\n  target: y\ndefaults: [{{override /data: table}}]\n"
    yield Canary("a URL in a file", ["train", "own.yaml"], (2,), {}, text)
    text = f"model:\n  kwargs: {{api_key: {PASSWORD}}}\n  code: own:Net\ndefaults: [{{override /model: code}}]\n"
    yield Canary("a key in a file", ["train", "own.yaml", "--trust"], (2,), {}, text)
    yield Canary("output_dir", ["train", *TINY, f"output_dir=ftp://me:{PASSWORD}@host/x"])
    yield Canary("a mistyped word", ["train", f"data.pathh=https://me:{PASSWORD}@host/x.csv"])
    yield Canary("a word that cannot be read", ["train", f"name=[https://me:{PASSWORD}@host/x.csv"])


def _told_to_trackers() -> Iterator[Canary]:
    """What trackers are told: they write all of it into the run folder, and one beside it."""
    names = ("WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
    secret = {name: f"{PASSWORD}-{number}-{'x' * 30}" for number, name in enumerate(names)}
    offline = ["tracker=[tensorboard,wandb,mlflow]", "tracker.wandb.mode=offline"]
    yield Canary("trackers", ["train", *TINY, *offline, "tags=[a]"], (0,), secret)
    broken = ["train", *TINY, "loss=code", "loss.code=own:Loss", "tracker=tensorboard"]
    yield Canary("an error beside a tracker", broken, (1,), {"WANDB_API_KEY": PASSWORD})
    yield Canary(
        "a tag told to a tracker", ["train", *TINY, *offline, f"tags=[{PASSWORD}]"], (2,), {"HF_TOKEN": PASSWORD}
    )
    for uri in (f"http://me:{PASSWORD}@host:5000", f"postgresql://me:{PASSWORD}@host/db"):
        yield Canary(uri, ["train", *TINY, "tracker=mlflow", f"tracker.mlflow.uri={uri}"])


def outcome(canary: Canary, place: Path, work: Callable[[list[str]], int] = main) -> str | None:
    """Return where a secret was written or shown; None where it was not."""
    sent(place)
    (place / "own.py").write_text(OWN)
    if canary.file:
        (place / "own.yaml").write_text(canary.file)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}

    def act() -> int:
        os.environ.pop("HF_TOKEN", None)
        os.environ.update(canary.variables)
        return work(list(canary.words))

    found = in_child(act, place, is_watched=False)
    changed = (path for path in place.rglob("*") if path.is_file() and before.get(path) != path.read_bytes())
    wrong = [f"in {path.relative_to(place)}" for path in changed if PASSWORD.encode() in path.read_bytes()]
    wrong += [f"in the name {path.name}" for path in place.rglob("*") if PASSWORD in path.name]
    if PASSWORD in found.text:
        wrong.append("on the terminal")
    if found.code not in canary.codes:
        wrong.append(f"exit code {found.code}")
    return f"{canary.name}: {'; '.join(wrong)}: {found.text[-800:]}" if wrong else None


def cases(count: int) -> Iterator[str | None]:
    """Try them all."""
    warm_up()
    for canary in spread(list(canaries()), count):
        with tempfile.TemporaryDirectory() as place:
            yield outcome(canary, Path(place).resolve())


SECRETS = Promise(
    name="secrets",
    text="passwords, keys and tokens in the environment, in words and in URLs: none in any file, none shown",
    cases=cases,
    in_ci=42,
    in_soak=100,
    at_least=20,
)
