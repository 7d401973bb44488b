"""A pretraining whose processes die and whose files are torn: it goes on, and gives the same encoders."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from commands import EPOCHS, SMALL, Command, check_pretraining, run, shown, undisturbed, written
from figures import record
from nodes import OPEN, nodes

from raytransfer.ray_train.epochs import read_state
from raytransfer.results.ledger import Ledger
from raytransfer.results.schemas import read_rows

pytestmark = pytest.mark.faults


def test_a_worker_killed_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    """Twice, another one each time."""
    undisturbed()
    command = Command("pretrain", tmp_path, *SMALL)
    for count, worker in ((2, 0), (5, -1)):
        command.wait_for(lambda count=count: len(written(tmp_path, "pretraining")) >= count)
        before = written(tmp_path, "pretraining")
        os.kill(command.descendants("RayTrainWorker")[worker], signal.SIGKILL)
        seconds = command.wait_for(lambda before=before: len(written(tmp_path, "pretraining")) > len(before))
        now = written(tmp_path, "pretraining")
        repeated = [path for path, at in before.items() if now[path] != at]
        assert len(repeated) <= 1
        record(
            "worker of a pretraining killed", epochs_lost=0, epochs_computed_twice=len(repeated) + 1,
            seconds_to_go_on=seconds,
        )  # fmt: skip
    done = command.end()
    assert done.code == 0, done.err
    check_pretraining(tmp_path)


def test_an_interrupted_command_goes_on_from_its_last_epoch(tmp_path: Path) -> None:
    undisturbed()
    command = Command("pretrain", tmp_path, *SMALL)
    command.wait_for(lambda: len(written(tmp_path, "pretraining")) >= 3)
    command.process.send_signal(signal.SIGINT)
    done = command.end(60)
    assert done.code == 130
    assert done.err.splitlines()[-1].startswith("interrupted: what was finished is kept")
    assert "Traceback" not in done.err
    before = written(tmp_path, "pretraining")
    assert 3 <= len(before) < EPOCHS
    done = run("pretrain", tmp_path, *SMALL)
    assert done.code == 0, done.err
    now = written(tmp_path, "pretraining")
    assert len([path for path, at in before.items() if now[path] != at]) <= 1
    check_pretraining(tmp_path)


def test_an_elastic_pretraining_goes_on_with_the_workers_that_are_left(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    with nodes(9380) as cluster:
        cluster.add(cpus=1)
        cluster.add(cpus=1)
        command = Command(
            "pretrain", storage, *SMALL, "--set", "pretraining.min_workers=1", "--address", cluster.address,
            **OPEN,
        )  # fmt: skip
        command.wait_for(lambda: len(written(storage, "pretraining")) >= 2)
        before = written(storage, "pretraining")
        cluster.lose(2)
        seconds = command.wait_for(lambda: len(written(storage, "pretraining")) > len(before) + 1)
        done = command.end()
    assert done.code == 0, done.err
    record("one of two nodes of an elastic pretraining gone", epochs_lost=0, seconds_to_go_on=seconds)
    elastic, fixed = (
        Ledger(root / "results").read("pretraining").sort_by("epoch") for root in (storage, undisturbed())
    )
    assert elastic["epoch"].to_pylist() == list(range(1, EPOCHS + 1))
    rates, losses = (
        [[row["metrics"][name] for row in read_rows(table)] for table in (elastic, fixed)]
        for name in ("learning_rate", "train/loss")
    )
    assert rates[0] == rates[1], "as many steps"
    assert losses[0] == pytest.approx(losses[1], abs=0.3)
    assert losses[0] != losses[1], "it had two workers"
    (found,) = shown(storage, "pretraining", "val/top1").values()
    assert found == ("FINISHED", list(range(1, EPOCHS + 1)))


def _killed(storage: Path) -> dict[Path, int]:
    """A pretraining whose command was killed after its fourth epoch: the ledger's files."""
    undisturbed()
    command = Command("pretrain", storage, *SMALL)
    command.wait_for(lambda: len(written(storage, "pretraining")) >= 4)
    command.kill()
    time.sleep(3)  # its workers notice
    return written(storage, "pretraining")


def test_the_driver_killed_and_a_checkpoint_torn(tmp_path: Path) -> None:
    before = _killed(tmp_path)
    assert 4 <= len(before) < EPOCHS
    torn = tmp_path.with_name(f"{tmp_path.name}-torn")
    shutil.copytree(tmp_path, torn)
    done = run("pretrain", tmp_path, *SMALL, "--resume")
    assert done.code == 0, done.err
    check_pretraining(tmp_path)
    now = written(tmp_path, "pretraining")
    repeated = [path for path, at in before.items() if now[path] != at]
    assert len(repeated) <= 1
    record("driver of a pretraining killed", epochs_lost=0, epochs_computed_twice=len(repeated) + 1)

    last = sorted(torn.glob("ray/pretraining/*/checkpoint_*/state.pt"))[-1]
    newest = read_state(last.parent)["epoch"]
    assert newest in (len(before), len(before) - 1), "an epoch's row is written before its checkpoint"
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    copied = written(torn, "pretraining")
    done = run("pretrain", torn, *SMALL)
    assert done.code == 0, done.err
    assert f"{last} is damaged (" in done.err
    assert f"unet-micro simple goes on from epoch {newest - 1}" in done.err
    check_pretraining(torn)
    now = written(torn, "pretraining")
    assert [path for path, at in copied.items() if now[path] != at] == list(copied)[newest - 1 :]
