"""How a trial ended, by its folder alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnkit.config.schema import Config
from nnkit.errors import DataWorkerError, DivergenceError, NnkitError, OutOfMemoryError
from nnkit.run import train
from nnkit.runs import new_folder
from nnkit.sweep.trials import Outcome, Trial
from nnkit.sweep.work import note_failure, outcome_of
from tests.trained import config_of, trained

BREAKS = ("loss=code", "loss.code=tests.own_code:Breaks")


def ended(folder: Path, config: Config) -> Outcome:
    found = outcome_of(Trial(0, {}, config, {}, ""), folder)
    assert found is not None
    return found


def test_a_trial_whose_time_was_over_before_its_first_step_ranks_nowhere() -> None:
    words = ("model.hidden=[4]", "trainer.max_time_s=1e-9")
    found = ended(trained(*words).folder, config_of(*words))
    assert (found.status, dict(found.metrics)) == ("completed", {})
    words = ("model.hidden=[4]", "trainer.max_steps=1")
    assert "val/loss" in ended(trained(*words).folder, config_of(*words)).metrics


@pytest.mark.parametrize(
    ("error", "has_begun"),
    [
        (ValueError("a bug"), False),
        (NnkitError("no weights"), False),
        (OutOfMemoryError("too large"), True),
        (DivergenceError("nan"), True),
        (DataWorkerError("killed"), True),
    ],
)
def test_what_another_trial_may_not_meet_does_not_speak_for_all(error: Exception, has_begun: bool) -> None:
    config = config_of(*BREAKS, "loss.kwargs={step: 1}")
    folder = new_folder(config)
    with pytest.raises(ValueError, match="it breaks in step 1"):
        train(config, folder)
    note_failure(Trial(0, {}, config, {}, ""), folder, error)
    assert ended(folder, config).has_begun == has_begun


def test_a_trial_that_has_validated_speaks_for_itself() -> None:
    config = config_of(*BREAKS, "loss.kwargs={step: 12}", "batching.batch_size=20")
    folder = new_folder(config)
    with pytest.raises(ValueError, match="it breaks in step 12"):
        train(config, folder)
    note_failure(Trial(0, {}, config, {}, ""), folder, ValueError("it breaks in step 12"))
    assert ended(folder, config).has_begun
