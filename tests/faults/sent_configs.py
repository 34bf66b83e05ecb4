"""Config files that a stranger has sent, and words that a stranger has told to type."""

from __future__ import annotations

import logging.config
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from tests.faults.strangers import CANARY, MODULE, SECRET, Attack, apart, cases_of
from tests.faults.survival import Promise

THEIRS = "theirs.yaml"
ONE, SWEEP = ["train", THEIRS], ["train", "-m", THEIRS, "seed=1,2"]
# Spellings of one call that leaves the canary; {} is its path.
TARGETS = (
    "{_target_: builtins.open, file: '{}', mode: w}",
    "{_target_: _io.open, file: '{}', mode: w}",
    "{_target_: io.open, file: '{}', mode: w}",
    "{_target_: os.mknod, path: '{}'}",
    "{_target_: posix.mknod, path: '{}'}",
    "{_target_: codecs.open, filename: '{}', mode: w}",
    "{_target_: pathlib.Path.touch, _args_: [{_target_: pathlib.Path, _args_: ['{}']}]}",
    "{_target_: subprocess.check_call, args: [touch, '{}']}",
    "{_target_: hydra_plugins.nnkit_sweepers.sweepers.OmegaConf.save, config: {}, f: '{}'}",
    "{_target_: hydra._internal.core_plugins.basic_sweeper.OmegaConf.save, config: {}, f: '{}'}",
)


def _sends(text: str, words: list[str]) -> Any:
    def send(work: Path) -> list[str]:
        (work / THEIRS).write_text(text.replace("'{}'", f"'{work.parent / CANARY}'"))
        return words

    return send


def _values(work: Path) -> Any:
    return yaml.safe_load((work / THEIRS).read_text())


def _touches(work: Path) -> bool:
    return (work.parent / CANARY).exists()


def _instantiates(*path: str) -> Any:
    """Whether making an object of a section touches the canary, as Hydra would without looking."""

    @apart
    def is_live(work: Path) -> bool:
        from hydra._internal.utils import _locate

        def made(node: Any) -> Any:
            if isinstance(node, list):
                return [made(each) for each in node]
            if not isinstance(node, dict):
                return node
            inner = {key: made(value) for key, value in node.items()}
            if "_target_" not in inner:
                return inner
            positional = inner.pop("_args_", [])
            return _locate(inner.pop("_target_"))(*positional, **inner)

        node = OmegaConf.to_container(OmegaConf.create(_values(work)), resolve=True)
        for name in path:
            node = node[name]  # type: ignore[index,call-overload]
        try:
            made(node)
        except Exception:  # noqa: BLE001 - what it does is done by then
            return _touches(work)
        return _touches(work)

    return is_live


def _logs(name: str) -> Any:
    @apart
    def is_live(work: Path) -> bool:
        with suppress(Exception):  # what it does is done by then
            logging.config.dictConfig({"version": 1, **_values(work)["hydra"][name]})
        time.sleep(0.2)  # a program that was started
        return _touches(work)

    return is_live


@apart
def _reads_secret(work: Path) -> bool:
    os.environ["HF_TOKEN"] = SECRET
    return SECRET in str(OmegaConf.to_container(OmegaConf.create((work / THEIRS).read_text()), resolve=True))


@apart
def _resolves(work: Path) -> bool:
    """Whether a resolver makes of a text what its reader could not see."""
    node = OmegaConf.create((work / THEIRS).read_text())
    return str(OmegaConf.to_container(node, resolve=True)) != str(OmegaConf.to_container(node, resolve=False))


@apart
def _imports(work: Path) -> bool:
    import sys
    from importlib import import_module

    sys.path.insert(0, str(work))
    import_module(MODULE)
    return _touches(work) and MODULE in (work / THEIRS).read_text()


@apart
def _loads_object(work: Path) -> bool:
    try:
        yaml.unsafe_load((work / THEIRS).read_text())
    except Exception:  # noqa: BLE001 - what it does is done by then
        return _touches(work)
    return _touches(work)


