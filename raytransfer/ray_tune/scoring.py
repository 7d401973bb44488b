"""Distributed scoring: one Ray task per checkpoint, the target images once per node in the object store."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
import torch
from tqdm import tqdm

from raytransfer.config import WorkFailedError, reason
from raytransfer.data import Images, load_target
from raytransfer.models import load_encoder
from raytransfer.results import ScoringUnit, Storage, result_row
from raytransfer.tracking import Tracker, scoring_record
from raytransfer.transferability import score_encoder


def score(units: list[ScoringUnit], storage: Storage, tracker: Tracker) -> None:
    """Score what is missing, as many checkpoints at a time as the cluster has room for, and publish all.

    Scores are of the target's training images, without their labels; both pooled and not.

    Args:
        units: Scorings; those in the ledger are not repeated.
        storage: Where the series and the ledger are.
        tracker: Where runs are shown.

    Raises:
        WorkFailedError: Names the checkpoints that could not be scored; the others were.
    """
    pending = [unit for unit in units if not storage.ledger.has("robustness", unit.key)]
    failed: list[str] = []
    if pending:
        resources = pending[0].study.resources
        task = ray.remote(num_cpus=resources.cpus_per_trial, num_gpus=resources.gpus_per_trial)(_score_one)
        datasets = dict.fromkeys(unit.dataset for unit in pending)
        images = {d: ray.put(load_target(d, pending[0].study.target).train_images) for d in datasets}
        running = {task.remote(unit, images[unit.dataset], storage.root): unit for unit in pending}
        with tqdm(total=len(units), initial=len(units) - len(pending), desc="scoring", unit="ckpt") as bar:
            while running:
                (done,), _ = ray.wait(list(running), num_returns=1)
                unit = running.pop(done)
                try:
                    ray.get(done)
                except ray.exceptions.RayError as error:
                    failed.append(f"{unit.name}: {reason(error)}")
                else:
                    _publish(unit, storage, tracker)
                bar.update()
    if failed:
        raise WorkFailedError(f"scoring failed: {'; '.join(failed)}")
    for unit in units:
        if not tracker.is_finished("robustness", unit.key):
            _publish(unit, storage, tracker)


def _publish(unit: ScoringUnit, storage: Storage, tracker: Tracker) -> None:
    (row,) = storage.ledger.read("robustness", [unit.key]).to_pylist()
    tracker.publish(scoring_record(unit, row))


def _score_one(unit: ScoringUnit, images: Images, root: Path) -> None:
    """Score one checkpoint and write it into the ledger (runs in a Ray task)."""
    started = time.monotonic()
    storage, config = Storage(root), unit.study.robustness
    encoder, _ = load_encoder(storage.series(unit.encoder, unit.scheme).path(unit.epoch))
    scores = score_encoder(
        encoder,
        images,
        distances=(config.distance,),
        margins=(config.margin,),
        levels=(config.level,),
        pooled=(True, False),
        seed=config.seed,
        batch_size=config.batch_size,
        device="cuda" if unit.study.resources.gpus_per_trial and torch.cuda.is_available() else "cpu",
    )
    row: dict[str, Any] = result_row(
        key=unit.key, settings=unit.settings, seconds=time.monotonic() - started,
        encoder=unit.encoder, scheme=unit.scheme, epoch=unit.epoch, dataset=unit.dataset,
        encoder_sha256=unit.encoder_sha256, scores=[asdict(found) for found in scores],
    )  # fmt: skip
    storage.ledger.append("robustness", row)
