"""Did you mean: from a wrong word to the nearest right one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from nnkit.config.fields import leaves, sections

# What people type first, by the last word of their key. A value of the form "key=value" replaces theirs.
SYNONYMS: Mapping[str, str] = {
    "epochs": "trainer.max_epochs",
    "epoch": "trainer.max_epochs",
    "num_epochs": "trainer.max_epochs",
    "n_epochs": "trainer.max_epochs",
    "steps": "trainer.max_steps",
    "iterations": "trainer.max_steps",
    "time": "trainer.max_time_s",
    "learning_rate": "optimizer.lr",
    "learningrate": "optimizer.lr",
    "eta": "optimizer.lr",
    "wd": "optimizer.weight_decay",
    "decay": "optimizer.weight_decay",
    "betas": "optimizer.beta1",
    "batch": "batching.batch_size",
    "batchsize": "batching.batch_size",
    "bs": "batching.batch_size",
    "grad_accum": "batching.accumulate",
    "accumulation": "batching.accumulate",
    "gpu": "trainer.device=cuda",
    "gpus": "trainer.device=cuda",
    "cuda": "trainer.device=cuda",
    "cpu": "trainer.device=cpu",
    "accelerator": "trainer.device",
    "amp": "trainer.precision=bf16",
    "mixed_precision": "trainer.precision=bf16",
    "dtype": "trainer.precision",
    "ema": "trainer.ema_decay",
    "early_stopping": "trainer.patience",
    "earlystopping": "trainer.patience",
    "early_stop": "trainer.patience",
    "clip": "trainer.clip_norm",
    "grad_clip": "trainer.clip_norm",
    "gradient_clip_val": "trainer.clip_norm",
    "max_grad_norm": "trainer.clip_norm",
    "num_threads": "trainer.threads",
    "drop": "regularization.dropout",
    "p": "regularization.dropout",
    "layers": "model.hidden",
    "units": "model.hidden",
    "hidden_size": "model.hidden",
    "hidden_sizes": "model.hidden",
    "hidden_dim": "model.hidden",
    "num_layers": "model.hidden",
    "filters": "model.channels",
    "kernel": "model.kernel_size",
    "batch_norm": "model.norm=batch",
    "batchnorm": "model.norm=batch",
    "skip": "model.residual",
    "net": "model",
    "network": "model",
    "arch": "model",
    "architecture": "model",
    "dataset": "data",
    "optim": "optimizer",
    "opt": "optimizer",
    "lr_scheduler": "scheduler",
    "schedule": "scheduler",
    "warmup": "scheduler.warmup_steps",
    "criterion": "loss",
    "objective": "loss",
    "act": "activation",
    "nonlinearity": "activation",
    "initializer": "init",
    "initialization": "init",
    "weight_init": "init",
    "weights": "init",
    "regularizer": "regularization",
    "reg": "regularization",
    "random_state": "seed",
    "random_seed": "seed",
    "manual_seed": "seed",
    "out": "output_dir",
    "output": "output_dir",
    "outdir": "output_dir",
    "logdir": "output_dir",
    "run_name": "name",
    "file": "data.path",
    "csv": "data.path",
    "data_dir": "data.root",
    "label": "data.target",
    "val_split": "data.val_fraction",
    "validation_split": "data.val_fraction",
    "test_split": "data.test_fraction",
    "test_size": "data.test_fraction",
    "normalize": "data.scaling",
    "standardize": "data.scaling",
}


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known word that looks most like `word`, or None when none is near."""
    found = get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return found[0] if found else None


def key_hint(key: str, values: Mapping[str, Any], value: Any = None, groups: Collection[str] = ()) -> str:
    """Return the hint for a key that is not a setting.

    Tried in this order: an everyday synonym, the same last word in another section, the same key under another option
    of its group, the nearest key by its full path, the nearest by its last word.

    Args:
        key: what was written.
        values: the composed config, for the kinds that were chosen.
        value: what was written behind the key; carried into the hint when it is a scalar.
        groups: names of the config groups.
    """
    valid, last = leaves(values), key.rpartition(".")[2].lower()
    same_last = [k for k in valid if k.rpartition(".")[2] == last and k.rpartition(".")[2] != "kind"]
    if same_last:
        return _ask(same_last[0], value)
    if other := _under_another_option(last if last in SYNONYMS else key, values):
        return other
    if last in SYNONYMS:
        return _ask(SYNONYMS[last], value)
    full = nearest(key, [*valid, *groups], cutoff=0.75)
    if full:
        return _ask(full, value)
    by_last = {k.rpartition(".")[2]: k for k in reversed(list(valid))}
    close = nearest(last, [*by_last, *groups, *SYNONYMS])
    if close is None:
        return "nnkit list shows all groups and settings"
    return _ask(by_last.get(close) or SYNONYMS.get(close, close), value)


def _under_another_option(key: str, values: Mapping[str, Any]) -> str | None:
    """Return the hint for a setting that exists, but under an option that was not chosen."""
    key = SYNONYMS.get(key, key)
    section, _, last = key.rpartition(".")
    names = [section] if section in sections() else [] if section else list(sections())
    for name in names:
        for kind in sections()[name]:
            if kind and f"{name}.{last}" in leaves({**values, name: {"kind": kind}}):
                return f"{name}={kind} has {name}.{last}"
    return None


def _ask(target: str, value: Any) -> str:
    if "=" in target or value is None or isinstance(value, (dict, list)):
        return f"did you mean {target}?"
    return f"did you mean {target}={spell(value)}?"


def spell(value: Any) -> str:
    """Return a value as it is written on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ",".join(spell(v) for v in value) + "]"
    return str(value)
