"""The whole config. OmegaConf composes it from YAML, pydantic alone checks it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, final

from pydantic import ConfigDict

from nnkit.config.marks import Fixed, Live, Name, Resume
from nnkit.config.sections.activation import ActivationConfig
from nnkit.config.sections.augmentation import AugmentationConfig
from nnkit.config.sections.batching import BatchingConfig
from nnkit.config.sections.cv import CvConfig
from nnkit.config.sections.data import DataConfig
from nnkit.config.sections.init import InitConfig
from nnkit.config.sections.loss import LossConfig
from nnkit.config.sections.metric import MetricConfig, TaskMetricConfig
from nnkit.config.sections.model import ModelConfig
from nnkit.config.sections.optimizer import OptimizerConfig
from nnkit.config.sections.regularization import RegularizationConfig
from nnkit.config.sections.scheduler import SchedulerConfig
from nnkit.config.sections.tracker import TrackerConfig
from nnkit.config.sections.trainer import TrainerConfig

__all__ = ["Config", "Resume", "to_plain"]


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class Config:
    """One run, whole. The sections stand in the order in which they are used."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    name: Live[Name | None] = None
    seed: Fixed[int] = 0
    tags: Live[list[str]]
    output_dir: Live[Name]
    data: DataConfig
    model: ModelConfig
    activation: ActivationConfig
    init: InitConfig
    loss: LossConfig
    regularization: RegularizationConfig
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)  # runs of before had none
    optimizer: OptimizerConfig
    scheduler: SchedulerConfig
    batching: BatchingConfig
    trainer: TrainerConfig
    metric: MetricConfig = field(default_factory=TaskMetricConfig)  # runs of before had none, and no folds
    cv: CvConfig = field(default_factory=CvConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)


def to_plain(config: Config) -> dict[str, Any]:
    """Return the config as plain dicts, lists and scalars, in the order of the schema."""
    return asdict(config)
