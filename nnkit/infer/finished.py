"""A run that has ended, opened from its folder alone: its network with the best weights, ready to answer."""

# B batch, N rows

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from nnkit.assemble import measured, prepare
from nnkit.config.check import COMMAND_KEPT, check_written
from nnkit.config.schema import Config
from nnkit.config.sections.model import CodeModelConfig, PretrainedConfig
from nnkit.config.sent import without_wishes
from nnkit.data.batches import Batch, Samples, encode
from nnkit.data.preprocess import Preprocess
from nnkit.data.source import Rows, Source
from nnkit.errors import CheckpointError, ConfigError, DataError, Problem, StorageError
from nnkit.facts import title_of
from nnkit.infer.views import Views
from nnkit.models import empty_model
from nnkit.models.pretrained import published
from nnkit.objective.losses import num_outputs
from nnkit.regular import LARGEST_JSON, json_of
from nnkit.runs import (
    CHECKPOINTS,
    CONFIG,
    CV,
    FINISHED,
    PREPROCESS,
    PREPROCESS_SUM,
    RUN,
    fold_name,
    read_config,
    read_run,
    reason_of,
)
from nnkit.scoring import untuned_threshold
from nnkit.spec import DataSpec
from nnkit.storage import read_bytes
from nnkit.track.jsonl import read_events
from nnkit.train import checkpoints
from nnkit.train.device import Arithmetic, devices
from nnkit.train.through_time import answered
from nnkit.usercode import refuse_untrusted
from nnkit.way_on import line_anew

BEST = "best"
HEAD_NUMBERS = 10_000_000  # a head for a thousand classes has fewer
NO_SIZES = ("freeze", "unfreeze_after", "unfreeze_layers")
PUT_BACK = f"put it back; or train the same anew: {COMMAND_KEPT}"
MOST_NUMBERS = 1_000  # a setting of a network may be as large without being a size of its weights


