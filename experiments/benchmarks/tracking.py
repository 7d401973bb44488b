"""How fast is tracking?

Question: does MLflow hold a study of 2,000 trials up, while it runs and when it is looked at?
Command:  python experiments/benchmarks/tracking.py [--json PATH]
Cost:     five to ten minutes on two CPU cores, 1.1 GB in the temporary folder while it runs.
Result:   ms_per_epoch: time that a reported epoch costs the process that drives the trials, milliseconds:
          eight trials, together a hundred reports a second, written to SQLite meanwhile (the trials' own
          processes spend none). write_2000_runs_s: 2,000 runs under one parent, with 150 epochs of 12
          metrics, config and curves, from nothing to the last of 3.6 million values in SQLite, counted;
          written once; write_2000_runs_cpu_s: what of it is computing, on one core, whatever else the machine
          does. search_s: the best Dice per dataset and protocol of these runs through MlflowClient.
"""

import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
from measurement import Measured, benchmark
from mlflow import MlflowClient

from raytransfer.metrics.segmentation import METRICS
from raytransfer.results.storage import Storage
from raytransfer.results.units import (
    EvaluationUnit,
    configurations,
    evaluation_units,
    pretraining_units,
)
from raytransfer.runtime.environment import prepare_process, spare_libraries_collection
from raytransfer.study import Study
from raytransfer.terminal import terminal
from raytransfer.tracking.records import evaluation_record
from raytransfer.tracking.runs import RunRecord
from raytransfer.tracking.tracker import Tracker

RUNS, EPOCHS, DATASETS = 2000, 150, ("acdc", "covid-qu-ex", "idrid")
TRIALS, REPORTS_PER_SECOND = 8, 100
NAMES = ("train/loss", *(f"test/{metric}" for metric in METRICS))


def units() -> Iterator[EvaluationUnit]:
    """Yield trials of the demo with many seeds."""
    study = Study(seeds=tuple(range(1 + RUNS // 36)))
    series = {(p.encoder, p.scheme): p.recipe.series for p in pretraining_units(study)}
    encoders = {which: dict.fromkeys(epochs, "0" * 64) for which, epochs in series.items()}
    yield from evaluation_units(study, configurations(study), encoders)


def history(seed: int) -> list[dict[str, Any]]:
    """Return the epochs of a trial, made up."""
    values = np.random.default_rng(seed).uniform(0, 1, (EPOCHS, len(NAMES)))
    return [{"epoch": e, **dict(zip(NAMES, row, strict=True))} for e, row in enumerate(values.tolist(), 1)]


def records(storage: Storage) -> Iterator[RunRecord]:
    """Yield the records of the study, spread over the datasets."""
    for number, unit in enumerate(islice(units(), RUNS)):
        record = evaluation_record(unit, storage, history(number))
        yield replace(record, params={**record.params, "dataset": DATASETS[number % len(DATASETS)]})


def tracker(folder: Path) -> Tracker:
    """Return a tracker of a database in a folder."""
    tracker = Tracker(f"sqlite:///{folder}/mlflow.db", artifact_root=folder / "artifacts")
    spare_libraries_collection()
    return tracker


def write_runs(folder: Path) -> tuple[float, float]:
    """Write all runs; return the seconds from an empty folder until MLflow has them all, and those computed.

    Raises:
        RuntimeError: Something is missing in the database.
    """
    started, computed = time.perf_counter(), time.process_time()
    track = tracker(folder)
    for record in records(Storage(folder)):
        track.publish(record, wait=True)
    track.close(seconds=3600)
    seconds, computed = time.perf_counter() - started, time.process_time() - computed
    with sqlite3.connect(folder / "mlflow.db") as database:
        children = "SELECT run_uuid FROM tags WHERE key = 'raytransfer.key'"
        marks = ",".join("?" * len(NAMES))
        (runs,) = database.execute(
            f"SELECT COUNT(*) FROM runs WHERE status = 'FINISHED' AND run_uuid IN ({children})"
        ).fetchone()
        (values,) = database.execute(
            f"SELECT COUNT(*) FROM metrics WHERE key IN ({marks}) AND run_uuid IN ({children})", NAMES
        ).fetchone()
    if (runs, values) != (RUNS, RUNS * EPOCHS * len(NAMES)):
        raise RuntimeError(f"MLflow has {runs} runs with {values} values")
    return seconds, computed


def search(folder: Path) -> float:
    """Search for the best Dice per dataset and protocol; return the seconds."""
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("raytransfer-evaluation").experiment_id
    started = time.perf_counter()
    found = {
        (dataset, protocol): client.search_runs(
            [experiment],
            f"params.dataset = '{dataset}' AND params.protocol = '{protocol}'",
            order_by=["metrics.`summary/final_performance` DESC"],
            max_results=1,
        )[0].data.metrics["test/dice"]
        for dataset, protocol in product(DATASETS, ("fine_tuning", "frozen"))
    }
    seconds = time.perf_counter() - started
    if not all(0.9 < dice < 1 for dice in found.values()):  # the best of 333 uniform numbers
        raise RuntimeError(f"these are not the best: {found}")
    return seconds


def report_epochs(folder: Path) -> float:
    """Report the epochs of some trials as the grid does; return the mean time a report took, milliseconds."""
    storage, spent = Storage(folder), 0.0
    with tracker(folder) as track:
        trials = [(unit, history(number)) for number, unit in enumerate(islice(units(), TRIALS))]
        for epoch in range(1, EPOCHS + 1):
            for unit, epochs in trials:
                time.sleep(1 / REPORTS_PER_SECOND)
                started = time.perf_counter()
                track.publish(evaluation_record(unit, storage, epochs[:epoch]), finished=epoch == EPOCHS)
                spent += time.perf_counter() - started
    return 1000 * spent / (EPOCHS * TRIALS)


def main() -> int:
    """Measure; the runs are written once and searched five times."""
    prepare_process()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def write() -> Measured:
            seconds, computed = write_runs(folder)
            yield "write_2000_runs_s", seconds
            yield "write_2000_runs_cpu_s", computed

        def measure() -> Measured:
            yield "search_s", search(folder)
            with tempfile.TemporaryDirectory() as other:
                yield "ms_per_epoch", report_epochs(Path(other))

        with terminal():
            return benchmark(__doc__, measure, once=write)


if __name__ == "__main__":
    sys.exit(main())
