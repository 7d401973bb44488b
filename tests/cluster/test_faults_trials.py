"""Trials that fail, by their own doing or not: the others go on, and what failed is done when asked for."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import SMALL, Command, check_grid, copy_encoders, run, shown, written
from figures import record
from mlflow import MlflowClient
from scripts import PROJECT

from raytransfer.results.ledger import Ledger

pytestmark = pytest.mark.faults


def _marks(storage: Path, kind: str) -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in storage.glob(f"failed/{kind}/*.json")}


def test_trials_whose_processes_are_killed_are_begun_again(tmp_path: Path) -> None:
    copy_encoders(tmp_path)
    command = Command("grid", tmp_path, *SMALL)
    command.wait_for(lambda: len(written(tmp_path, "evaluation")) >= 2)
    before = written(tmp_path, "evaluation")
    killed = command.wait_for_descendants(".train")
    for trial in killed:
        os.kill(trial, signal.SIGKILL)
    seconds = command.wait_for(lambda: len(written(tmp_path, "evaluation")) > len(before))
    done = command.end()
    assert done.code == 0, done.err
    check_grid(tmp_path)
    now = written(tmp_path, "evaluation")
    assert all(now[path] == at for path, at in before.items())
    assert not _marks(tmp_path, "evaluation")
    record("trials killed", trials_lost=0, trials_computed_twice=len(killed), seconds_to_go_on=seconds)


def _memory_grid(storage: Path, *options: str) -> str:
    script = Path(__file__).with_name("memory_grid.py")
    done = subprocess.run(
        [sys.executable, script, storage, *options], capture_output=True, text=True, timeout=280,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT), "RAY_AUTH_MODE": "disabled"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_trial_that_runs_out_of_memory_is_marked_and_retried(tmp_path: Path) -> None:
    copy_encoders(tmp_path)
    said = _memory_grid(tmp_path)
    ((key, mark),) = _marks(tmp_path, "evaluation").items()
    assert said.startswith(f"{key} OutOfMemoryError: its node ran out of memory; resources.memory_per_trial")
    assert mark["name"] == "unet-micro mni152 simple epoch 2 fine_tuning seed 0"
    assert mark["reason"] in said
    ended = {key: status for key, (status, _) in shown(tmp_path, "evaluation", "test/dice").items()}
    assert (len(ended), ended[key]) == (3, "FAILED")
    first = written(tmp_path, "evaluation")
    assert len(first) == 2, "the others went on"

    assert _memory_grid(tmp_path, "retry") == ""
    assert not _marks(tmp_path, "evaluation")
    now = written(tmp_path, "evaluation")
    assert len(now) == 3
    assert first.items() <= now.items()
    assert list(shown(tmp_path, "evaluation", "test/dice").values()) == 3 * [("FINISHED", [1])]


def test_what_gives_nan_is_marked_and_only_that_is_retried(tmp_path: Path) -> None:
    """A rate at which every training diverges; of three, one is made to be missing and not failed."""
    copy_encoders(tmp_path)
    options = (*SMALL, "--set", "protocols=fine_tuning", "--set", "downstream.learning_rate=1e30")
    done = run("grid", tmp_path, *options)
    assert done.code == 1
    assert done.err.count("failed: unet-micro mni152 simple epoch ") == 3
    assert done.err.count("FloatingPointError: downstream loss is") == 3
    assert "Traceback" not in done.err
    marks = _marks(tmp_path, "evaluation")
    assert len(marks) == 3
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("raytransfer-evaluation")
    for found in client.search_runs([experiment.experiment_id], "tags.`raytransfer.key` != ''"):
        assert found.info.status == "FAILED"
        assert "FloatingPointError" in found.data.tags["raytransfer.failure"]
    assert client.get_run(found.data.tags["mlflow.parentRunId"]).info.status == "FAILED"
    for mark in marks.values():
        assert mark["host"]
        assert mark["failed_at"].startswith("20")

    missing = sorted(marks)[0]
    (tmp_path / f"failed/evaluation/{missing}.json").unlink()
    done = run("grid", tmp_path, *options, "--retry-failed")
    assert done.code == 1
    assert done.err.count("failed: ") == 2
    assert "left as it is: what did not fail" in done.err
    assert missing not in _marks(tmp_path, "evaluation")
    assert Ledger(tmp_path / "results").read("evaluation").num_rows == 0


def test_a_pretraining_that_failed_is_left_out_and_the_others_are_trained(tmp_path: Path) -> None:
    """A mark stands for the failure, as an earlier command would have left it."""
    options = (
        "--set", "pretraining.epochs=2", "--set", "pretraining.series=[0, 2]",
        "--set", "source.train_per_class=4",
    )  # fmt: skip
    done = run("pretrain", tmp_path, *options, "--set", "pretraining.learning_rate=1e30")
    assert done.code == 1
    assert done.error.count("FloatingPointError: pretraining loss is") == 2, "both were tried"
    assert "Traceback" not in done.err
    assert "Traceback" in Path(done.error.rpartition("(")[2].rstrip(")")).read_text()
    assert {status for status, _ in shown(tmp_path, "pretraining", "val/top1").values()} == {"FAILED"}
    keys = list(_marks(tmp_path, "pretraining"))
    assert len(keys) == 2
    done = run("pretrain", tmp_path, *options, "--set", "pretraining.learning_rate=1e30")
    assert (done.code, "left out: 2 that failed before" in done.err) == (1, True)


def test_a_search_whose_trials_are_killed_goes_on(tmp_path: Path) -> None:
    options = (*SMALL, "--trials=2", "--stop=asha(grace_period=4)", "--set", "pretraining.epochs=4",
               "--set", "pretraining.series=[0, 4]")  # fmt: skip
    command = Command("search", tmp_path, *options)
    command.wait_for(lambda: len(written(tmp_path, "pretraining")) >= 2)
    before = written(tmp_path, "pretraining")
    killed = command.wait_for_descendants(".train")
    for trial in killed:
        os.kill(trial, signal.SIGKILL)
    seconds = command.wait_for(lambda: len(written(tmp_path, "pretraining")) > len(before))
    done = command.end()
    assert done.code == 0, done.err
    found = [line.split() for line in done.out.splitlines() if "unet-micro-simple-" in line]
    assert [row[4:7] for row in found] == [["4", "of", "4"]] * 2
    now = written(tmp_path, "pretraining")
    assert len(now) == 8
    assert sum(now[path] != at for path, at in before.items()) <= len(killed), (
        "more than the last epoch again"
    )
    record("trials of a search killed", trials_lost=0, seconds_to_go_on=seconds)
