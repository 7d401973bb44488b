"""A pretraining whose processes die and whose files are torn: it goes on, and gives the same encoders."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from commands import EPOCHS, SMALL, Command, check_pretraining, run, undisturbed, written

pytestmark = pytest.mark.faults


def test_a_worker_killed_in_the_middle_of_an_epoch(tmp_path: Path, record_property) -> None:
    """Twice, another one each time."""
    undisturbed()
    command = Command("pretrain", tmp_path, *SMALL)
    for count, worker in ((2, 0), (5, -1)):
        command.wait_for(lambda count=count: len(written(tmp_path, "pretraining")) >= count)
        before = written(tmp_path, "pretraining")
        os.kill(command.descendants("RayTrainWorker")[worker], signal.SIGKILL)
        seconds = command.wait_for(
            lambda before=before: len(written(tmp_path, "pretraining")) > len(before)
        )
        now = written(tmp_path, "pretraining")
        repeated = [path for path, at in before.items() if now[path] != at]
        assert len(repeated) <= 1
        record_property("seconds_to_go_on", seconds)
        record_property("epochs_computed_twice", len(repeated) + 1)
    done = command.end()
    assert done.code == 0, done.err
    check_pretraining(tmp_path)


def _killed(storage: Path) -> dict[Path, int]:
    """A pretraining whose command was killed after its fourth epoch: the ledger's files."""
    undisturbed()
    command = Command("pretrain", storage, *SMALL)
    command.wait_for(lambda: len(written(storage, "pretraining")) >= 4)
    command.kill()
    time.sleep(3)  # its workers notice
    return written(storage, "pretraining")


def test_the_driver_killed_and_a_checkpoint_torn(tmp_path: Path, record_property) -> None:
    before = _killed(tmp_path)
    assert 4 <= len(before) < EPOCHS
    copies = [tmp_path.with_name(f"{tmp_path.name}-{name}") for name in ("torn", "both", "list")]
    for copy in copies:
        shutil.copytree(tmp_path, copy)
    done = run("pretrain", tmp_path, *SMALL, "--resume")
    assert done.code == 0, done.err
    check_pretraining(tmp_path)
    now = written(tmp_path, "pretraining")
    assert len([path for path, at in before.items() if now[path] != at]) <= 1
    record_property("seconds_to_go_on", done.seconds)

    torn, both, listed = copies
    for copy, count in ((torn, 1), (both, 2)):
        states = sorted(copy.glob("ray/pretraining/*/checkpoint_*/state.pt"))
        assert len(states) >= 2
        for state in states[-count:]:
            state.write_bytes(state.read_bytes()[: state.stat().st_size // 2])
        done = run("pretrain", copy, *SMALL)
        assert done.code == 0, done.err
        assert done.err.count("is damaged") == count
        says = "the start" if count == 2 else "epoch"
        assert f"unet-micro simple goes on from {says}" in done.err
        check_pretraining(copy)
    (snapshot,) = listed.glob("ray/pretraining/*/checkpoint_manager_snapshot.json")
    snapshot.write_bytes(b"")
    copied = written(listed, "pretraining")
    done = run("pretrain", listed, *SMALL)
    assert done.code == 0, done.err
    check_pretraining(listed)
    now = written(listed, "pretraining")
    assert len([path for path, at in copied.items() if now[path] != at]) <= 1, "not from its last epoch"
