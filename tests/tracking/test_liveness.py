"""Commands that were killed: the next command closes their runs, and leaves those of commands that run."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient

from raytransfer.tracking import liveness, tracker
from raytransfer.tracking.liveness import (
    ALIVE_TAG,
    PROCESS_TAG,
    is_gone,
    signs_of_life,
    this_process,
)
from raytransfer.tracking.runs import RunRecord
from raytransfer.tracking.tracker import Tracker

HOST, NAMESPACE, PID, STARTED = this_process().split()


@pytest.fixture(scope="module")
def database(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("liveness")
    shutil.copy(empty_store, folder / "mlflow.db")
    uri = f"sqlite:///{folder}/mlflow.db"
    Tracker(uri, artifact_root=folder / "artifacts").close()
    return uri


@pytest.fixture
def process() -> Iterator[subprocess.Popen]:
    """A process that can be killed."""
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def _identity(pid: int) -> str:
    return f"{HOST} {NAMESPACE} {pid} {liveness._started(str(pid))}"


def _record(key: str, epochs: int) -> RunRecord:
    reported = {epoch: {"test/dice": epoch / 10} for epoch in range(1, epochs + 1)}
    return RunRecord(kind="evaluation", key=key, name=key, params={}, epochs=reported, documents={})


def _status(uri: str) -> dict[str, tuple[str, str | None]]:
    """Status, and why it was stopped, of the runs in the store; the commands are named by their place."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("raytransfer-evaluation")
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    return {
        run.data.tags.get("raytransfer.key", "command"): (
            run.info.status, run.data.tags.get("raytransfer.stopped")
        )
        for run in runs
    }  # fmt: skip


def test_only_what_a_killed_command_left_is_closed(
    database: str, process: subprocess.Popen, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(liveness, "this_process", lambda: _identity(process.pid))
        command = Tracker(database, artifact_root=Path("/nowhere"))
        for finished in (True, False):
            key = f"killed-{finished}"
            command.publish(_record(key, 1), finished=finished)
        assert command.flush()
    running = {
        "command": ("RUNNING", None),
        "killed-True": ("FINISHED", None),
        "killed-False": ("RUNNING", None),
    }
    with Tracker(database, artifact_root=Path("/nowhere")):
        assert _status(database) == running, "a command that runs is left alone"
    process.kill()
    deadline = time.monotonic() + 10
    while (Path(f"/proc/{process.pid}/stat")).read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with Tracker(database, artifact_root=Path("/nowhere")) as track:
        assert _status(database) == {
            "command": ("KILLED", "the command was killed; the same command goes on from what it finished"),
            "killed-True": ("FINISHED", None),
            "killed-False": (
                "KILLED", "the command ended before it was complete; the same command goes on with it"
            ),
        }  # fmt: skip
        track.publish(_record("killed-False", 2))
    assert _status(database)["killed-False"] == ("FINISHED", None)


def _ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="seconds")


@pytest.mark.parametrize(
    ("process", "silent_seconds", "gone"),
    [
        (this_process(), 0, False),
        (this_process(), 10**6, False),  # a host that slept
        (f"{HOST} {NAMESPACE} {PID} 1", 0, True),  # another process has its number now
        (f"{HOST} {NAMESPACE} 4194305 {STARTED}", 0, True),  # beyond the largest number there can be
        (f"{HOST} pid:[1] {PID} 1", 0, False),  # another container: its processes are not seen here
        (f"{HOST} pid:[1] {PID} 1", 1000, True),
        (f"another-host {NAMESPACE} {PID} 1", 0, False),
        (f"another-host {NAMESPACE} {PID} 1", 1000, True),
        ("", 0, False),
        ("", 1000, True),
        ("", None, False),  # of an earlier version
    ],
)
def test_who_is_gone(process: str, silent_seconds: float | None, gone: bool) -> None:
    tags = {PROCESS_TAG: process}
    if silent_seconds is not None:
        tags[ALIVE_TAG] = _ago(silent_seconds)
    assert is_gone(tags) is gone


def test_a_command_that_was_only_cut_off_opens_its_run_again(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "BEAT_SECONDS", 0.2)
    old = {PROCESS_TAG: "another-host pid:[1] 1 1", ALIVE_TAG: _ago(1000)}
    client = MlflowClient(database)
    with Tracker(database, artifact_root=Path("/nowhere")) as cut_off:
        cut_off.publish(replace(_record("cut", 0), kind="score"), finished=False)
        assert cut_off.flush()
        experiment = client.get_experiment_by_name("raytransfer-score").experiment_id
        (parent,) = client.search_runs([experiment], "tags.`raytransfer.session` != ''")
        client.set_terminated(parent.info.run_id, "KILLED")
        for name, value in old.items():
            client.set_tag(parent.info.run_id, name, value)
        deadline = time.monotonic() + 10
        while client.get_run(parent.info.run_id).info.status != "RUNNING":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert not is_gone(client.get_run(parent.info.run_id).data.tags)
    assert client.get_run(parent.info.run_id).info.status == "FINISHED"


def test_signs_of_life_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_proc(*_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(liveness.os, "readlink", no_proc)
    assert signs_of_life()[PROCESS_TAG] == ""
    assert not is_gone(signs_of_life())
    assert is_gone({PROCESS_TAG: f"{HOST} {NAMESPACE} {PID} 1", ALIVE_TAG: _ago(1000)})
