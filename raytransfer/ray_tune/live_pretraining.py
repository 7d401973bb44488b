"""Pretrainings under Tune: scored every epoch, stopped by a rule, each trial the driver of a TorchTrainer.

A trial first reports what the ledger has of its pretraining, then trains on from the last whole epoch. So a
rule sees every epoch in order however often the command was interrupted, and a pretraining that another
command has trained as far as the rule wants is not trained again. Workers do not wait for Tune's decision:
they train on until they are stopped, seconds later, and what they finish meanwhile is in the ledger too.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, takewhile
from typing import Any

import ray
import ray.train
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.integration.ray_train import TuneReportCallback
from ray.tune.schedulers import TrialScheduler
from ray.tune.stopper import CombinedStopper

from raytransfer.data.registry import load_source, load_target
from raytransfer.ray_train.failed import (
    RETRIES,
    Failed,
    FailureWatch,
    failed_training,
    record_failure,
)
from raytransfer.ray_train.pretraining import pretraining_trainer
from raytransfer.ray_train.resuming import drop_corrupt_checkpoints
from raytransfer.ray_tune.early_stopping import FOLDER, RobustnessStopper, StoppingRuleScheduler
from raytransfer.ray_tune.failed_trials import StopAfterFailures, failed_result
from raytransfer.ray_tune.free_workers import FreeWorkers
from raytransfer.ray_tune.progress import ProgressBar
from raytransfer.ray_tune.scoring import score
from raytransfer.ray_tune.tracked import TrackTrials, reported_pretraining, was_interrupted
from raytransfer.results.live import METRIC, live_curves, scored_epochs
from raytransfer.results.schemas import read_rows
from raytransfer.results.series import is_imported, is_pending, is_trainable
from raytransfer.results.storage import Storage
from raytransfer.results.units import PretrainingUnit, scoring_units
from raytransfer.runtime.environment import prepare_process
from raytransfer.scheduling.judgements import judge
from raytransfer.scheduling.rules import StoppingRule
from raytransfer.statistics.signals import Signal
from raytransfer.storage.files import delete
from raytransfer.study import Study
from raytransfer.tracking.records import pretraining_record, recorded_metrics, stopping_record
from raytransfer.tracking.runs import RunRecord
from raytransfer.tracking.tracker import Tracker

_log = logging.getLogger(__name__)

DRIVER_MEMORY = 600 * 2**20
"""Bytes a trial's processes take: no CPU, or drivers would keep their own workers waiting for ever."""

MakeRule = Callable[[], StoppingRule]


def pretrain_until_stopped(
    units: Sequence[PretrainingUnit],
    storage: Storage,
    tracker: Tracker,
    make_rule: MakeRule,
    *,
    signal: Signal,
    scheduler: TrialScheduler | None = None,
) -> None:
    """Pretrain every unit until its rule has stopped on every target, and publish all to MLflow.

    Series that are complete or imported are not trained: their checkpoints are scored where they were not.
    What fails is in `storage.failures` afterwards, and the others go on, as long as `FailureWatch` lets them.

    Args:
        units: Pretrainings of one study.
        storage: Where the series, the ledger and Ray's files are.
        tracker: Where runs are shown.
        make_rule: Builds a fresh rule.
        signal: Which scores it follows.
        scheduler: One of Ray's, which may stop a trial before its rule does.

    Raises:
        WorkFailedError: The storage takes nothing, or machines lack what every pretraining needs.
        KeyboardInterrupt: Ctrl-C; the same call goes on from there.
    """
    if storage.failures.retry:
        units = [unit for unit in units if is_pending(unit, storage)]
    done = [unit for unit in units if not is_trainable(unit, storage)]
    if done:
        score(scoring_units(units[0].study, storage.catalog.encoders(done)), storage, tracker)
    pending = {u.key: u for u in units if is_pending(u, storage)}
    if scheduler is None:  # which would judge all pretrainings together
        decided = [
            u
            for u in pending.values()
            if all(j.stopped for j in judge(live_curves(u, storage, signal), make_rule))
        ]
        pending = {key: unit for key, unit in pending.items() if unit not in decided}
    if pending:
        _tune(pending, storage, tracker, make_rule, signal, scheduler)
    failed = {failure.key for failure in storage.failures.known("pretraining", [u.key for u in units])}
    for unit in units:
        if unit.key not in failed:
            promote_selected(unit, storage, tracker, make_rule, signal)


def promote_selected(
    unit: PretrainingUnit, storage: Storage, tracker: Tracker, make_rule: MakeRule, signal: Signal
) -> None:
    """Bring the encoders that a rule chose into the series, and publish the pretraining.

    What it could go on from stays until it is complete.
    """
    found = judge(live_curves(unit, storage, signal), make_rule)
    series, staging = storage.series(unit.encoder, unit.scheme), storage.staging(unit.key)
    for epoch in {of.selected_epoch for of in found if of.selected_epoch is not None}:
        if not series.path(epoch).exists() and staging.path(epoch).exists():
            staging.move(epoch, series)
    scores = scored_epochs(unit, storage, signal)
    tracker.publish(stopping_record(unit, str(make_rule()), signal, found, scores))
    if is_imported(unit, storage):
        return
    rows = read_rows(storage.ledger.read("pretraining", unit.epoch_keys()))
    record = pretraining_record(unit, storage, recorded_metrics(rows), scores=scores)
    if storage.ledger.has("pretraining", unit.epoch_key(unit.recipe.epochs)):
        with suppress(OSError):  # its workers may still write there
            delete(storage.pretraining_run(unit.key))
        tracker.publish(record)
    else:
        chosen = ", ".join(f"epoch {of.selected_epoch} for {of.target}" for of in found)
        tracker.stop(record, f"{make_rule()} at epoch {max(of.epoch or 0 for of in found)} chose {chosen}")


