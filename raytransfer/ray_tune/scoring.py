"""Distributed scoring: Ray tasks, the target images once per node in the object store.

One pass over a checkpoint's target computes all its indicators that are missing; each has a row of its own.
"""

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import ray

from raytransfer.data.arrays import Images
from raytransfer.data.registry import load_target
from raytransfer.ray_train.failed import (
    RETRIES,
    Cause,
    Failed,
    FailureWatch,
    failed_by,
    record_failure,
    storage_failed,
)
from raytransfer.results.provenance import scoring_row
from raytransfer.results.storage import Storage
from raytransfer.results.units import ScoringUnit
from raytransfer.runtime.devices import usable_device
from raytransfer.storage.files import StoragePath, is_storage_error
from raytransfer.storage.retrying import retry_on_storage_error
from raytransfer.terminal import SOON, progress, progress_bar
from raytransfer.tracking.records import scoring_record
from raytransfer.tracking.tracker import Tracker
from raytransfer.transferability.freed_memory import kept_freed_memory
from raytransfer.transferability.indicators.base import Need, Score, ScoreSpec
from raytransfer.transferability.scorer import LabelSequence, Shard, merged, score_shard

Target = tuple[Images, LabelSequence]
"""A target's training images and their labels."""


def score(units: list[ScoringUnit], storage: Storage, tracker: Tracker) -> None:
    """Score what is missing, as many parts at a time as the cluster has room for, and publish all.

    Scores are of the target's training images; the labels go to the indicators that need them alone. Every
    parameter choice is scored.

    What fails is in `storage.failures` afterwards; the others are scored, as long as `FailureWatch` lets
    them. A task whose process or host is lost is begun again.

    Args:
        units: Scorings; those in the ledger are not repeated, nor, unless asked for, those that failed.
        storage: Where the series and the ledger are.
        tracker: Where runs are shown.

    Raises:
        WorkFailedError: The storage takes nothing, or machines lack what every scoring needs.
    """
    chosen = storage.pending("score", [unit.key for unit in units])
    pending = [unit for unit in units if unit.key in chosen]
    if pending:
        _score(pending, storage, tracker, num_done=len(units) - len(pending))
    for unit in progress(units, len(units), title="runs in MLflow", unit="run", delay=SOON):
        if not tracker.is_finished("score", unit.key) and storage.ledger.has("score", unit.key):
            _publish(unit, storage, tracker, wait=True)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What one task found of a pass, in how many seconds, on which host."""

    shard: Shard
    seconds: float
    host: str


@dataclass
class _Pass:
    """A pass over one checkpoint's target under way: what its finished tasks found, for all its units."""

    units: list[ScoringUnit]
    num_running: int
    parts: dict[int, _Part] = field(default_factory=dict)  # by shard
    failed: Failed | None = None
    num_lost: int = 0


def _score(pending: list[ScoringUnit], storage: Storage, tracker: Tracker, *, num_done: int) -> None:
    """Score with Ray."""
    asked, shards = pending[0].study.resources.of_trial, pending[0].study.robustness.num_workers
    # Ray's own attempts have no end where memory runs out.
    task = ray.remote(
        num_cpus=asked["CPU"], num_gpus=asked.get("GPU", 0), memory=asked.get("memory"), max_retries=0
    )(_score_shard)
    datasets = dict.fromkeys(unit.dataset for unit in pending)
    targets = {name: ray.put(_target(name, pending[0])) for name in datasets}
    together: dict[tuple, list[ScoringUnit]] = {}
    for unit in pending:
        together.setdefault(unit.in_one_pass, []).append(unit)
    scorings = [_Pass(units=units, num_running=shards) for units in together.values()]
    watch = FailureWatch(storage, "scorings", len(scorings))

    def begin(scoring: _Pass, shard: int) -> ray.ObjectRef:
        return task.remote(scoring.units, targets[scoring.units[0].dataset], storage.root, shard)

    running = {begin(scoring, shard): (scoring, shard) for scoring in scorings for shard in range(shards)}

    def take(done: ray.ObjectRef) -> None:
        scoring, shard = running.pop(done)
        try:
            found: _Part | Failed = ray.get(done)
        except ray.exceptions.RayError as error:
            found = failed_by(error)
            scoring.num_lost += 1
            lost = not isinstance(error, ray.exceptions.RayTaskError) and found.cause is not Cause.MACHINE
            if lost and scoring.num_lost <= RETRIES and not watch.over:
                running[begin(scoring, shard)] = scoring, shard
                return
        if isinstance(found, Failed):
            scoring.failed = found
        else:
            scoring.parts[shard] = found
        scoring.num_running -= 1
        if scoring.num_running == 0:
            bar.update(len(scoring.units))
            _end(scoring, storage, tracker, watch)

    total = num_done + len(pending)
    with progress_bar(total, initial=num_done, title="scoring", unit="ckpt") as bar:
        while running and not watch.over:
            (done,), _ = ray.wait(list(running), num_returns=1)
            take(done)
        if running and not watch.without_storage:  # what has ended meanwhile is kept
            for done in ray.wait(list(running), num_returns=len(running), timeout=0)[0]:
                take(done)
    for left in running:
        ray.cancel(left)
    watch.check()


