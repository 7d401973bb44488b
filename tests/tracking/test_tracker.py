import json
import re
import shlex
import shutil
import socket
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import mlflow.pytorch
import pytest
import torch
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus

from raytransfer.errors import InputError
from raytransfer.evaluation.trained import save_trained
from raytransfer.models.classification import ClassificationModel
from raytransfer.models.registry import create_encoder, create_segmentation_model
from raytransfer.tracking import store
from raytransfer.tracking.runs import RunRecord
from raytransfer.tracking.tracker import Tracker

NOWHERE = Path("/nowhere")


@pytest.fixture(scope="module")
def database(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """One store for the module."""
    folder = tmp_path_factory.mktemp("mlflow")
    shutil.copy(empty_store, folder / "mlflow.db")
    uri = f"sqlite:///{folder}/mlflow.db"
    with _tracker(uri, folder / "artifacts"):
        return uri


def _tracker(uri: str, artifact_root: Path = NOWHERE) -> Tracker:
    return Tracker(uri, artifact_root=artifact_root)


def _record(key: str, epochs: int, artifact: Path | None = None) -> RunRecord:
    return RunRecord(
        kind="evaluation", key=key, name=f"trial {key}",
        params={"model": "unet-micro", "seed": 0, "batch_size": 8},
        epochs={e: {"test/dice": e / 10, "train/loss": 1 / e} for e in range(1, epochs + 1)},
        documents={"config.json": {"seed": 0}}, artifacts={} if artifact is None else {artifact: "pictures"},
    )  # fmt: skip


def _runs(uri: str, key: str, kind: str = "evaluation") -> list:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(f"raytransfer-{kind}")
    return client.search_runs([experiment.experiment_id], f"tags.`raytransfer.key` = '{key}'")


def _all_runs(uri: str) -> list:
    client = MlflowClient(uri)
    return client.search_runs([client.get_experiment_by_name("raytransfer-evaluation").experiment_id])


def _steps(uri: str, run_id: str) -> list[int]:
    return [metric.step for metric in MlflowClient(uri).get_metric_history(run_id, "test/dice")]


def test_a_run_has_params_tags_epochs_summary_and_artifacts(database: str, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"png")
    record = replace(
        _record("whole", 3, picture), summary={"summary/best_performance": 0.3},
        pictures={"drawn.txt": lambda path: path.write_text("drawn")},
    )  # fmt: skip
    with _tracker(database) as tracker:
        assert tracker.publish(record)
        assert tracker.is_finished("evaluation", "whole"), "what is on its way counts"
    (run,) = _runs(database, "whole")
    assert run.info.status == "FINISHED"
    assert run.data.params == {"model": "unet-micro", "seed": "0", "batch_size": "8"}
    tags = run.data.tags
    assert {name: tags.get(name) for name in ("model", "seed", "batch_size")} == {
        "model": "unet-micro", "seed": "0", "batch_size": None,
    }  # fmt: skip
    assert tags["raytransfer.command"].startswith("python ")
    assert tags["git_sha"] == tags["mlflow.source.git.commit"]
    assert tags["host"]
    assert tags["version.torch"]
    assert run.data.metrics == {
        "test/dice": pytest.approx(0.3), "train/loss": pytest.approx(1 / 3), "summary/best_performance": 0.3,
    }  # fmt: skip
    assert _steps(database, run.info.run_id) == [1, 2, 3]
    client = MlflowClient(database)
    config = client.download_artifacts(run.info.run_id, "config.json")
    assert json.loads(Path(config).read_text()) == {"seed": 0}
    lines = Path(client.download_artifacts(run.info.run_id, "curves.csv")).read_text().splitlines()
    assert lines[0] == '"epoch","test/dice","train/loss"'
    assert len(lines) == 4
    files = {f.path for f in client.list_artifacts(run.info.run_id)}
    assert files == {"config.json", "curves.csv", "drawn.txt", "pictures"}
    assert [f.path for f in client.list_artifacts(run.info.run_id, "pictures")] == ["pictures/picture.png"]


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "FINISHED"), (ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")],
)
def test_a_command_has_one_parent_per_experiment(
    database: str, error: type[BaseException] | None, status: str
) -> None:
    keys = [f"{status}-a", f"{status}-b"]
    with suppress(ValueError, KeyboardInterrupt), _tracker(database) as tracker:
        for key in keys:
            tracker.publish(_record(key, 1))
        tracker.publish(replace(_record(keys[0], 1), kind="score"))
        if error is not None:
            raise error
    parents = {_runs(database, key)[0].data.tags["mlflow.parentRunId"] for key in keys}
    (parent,) = map(MlflowClient(database).get_run, parents)
    assert parent.info.status == status
    assert "raytransfer.key" not in parent.data.tags
    (other,) = _runs(database, keys[0], kind="score")
    assert other.data.tags["mlflow.parentRunId"] not in parents
    why = {"FAILED": ("failure", "ValueError"), "KILLED": ("stopped", "KeyboardInterrupt")}
    assert status == "FINISHED" or parent.data.tags[f"raytransfer.{why[status][0]}"] == why[status][1]


