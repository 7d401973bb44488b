"""Distributed scoring: Ray tasks, the target images once per node in the object store."""

import socket
import time
from dataclasses import dataclass, field
from functools import reduce
from operator import add

import ray

from raytransfer.data.arrays import Images
from raytransfer.data.registry import load_target
from raytransfer.models.checkpoints import load_encoder
from raytransfer.pretraining.live_scoring import share_of_sums
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
from raytransfer.transferability.hinge_sums import HingeSums


def score(units: list[ScoringUnit], storage: Storage, tracker: Tracker) -> None:
    """Score what is missing, as many parts at a time as the cluster has room for, and publish all.

    Scores are of the target's training images, without their labels; every parameter choice is scored.

    What fails is in `storage.failures` afterwards; the others are scored, as long as `FailureWatch` lets
    them. A task whose process or host is lost is begun again.

    Args:
        units: Scorings; those in the ledger are not repeated, nor, unless asked for, those that failed.
        storage: Where the series and the ledger are.
        tracker: Where runs are shown.

    Raises:
        WorkFailedError: The storage takes nothing, or machines lack what every scoring needs.
    """
    chosen = storage.pending("robustness", [unit.key for unit in units])
    pending = [unit for unit in units if unit.key in chosen]
    if pending:
        _score(pending, storage, tracker, num_done=len(units) - len(pending))
    for unit in progress(units, len(units), title="runs in MLflow", unit="run", delay=SOON):
        if not tracker.is_finished("robustness", unit.key) and storage.ledger.has("robustness", unit.key):
            _publish(unit, storage, tracker, wait=True)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What one task found of a scoring, in how many seconds, on which host."""

    sums: HingeSums
    seconds: float
    host: str


@dataclass
class _Scoring:
    """A scoring under way: what its finished tasks found."""

    unit: ScoringUnit
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
    images = {name: ray.put(load_target(name, pending[0].study.target).train_images) for name in datasets}
    scorings = [_Scoring(unit=unit, num_running=shards) for unit in pending]
    watch = FailureWatch(storage, "scorings", len(pending))

    def begin(scoring: _Scoring, shard: int) -> ray.ObjectRef:
        return task.remote(scoring.unit, images[scoring.unit.dataset], storage.root, shard)

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
            bar.update()
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


def _end(scoring: _Scoring, storage: Storage, tracker: Tracker, watch: FailureWatch) -> None:
    """Write what a scoring found, or that it failed, and publish it."""
    unit, failed = scoring.unit, scoring.failed
    if failed is not None:
        watch.add(failed)
        if failed.cause is not Cause.STORAGE:
            record_failure(storage, unit, failed)
            tracker.fail(scoring_record(unit, {"scores": []}), failed.reason)
        return
    try:
        retry_on_storage_error(
            lambda: _write(scoring, storage), seconds=unit.study.resources.storage_patience
        )
    except Exception as error:
        if is_storage_error(error):
            raise storage_failed(storage, error) from error
        raise
    for part in scoring.parts.values():
        watch.succeeded(part.host)
    storage.failures.forget("robustness", unit.key)
    _publish(unit, storage, tracker)


def _write(scoring: _Scoring, storage: Storage) -> None:
    """Put a scoring whose parts are all there into the ledger."""
    parts = [scoring.parts[shard] for shard in sorted(scoring.parts)]  # the order of a sum changes its digits
    scores = reduce(add, (part.sums for part in parts)).scores()
    seconds = sum(part.seconds for part in parts)
    storage.ledger.append("robustness", scoring_row(scoring.unit, scores, seconds=seconds))


def _publish(unit: ScoringUnit, storage: Storage, tracker: Tracker, *, wait: bool = False) -> None:
    (row,) = storage.ledger.read("robustness", [unit.key]).to_pylist()
    tracker.publish(scoring_record(unit, row), wait=wait)


def _score_shard(unit: ScoringUnit, images: Images, root: StoragePath, shard: int) -> _Part | Failed:
    """Return a shard's part of a scoring, or how it failed (runs in a Ray task)."""
    try:
        return _sums(unit, images, Storage(root), shard)
    except Exception as error:  # found out about where it was raised
        return failed_by(error)


def _sums(unit: ScoringUnit, images: Images, storage: Storage, shard: int) -> _Part:
    started = time.monotonic()
    config, gpus = unit.study.robustness, unit.study.resources.gpus_per_trial
    device = usable_device(gpus, f"resources.gpus_per_trial={gpus:g}")
    path = storage.series(unit.encoder, unit.scheme).path(unit.epoch)
    encoder, _ = load_encoder(path, sha256=unit.encoder_sha256)
    with kept_freed_memory():
        sums = share_of_sums(
            encoder,
            images,
            config,
            precision=unit.precision,
            device=device,
            shard=shard,
            num_shards=config.num_workers,
        )
    return _Part(sums=sums, seconds=time.monotonic() - started, host=socket.gethostname())
