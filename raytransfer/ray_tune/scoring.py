"""Distributed scoring: Ray tasks, the target images once per node in the object store."""

import time
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from pathlib import Path

import ray
import torch

from raytransfer.config import WorkFailedError, reason
from raytransfer.data import Images, load_target
from raytransfer.models import load_encoder
from raytransfer.results import ScoringUnit, Storage, scoring_row
from raytransfer.terminal import SOON, progress, progress_bar
from raytransfer.tracking import Tracker, scoring_record
from raytransfer.training.live_scoring import share_of_sums
from raytransfer.transferability import HingeSums


def score(units: list[ScoringUnit], storage: Storage, tracker: Tracker) -> None:
    """Score what is missing, as many parts at a time as the cluster has room for, and publish all.

    Scores are of the target's training images, without their labels; every parameter choice is scored.

    Args:
        units: Scorings; those in the ledger are not repeated.
        storage: Where the series and the ledger are.
        tracker: Where runs are shown.

    Raises:
        WorkFailedError: Names the checkpoints that could not be scored; the others were.
    """
    pending = [unit for unit in units if not storage.ledger.has("robustness", unit.key)]
    failed = _score(pending, storage, tracker, num_done=len(units) - len(pending)) if pending else []
    if failed:
        raise WorkFailedError(f"scoring failed: {'; '.join(failed)}")
    for unit in progress(units, len(units), title="runs in MLflow", unit="run", delay=SOON):
        if not tracker.is_finished("robustness", unit.key):
            _publish(unit, storage, tracker, wait=True)


@dataclass
class _Scoring:
    """A scoring under way: what its finished tasks found."""

    unit: ScoringUnit
    parts: dict[int, HingeSums] = field(default_factory=dict)  # by shard
    seconds: float = 0.0
    problem: str | None = None
    num_running: int = 0


def _score(pending: list[ScoringUnit], storage: Storage, tracker: Tracker, *, num_done: int) -> list[str]:
    """Score with Ray; return a line for each checkpoint that could not be scored."""
    resources, shards = pending[0].study.resources, pending[0].study.robustness.num_workers
    task = ray.remote(num_cpus=resources.cpus_per_trial, num_gpus=resources.gpus_per_trial)(_score_shard)
    datasets = dict.fromkeys(unit.dataset for unit in pending)
    images = {name: ray.put(load_target(name, pending[0].study.target).train_images) for name in datasets}
    scorings = [_Scoring(unit=unit, num_running=shards) for unit in pending]
    running = {
        task.remote(scoring.unit, images[scoring.unit.dataset], storage.root, shard): (scoring, shard)
        for scoring in scorings
        for shard in range(shards)
    }
    total = num_done + len(pending)
    with progress_bar(total, initial=num_done, title="scoring", unit="ckpt") as bar:
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            scoring, shard = running.pop(done)
            scoring.num_running -= 1
            try:
                scoring.parts[shard], seconds = ray.get(done)
            except ray.exceptions.RayError as error:
                scoring.problem = reason(error)
            else:
                scoring.seconds += seconds
            if scoring.num_running == 0:
                bar.update()
                if scoring.problem is None:
                    _write(scoring, storage)
                    _publish(scoring.unit, storage, tracker)
    return [f"{scoring.unit.name}: {scoring.problem}" for scoring in scorings if scoring.problem]


def _write(scoring: _Scoring, storage: Storage) -> None:
    """Put a scoring whose parts are all there into the ledger."""
    unit = scoring.unit
    parts = [scoring.parts[shard] for shard in sorted(scoring.parts)]  # the order of a sum changes its digits
    scores = reduce(add, parts).scores()
    storage.ledger.append("robustness", scoring_row(unit, scores, seconds=scoring.seconds))


def _publish(unit: ScoringUnit, storage: Storage, tracker: Tracker, *, wait: bool = False) -> None:
    (row,) = storage.ledger.read("robustness", [unit.key]).to_pylist()
    tracker.publish(scoring_record(unit, row), wait=wait)


def _score_shard(unit: ScoringUnit, images: Images, root: Path, shard: int) -> tuple[HingeSums, float]:
    """Return a shard's part of a scoring and the seconds it took (runs in a Ray task)."""
    started = time.monotonic()
    config = unit.study.robustness
    encoder, _ = load_encoder(Storage(root).series(unit.encoder, unit.scheme).path(unit.epoch))
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
