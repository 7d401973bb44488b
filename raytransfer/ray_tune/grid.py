"""The grid of evaluations: Tune schedules the trials that the ledger lacks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial

from raytransfer.data.registry import load_target
from raytransfer.ray_train.failed import RETRIES, Failed, FailureWatch, record_failure
from raytransfer.ray_tune.failed_trials import StopAfterFailures
from raytransfer.ray_tune.progress import ProgressBar
from raytransfer.ray_tune.tracked import TrackTrials, was_interrupted
from raytransfer.ray_tune.trial import EvaluationTrial
from raytransfer.results.best_seed import all_seeds_finished, best_seed
from raytransfer.results.evaluations import read_history
from raytransfer.results.storage import Storage
from raytransfer.results.units import EvaluationUnit
from raytransfer.terminal import SOON, progress
from raytransfer.tracking.records import evaluation_record
from raytransfer.tracking.runs import RunRecord
from raytransfer.tracking.tracker import Tracker


def _best(trials: Sequence[Trial], units: Mapping[str, EvaluationUnit]) -> str:
    """Return the best performance so far of every primary metric there is."""
    best: dict[str, float] = {}
    for trial in trials:
        metric = units[trial.config["trial"]["key"]].task.primary_metric
        value = trial.last_result.get(f"test/{metric.name}")
        if value is not None:
            best[metric.label] = max(value, best.get(metric.label, value))
    return ", ".join(f"best {label} {value:.3f}" for label, value in best.items())


def train_grid(units: list[EvaluationUnit], storage: Storage, tracker: Tracker) -> None:
    """Run the trials the ledger lacks, as many at a time as the cluster has room for, and publish all.

    Trials that fail are in `storage.failures` afterwards; the others go on, as long as `FailureWatch` lets
    them. A trial whose process or host is lost is begun again.

    Args:
        units: Trials; those in the ledger are not repeated, nor, unless asked for, those that failed before.
        storage: Where the series, the ledger and Ray's files are.
        tracker: Where runs are shown.

    Raises:
        WorkFailedError: The storage takes nothing, or machines lack what trials need; those that ran then
            have come to their end.
        KeyboardInterrupt: Ctrl-C; trials that were finished are kept.
    """
    chosen = storage.pending("evaluation", [unit.key for unit in units])
    pending = {unit.key: unit for unit in units if unit.key in chosen}
    if pending:
        _tune(pending, storage, tracker)
    _publish_missing(units, storage, tracker)


def _publish_missing(units: list[EvaluationUnit], storage: Storage, tracker: Tracker) -> None:
    """Publish what the ledger has and MLflow has not."""
    for unit in progress(units, len(units), title="runs in MLflow", unit="run", delay=SOON):
        if not tracker.is_finished("evaluation", unit.key):
            history = read_history(storage.ledger, unit.key)
            if history is not None:
                tracker.publish(evaluation_record(unit, storage, history), wait=True)
    each = {unit.configuration: unit for unit in units}.values()
    for unit in progress(each, len(each), title="models in MLflow", unit="model", delay=SOON):
        if not any(tracker.has_model("evaluation", trial.key) for trial in unit.seeds):
            _publish_best(unit, storage, tracker, wait=True)


def _publish_best(unit: EvaluationUnit, storage: Storage, tracker: Tracker, *, wait: bool = False) -> None:
    """Publish the model of the best trial of a unit's configuration, once all its seeds are finished."""
    if not all_seeds_finished(unit, storage):
        return
    best = best_seed(unit, storage)
    if best is not None and storage.trained(best.key).exists():
        history = read_history(storage.ledger, best.key)
        record = evaluation_record(best, storage, history or [])
        tracker.publish(replace(record, model=storage.trained(best.key)), wait=wait)


def _tune(pending: dict[str, EvaluationUnit], storage: Storage, tracker: Tracker) -> None:
    study = next(iter(pending.values())).study
    datasets = dict.fromkeys(unit.configuration.dataset for unit in pending.values())
    data = {name: ray.put(load_target(name, study.target)) for name in datasets}
    trainable = tune.with_parameters(EvaluationTrial, units=pending, data=data, root=storage.root)
    trials = [{"number": number, "key": key} for number, key in enumerate(pending, 1)]

    def record(config: dict[str, Any], history: Sequence[dict[str, Any]]) -> RunRecord:
        return evaluation_record(pending[config["trial"]["key"]], storage, history)

    def end(config: dict[str, Any], record: RunRecord) -> None:
        if not storage.ledger.has("evaluation", record.key):  # it was stopped with all others
            return
        storage.failures.forget("evaluation", record.key)
        tracker.publish(record)
        _publish_best(pending[config["trial"]["key"]], storage, tracker)

    def fail(config: dict[str, Any], failed: Failed) -> None:
        record_failure(storage, pending[config["trial"]["key"]], failed)

    watch = FailureWatch(storage, "trials", len(pending))
    tuner = tune.Tuner(
        tune.with_resources(trainable, tune.PlacementGroupFactory([study.resources.of_trial])),
        param_space={"trial": tune.grid_search(trials)},
        tune_config=tune.TuneConfig(
            reuse_actors=True,
            trial_name_creator=lambda trial: f"{trial.config['trial']['number']:04d}",
            trial_dirname_creator=lambda trial: trial.config["trial"]["key"],
        ),
        run_config=tune.RunConfig(
            name=datetime.now(UTC).strftime("grid-%Y%m%d-%H%M%S"),
            storage_path=str(storage.ray / "evaluation"),
            stop=StopAfterFailures(watch, finish=True),
            callbacks=[TrackTrials(record, tracker, end=end, fail=fail)],
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            progress_reporter=ProgressBar(
                len(pending),
                title="downstream grid",
                epochs=lambda trial: pending[trial.config["trial"]["key"]].num_steps,
                describe=lambda trials: _best(trials, pending),
            ),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=1,
        ),
    )
    results = tuner.fit()
    watch.check()
    if was_interrupted(results, len(pending)):
        raise KeyboardInterrupt
