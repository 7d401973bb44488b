"""Trials that fail, by their own doing or not: the others go on, and what failed is done when asked for."""

import json
import os
import signal
from pathlib import Path

import pytest
from commands import SMALL, Command, check_grid, dices, run, shown, undisturbed, written
from mlflow import MlflowClient

from raytransfer.results import Ledger

pytestmark = pytest.mark.faults


def _marks(storage: Path, kind: str) -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in storage.glob(f"failed/{kind}/*.json")}


def _copy_of_the_undisturbed(storage: Path) -> None:
    """Its pretraining and its scores."""
    for folder in ("pretraining", "results/pretraining", "results/robustness"):
        (storage / folder).parent.mkdir(parents=True, exist_ok=True)
        os.system(f"cp -a {undisturbed() / folder} {storage / folder}")


def test_trials_whose_processes_are_killed_are_begun_again(tmp_path: Path, record_property) -> None:
    _copy_of_the_undisturbed(tmp_path)
    command = Command("grid", tmp_path, *SMALL)
    command.wait_for(lambda: len(written(tmp_path, "downstream")) >= 2)
    before = written(tmp_path, "downstream")
    command.wait_for(lambda: command.descendants(".train"))
    killed = command.descendants(".train")
    for trial in killed:
        os.kill(trial, signal.SIGKILL)
    seconds = command.wait_for(lambda: len(written(tmp_path, "downstream")) > len(before))
    done = command.end()
    assert done.code == 0, done.err
    check_grid(tmp_path)
    now = written(tmp_path, "downstream")
    assert all(now[path] == at for path, at in before.items())
    assert not _marks(tmp_path, "downstream")
    record_property("seconds_to_go_on", seconds)
    record_property("trials_begun_again", len(killed))


def test_a_trial_that_runs_out_of_memory_is_marked_and_retried(tmp_path: Path, record_property) -> None:
    """The big network of two needs more than Ray's memory monitor is told to leave."""
    options = (
        "--set", 'models=["unet-micro", "unet"]', "--set", "modes=full", "--set", "target.image_size=256",
        "--set", "pretraining.epochs=1", "--set", "pretraining.series=[1]", "--set", "downstream.epochs=1",
        "--set", "source.train_per_class=4", "--set", "downstream.batch_size=16",
    )  # fmt: skip
    assert run("pretrain", tmp_path, *options).code == 0
    total, free = _memory()
    threshold = 1 - (free - 4.0e9) / total
    done = run("grid", tmp_path, *options, RAY_memory_usage_threshold=f"{threshold:.4f}")
    assert done.code == 1
    assert "failed: unet mni152 simple epoch 1 full seed 0: OutOfMemoryError: its node ran out" in done.err
    assert "Traceback" not in done.err
    assert [key.startswith("unet-micro-") for key in dices(tmp_path)] == [True]
    ((key, mark),) = _marks(tmp_path, "downstream").items()
    assert mark["name"] == "unet mni152 simple epoch 1 full seed 0"
    assert shown(tmp_path, "downstream", "test/dice")[key] == ("FAILED", [])
    first = written(tmp_path, "downstream")

    again = run("grid", tmp_path, *options)
    assert again.code == 1
    assert "left out: 1 that failed before (unet mni152 simple" in again.err
    assert "--retry-failed runs just those" in again.err
    assert written(tmp_path, "downstream") == first

    done = run("grid", tmp_path, *options, "--retry-failed")
    assert done.code == 0, done.err
    assert not _marks(tmp_path, "downstream")
    now = written(tmp_path, "downstream")
    assert len(now) == 2
    assert first.items() <= now.items()
    assert set(shown(tmp_path, "downstream", "test/dice").values()) == {("FINISHED", [1])}


def _memory() -> tuple[float, float]:
    """Bytes there are, and are available."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return tuple(1024 * float(lines[name].split()[0]) for name in ("MemTotal", "MemAvailable"))


def test_what_gives_nan_is_marked_and_only_that_is_retried(tmp_path: Path) -> None:
    """A rate at which every training diverges; of three, one is made to be missing and not failed."""
    _copy_of_the_undisturbed(tmp_path)
    options = (*SMALL, "--set", "modes=full", "--set", "downstream.learning_rate=1e30")
    done = run("grid", tmp_path, *options)
    assert done.code == 1
    assert done.err.count("FloatingPointError: downstream loss is") == 3
    marks = _marks(tmp_path, "downstream")
    assert len(marks) == 3
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("raytransfer-downstream")
    for found in client.search_runs([experiment.experiment_id], "tags.`raytransfer.key` != ''"):
        assert found.info.status == "FAILED"
        assert "FloatingPointError" in found.data.tags["raytransfer.failure"]
    for mark in marks.values():
        assert mark["host"]
        assert mark["failed_at"].startswith("20")

    missing = sorted(marks)[0]
    (tmp_path / f"failed/downstream/{missing}.json").unlink()
    done = run("grid", tmp_path, *options, "--retry-failed")
    assert done.code == 1
    assert done.err.count("failed: ") == 2
    assert "left as it is: what did not fail" in done.err
    assert missing not in _marks(tmp_path, "downstream")
    assert Ledger(tmp_path / "results").read("downstream").num_rows == 0


def test_a_pretraining_that_failed_is_left_out_and_the_others_are_trained(tmp_path: Path) -> None:
    """A mark stands for the failure, as an earlier command would have left it."""
    options = (
        "--set", "pretraining.epochs=2", "--set", "pretraining.series=[0, 2]",
        "--set", "source.train_per_class=4",
    )  # fmt: skip
    done = run("pretrain", tmp_path, *options, "--set", "pretraining.learning_rate=1e30")
    assert done.code == 1
    assert done.error.count("FloatingPointError: pretraining loss is") == 2, "both were tried"
    keys = list(_marks(tmp_path, "pretraining"))
    assert len(keys) == 2
    done = run("pretrain", tmp_path, *options, "--set", "pretraining.learning_rate=1e30")
    assert (done.code, "left out: 2 that failed before" in done.err) == (1, True)
