"""Run folders and sweeps that a stranger has prepared."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image

from nnkit.run import train
from tests.faults.strangers import CANARY, MODULE, Attack, apart, cases_of
from tests.faults.survival import Promise
from tests.trained import config_of

RUN, OUTSIDE = "run", "../outside"
RESUME = ["resume", RUN, "trainer.max_epochs=5"]
EVAL = ["eval", RUN, "--no-plots"]
ROWS = ["predict", RUN, "rows.npz"]
EXPORT = ["export", RUN, "--format", "safetensors"]
GIB = 1 << 30


@cache
def sound() -> Path:
    """The folder of a finished run, as it was trained."""
    folder = Path(tempfile.mkdtemp(prefix="nnkit-sound-")) / RUN
    folder.mkdir()
    train(config_of(), folder)
    return folder


def sent(work: Path) -> Path:
    """Put a sound run into the user's folder, and something of the user's outside of it."""
    folder = Path(shutil.copytree(sound(), work / RUN))
    outside = work / OUTSIDE
    outside.mkdir(exist_ok=True)
    (outside / "own.txt").write_text("own\n")
    np.savez(work / "rows.npz", x=np.zeros((3, 4), np.float32))
    return folder


def put(folder: Path, name: str, data: bytes) -> None:
    """Replace a file in all checkpoints, with right sums, in the form that has least of them."""
    for step in (folder / "checkpoints").glob("step-*"):
        manifest = json.loads((step / "manifest.json").read_text())
        if name in manifest["sha256"]:
            (step / name).write_bytes(data)
            sums = {each: hashlib.sha256((step / each).read_bytes()).hexdigest() for each in manifest["sha256"]}
            plain = {"format": 1, "torch": manifest["torch"], "best": manifest["best"], "sha256": sums}
            (step / "manifest.json").write_text(json.dumps(plain))
    for pointer in ("best", "last"):
        step_of = json.loads((folder / "checkpoints" / pointer).read_text())["step"]
        (folder / "checkpoints" / pointer).write_text(json.dumps({"step": step_of}))


class Bomb:
    """What pickle would execute."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return Path.touch, (self.canary,)


class Nested(Bomb):
    """A pickle whose loading loads another one."""

    def __reduce__(self) -> Any:
        return pickle.loads, (pickle.dumps(Bomb(self.canary)),)


