"""Killed and interrupted for real: nothing finished is lost or repeated, and the numbers are the same."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from raytransfer.models.checkpoints import CheckpointSeries
from raytransfer.results.evaluations import read_metrics
from raytransfer.results.ledger import Ledger

pytestmark = pytest.mark.cluster


ONE_MODEL = ("--set", "models=unet-micro")


def _wait_for(process: subprocess.Popen, storage: Path, kind: str, count: int) -> None:
    while len(list(storage.glob(f"results/{kind}/*.parquet"))) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def _dice(storage: Path) -> dict[str, float]:
    found = read_metrics(Ledger(storage / "results"), None)
    return {key: metrics["dice"] for key, metrics in found.items()}


def test_a_killed_grid_goes_on_and_gives_the_numbers_of_an_undisturbed_one(
    smoke, start, run, tmp_path: Path
) -> None:
    for folder in ("pretraining", "results/pretraining", "results/score"):
        shutil.copytree(smoke[0] / folder, tmp_path / folder)
    process = start("grid", tmp_path, *ONE_MODEL)
    _wait_for(process, tmp_path, "evaluation", 2)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    time.sleep(2)  # a trial may still be writing its row
    finished = {p: p.stat().st_mtime_ns for p in tmp_path.glob("results/*/*.parquet")}
    assert 2 <= len(_dice(tmp_path)) < 6
    done = run("grid", tmp_path, *ONE_MODEL)
    assert done.code == 0, done.err
    assert {p: p.stat().st_mtime_ns for p in finished} == finished, "a finished result was computed again"
    assert _dice(tmp_path) == {key: dice for key, dice in _dice(smoke[0]).items() if key.startswith("unet-")}
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("raytransfer-evaluation")
    runs = client.search_runs([experiment.experiment_id], "params.seed = '0'")
    assert len(runs) == 6
    for found in runs:
        assert found.info.status == "FINISHED"
        steps = [m.step for m in client.get_metric_history(found.info.run_id, "test/dice")]
        assert steps == [1, 2]
    commands = client.search_runs(
        [experiment.experiment_id], "tags.`raytransfer.session` != ''", order_by=["attributes.start_time ASC"]
    )
    *killed, last = [of.info.status for of in commands]
    assert last == "FINISHED"
    assert killed in ([], ["KILLED"]), "it may have died before MLflow had its first trial"


def test_a_deleted_series_is_rebuilt_and_its_scores_stay_valid(smoke, run, tmp_path: Path) -> None:
    """What the error about a corrupt checkpoint tells people to do."""
    storage = tmp_path / "copy"
    shutil.copytree(smoke[0], storage)
    series = CheckpointSeries(storage / "pretraining/unet-micro/simple")
    before = series.fingerprints()
    scores = {p: p.stat().st_mtime_ns for p in storage.glob("results/score/*.parquet")}
    shutil.rmtree(series.directory)
    done = run("robustness", storage)
    assert done.code == 0, done.err
    assert series.fingerprints() == before
    assert {p: p.stat().st_mtime_ns for p in storage.glob("results/score/*.parquet")} == scores
    assert done.out.count("-micro") == 6 * 2, "pooled and not"
    assert "±" in done.out


def test_an_interrupted_grid_says_so_and_keeps_what_is_done(smoke, start, tmp_path: Path) -> None:
    storage = tmp_path / "study"
    shutil.copytree(smoke[0], storage)
    before = len(_dice(storage))
    process = start("grid", storage, "--set", "seeds=[1, 2, 3]")
    _wait_for(process, storage, "evaluation", before + 2)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("interrupted: what was finished is kept")
    assert "Traceback" not in err
    assert before + 2 <= len(_dice(storage)) < before + 36