def recorded_reports(
    unit: PretrainingUnit, storage: Storage, signal: Signal | None
) -> Iterator[dict[str, Any]]:
    """Yield what the ledger has of a pretraining, as its workers would report it.

    Args:
        unit: The pretraining.
        storage: Where its series and the ledger are.
        signal: Which scores are reported; None where its epochs are not scored, and epoch 0 does not count.
    """
    rows = read_rows(storage.ledger.read("pretraining", unit.epoch_keys()))
    metrics = recorded_metrics(rows)
    found = metrics if signal is None else scored_epochs(unit, storage, signal)
    for epoch in takewhile(found.__contains__, count(1 if signal is None else 0)):  # a gap is filled anew
        yield {"epoch": epoch, **metrics.get(epoch, {}), **found[epoch]}


@dataclass(frozen=True, kw_only=True)
class _PretrainingsJob:
    """What all trials are given: `units` by key, `targets` by dataset."""

    units: Mapping[str, PretrainingUnit]
    storage: Storage
    signal: Signal
    data: ray.ObjectRef
    targets: Mapping[str, ray.ObjectRef]


def _pretraining_trial(config: dict[str, Any], job: _PretrainingsJob) -> None:
    """Report what is recorded of one of the job's units, then train on (in the trial's process).

    Args:
        config: {"pretraining": {"key": ...}} and what the reporter shows.
        job: What all trials share.
    """
    prepare_process()  # of a node that the command does not run on
    unit, storage = job.units[config["pretraining"]["key"]], job.storage
    for report in recorded_reports(unit, storage, job.signal):
        tune.report(report)
    trainer = pretraining_trainer(
        unit, job.data, storage, targets=job.targets, signal=job.signal,
        callbacks=[TuneReportCallback()],
    )  # fmt: skip
    found: ray.train.Result | BaseException
    try:
        found = trainer.fit()
    except ray.train.TrainingFailedError as error:
        found = error
    failed = failed_training(found)
    if failed is not None:
        tune.report(failed_result(failed))


def _describe(trials: Sequence[Trial]) -> str:
    """Return where the running pretrainings are: epoch and robustness."""
    running = [t for t in trials if t.status == Trial.RUNNING and "epoch" in t.last_result]
    return ", ".join(
        f"{t.config['pretraining']['name']} {t.last_result['epoch']}: {t.last_result[METRIC]:.3f}"
        for t in running
    )


def targets_in_store(study: Study) -> dict[str, ray.ObjectRef]:
    """Put the training images of every target into Ray's object store, from where nodes fetch them once."""
    return {name: ray.put(load_target(name, study.target).train_images) for name in study.datasets}


def _concurrent_trials(unit: PretrainingUnit) -> int:
    """Return how many pretrainings the cluster has room for at once, at least one."""
    have, asked = ray.cluster_resources(), unit.study.resources.of_worker
    return max(1, int(min(have.get(name, 0) / (asked[name] * unit.recipe.num_workers) for name in asked)))


def _tune(
    pending: Mapping[str, PretrainingUnit],
    storage: Storage,
    tracker: Tracker,
    make_rule: MakeRule,
    signal: Signal,
    scheduler: TrialScheduler | None,
) -> None:
    """Run Tune."""
    for unit in pending.values():
        for line in drop_corrupt_checkpoints(unit, storage):
            _log.warning(line)
    study = next(iter(pending.values())).study
    job = _PretrainingsJob(
        units=dict(pending),
        storage=storage,
        signal=signal,
        data=ray.put(load_source(study.source)),
        targets=targets_in_store(study),
    )
    trial = tune.with_parameters(_pretraining_trial, job=job)

    def record(config: dict[str, Any], history: Sequence[dict[str, Any]]) -> RunRecord:
        return reported_pretraining(pending[config["pretraining"]["key"]], storage, history)

    def end(config: dict[str, Any], record: RunRecord) -> None:
        storage.failures.forget("pretraining", record.key)

    def fail(config: dict[str, Any], failed: Failed) -> None:
        record_failure(storage, pending[config["pretraining"]["key"]], failed)

    watch = FailureWatch(storage, "pretrainings", len(pending))
    after_failures = StopAfterFailures(watch)
    folder = storage.ray / "early-stopping" / datetime.now(UTC).strftime("early-stop-%Y%m%d-%H%M%S")
    tuner = tune.Tuner(
        tune.with_resources(trial, {"memory": DRIVER_MEMORY}),
        param_space={
            "pretraining": tune.grid_search(
                [{"key": key, "name": unit.name} for key, unit in pending.items()]
            )
        },
        tune_config=tune.TuneConfig(
            scheduler=scheduler or StoppingRuleScheduler(make_rule),
            max_concurrent_trials=min(_concurrent_trials(unit) for unit in pending.values()),
            trial_dirname_creator=lambda trial: trial.config["pretraining"]["key"],
        ),
        run_config=tune.RunConfig(
            name=folder.name,
            storage_path=str(folder.parent),
            stop=after_failures
            if scheduler is None
            else CombinedStopper(after_failures, RobustnessStopper(make_rule, folder=str(folder / FOLDER))),
            callbacks=[FreeWorkers(), TrackTrials(record, tracker, end=end, fail=fail)],
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            progress_reporter=ProgressBar(
                len(pending),
                title="pretraining",
                epochs=lambda trial: pending[trial.config["pretraining"]["key"]].recipe.epochs,
                describe=_describe,
            ),
            verbose=1,
        ),
    )
    results = tuner.fit()
    watch.check()
    if was_interrupted(results, len(pending)):
        raise KeyboardInterrupt