def zipped(parts: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return file.getvalue()


def zip_bomb(name: str, size: int, head: bytes = b"", more: dict[str, bytes] | None = None) -> bytes:
    """A zip whose one entry unpacks to `head` and so many zeros, made without packing them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(16 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = start + block * (size // (16 << 20)) + zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    whole = len(head) + size // (16 << 20) * (16 << 20)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for other, data in (more or {}).items():
            archive.writestr(other, data)
        entry = zipfile.ZipInfo(name)
        entry.compress_type, entry.compress_size, entry.file_size = zipfile.ZIP_DEFLATED, len(packed), whole
        entry.CRC = 0  # it is compared once all has been unpacked
        entry.header_offset = archive.start_dir
        file.seek(archive.start_dir)
        file.write(entry.FileHeader(zip64=False) + packed)
        archive.start_dir = file.tell()
        archive.filelist.append(entry)
        archive.NameToInfo[name] = entry
        archive._didModify = True  # type: ignore[attr-defined]
    return file.getvalue()


def packed_state(change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> bytes:
    """The parts of a sound state.pt, changed and packed again."""
    last = max((sound() / "checkpoints").glob("step-*/state.pt"))
    with zipfile.ZipFile(last) as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    return zipped(change(parts))


def saved(value: Any, **settings: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **settings)
    return file.getvalue()


def tensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file with this header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


# What is sent. Each function takes the user's folder and the run in it.

Change = Callable[[Path, Path], None]
Live = Callable[[Path], bool]


def _file(name: str, data: bytes) -> Change:
    def change(work: Path, run: Path) -> None:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_bytes(data)

    return change


def _both(first: Change, second: Change) -> Change:
    def change(work: Path, run: Path) -> None:
        first(work, run)
        second(work, run)

    return change


def _deep(name: str) -> Change:
    return _file(name, b"[" * 200_000 + b"]" * 200_000)


def _config(**changes: Any) -> Change:
    """Change keys of config.yaml, given with two underscores between section and key."""

    def change(work: Path, run: Path) -> None:
        values = yaml.safe_load((run / "config.yaml").read_text())
        for key, value in changes.items():
            *above, last = key.split("__")
            section = values
            for name in above:
                section = section[name]
            section[last] = value
        (run / "config.yaml").write_text(yaml.safe_dump(values))

    return change


def _code(place: str, **more: Any) -> Change:
    """Let a section name code, the canary's, whose import alone would be enough."""

    def change(work: Path, run: Path) -> None:
        values = yaml.safe_load((run / "config.yaml").read_text())
        kept = {key: values[place][key] for key in ("val_fraction", "test_fraction") if key in values[place]}
        values[place] = {"kind": "code", "code": f"{MODULE}:Net", "kwargs": {}, **kept, **more}
        (run / "config.yaml").write_text(yaml.safe_dump(values))

    return change


def _json(name: str, change: Callable[[dict[str, Any]], Any]) -> Change:
    def changed(work: Path, run: Path) -> None:
        plain = json.loads((run / name).read_text())
        change(plain)
        (run / name).write_text(json.dumps(plain))

    return changed


def _link(name: str, target: str, is_folder: bool = False) -> Change:
    def change(work: Path, run: Path) -> None:
        path = run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        path.symlink_to((work / target).resolve(), target_is_directory=is_folder)

    return change


def _pipe(name: str) -> Change:
    def change(work: Path, run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        os.mkfifo(run / name)

    return change


def _sparse(name: str, size: int = 1 << 40) -> Change:
    return lambda work, run: os.truncate(run / name, size)


def _in_checkpoint(name: str, make: Callable[[Path], bytes]) -> Change:
    return lambda work, run: put(run, name, make(work.parent / CANARY))


def _sparse_weights(work: Path, run: Path) -> None:
    for path in run.glob("checkpoints/step-*/model.safetensors"):
        os.truncate(path, 1 << 40)


def _manifests(text: str) -> Change:
    def change(work: Path, run: Path) -> None:
        for path in run.glob("checkpoints/step-*/manifest.json"):
            path.write_text(text)

    return change


def _sweep(**changes: Any) -> Change:
    """Make a sweep of the folder, with a journal that says what to go on with."""
    plan = {"event": "plan", "format": 1, "words": ["data=iris", "seed=1,2"], "config_name": "train", "config_dirs": []}
    settings = {"seeds": 1, "objective": "auto", "pruner": "none", "min_epochs": 1, "reduction": 3}
    space = {"seed": {"values": ["1", "2"]}}

    def change(work: Path, run: Path) -> None:
        shutil.rmtree(run)
        run.mkdir()
        whole = {**plan, "folder": str(work), "sweeper": "grid", "settings": settings, "space": space, "bases": {}}
        (run / "journal.jsonl").write_text(json.dumps({**whole, **changes, "is_tuning": False}) + "\n")
        (run / "lock").touch()

    return change


def _sweep_elsewhere(work: Path, run: Path) -> None:
    shutil.copytree(run, work / "../other")
    shutil.rmtree(run)
    run.mkdir()
    (run / "sweep.json").write_text(json.dumps({"best": "../../other"}))


def _overlapping(work: Path, run: Path) -> None:
    """A thousand entries that are one and the same part of the file."""
    data = bytearray(zipped({"archive/data.pkl": bytes(4 << 20)}))
    start = data.index(b"PK\x01\x02")
    central = bytes(data[start : data.index(b"PK\x05\x06")])
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1000, 1000, 1000 * len(central), start, 0)
    put(run, "state.pt", bytes(data[:start]) + central * 1000 + end)


def _larger_storage(parts: dict[str, bytes]) -> dict[str, bytes]:
    """Let the pickle claim more of a tensor than there is, which must not be read behind its end."""
    name = next(name for name in parts if name.endswith("/data.pkl"))
    record = max((name for name in parts if "/data/" in name), key=lambda each: len(parts[each]))
    return {**parts, record: parts[record][:4], name: parts[name]}


def _alias_bomb(levels: int = 12) -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(lines).encode()


def _object(canary: Path) -> bytes:
    return f"a: !!python/object/apply:os.mknod ['{canary}']\n".encode()


# How it would do harm.


def _executes(load: Callable[[bytes], Any], pattern: str) -> Live:
    """Whether reading a file in the careless way touches the canary."""

    @apart
    def is_live(work: Path) -> bool:
        canary = work.resolve().parent / CANARY
        canary.unlink(missing_ok=True)
        try:
            load(next(iter(sorted((work / RUN).glob(pattern)))).read_bytes())
        except Exception:  # noqa: BLE001 - what it does is done by then
            return canary.exists()
        return canary.exists()

    return is_live


def _in_zip(data: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return pickle.loads(archive.read(next(n for n in archive.namelist() if n.endswith("data.pkl"))))


def _carelessly(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), weights_only=False)


def _unpacks(pattern: str) -> Live:
    def is_live(work: Path) -> bool:
        path = next(iter((work / RUN).glob(pattern)))
        with zipfile.ZipFile(path) as archive:
            return sum(each.file_size for each in archive.infolist()) > GIB > 100 * path.stat().st_size

    return is_live


def _is_large(pattern: str) -> Live:
    return lambda work: next(iter((work / RUN).glob(pattern))).stat().st_size > GIB


def _is_deep(pattern: str) -> Live:
    def is_live(work: Path) -> bool:
        try:
            json.loads(next(iter((work / RUN).glob(pattern))).read_bytes())
        except RecursionError:
            return True
        return False

    return is_live


def _leads_out(name: str) -> Live:
    return lambda work: not (work / RUN / name).resolve().is_relative_to((work / RUN).resolve())


def _is_pipe(name: str) -> Live:
    return lambda work: stat.S_ISFIFO((work / RUN / name).stat().st_mode)


@apart
def _imports(work: Path) -> bool:
    import sys
    from importlib import import_module

    sys.path.insert(0, str(work))
    import_module(MODULE)
    return (work.parent / CANARY).exists() and MODULE in (work / RUN / "config.yaml").read_text()


def _differs(*names: str) -> Live:
    """Whether the folder is no longer the sound one; reading it as if it were would fail or go wrong."""
    return lambda work: any((work / RUN / name).read_bytes() != (sound() / name).read_bytes() for name in names)


def _differs_in_checkpoint(name: str) -> Live:
    def is_live(work: Path) -> bool:
        path = max((work / RUN).glob(f"checkpoints/step-*/{name}")).relative_to(work / RUN)
        return (work / RUN / path).read_bytes() != (sound() / path).read_bytes()

    return is_live


def _is_alias_bomb(work: Path) -> bool:
    found, size = yaml.safe_load((work / RUN / "config.yaml").read_bytes()), 1
    value = found[max(found, key=lambda key: int(key[1:]))]
    while isinstance(value, list):
        size, value = size * len(value), value[0]
    return size > 10**9


def _tells(word: str) -> Live:
    return lambda work: word in (work / RUN / "journal.jsonl").read_text()


def _always(work: Path) -> bool:
    return True


def _attack(name: str, words: list[str], change: Change, live: Live, codes: tuple[int, ...] = (2, 3, 4)) -> Attack:
    def send(work: Path) -> list[str]:
        change(work, sent(work))
        return words

    return Attack(name, send, live, codes)


WEIGHT = {"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}


def _of_state() -> Iterator[Attack]:
    state, first = "state.pt", "checkpoints/step-*/state.pt"
    pickles: dict[str, tuple[Callable[[Path], bytes], Callable[[bytes], Any]]] = {
        "a pickle": (lambda canary: pickle.dumps(Bomb(canary)), pickle.loads),
        "a pickle of another protocol": (lambda canary: pickle.dumps(Bomb(canary), protocol=0), pickle.loads),
        "a pickle in a pickle": (lambda canary: saved({"train": Nested(canary)}), _carelessly),
        "a pickle in torch's older form": (
            lambda canary: saved({"a": Bomb(canary)}, _use_new_zipfile_serialization=False),
            _carelessly,
        ),
        "a pickle in torch's form": (lambda canary: saved({"train": Bomb(canary)}), _carelessly),
        "a pickle in TorchScript's form": (
            lambda canary: zipped(
                {"archive/constants.pkl": pickle.dumps(()), "archive/data.pkl": pickle.dumps(Bomb(canary), protocol=2)}
            ),
            _in_zip,
        ),
        "an array of objects": (
            lambda canary: saved({"train": np.array([Bomb(canary)], dtype=object)}),
            _carelessly,
        ),
    }
    for name, (make, load) in pickles.items():
        yield _attack(f"{name} as state.pt", RESUME, _in_checkpoint(state, make), _executes(load, first))
    bomb = packed_state(dict)
    with zipfile.ZipFile(io.BytesIO(bomb)) as archive:
        parts = {each.filename: archive.read(each) for each in archive.infolist()}
    record = next(name for name in parts if "/data/" in name)
    others = {name: data for name, data in parts.items() if name != record}
    yield _attack(
        "a zip bomb as state.pt",
        RESUME,
        _in_checkpoint(state, lambda _: zip_bomb(record, 3 * GIB, more=others)),
        _unpacks("checkpoints/step-*/state.pt"),
    )
    yield _attack("a zip whose entries overlap as state.pt", RESUME, _overlapping, _unpacks(first))
    wrong: dict[str, Any] = {
        "a list": [1, 2],
        "another state": {"train": [], "model": 3},
        "huge numbers": {"train": {"step": 10**400}, "step": 10**400},
    }
    for name, value in wrong.items():
        yield _attack(
            f"{name} as state.pt",
            RESUME,
            _in_checkpoint(state, lambda _, value=value: saved(value)),  # type: ignore[misc]
            _differs_in_checkpoint(state),
        )
    yield _attack(
        "a tensor larger than its record",
        RESUME,
        _in_checkpoint(state, lambda _: packed_state(_larger_storage)),
        _differs_in_checkpoint(state),
    )


def _of_weights() -> Iterator[Attack]:
    files: dict[str, bytes] = {
        "a header of 4 exabytes": tensors(WEIGHT, bytes(16), length=1 << 62),
        "a header of 90 MiB that is not there": tensors(WEIGHT, bytes(16), length=90 << 20),
        "a deep header": tensors(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        "a shape of 2^60": tensors({"w": {"dtype": "F32", "shape": [1 << 60], "data_offsets": [0, 16]}}, bytes(16)),
        "an unknown type": tensors({"w": {"dtype": "OBJECT", "shape": [4], "data_offsets": [0, 16]}}, bytes(16)),
        "offsets behind the end": tensors({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 1 << 40]}}),
        "a name that leads out": tensors({"../../w": WEIGHT["w"]}, bytes(16)),
        "a rare type": tensors({"w": {"dtype": "F8_E8M0", "shape": [16], "data_offsets": [0, 16]}}, bytes(16)),
        "no header": b"",
    }
    for number, (name, data) in enumerate(files.items()):
        words = [EVAL, ROWS, EXPORT][number % 3]
        change = _in_checkpoint("model.safetensors", lambda _, data=data: data)  # type: ignore[misc]
        yield _attack(f"{name} in model.safetensors", words, change, _differs_in_checkpoint("model.safetensors"))
    yield _attack(
        "a pickle as model.safetensors",
        ROWS,
        _in_checkpoint("model.safetensors", lambda canary: pickle.dumps(Bomb(canary))),
        _executes(pickle.loads, "checkpoints/step-*/model.safetensors"),
    )
    large = _is_large("checkpoints/step-*/model.safetensors")
    yield _attack("weights of a terabyte", EVAL, _sparse_weights, large)


def _of_json() -> Iterator[Attack]:
    for name, words in {"run.json": EVAL, "preprocess.json": ROWS, "checkpoints/best": EVAL}.items():
        yield _attack(f"a deep {name}", words, _deep(name), _is_deep(name))
        yield _attack(f"{name} of a terabyte", words, _sparse(name), _is_large(name))
    yield _attack("a deep data.json", ["runs", "show", RUN], _deep("data.json"), _is_deep("data.json"), (0,))
    yield _attack("deep manifests", EVAL, _manifests("[" * 200_000), _differs_in_checkpoint("manifest.json"))
    traversal = json.dumps({"format": 1, "torch": "2", "best": "../../x", "sha256": {"../../../outside/own.txt": "0"}})
    yield _attack("a manifest that leads out", EVAL, _manifests(traversal), _differs_in_checkpoint("manifest.json"))
    yield _attack("a manifest of lists", RESUME, _manifests('{"format": 1, "sha256": []}'), _always)
    steps = {"a path": '"../../../outside"', "infinity": "1e999", "a list": "[]", "400 digits": "9" * 400}
    for name, step in steps.items():
        change = _file("checkpoints/best", f'{{"step": {step}}}'.encode())
        yield _attack(f"a pointer to {name}", EVAL, change, _differs("checkpoints/best"))

    def shape(size: Any) -> Change:
        return _json("preprocess.json", lambda plain: plain["inputs"][0]["spec"].update(shape=size))

    differs = _differs("preprocess.json")
    yield _attack("inputs of 10^12 features", ROWS, shape([10**12]), differs)
    yield _attack("inputs of texts", ROWS, shape(["../../x"]), differs)
    kind = _json("preprocess.json", lambda plain: plain["inputs"][0].update(kind="__import__"))
    yield _attack("an encoder that does not exist", EVAL, kind, differs)
    classes = _json("preprocess.json", lambda plain: plain.update(classes={"a": [{}]}, target_names=7))
    yield _attack("classes that are none", EVAL, classes, differs)
    no_inputs = _json("preprocess.json", lambda plain: plain.update(inputs=[]))
    yield _attack("no inputs", EVAL, no_inputs, differs)


def _of_config() -> Iterator[Attack]:
    def text(data: bytes) -> Change:
        return _file("config.yaml", data)

    differs = _differs("config.yaml")
    yield _attack("an alias bomb in config.yaml", EVAL, text(_alias_bomb()), _is_alias_bomb)
    yield _attack("an alias bomb among runs", ["runs", "ls", "output_dir=."], text(_alias_bomb()), _is_alias_bomb, (0,))
    yield _attack(
        "an object in config.yaml",
        EVAL,
        lambda w, r: text(_object(w.parent / CANARY))(w, r),
        _executes(lambda data: yaml.unsafe_load(data), "config.yaml"),
    )
    yield _attack("config.yaml of lists in lists", EVAL, text(b"a: " + b"- " * 300_000), differs)
    yield _attack("config.yaml of brackets", EVAL, text(b"a: " + b"[" * 300_000), differs)
    yield _attack("config.yaml of a terabyte", EVAL, _sparse("config.yaml"), _is_large("config.yaml"))
    for place in ("model", "activation", "loss", "metric", "data"):
        more = {"name": "own", "mode": "max"} if place == "metric" else {}
        words = {"model": EVAL, "activation": ROWS, "loss": RESUME, "metric": EVAL, "data": RESUME}[place]
        yield _attack(f"code as {place}", words, _code(place, **more), _imports)
    sizes: dict[str, dict[str, Any]] = {
        "a layer of 10^9": {"model__hidden": [10**9]},
        "10,000 layers": {"model__hidden": [1] * 10_000},
        "a batch of -1": {"batching__eval_batch_size": -1},
        "a name that leads out": {"name": "../../outside/x"},
    }
    for name, changes in sizes.items():
        yield _attack(f"{name} in config.yaml", EVAL, _config(**changes), differs)
    deep: dict[str, Any] = {"kind": "lstm", "hidden_size": 8, "num_layers": 10**9, "dense": []}
    yield _attack("10^9 recurrent layers", ROWS, _config(model=deep), differs)


def _pictures(work: Path, run: Path) -> None:
    """Let the run be one of pictures, which are kept decoded where it says: outside."""
    for number in range(24):
        path = run / "pictures" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), number).save(path)
    data = {"kind": "images", "path": str(run / "pictures"), "val_fraction": 0.25, "test_fraction": 0.25}
    _config(data={**data, "cache": str(work / OUTSIDE)})(work, run)


