"""TensorBoard: what its own reader finds in our files."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnkit.track.trackers.host import serve
from tests.track.trackers.read_back import CLOSE, RECORDS, lines, scalars, start_of


def told(folder: Path, *messages: dict[str, object], **changes: object) -> None:
    serve("tensorboard", lines(start_of(folder, **changes), *messages), pytest.fail)


def test_the_reader_finds_each_curve_and_the_final_metrics(tmp_path: Path) -> None:
    told(tmp_path, *RECORDS, CLOSE)
    found = scalars(tmp_path)
    assert found["val/loss"] == [(5, pytest.approx(1 / 5)), (10, pytest.approx(0.1)), (15, pytest.approx(1 / 15))]
    assert found["epoch"] == [(5, 1.0), (10, 2.0), (15, 3.0)]
    assert found["final/test/accuracy"] == [(15, 0.75)]


def test_a_run_that_goes_on_replaces_what_it_had_behind_its_checkpoint(tmp_path: Path) -> None:
    told(tmp_path, *RECORDS)  # killed: its last event is behind the checkpoint of step 10
    told(tmp_path, {**RECORDS[2], "values": {"val/loss": 0.5}}, CLOSE, step=10, goes_on=True)
    assert scalars(tmp_path)["val/loss"] == [(5, pytest.approx(0.2)), (10, pytest.approx(0.1)), (15, 0.5)]


def test_a_run_that_starts_anew_replaces_everything(tmp_path: Path) -> None:
    told(tmp_path, *RECORDS)
    told(tmp_path, RECORDS[0], CLOSE, goes_on=True)
    assert [step for step, _ in scalars(tmp_path)["val/loss"]] == [5]


def test_a_rollback_replaces_what_was_behind_it(tmp_path: Path) -> None:
    again = [{**record, "values": {"val/loss": 2.0}} for record in RECORDS[1:]]
    told(tmp_path, *RECORDS, {"do": "back", "step": 5}, *again, CLOSE)
    assert scalars(tmp_path)["val/loss"] == [(5, pytest.approx(0.2)), (10, 2.0), (15, 2.0)]


def test_settings_are_a_table_and_what_runs_are_compared_by(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    groups = []
    for seed, rate in ((1, 0.1), (2, 0.1), (1, 0.2)):
        folder = tmp_path / f"{seed}-{rate}"
        told(folder, CLOSE, config={"seed": seed, "optimizer.lr": rate, "model.kind": "mlp", "trainer.plots": False})
        found = EventAccumulator(str(folder / "tensorboard"))
        found.Reload()
        data = HParamsPluginData.FromString(found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content)
        values = data.session_start_info.hparams
        assert (values["optimizer.lr"].number_value, values["model.kind"].string_value) == (rate, "mlp")
        assert values["trainer.plots"].bool_value is False
        groups.append(data.session_start_info.group_name)
        ended = HParamsPluginData.FromString(found.SummaryMetadata("_hparams_/session_end_info").plugin_data.content)
        assert ended.session_end_info.status == 1  # STATUS_SUCCESS
        text = found.Tensors("config")[0].tensor_proto.string_val[0].decode()
        assert f"| optimizer.lr | {rate} |" in text
        assert "| tags | a, b |" in text
    assert groups[0] == groups[1] != groups[2]  # equal but for the seed


def test_values_that_are_not_finite_are_points_all_the_same(tmp_path: Path) -> None:
    told(tmp_path, {**RECORDS[0], "values": {"val/loss": float("nan")}}, {**CLOSE, "status": "failed", "metrics": {}})
    assert str(scalars(tmp_path)["val/loss"]) == "[(5, nan)]"
