"""Grids on the lab's cluster: started, disturbed, and what must be true of them afterwards."""

import json
import os
import shutil
import signal
import subprocess
from typing import Any

from hosts import wait_until
from launcher import Cluster
from mlflow import MlflowClient

from raytransfer.results.evaluations import read_history
from raytransfer.results.ledger import Ledger

TRIALS = 18


class Grid:
    """One storage path on the cluster and the commands that work on it.

    Args:
        cluster: Where it runs.
        name: Of its storage path, in the folder that all hosts see.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.storage = cluster, cluster.lab.shared / name
        self._log = cluster.lab.folder / f"{name}.log"
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        """Run its command on the head, as a person on the laptop does."""
        line = self.cluster.page.line("ray exec cluster.yaml 'cd raytransfer", smoke=self.storage.name)
        self._process = subprocess.Popen(
            self.cluster.laptop.command(self.cluster.from_home(line)), stdin=subprocess.DEVNULL,
            stdout=self._log.open("a"), stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def end(self, seconds: float = 300) -> None:
        """Wait for its command, which must succeed."""
        assert self._process is not None
        try:
            assert self._process.wait(seconds) == 0, self.said()
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"not within {seconds} s: {self.said()}") from None

    def kill(self) -> None:
        """End the laptop's side of its command, where it runs."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def said(self) -> str:
        return self._log.read_text()[-5000:]

    def rows(self) -> dict[str, int]:
        """Return key -> time of writing of the trials that are finished."""
        paths = self.storage.glob("results/evaluation/*.parquet")
        return {path.stem: path.stat().st_mtime_ns for path in paths}

    def wait_for(self, count: int, seconds: float = 240) -> float:
        """Wait until so many trials are finished, or all; return the seconds it took."""
        count = min(count, TRIALS)

        def finished() -> bool:
            assert self._process is None or self._process.poll() in (None, 0), self.said()
            return len(self.rows()) >= count

        return wait_until(finished, seconds, f"{count} trials finished", every=0.1)

    def metrics(self) -> dict[str, list[dict[str, Any]]]:
        """Return key -> metrics of every epoch."""
        ledger = Ledger(self.storage / "results")
        ledger.check()
        keys = ledger.read("evaluation")["key"].to_pylist()
        return {key: read_history(ledger, key) or [] for key in keys}

    def _trials(self) -> list[dict[str, Any]]:
        """Return what Tune wrote of its trials, over all commands."""
        states = self.storage.glob("ray/evaluation/*/experiment_state-*.json")
        return [json.loads(run) for path in states for _, run in json.loads(path.read_text())["trial_data"]]

    def begun_again(self) -> int:
        """Return how often Tune began a trial again because its process or its host was lost."""
        return sum(trial["num_failures"] for trial in self._trials())

    def addresses(self) -> set[str]:
        """Return the addresses of the nodes that trials ran on."""
        return {trial["last_result"]["node_ip"] for trial in self._trials() if trial["last_result"]}


def without_trials(reference: Grid, name: str) -> Grid:
    """Return a grid whose encoders and scores are there and whose trials are not, in MLflow neither."""
    grid = Grid(reference.cluster, name)
    shutil.copytree(reference.storage, grid.storage, ignore=shutil.ignore_patterns("evaluation", "ray"))
    client = MlflowClient(f"http://{grid.cluster.head.address}:5000")
    for experiment in client.search_experiments(filter_string="name LIKE 'raytransfer-%'"):
        client.rename_experiment(experiment.experiment_id, f"before {name}: {experiment.name}")
    return grid


def check(grid: Grid, reference: Grid) -> None:
    """Every trial is once in the ledger and in MLflow, every epoch once, with the undisturbed numbers."""
    found, expected = grid.metrics(), reference.metrics()
    assert len(found) == TRIALS
    assert found == expected
    client = MlflowClient(f"http://{grid.cluster.head.address}:5000")
    (experiment,) = client.search_experiments(filter_string="name = 'raytransfer-evaluation'")
    runs = [run for run in client.search_runs([experiment.experiment_id], max_results=1000)
            if "raytransfer.key" in run.data.tags]  # fmt: skip
    assert sorted(run.data.tags["raytransfer.key"] for run in runs) == sorted(found)
    for run in runs:
        assert run.info.status == "FINISHED"
        history = found[run.data.tags["raytransfer.key"]]
        logged = client.get_metric_history(run.info.run_id, "test/dice")
        assert [(m.step, m.value) for m in logged] == [(row["epoch"], row["test/dice"]) for row in history]