def test_a_command_that_says_so_has_failed(database: str) -> None:
    with _tracker(database) as tracker:
        tracker.publish(_record("of a failed command", 1))
        tracker.command_failed()
    (run,) = _runs(database, "of a failed command")
    parent = MlflowClient(database).get_run(run.data.tags["mlflow.parentRunId"])
    assert (run.info.status, parent.info.status) == ("FINISHED", "FAILED")


def test_publishing_again_changes_nothing(database: str) -> None:
    with _tracker(database) as tracker:
        tracker.publish(_record("again", 2))
    with _tracker(database) as tracker:
        assert tracker.is_finished("evaluation", "again")
        tracker.publish(_record("again", 5))
    (run,) = _runs(database, "again")
    assert _steps(database, run.info.run_id) == [1, 2]


def test_an_interrupted_run_goes_on_in_its_own_run_with_no_step_twice(database: str) -> None:
    with _tracker(database) as first:
        first.publish(_record("cut", 2), finished=False)
    (before,) = _runs(database, "cut")
    assert before.info.status == "KILLED"
    assert "the same command goes on" in before.data.tags["raytransfer.stopped"]
    with _tracker(database) as second:
        assert not second.is_finished("evaluation", "cut")
        for epochs in (1, 2, 3):
            second.publish(_record("cut", epochs), finished=False)
            assert second.flush()
        assert _runs(database, "cut")[0].info.status == "RUNNING"
        second.publish(_record("cut", 4))
    (run,) = _runs(database, "cut")
    assert (run.info.run_id, run.info.status) == (before.info.run_id, "FINISHED")
    assert "raytransfer.stopped" not in run.data.tags
    assert _steps(database, run.info.run_id) == [1, 2, 3, 4]
    parents = [of.data.tags["mlflow.parentRunId"] for of in (before, run)]
    assert parents[0] != parents[1], "it belongs to the command that went on with it"


@pytest.mark.parametrize(
    ("end", "status", "tag"),
    [("fail", "FAILED", "raytransfer.failure"), ("stop", "KILLED", "raytransfer.stopped")],
)
def test_a_run_that_ended_early_says_why_and_can_go_on(
    database: str, end: str, status: str, tag: str
) -> None:
    with _tracker(database) as tracker:
        getattr(tracker, end)(_record(end, 1), "FloatingPointError: loss is nan")
        assert tracker.flush()
        (run,) = _runs(database, end)
        assert (run.info.status, run.data.tags[tag]) == (status, "FloatingPointError: loss is nan")
        assert [f.path for f in MlflowClient(database).list_artifacts(run.info.run_id)]
        tracker.publish(_record(end, 2))
    (run,) = _runs(database, end)
    assert (run.info.status, tag in run.data.tags) == ("FINISHED", False)
    assert _steps(database, run.info.run_id) == [1, 2]


def test_files_of_the_command_itself_are_in_its_own_run(database: str, tmp_path: Path) -> None:
    page, tables = tmp_path / "report.html", tmp_path / "tables"
    page.write_text("<p>")
    tables.mkdir()
    (tables / "a.csv").touch()
    before = {run.info.run_id for run in _all_runs(database)}
    with _tracker(database) as tracker:
        tracker.attach("evaluation", {page: "", tables: "tables", tmp_path / "none": ""})
    (own,) = [run for run in _all_runs(database) if run.info.run_id not in before]
    assert own.info.status == "FINISHED"
    assert {"mlflow.parentRunId", "raytransfer.key"}.isdisjoint(own.data.tags), "no trial"
    client = MlflowClient(database)
    assert [f.path for f in client.list_artifacts(own.info.run_id)] == ["report.html", "tables"]
    assert [f.path for f in client.list_artifacts(own.info.run_id, "tables")] == ["tables/a.csv"]


def test_undefined_metrics_are_left_out(database: str) -> None:
    with _tracker(database) as tracker:
        epochs = {1: {"test/dice": float("nan"), "train/loss": 1.0}}
        tracker.publish(replace(_record("nan", 1), epochs=epochs))
    assert _runs(database, "nan")[0].data.metrics == {"train/loss": 1.0}


def test_passwords_are_not_shown(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["grid.py", "--tracking-uri", "https://me:secret@host:5000/x"])
    with _tracker(database) as tracker:
        tracker.publish(_record("password", 1))
    shown = _runs(database, "password")[0].data.tags["raytransfer.command"]
    assert shown == "python grid.py --tracking-uri https://***@host:5000/x"