def _fetching(work: Path, run: Path) -> None:
    data = {"kind": "mnist", "root": str(work / "sets"), "download": True, "val_fraction": 0.25}
    _config(data=data)(work, run)


def _of_places() -> Iterator[Attack]:
    """What a run's config says of places outside of its folder."""
    for words in (RESUME, EVAL):
        cached = _tells_config("outside")
        yield _attack(f"a cache elsewhere: {words[0]}", words, _pictures, cached, (2, 3, 4))
        yield _attack(f"a download: {words[0]}", words, _fetching, _tells_config("download"))


def _tells_config(word: str) -> Live:
    return lambda work: word in (work / RUN / "config.yaml").read_text()


def _of_links() -> Iterator[Attack]:
    own = f"{OUTSIDE}/own.txt"
    links = {"lock": RESUME, "run.log": RESUME, "metrics.jsonl": RESUME, "config.yaml": EVAL, "run.json": EVAL}
    for name, words in links.items():
        yield _attack(f"{name} is a link", words, _link(name, own), _leads_out(name))
    for name, words in {"checkpoints": RESUME, "plots": ["eval", RUN]}.items():
        yield _attack(f"{name} is a link", words, _link(name, OUTSIDE, is_folder=True), _leads_out(name))
    yield _attack(
        "lock is a link, and removed", ["runs", "rm", RUN, "--yes"], _link("lock", own), _leads_out("lock"), (2, 5)
    )
    for name, words in {
        "run.json": EVAL,
        "config.yaml": EVAL,
        "preprocess.json": ROWS,
        "checkpoints/best": EVAL,
    }.items():
        yield _attack(f"{name} is a pipe", words, _pipe(name), _is_pipe(name))
    for name in ("run.json", "metrics.jsonl", "config.yaml"):
        listing = ["runs", "ls", "output_dir=."]

        def running(work: Path, run: Path, name: str = name) -> None:
            _json("run.json", lambda plain: plain.update(status="running"))(work, run)
            _pipe(name)(work, run)

        yield _attack(f"{name} among runs is a pipe", listing, running, _is_pipe(name), (0,))


