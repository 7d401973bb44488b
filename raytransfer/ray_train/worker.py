"""What each data-parallel worker of a pretraining runs; rank 0 writes to the storage, which all see."""

import tempfile
import time
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch

from raytransfer.models import CheckpointSeries, CorruptCheckpointError, read_meta, save_encoder
from raytransfer.results import PretrainingUnit, Storage, git_sha, library_versions, result_row
from raytransfer.training.pretraining import Pretraining

STATE = "state.pt"


def pretraining_worker(job: dict[str, Any]) -> None:
    """Train one unit as one of several workers.

    Args:
        job: {"unit": PretrainingUnit, "data": reference to the source data, "storage": storage path}.
    """
    unit: PretrainingUnit = job["unit"]
    storage = Storage(job["storage"])
    series = storage.series(unit.encoder, unit.scheme)
    rank = ray.train.get_context().get_world_rank()
    training = Pretraining(
        unit.encoder,
        unit.scheme,
        unit.recipe,
        ray.get(job["data"]),
        rank=rank,
        device=ray.train.torch.get_device(),
        loader_workers=unit.study.resources.loader_workers,
        parallel=ray.train.torch.prepare_model,
    )
    state = _resume_state(unit, series)
    if state is not None:
        training.load_state_dict(state)
    elif 0 in unit.recipe.series:
        metrics = training.evaluate()
        if rank == 0:
            _save(unit, series, training, metrics)
    while training.epoch < unit.recipe.epochs:
        started = time.monotonic()
        metrics = {**training.train_epoch(), **training.evaluate()}
        checkpoint = None
        with tempfile.TemporaryDirectory() as folder:
            if rank == 0:
                if training.epoch in unit.recipe.series:
                    _save(unit, series, training, metrics)
                seconds = time.monotonic() - started
                storage.ledger.append("pretraining", _row(unit, training.epoch, metrics, seconds))
                torch.save(training.state_dict(), Path(folder) / STATE)
                checkpoint = ray.train.Checkpoint.from_directory(folder)
            ray.train.report({"epoch": training.epoch, **metrics}, checkpoint=checkpoint)


def _resume_state(unit: PretrainingUnit, series: CheckpointSeries) -> dict[str, Any] | None:
    """Return the state of the last whole epoch; None to start over (also where the series has a gap)."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        state: dict[str, Any] = torch.load(Path(folder) / STATE, map_location="cpu", weights_only=True)
    try:
        for epoch in unit.recipe.series:
            if epoch <= state["epoch"]:
                read_meta(series.path(epoch))
    except CorruptCheckpointError:
        return None
    return state


def _save(
    unit: PretrainingUnit, series: CheckpointSeries, training: Pretraining, metrics: dict[str, float]
) -> None:
    meta = {
        "epoch": training.epoch,
        "scheme": unit.scheme,
        "source": unit.study.source.name,
        "image_size": unit.study.source.image_size,
        "accuracy": {name: metrics[name] for name in ("val/top1", "val/top5")},
        "pretraining": unit.key,
        "settings": unit.settings,
        "git_sha": git_sha(),
        "versions": library_versions(),
    }
    save_encoder(series.path(training.epoch), training.encoder, meta)


def _row(unit: PretrainingUnit, epoch: int, metrics: dict[str, float], seconds: float) -> dict[str, Any]:
    return result_row(
        key=unit.epoch_key(epoch), settings=unit.settings, seconds=seconds,
        encoder=unit.encoder, scheme=unit.scheme, epoch=epoch,
        pretraining=unit.key, source=unit.study.source.name, **metrics,
    )  # fmt: skip