@final
@dataclass(frozen=True, slots=True)
class Finished:
    """A finished run.

    Attributes:
        folder: of the run.
        config: its settings, with every pick.
        facts: its run.json.
        preprocess: what was fitted on its training rows.
        model: in eval mode, with the best weights.
        arithmetic: where and how it computes.
        threshold: with two classes, the probability from which the second one is predicted.
        members: of an ensemble, the runs whose answers it takes the mean of; `model` holds all of their networks.
        views: in which it sees samples, where it answers with the mean of several; None for samples as they are.
        view: the number of the one that is looked through.
    """

    folder: Path
    config: Config
    facts: dict[str, Any]
    preprocess: Preprocess
    model: nn.Module
    arithmetic: Arithmetic
    threshold: float = 0.5
    members: tuple[Finished, ...] = ()
    views: Views | None = None
    view: int = 0

    @property
    def spec(self) -> DataSpec:
        """The contract of data and model."""
        return self.preprocess.spec

    @property
    def title(self) -> str:
        """What was trained on what, in words."""
        return title_of(self.config)

    @property
    def looks(self) -> tuple[Finished, ...]:
        """Each network, looking through each view, whose answers are averaged; of most runs itself alone."""
        count = 1 if self.views is None else self.views.count
        return tuple(replace(one, view=view) for one in self.members or (self,) for view in range(count))

    def seen(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return a batch's inputs as they are looked at."""
        return inputs if self.views is None else self.views.inputs(self.view, inputs)

    def turned_back(self, outputs: Tensor) -> Tensor:
        """Return the network's outputs, those of pixels where the pixels are: a view may be mirrored."""
        is_seen = self.views is not None and self.spec.is_per_pixel
        return self.views.turned_back(self.view, outputs) if is_seen else outputs  # type: ignore[union-attr]

    def batches(self, inputs: Sequence[Any]) -> Iterator[tuple[Tensor, ...]]:
        """Yield what the network takes (B, …) of rows as they were read: N of them, an encoder's array or the like."""
        device, size = self.arithmetic.device, self.config.batching.eval_batch_size
        stored = tuple(x.to(device) for part in self.preprocess.store(inputs) for x in part)
        for start in range(0, len(stored[0]), size):
            yield self.preprocess.prepare(tuple(x[start : start + size] for x in stored))

    def samples(self, source: Source, rows: Rows) -> Samples:
        """Return some rows of a source, encoded, in their order."""
        return encode(source, rows, self.preprocess, self.arithmetic.device)

    @torch.no_grad()
    def outputs(self, batches: Iterable[tuple[Tensor, ...]]) -> Tensor:
        """Return the network's outputs float32, on the CPU, for one or more batches.

        They are (N, …) for N rows; where each step has an answer, (M, …) for the M steps of all rows, row after row.
        """
        found = []
        for inputs in batches:
            with self.arithmetic.autocast():
                outputs = self.turned_back(self.model(*self.seen(inputs)).float())
            found.append((self._at_steps(outputs, self._lengths(inputs)) if self.spec.is_per_step else outputs).cpu())
        return torch.cat(found)

    def _lengths(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Return the steps of each sequence (B,) of a batch."""
        x, *others = inputs
        if self.spec.has_lengths:
            return others[0]
        return torch.full((len(x),), x.shape[1], device=x.device)

    def _at_steps(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """Return outputs (B, T, …) at the steps that there are, (M, …)."""
        return outputs[torch.arange(outputs.shape[1], device=outputs.device) < lengths[:, None]]

    def answered(self, samples: Samples) -> Iterator[tuple[Batch, Tensor]]:
        """Yield samples in the batches in which the training measures them, with the network's outputs."""
        whole = measured(samples, self.config).epoch(0)
        batches = (replace(batch, inputs=self.seen(batch.inputs)) for batch in whole)
        is_stateful = self.config.batching.stateful
        for batch, outputs in answered(self.model, self.arithmetic, batches, is_stateful=is_stateful):
            yield batch, self.turned_back(outputs)

    def outputs_of(self, samples: Samples) -> Tensor:
        """Return the network's outputs for samples as `outputs` does, in their order, measured as in training."""
        parts = []
        for batch, outputs in self.answered(samples):
            if not self.spec.is_per_step:
                parts.append((batch.index, outputs.cpu()))
                continue
            lengths = self._lengths(batch.inputs)
            places = batch.index.repeat_interleave(lengths.cpu())
            parts.append((places, self._at_steps(outputs, lengths).cpu()))
        return in_sample_order(parts)[0]


def in_sample_order(parts: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """Return columns of batches as whole columns, in the order of the samples.

    Args:
        parts: of each batch the number of each row's sample, (M,), and columns (M, …).
    """
    places, *columns = (torch.cat(column) for column in zip(*parts, strict=True))
    order = places.argsort(stable=True)
    return tuple(column[order] for column in columns)


def open_run(folder: Path, *, trust: bool = False) -> Finished:
    """Return a finished run. Nothing in its folder is executed: names are looked up among nnkit's own parts.

    Args:
        folder: of the run.
        trust: whether code that the run names may be run, where it names the user's own, and files be fetched, and
            pictures cached, where it says.

    Raises:
        ConfigError: config.yaml is wrong, or names code that is not trusted.
        CheckpointError: the best weights are missing, damaged, or do not fit.
        DataError: run.json or preprocess.json is damaged.
    """
    values = read_config(folder)
    if not trust:
        refuse_untrusted(values, folder)
        values, _ = without_wishes(values, folder)
    config = _here(check_written(values, folder / CONFIG))
    facts = read_run(folder)
    threshold = _threshold(facts, config, folder)
    if config.cv.is_on and config.cv.final != "refit":
        return _of_folds(folder, config, facts, threshold, trust=trust)
    weights = _best_weights(folder, facts, values)
    preprocess = read_preprocess(folder, facts) or prepare(config).preprocess
    model = _loaded(config, preprocess.spec, weights, folder)
    arithmetic = Arithmetic.of(config.trainer.device, config.trainer.precision)  # type: ignore[arg-type]
    return Finished(folder, config, facts, preprocess, arithmetic.place(model).eval(), arithmetic, threshold)


def _of_folds(folder: Path, config: Config, facts: dict[str, Any], threshold: float, *, trust: bool) -> Finished:
    """Return the ensemble of a run's folds. Raises: as `open_run`."""
    if not config.cv.is_ensemble:
        told = f"{folder} has no network of its own: it was cross-validated with cv.final=none"
        raise CheckpointError(told, hint=str(folder / fold_name(0)))
    if not (folder / CV).exists():
        raise CheckpointError(f"not all folds of {folder} have ended", hint=f"nnkit resume {folder}")
    members = tuple(open_run(folder / fold_name(number), trust=trust) for number in range(config.cv.count))
    preprocess = read_preprocess(folder, facts)
    if preprocess is None:
        raise DataError(
            f"{folder / PREPROCESS} is of the first format, which had no folds", hint="is this a run folder?"
        )
    networks = nn.ModuleList([member.model for member in members])
    return Finished(folder, config, facts, preprocess, networks, members[0].arithmetic, threshold, members)


def _here(config: Config) -> Config:
    """Return the config for this machine: on the CPU where it lacks the device of the training."""
    if config.trainer.device in devices():
        return config
    return replace(config, trainer=replace(config.trainer, device="cpu", precision="fp32"))


def _threshold(facts: dict[str, Any], config: Config, folder: Path) -> float:
    found = facts.get("decision_threshold", untuned_threshold(config))
    if not isinstance(found, (int, float)) or not 0 < found < 1:
        raise DataError(f"{folder / RUN}: decision_threshold must be in (0, 1), got {found}")
    return float(found)


def _best_weights(folder: Path, facts: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return a run's best weights. Raises: CheckpointError, saying how they can be had again."""
    try:
        return checkpoints.read_weights(_best(folder, str(facts["status"])))
    except CheckpointError as error:
        if not (folder / CHECKPOINTS / BEST).exists() and facts["status"] not in FINISHED:
            raise
        try:
            checkpoints.newest(folder / CHECKPOINTS)
        except CheckpointError:
            hint = f"the same anew: {line_anew(values)}"
        else:
            hint = f"nnkit resume {folder} goes back to an older checkpoint, and trains to the same end"
        raise CheckpointError(*(Problem(p.text, hint) for p in error.problems)) from error


def _best(folder: Path, status: str) -> Path:
    """Return the checkpoint with the best weights. Raises: CheckpointError, saying what became of the run."""
    if not (folder / CHECKPOINTS / BEST).exists() and status not in FINISHED:
        hint = "wait for it" if status == "running" else f"nnkit resume {folder}"
        what = "any weights could be saved" if _has_validated(folder) else "its first validation"
        raise CheckpointError(f"{folder} {said_of(status)} before {what}", hint=hint)
    return checkpoints.pointed(folder / CHECKPOINTS, BEST)


def _has_validated(folder: Path) -> bool:
    """Tell whether a run has validated: its metrics may be written where its weights cannot be."""
    try:
        return any(name.startswith("val/") for event in read_events(folder) for name in event.values)
    except StorageError:
        return False


def said_of(status: str) -> str:
    """Return what became of a run that did not end, in words."""
    said = {"running": "is still running", "interrupted": "was interrupted", "lost": "was lost", "failed": "failed"}
    return said.get(status, f"is {status}")


def _loaded(config: Config, spec: DataSpec, weights: dict[str, Tensor], folder: Path) -> nn.Module:
    try:
        if not isinstance(config.model, CodeModelConfig):
            _check_size(config, spec, weights)
        model = empty_model(config, spec, num_outputs(config.loss, spec))
        model.load_state_dict(weights)
    except ConfigError:
        raise
    except (RuntimeError, MemoryError, ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(f"the weights of {folder} do not fit its config: {reason}") from error
    return model


def _check_size(config: Config, spec: DataSpec, weights: dict[str, Tensor]) -> None:
    """Check that no more is asked for than the weights are for, before a network is made. Raises: ValueError."""
    largest = max((size for tensor in weights.values() for size in tensor.shape), default=0)
    if isinstance(config.model, PretrainedConfig):
        there, wanted = sum(tensor.numel() for tensor in weights.values()), published(config.model.arch).parameters
        if wanted > 2 * there + HEAD_NUMBERS:
            raise ValueError(f"model.arch={config.model.arch} asks for {wanted:,} numbers, the tensors have {there:,}")
    sizes = {key: value for key, value in asdict(config.model).items() if key not in NO_SIZES}
    asked = {f"model.{key}": value for key, value in sizes.items()}
    asked |= {f"input {each.name}": list(each.sizes) for each in spec.inputs}
    if config.model.kind in ("mlp", "linear"):
        asked["inputs"] = sum(math.prod(each.shape) for each in spec.inputs if each.kind != "categories")
    for key, value in asked.items():
        numbers = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, int)]
        is_long = key == "model.num_layers" and value > len(weights)
        if (
            is_long
            or len(numbers) > MOST_NUMBERS + len(weights)
            or max(numbers, default=0) > max(largest, MOST_NUMBERS)
        ):
            raise ValueError(
                f"{key} asks for more than the {len(weights)} tensors have, the largest size being {largest}"
            )


def read_preprocess(folder: Path, facts: Mapping[str, Any]) -> Preprocess | None:
    """Return what was fitted on a run's training rows; None for a run of the first format, which kept too little.

    Args:
        folder: of the run.
        facts: its run.json, which has the sum of preprocess.json, but for older runs.

    Raises:
        DataError: preprocess.json is missing, damaged, or of a newer format.
    """
    path = folder / PREPROCESS
    try:
        data = read_bytes(path, LARGEST_JSON)
        if facts.get(PREPROCESS_SUM, (told := hashlib.sha256(data).hexdigest())) != told:
            raise DataError(f"{path} is damaged: it is not what was written (SHA-256 differs)", hint=PUT_BACK)
        plain = json_of(data)
    except (StorageError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {reason_of(error, path)}", hint=PUT_BACK) from error
    if not isinstance(plain, dict):
        raise DataError(f"{path} is damaged: it holds no mapping", hint=PUT_BACK)
    try:
        found = Preprocess.from_plain(plain)
        if found is not None:
            _ = found.spec
        return found
    except DataError as error:
        raise DataError(*(Problem(f"{folder}: {p.text}", p.hint or PUT_BACK) for p in error.problems)) from error
    except (ValueError, IndexError, OverflowError, RuntimeError) as error:
        raise DataError(f"{path} is damaged: {error}", hint=PUT_BACK) from error