def _of_sweeps() -> Iterator[Attack]:
    yield _attack("sweep.json names a run elsewhere", EVAL, _sweep_elsewhere, _always)
    go_on = ["resume", RUN]
    words: dict[str, dict[str, Any]] = {
        "a launcher that runs programs": {
            "words": ["hydra/launcher=submitit_local", "hydra.launcher.setup=[id]", "seed=1,2"]
        },
        "code": {"words": ["model=code", f"model.code={MODULE}:Net", "seed=1,2"]},
        "a reference to the environment": {"words": ["name=${oc.env:HF_TOKEN}", "seed=1,2"]},
        "configs of its own": {"config_dirs": ["theirs"]},
        "another primary config": {"config_name": "../../theirs"},
        "a folder without a root": {"folder": "."},
        "a folder that is not there": {"folder": "/nowhere/at/all"},
        "words that are no texts": {"words": [1, {}]},
        "an own file": {"words": ["theirs.yaml", "seed=1,2"]},
        "the environment, escaped": {"words": [r"tags=[$\{oc.env:HF_TOKEN\}]", "seed=1,2"]},
        "a download": {"words": ["data.download=true", "data=mnist", "data.root=sets", "seed=1,2"]},
        "a cache elsewhere": {"words": ["data.cache=../outside", "data=images", "data.path=x", "seed=1,2"]},
    }
    for name, changes in words.items():
        value = next(iter(changes.values()))
        token = json.dumps(value if isinstance(value, str) else value[0])
        yield _attack(f"a journal with {name}", go_on, _sweep(**changes), _tells(token))
    names = "# @package _global_\ntags: ['${oc.env:HF_TOKEN}']\n"
    starts = "# @package _global_\ndefaults: [{override /hydra/launcher: submitit_local}]\n"
    for name, folder in {"configs in its folder": RUN, "configs beside it": "theirs"}.items():
        change = _sweep(words=["experiment=evil", "data=iris", "seed=1,2"], folder=f"/proc/self/cwd/{folder}")
        for what, text in {"that read the environment": names, "that start programs": starts}.items():
            both = _both(change, _file(f"../{folder}/configs/experiment/evil.yaml", text.encode()))
            yield _attack(f"{name} {what}", go_on, both, _tells("/proc/self/cwd"))
    deep = _both(_sweep(), _deep("journal.jsonl"))
    yield _attack("a deep journal", go_on, deep, lambda work: (work / RUN / "journal.jsonl").stat().st_size > 100_000)
    linked = _both(_sweep(), _link("lock", f"{OUTSIDE}/own.txt"))
    yield _attack("a sweep whose lock is a link", go_on, linked, _leads_out("lock"))


def attacks() -> list[Attack]:
    """All of them; each leaves what is the user's as it was, too."""
    groups = (_of_state(), _of_weights(), _of_json(), _of_config(), _of_places(), _of_links(), _of_sweeps())
    return [attack for group in groups for attack in group]


def cases(count: int) -> Iterator[str | None]:
    """Try them all."""
    yield from cases_of(attacks())(count)


FOLDERS = Promise(
    name="sent-folders",
    text="run folders, checkpoints and sweeps of strangers: nothing executed, nothing written elsewhere, refused",
    cases=cases,
    in_ci=48,
    in_soak=200,
    at_least=30,
)