def test_what_mlflow_refuses_does_not_hold_up_the_rest(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    with _tracker(database) as tracker:
        tracker.publish(replace(_record("refused", 1), params={"not a/../name": 1}))
        tracker.publish(_record("taken", 1))
    assert _runs(database, "taken")[0].info.status == "FINISHED"
    assert "trial refused" in caplog.text
    assert "missed 1 runs" in caplog.text


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


@pytest.mark.parametrize(("own", "says"), [(False, "it is empty: no database"), (True, "MLflow was asked")])
def test_an_empty_file_is_no_store_but_where_a_command_of_the_study_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool, says: str
) -> None:
    monkeypatch.setattr(store, "MlflowClient", Mock(side_effect=RuntimeError("MLflow was asked")))
    (tmp_path / "mlflow.db").touch()
    with pytest.raises(InputError, match=says):
        Tracker(f"sqlite:///{tmp_path}/mlflow.db", artifact_root=NOWHERE, own=own)


def test_a_database_that_is_torn_in_the_middle_is_said(empty_store: Path, tmp_path: Path) -> None:
    content = bytearray(empty_store.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    (tmp_path / "mlflow.db").write_bytes(content)
    with pytest.raises(
        InputError, match=r"^MLflow's database .* \(database disk image is malformed\): if it"
    ):
        Tracker(f"sqlite:///{tmp_path}/mlflow.db", artifact_root=NOWHERE, own=True)


def test_passwords_are_not_said() -> None:
    with pytest.raises(InputError, match=r"--tracking-uri postgresql://\*\*\*@127\.0\.0\.1:9/runs does not"):
        Tracker("postgresql://me:secret@127.0.0.1:9/runs", artifact_root=NOWHERE)


def test_a_deleted_experiment_is_said(empty_store: Path, tmp_path: Path) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    _tracker(uri).close()
    client = MlflowClient(uri)
    client.delete_experiment(client.get_experiment_by_name("raytransfer-score").experiment_id)
    command = f"MLFLOW_TRACKING_URI={uri} mlflow experiments restore --experiment-id"
    with pytest.raises(InputError, match=re.escape(command)):
        Tracker(uri, artifact_root=NOWHERE)


def test_the_hint_shows_the_runs(database: str) -> None:
    with _tracker(database) as tracker:
        command, link = tracker.ui_hint()
    assert command == f"mlflow ui --backend-store-uri {database}"
    assert "/runs?workflowType=machine_learning&orderByKey=metrics.%60summary%2Ffinal_performance%60" in link


def test_the_hint_can_be_pasted(empty_store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my runs; all"
    folder.mkdir()
    shutil.copy(empty_store, folder / "mlflow.db")
    with _tracker(uri := f"sqlite:///{folder}/mlflow.db") as tracker:
        command, _ = tracker.ui_hint()
    assert shlex.split(command) == ["mlflow", "ui", "--backend-store-uri", uri]


def test_a_model_comes_to_a_finished_run_once(database: str, tmp_path: Path) -> None:
    """It is chosen when all seeds are in; the run may have ended long before, in another command."""
    model, path = create_segmentation_model("unet-micro", num_classes=2), tmp_path / "model.safetensors"
    save_trained(
        path, model, task="segmentation", name="unet-micro", class_names=("none", "disc"), image_size=32
    )
    with _tracker(database) as tracker:
        tracker.publish(_record("model", 2))
    for _ in range(2):
        with _tracker(database) as tracker:
            tracker.publish(replace(_record("model", 2), model=path))
            assert tracker.has_model("evaluation", "model")
    (run,) = _runs(database, "model")
    assert _steps(database, run.info.run_id) == [1, 2]
    (found,) = MlflowClient(database).search_logged_models([run.info.experiment_id])
    assert (found.model_id, found.status) == (run.data.tags["raytransfer.model"], LoggedModelStatus.READY)
    assert (found.source_run_id, found.name) == (run.info.run_id, "model")


def test_a_classifier_in_mlflow_gives_probabilities(database: str, tmp_path: Path) -> None:
    model, path = ClassificationModel(create_encoder("unet-micro"), 2).eval(), tmp_path / "model.safetensors"
    about = {"task": "classification", "name": "unet-micro", "class_names": ("a", "b"), "image_size": 32}
    save_trained(path, model, **about)
    with _tracker(database) as tracker:
        tracker.publish(replace(_record("classifier", 1), model=path))
    (run,) = _runs(database, "classifier")
    mlflow.set_tracking_uri(database)
    served = mlflow.pytorch.load_model(f"models:/{run.data.tags['raytransfer.model']}")
    images = torch.rand(3, 3, 32, 32)
    with torch.inference_mode():
        assert torch.allclose(served(images), model(images).softmax(1), atol=1e-6)


def test_a_model_that_is_gone_is_left_out(database: str, tmp_path: Path) -> None:
    with _tracker(database) as tracker:
        tracker.publish(replace(_record("gone", 1), model=tmp_path / "none.safetensors"))
    (run,) = _runs(database, "gone")
    assert (run.info.status, "raytransfer.model" in run.data.tags) == ("FINISHED", False)
