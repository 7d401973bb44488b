import json
import socket
from pathlib import Path

import pytest
from mlflow import MlflowClient

from raytransfer.config import InputError
from raytransfer.tracking import RunRecord, Tracker

NOWHERE = Path("/nowhere")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One store for the module: making its tables takes seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    Tracker(uri, artifact_root=folder / "artifacts")
    return uri


def _record(key: str, epochs: int, artifact: Path | None = None) -> RunRecord:
    return RunRecord(
        kind="downstream", key=key, name=f"trial {key}", params={"model": "unet-micro", "seed": 0},
        epochs={e: {"test/dice": e / 10, "train/loss": 1 / e} for e in range(1, epochs + 1)},
        documents={"config.json": {"seed": 0}}, artifacts={} if artifact is None else {artifact: "pictures"},
    )  # fmt: skip


def _runs(uri: str, key: str) -> list:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("raytransfer-downstream")
    return client.search_runs([experiment.experiment_id], f"tags.`raytransfer.key` = '{key}'")


def _steps(uri: str, run_id: str) -> list[int]:
    return [metric.step for metric in MlflowClient(uri).get_metric_history(run_id, "test/dice")]


def test_a_run_has_params_epochs_config_and_artifacts(database: str, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"png")
    tracker = Tracker(database, artifact_root=NOWHERE)
    assert tracker.publish(_record("whole", 3, picture))
    (run,) = _runs(database, "whole")
    assert run.info.status == "FINISHED"
    assert run.data.params == {"model": "unet-micro", "seed": "0"}
    assert run.data.metrics == {"test/dice": pytest.approx(0.3), "train/loss": pytest.approx(1 / 3)}
    assert _steps(database, run.info.run_id) == [1, 2, 3]
    client = MlflowClient(database)
    config = client.download_artifacts(run.info.run_id, "config.json")
    assert json.loads(Path(config).read_text()) == {"seed": 0}
    assert [f.path for f in client.list_artifacts(run.info.run_id, "pictures")] == ["pictures/picture.png"]


def test_publishing_again_changes_nothing(database: str) -> None:
    Tracker(database, artifact_root=NOWHERE).publish(_record("again", 2))
    tracker = Tracker(database, artifact_root=NOWHERE)
    assert tracker.is_finished("downstream", "again")
    tracker.publish(_record("again", 5))
    (run,) = _runs(database, "again")
    assert _steps(database, run.info.run_id) == [1, 2]


def test_an_interrupted_run_goes_on_in_its_own_run_with_no_step_twice(database: str) -> None:
    first = Tracker(database, artifact_root=NOWHERE)
    first.publish(_record("cut", 2), finished=False)
    first.close()
    assert _runs(database, "cut")[0].info.status == "KILLED"
    second = Tracker(database, artifact_root=NOWHERE)
    assert not second.is_finished("downstream", "cut")
    for epochs in (1, 2, 3):
        second.publish(_record("cut", epochs), finished=False)
    assert _runs(database, "cut")[0].info.status == "RUNNING"
    second.publish(_record("cut", 4))
    (run,) = _runs(database, "cut")
    assert run.info.status == "FINISHED"
    assert _steps(database, run.info.run_id) == [1, 2, 3, 4]


def test_a_failed_run_says_why_and_can_go_on(database: str) -> None:
    tracker = Tracker(database, artifact_root=NOWHERE)
    tracker.fail(_record("failed", 1), "FloatingPointError: loss is nan")
    (run,) = _runs(database, "failed")
    assert (run.info.status, run.data.tags["raytransfer.failure"]) == (
        "FAILED",
        "FloatingPointError: loss is nan",
    )
    tracker.publish(_record("failed", 2))
    assert _runs(database, "failed")[0].info.status == "FINISHED"


def test_undefined_metrics_are_left_out(database: str) -> None:
    record = _record("nan", 1)
    Tracker(database, artifact_root=NOWHERE).publish(
        RunRecord(**{**vars(record), "epochs": {1: {"test/dice": float("nan"), "train/loss": 1.0}}})
    )
    assert _runs(database, "nan")[0].data.metrics == {"train/loss": 1.0}


def test_nobody_answering_is_said_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(InputError, match="does not answer as an MLflow server") as raised:
        Tracker(uri, artifact_root=NOWHERE)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("uri", ["sqlite:////proc/none/mlflow.db", "gopher://x", "sqlite:////etc/hostname"])
def test_a_store_that_is_none_is_said(uri: str) -> None:
    with pytest.raises(InputError, match="does not answer"):
        Tracker(uri, artifact_root=NOWHERE)


def test_a_store_that_fails_later_does_not_stop_the_work(
    database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = Tracker(database, artifact_root=NOWHERE)

    def broken(*args: object, **kwargs: object) -> None:
        raise OSError("connection refused")

    monkeypatch.setattr(MlflowClient, "log_batch", broken)
    assert not tracker.publish(_record("later", 2))
    assert "connection refused" in caplog.text
    monkeypatch.undo()
    assert tracker.publish(_record("later", 2)), "delivered once the store is back"
    (run,) = _runs(database, "later")
    assert _steps(database, run.info.run_id) == [1, 2]


def test_a_deleted_experiment_is_said(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    Tracker(uri, artifact_root=NOWHERE)
    client = MlflowClient(uri)
    client.delete_experiment(client.get_experiment_by_name("raytransfer-robustness").experiment_id)
    with pytest.raises(InputError, match="mlflow experiments restore"):
        Tracker(uri, artifact_root=NOWHERE)


def test_the_hint_shows_the_runs(database: str) -> None:
    command, link = Tracker(database, artifact_root=NOWHERE).ui_hint()
    assert command == f"mlflow ui --backend-store-uri {database}"
    assert link.endswith("/runs?workflowType=machine_learning")