def _leads_out(work: Path) -> bool:
    texts = [value for value in _flat(_values(work)) if isinstance(value, str) and ("/" in value or ".." in value)]
    return any(not (work / Path(text).expanduser()).resolve().is_relative_to(work) for text in texts)


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from (key, *_flat(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from _flat(inner)
    else:
        yield value


def _is_alias_bomb(work: Path) -> bool:
    value, size = _values(work)["a11"], 1
    while isinstance(value, list):
        size, value = size * len(value), value[0]
    return size > 10**9


def _is_bomb(work: Path) -> bool:
    return (work / THEIRS).stat().st_size > 1000


def _is_there(work: Path) -> bool:
    return True


def _alias_bomb(key: str) -> str:
    lines = [f"{key}: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    return "\n".join(lines)


def _of_hydra() -> Iterator[Attack]:
    sweeper = "hydra:\n  sweeper:\n    _target_: hydra_plugins.nnkit_sweepers.sweepers.GridSweeper\n    params:\n"
    within = _instantiates("hydra", "sweeper", "params", "seed")
    for number, target in enumerate(TARGETS):
        for name in ("sweeper", "launcher"):
            text = f"hydra:\n  {name}: {target}\n"
            words = SWEEP if (number + (name == "launcher")) % 2 else ONE
            yield Attack(f"hydra.{name}: {target}", _sends(text, words), _instantiates("hydra", name))
        yield Attack(f"within a sweeper: {target}", _sends(f"{sweeper}      seed: {target}\n", SWEEP), within)
    for target in TARGETS[:2]:
        for words in (SWEEP, ONE):
            text, name = f"hydra:\n  callbacks:\n    x: {target}\n", f"hydra.callbacks: {target}, {' '.join(words)}"
            yield Attack(name, _sends(text, words), _instantiates("hydra", "callbacks", "x"))
    hidden = "a: {_target_: os.mknod, path: '{}'}\n" + sweeper + "      seed: ${a}\n"
    yield Attack("a target behind a reference", _sends(hidden, SWEEP), within)
    created = sweeper + "      seed: '${oc.create:{_target_: os.mknod}}'\n"
    yield Attack("a target that a resolver makes", _sends(created, SWEEP), _resolves)
    handlers = {
        "a handler's class": "handlers: {x: {class: subprocess.Popen, args: [touch, '{}']}}",
        "a handler's factory": "handlers: {x: {'()': subprocess.check_call, args: [touch, '{}']}}",
        "a formatter's factory": "formatters: {x: {'()': subprocess.check_call, args: [touch, '{}']}}",
        "a filter's factory": "filters: {x: {'()': subprocess.check_call, args: [touch, '{}']}}",
        "a file": "handlers: {x: {class: logging.FileHandler, filename: '{}'}}",
    }
    for name, section in handlers.items():
        for place in ("job_logging", "hydra_logging"):
            text = f"hydra: {{{place}: {{{section}}}}}\n"
            yield Attack(f"{name} in hydra.{place}", _sends(text, SWEEP), _logs(place))
    others = {
        "hydra.searchpath to a package": f"hydra: {{searchpath: ['pkg://{MODULE}']}}\n",
        "hydra.job.env_set": f"hydra: {{job: {{env_set: {{PYTHONSTARTUP: {MODULE}.py}}}}}}\n",
    }
    for name, text in others.items():
        yield Attack(name, _sends(text, SWEEP), _imports)
        yield Attack(f"{name} of one run", _sends(text, ONE), _imports)
    setup = "defaults: [{override /hydra/launcher: submitit_local}]\nhydra: {launcher: {setup: [id]}}\n"
    yield Attack("a launcher's own commands", _sends(setup, SWEEP), _is_there)
    yield Attack("a launcher", _sends("defaults: [{override /hydra/launcher: submitit_slurm}]\n", SWEEP), _is_there)


def _of_references() -> Iterator[Attack]:
    texts = {
        "oc.env": "name: ${oc.env:HF_TOKEN}\n",
        "oc.env with a default": "tags: ['${oc.env:HF_TOKEN,none}']\n",
        "oc.env within a text": "name: a-${oc.env:HF_TOKEN}-b\n",
        "oc.env in a mapping": "data: {classes: ['${oc.env:HF_TOKEN}']}\n",
        "oc.decode of the environment": "name: ${oc.decode:'${oc.env:HF_TOKEN}'}\n",
        "oc.env of a name that is put together": "seed: HF\nname: ${oc.env:${seed}_TOKEN}\n",
        "oc.select of the environment": "name: ${oc.select:nothing,${oc.env:HF_TOKEN}}\n",
        "oc.env in a space": "hydra: {sweeper: {params: {name: '${oc.env:HF_TOKEN}'}}}\n",
    }
    for name, text in texts.items():
        yield Attack(name, _sends(text, SWEEP if "space" in name else ONE), _reads_secret)
    made = {
        "oc.create": 'model: "${oc.create:{kind: code, code: evil_canary}}"\n',
        "oc.dict.values": "a: {b: evil_canary}\nname: ${oc.dict.values:a}\n",
        "a section that is another one": "activation: {kind: code, code: 'evil_canary:Net'}\nmodel: ${activation}\n",
    }
    for name, text in made.items():
        yield Attack(name, _sends(text, ONE), _resolves)
    loops = {"a loop of two": "name: ${tags}\ntags: ${name}\n", "a loop of one": "name: ${name}\n"}
    for name, text in loops.items():
        yield Attack(name, _sends(text, ONE), _is_there)
    yield Attack("a resolver that is not there", _sends("name: ${evil:1}\n", ONE), _is_there)
    yield Attack("a reference of 10,000 levels", _sends(f"name: {'${' * 10_000}a{'}' * 10_000}\n", ONE), _is_bomb)


def _of_code() -> Iterator[Attack]:
    fixed = {"data": "  val_fraction: 0.2\n  test_fraction: 0.2\n", "metric": "  name: own\n  mode: max\n"}
    for place in ("model", "activation", "loss", "metric", "data"):
        text = f"defaults: [{{override /{place}: code}}]\n{place}:\n  code: {MODULE}:Net\n"
        yield Attack(f"code as {place}", _sends(text, ONE), _imports)
        text = f"{place}:\n  kind: code\n  code: {MODULE}:Net\n{fixed.get(place, '')}"
        yield Attack(f"code as {place}, by its kind", _sends(text, SWEEP), _imports)
    params = f"hydra: {{sweeper: {{params: {{model: code, model.code: '{MODULE}:Net'}}}}}}\n"
    yield Attack("code in a space", _sends(params, SWEEP), _imports)
    for text in (
        "a: !!python/object/apply:os.mknod ['{}']\n",
        "!!python/object/apply:os.mknod ['{}']\n",
        "a: !!python/object/new:os.mknod {args: ['{}']}\n",
    ):
        yield Attack(f"an object: {text}", _sends(text, ONE), _loads_object)
        yield Attack(f"an object for a sweep: {text}", _sends(text, SWEEP), _loads_object)


@apart
def _is_a_word(work: Path) -> bool:
    """Whether an entry of a space, written as a word, is to Hydra another setting than its key, or a reference."""
    os.environ["HF_TOKEN"] = SECRET
    params = _values(work)["hydra"]["sweeper"]["params"]
    parsed = OverridesParser.create().parse_overrides([f"++{key}={value}" for key, value in params.items()])
    values = {"a": [override.value() for override in parsed if not override.is_sweep_override()]}
    told = str(OmegaConf.to_container(OmegaConf.create(values), resolve=True))
    return [override.key_or_group for override in parsed] != list(params) or SECRET in told


def _of_params() -> Iterator[Attack]:
    """A space is as good as words, and words are Hydra's to take apart."""
    entries = {
        "code behind = and a quote in a key": f"""{{model: code, "model.code='{MODULE}:Net": "'"}}""",
        "code behind a blank": f"{{model: code, ' model.code': '{MODULE}:Net'}}",
        "code behind a plus": f"{{model: code, '+model.code': '{MODULE}:Net'}}",
        "a place behind = in a key": "{'output_dir=/tmp/elsewhere,x': 1}",
        "a place behind a quote": """{"name='../../../elsewhere": "'"}""",
        "the environment, escaped": r"{name: '$\{oc.env:HF_TOKEN\}'}",
        "the environment, escaped in a list": r"{tags: '[$\{oc.env:HF_TOKEN\}]'}",
        "the environment, in quotes": r"""{name: '"$\{oc.env:HF_TOKEN}"'}""",
        "a download": "{data: mnist, data.download: true, data.root: sets}",
        "a download behind = in a key": "{data: mnist, data.root: sets, 'data.download=true#': ''}",
        "a reference that is put together": "{seed: '$', name: '${.seed}{oc.env:HF_TOKEN}'}",
    }
    for name, params in entries.items():
        text = f"trainer: {{max_epochs: 1, plots: false}}\nhydra:\n  sweeper:\n    params: {params}\n"
        plain = any(each in name for each in ("a blank", "a plus", "a download", "put together", "in quotes", "= in"))
        words = ["train", "-m", THEIRS, *([] if "download" in name else ["data=iris"]), "seed=1"]
        yield Attack(f"in a space: {name}", _sends(text, words), _is_there if plain else _is_a_word)


def _of_places() -> Iterator[Attack]:
    texts = {
        "output_dir with a root": "output_dir: /tmp/elsewhere\n",
        "output_dir above": "output_dir: ../outside\n",
        "output_dir at home": "output_dir: ~root/elsewhere\n",
        "a name that leads out": "name: ../../../outside/x\n",
        "a name with a root": "name: /tmp/elsewhere\n",
        "a cache elsewhere": "defaults: [{override /data: images}]\ndata: {path: pictures, cache: /tmp/elsewhere}\n",
        "output_dir in a space": "hydra: {sweeper: {params: {output_dir: /tmp/elsewhere}}}\n",
        "a group outside": "defaults: [../../x]\n",
        "a group with a root": "defaults: [/../../x]\n",
        "an option outside": "defaults: [{override /model: ../../../x}]\n",
    }
    for name, text in texts.items():
        yield Attack(name, _sends(text, SWEEP if "space" in name else ONE), _leads_out)
    yield Attack("a download", _sends("data: {kind: mnist, download: true, val_fraction: 0.1}\n", ONE), _is_there)


def _of_size() -> Iterator[Attack]:
    texts = {
        "lists in lists": "a: " + "- " * 60_000,
        "brackets": "a: " + "[" * 60_000,
        "mappings in mappings": "\n".join(" " * level + "a:" for level in range(400)),
        "a number of 100,000 digits": f"seed: {'9' * 100_000}\n",
        "100,000 keys": "\n".join(f"k{number}: 1" for number in range(100_000)),
        "9,000 keys": "\n".join(f"k{number}: 1" for number in range(9_000)),
        "a text of a megabyte": f"name: {'x' * 2**20}\n",
    }
    for name, text in texts.items():
        yield Attack(name, _sends(text, ONE), _is_bomb)
    for words in (ONE, SWEEP):
        for key in ("a0", "tags"):
            name = f"an alias bomb in {key}: {' '.join(words)}"
            yield Attack(name, _sends(_alias_bomb(key), words), _is_alias_bomb)

    def sparse(work: Path) -> list[str]:
        (work / THEIRS).touch()
        os.truncate(work / THEIRS, 1 << 40)
        return ONE

    yield Attack("a terabyte", sparse, _is_bomb)

    def pipe(work: Path) -> list[str]:
        os.mkfifo(work / THEIRS)
        return ONE

    yield Attack("a pipe", pipe, lambda work: (work / THEIRS).is_fifo())
    yield Attack("a pipe for a sweep", lambda work: (pipe(work), SWEEP)[1], lambda work: (work / THEIRS).is_fifo())


def _of_words() -> Iterator[Attack]:
    lines = {
        "--experimental-rerun": ["train", "--experimental-rerun", "config.pickle"],
        "a target": ["train", "-m", "seed=1,2", "hydra.sweeper._target_=os.system"],
        "a launcher's target": ["train", "-m", "seed=1,2", "hydra.launcher._target_=os.system"],
        "callbacks": ["train", "+hydra.callbacks.x._target_=os.system"],
        "logging": ["train", "hydra.job_logging.handlers.x.class=os.system"],
        "a search path": ["train", f"hydra.searchpath=[pkg://{MODULE}]"],
        "a config path": ["train", "--config-path", "/tmp"],
        "a config's name above": ["train", "--config-name", "../../../etc/passwd"],
        "a group above": ["train", "+../../x=y"],
        "an option above": ["train", "model=../../../x"],
        "a number of 5,000 digits": ["train", f"seed={'9' * 5000}"],
        "10,000 brackets": ["train", f"tags={'[' * 10_000}"],
        "a space of 10^18": ["train", "-m", "seed=range(0,1000000000000000000)"],
        "a resolver that is not there": ["train", "name=${evil:1}"],
        "a loop": ["train", "name=${name}"],
        "a space of spaces": ["train", "-m", *[f"data.k{n}=1,2,3,4,5,6,7,8,9" for n in range(20)]],
    }
    for name, words in lines.items():
        yield Attack(f"word: {name}", lambda work, words=words: words, _is_there)  # type: ignore[misc]


def attacks() -> list[Attack]:
    """All of them."""
    groups = (_of_hydra(), _of_references(), _of_code(), _of_params(), _of_places(), _of_size(), _of_words())
    return [attack for group in groups for attack in group]


def cases(count: int) -> Iterator[str | None]:
    """Try them all."""
    yield from cases_of(attacks())(count)


CONFIGS = Promise(
    name="sent-configs",
    text="configs and words of strangers: nothing executed or imported, nothing written elsewhere, refused in a second",
    cases=cases,
    in_ci=70,
    in_soak=300,
    at_least=40,
)
