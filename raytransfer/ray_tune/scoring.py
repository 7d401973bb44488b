"""Distributed scoring: Ray tasks, the target images once per node in the object store."""

import time
from dataclasses import dataclass, field
from functools import reduce
from operator import add

import ray
import torch

from raytransfer.data import Images, load_target
from raytransfer.files import Place, is_of_storage
from raytransfer.models import load_encoder
from raytransfer.ray_train.failed import RETRIES, failed_task, storage_failed
from raytransfer.results import ScoringUnit, Storage, patiently, scoring_row
from raytransfer.terminal import SOON, progress, progress_bar
from raytransfer.tracking import Tracker, scoring_record
from raytransfer.training.live_scoring import share_of_sums
from raytransfer.transferability import HingeSums
from raytransfer.transferability.freed_memory import kept_freed_memory


def score(units: list[ScoringUnit], storage: Storage, tracker: Tracker) -> None:
    """Score what is missing, as many parts at a time as the cluster has room for, and publish all.

    Scores are of the target's training images, without their labels; every parameter choice is scored.

    What fails is in `storage.failures` afterwards; the others are scored. A task whose process or host is
    lost is begun again.

    Args:
        units: Scorings; those in the ledger are not repeated, nor, unless asked for, those that failed.
        storage: Where the series and the ledger are.
        tracker: Where runs are shown.

    Raises:
        WorkFailedError: The storage takes nothing.
    """
    chosen = storage.pending("robustness", [unit.key for unit in units])
    pending = [unit for unit in units if unit.key in chosen]
    if pending:
        _score(pending, storage, tracker, num_done=len(units) - len(pending))
    for unit in progress(units, len(units), title="runs in MLflow", unit="run", delay=SOON):
        if not tracker.is_finished("robustness", unit.key) and storage.ledger.has("robustness", unit.key):
            _publish(unit, storage, tracker, wait=True)


@dataclass
class _Scoring:
    """A scoring under way: what its finished tasks found."""

    unit: ScoringUnit
    parts: dict[int, HingeSums] = field(default_factory=dict)  # by shard
    seconds: float = 0.0
    error: ray.exceptions.RayError | None = None
    num_running: int = 0
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

    def begin(scoring: _Scoring, shard: int) -> ray.ObjectRef:
        return task.remote(scoring.unit, images[scoring.unit.dataset], storage.root, shard)

    running = {begin(scoring, shard): (scoring, shard) for scoring in scorings for shard in range(shards)}
    total = num_done + len(pending)
    with progress_bar(total, initial=num_done, title="scoring", unit="ckpt") as bar:
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            scoring, shard = running.pop(done)
            try:
                scoring.parts[shard], seconds = ray.get(done)
            except ray.exceptions.RayError as error:
                scoring.num_lost += 1
                if not isinstance(error, ray.exceptions.RayTaskError) and scoring.num_lost <= RETRIES:
                    running[begin(scoring, shard)] = scoring, shard
                    continue
                scoring.error = error
            else:
                scoring.seconds += seconds
            scoring.num_running -= 1
            if scoring.num_running == 0:
                bar.update()
                _end(scoring, storage, tracker)


def _end(scoring: _Scoring, storage: Storage, tracker: Tracker) -> None:
    """Write what a scoring found, or mark it as failed, and publish it."""
    unit = scoring.unit
    if scoring.error is not None:
        cause = getattr(scoring.error, "cause", scoring.error)
        if is_of_storage(cause):
            raise storage_failed(storage, cause) from scoring.error
        failed = failed_task(scoring.error)
        storage.failures.mark("robustness", unit.key, unit.name, **vars(failed))
        tracker.fail(scoring_record(unit, {"scores": []}), failed.reason)
        return
    try:
        patiently(lambda: _write(scoring, storage), seconds=unit.study.resources.storage_patience)
    except Exception as error:
        if is_of_storage(error):
            raise storage_failed(storage, error) from error
        raise
    storage.failures.forget("robustness", unit.key)
    _publish(unit, storage, tracker)


def _write(scoring: _Scoring, storage: Storage) -> None:
    """Put a scoring whose parts are all there into the ledger."""
    unit = scoring.unit
    parts = [scoring.parts[shard] for shard in sorted(scoring.parts)]  # the order of a sum changes its digits
    scores = reduce(add, parts).scores()
    storage.ledger.append("robustness", scoring_row(unit, scores, seconds=scoring.seconds))


def _publish(unit: ScoringUnit, storage: Storage, tracker: Tracker, *, wait: bool = False) -> None:
    (row,) = storage.ledger.read("robustness", [unit.key]).to_pylist()
    tracker.publish(scoring_record(unit, row), wait=wait)


def _score_shard(unit: ScoringUnit, images: Images, root: Place, shard: int) -> tuple[HingeSums, float]:
    """Return a shard's part of a scoring and the seconds it took (runs in a Ray task)."""
    started = time.monotonic()
    config = unit.study.robustness
    encoder, _ = load_encoder(Storage(root).series(unit.encoder, unit.scheme).path(unit.epoch))
    with kept_freed_memory():
        sums = share_of_sums(
            encoder,
            images,
            config,
            precision=unit.precision,
            device="cuda" if unit.study.resources.gpus_per_trial and torch.cuda.is_available() else "cpu",
            shard=shard,
            num_shards=config.num_workers,
        )
    return sums, time.monotonic() - started