def _target(name: str, unit: ScoringUnit) -> Target:
    data = load_target(name, unit.study.target)
    return data.train_images, data.train_labels


def _end(scoring: _Pass, storage: Storage, tracker: Tracker, watch: FailureWatch) -> None:
    """Write what a pass found, or that it failed, and publish it."""
    if scoring.failed is not None:
        watch.add(scoring.failed)
        for unit in scoring.units:
            _fail(unit, scoring.failed, storage, tracker)
        return
    parts = [scoring.parts[shard] for shard in sorted(scoring.parts)]  # the order of a sum changes its digits
    seconds = sum(part.seconds for part in parts) / len(scoring.units)
    together = merged([part.shard for part in parts])
    for unit, accumulator in zip(scoring.units, together.accumulators, strict=True):
        try:
            scores = accumulator.scores()
        except ValueError as error:  # this indicator's alone: too few classes, for example
            _fail(unit, failed_by(error), storage, tracker)
            continue
        _write(unit, scores, storage, seconds=seconds)
        storage.failures.forget("score", unit.key)
        _publish(unit, storage, tracker)
    for part in parts:
        watch.succeeded(part.host)


def _fail(unit: ScoringUnit, failed: Failed, storage: Storage, tracker: Tracker) -> None:
    if failed.cause is not Cause.STORAGE:
        record_failure(storage, unit, failed)
        tracker.fail(scoring_record(unit, {"scores": []}), failed.reason)


def _write(unit: ScoringUnit, scores: dict[ScoreSpec, Score], storage: Storage, *, seconds: float) -> None:
    """Put the scores of a unit into the ledger."""
    row = scoring_row(unit, scores, seconds=seconds)
    try:
        retry_on_storage_error(
            lambda: storage.ledger.append("score", row), seconds=unit.study.resources.storage_patience
        )
    except Exception as error:
        if is_storage_error(error):
            raise storage_failed(storage, error) from error
        raise


def _publish(unit: ScoringUnit, storage: Storage, tracker: Tracker, *, wait: bool = False) -> None:
    (row,) = storage.ledger.read("score", [unit.key]).to_pylist()
    tracker.publish(scoring_record(unit, row), wait=wait)


def _score_shard(
    units: Sequence[ScoringUnit], target: Target, root: StoragePath, shard: int
) -> _Part | Failed:
    """Return a shard's part of a pass, or how it failed (runs in a Ray task)."""
    try:
        return _part(units, target, Storage(root), shard)
    except Exception as error:  # found out about where it was raised
        return failed_by(error)


def _part(units: Sequence[ScoringUnit], target: Target, storage: Storage, shard: int) -> _Part:
    started = time.monotonic()
    unit, (images, labels) = units[0], target
    config, gpus = unit.study.robustness, unit.study.resources.gpus_per_trial
    device = usable_device(gpus, f"resources.gpus_per_trial={gpus:g}")
    encoder = unit.checkpoint(storage).load()
    indicators = [unit.strategy for unit in units]
    with kept_freed_memory():
        found = score_shard(
            encoder,
            images,
            indicators,
            labels=labels if any(Need.LABELS in each.needs for each in indicators) else None,
            seed=config.seed,
            batch_size=config.batch_size,
            precision=unit.precision,
            device=device,
            shard=shard,
            num_shards=config.num_workers,
        )
    return _Part(shard=found, seconds=time.monotonic() - started, host=socket.gethostname())
