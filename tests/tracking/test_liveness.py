"""Commands that were killed: the next command closes their runs, and leaves those of commands that run."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient

from raytransfer.tracking import RunRecord, Tracker, liveness, tracker
from raytransfer.tracking.liveness import ALIVE_TAG, PROCESS_TAG, is_gone, signs_of_life, this_process

COMMAND = """
import sys, time
from pathlib import Path
from raytransfer.tracking import RunRecord, Tracker
track = Tracker(sys.argv[1], artifact_root=Path(sys.argv[2]))
epochs = {1: {"test/dice": 0.1}}
for finished in (True, False):
    key = f"killed-{finished}"
    record = RunRecord(kind="downstream", key=key, name=key, params={}, epochs=epochs, documents={})
    track.publish(record, finished=finished)
track.flush()
print("published", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def database(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("liveness")
    shutil.copy(empty_store, folder / "mlflow.db")
    uri = f"sqlite:///{folder}/mlflow.db"
    Tracker(uri, artifact_root=folder / "artifacts").close()
    return uri


@pytest.fixture
def command(database: str, tmp_path: Path, project: Path) -> Iterator[subprocess.Popen]:
    """Another command on the same store, that has published and goes on."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, database, str(tmp_path)],
        cwd=project,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "published\n"
    yield process
    process.kill()
    process.wait()


def _status(uri: str) -> dict[str, tuple[str, str | None]]:
    """Status, and why it was stopped, of the runs in the store; the commands are named by their place."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("raytransfer-downstream")
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    return {
        run.data.tags.get("raytransfer.key", "command"): (
            run.info.status, run.data.tags.get("raytransfer.stopped")
        )
        for run in runs
    }  # fmt: skip


def test_only_what_a_killed_command_left_is_closed(database: str, command: subprocess.Popen) -> None:
    running = {
        "command": ("RUNNING", None),
        "killed-True": ("FINISHED", None),
        "killed-False": ("RUNNING", None),
    }
    with Tracker(database, artifact_root=Path("/nowhere")):
        assert _status(database) == running, "a command that runs is left alone"
    os.kill(command.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while (Path(f"/proc/{command.pid}/stat")).read_text().rpartition(")")[2].split()[0] != "Z":
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
        record = RunRecord(
            kind="downstream", key="killed-False", name="again", params={}, documents={},
            epochs={1: {"test/dice": 0.1}, 2: {"test/dice": 0.2}},
        )  # fmt: skip
        track.publish(record)
    assert _status(database)["killed-False"] == ("FINISHED", None)


def _ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="seconds")


HOST, NAMESPACE, PID, STARTED = this_process().split()


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
        record = RunRecord(kind="robustness", key="cut", name="cut", params={}, epochs={}, documents={})
        cut_off.publish(record, finished=False)
        assert cut_off.flush()
        experiment = client.get_experiment_by_name("raytransfer-robustness").experiment_id
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
