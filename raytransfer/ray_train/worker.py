"""What each data-parallel worker of a pretraining runs; rank 0 writes to the storage, which all see."""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
from ray.util import get_current_placement_group

from raytransfer.data import Images
from raytransfer.models import CorruptCheckpointError, read_meta, save_encoder
from raytransfer.results import (
    PretrainingUnit,
    ScoringUnit,
    Storage,
    git_sha,
    library_versions,
    result_row,
    signals,
)
from raytransfer.training.live_scoring import score_in_training
from raytransfer.training.pretraining import Pretraining

STATE, PLACEMENT_GROUP = "state.pt", "placement_group"


def pretraining_worker(job: dict[str, Any]) -> None:
    """Train one unit as one of several workers.

    Args:
        job: {"unit": PretrainingUnit, "data": reference to the source data, "storage": Storage, "targets":
            dataset -> reference to the target images that every epoch's encoder is scored on; may be empty}.
    """
    unit: PretrainingUnit = job["unit"]
    rank = ray.train.get_context().get_world_rank()
    device = ray.train.torch.get_device()
    training = Pretraining(
        unit.encoder,
        unit.scheme,
        unit.recipe,
        ray.get(job["data"]),
        rank=rank,
        device=device,
        loader_workers=unit.study.resources.loader_workers,
        parallel=ray.train.torch.prepare_model,
    )
    targets = {name: ray.get(images) for name, images in job["targets"].items()}
    epochs = _Epochs(unit, job["storage"], training, targets, device)
    state = epochs.resume_state()
    if state is not None:
        training.load_state_dict(state)
    elif targets or 0 in unit.recipe.series:
        report = epochs.finish(training.evaluate(), seconds=0.0)
        if targets:
            ray.train.report(report)
    while training.epoch < unit.recipe.epochs:
        started = time.monotonic()
        metrics = {**training.train_epoch(), **training.evaluate()}
        with tempfile.TemporaryDirectory() as folder:
            report = epochs.finish(metrics, seconds=time.monotonic() - started)
            checkpoint = None
            if rank == 0:
                torch.save(training.state_dict(), Path(folder) / STATE)
                checkpoint = ray.train.Checkpoint.from_directory(folder)
            ray.train.report(report, checkpoint=checkpoint)


def _placement_group() -> dict[str, Any]:
    """Return what the workers' resources are found by, for who stops them."""
    group = get_current_placement_group()
    return {} if group is None else {PLACEMENT_GROUP: group.id.hex()}


class _Epochs:
    """What is made of each epoch of a pretraining: an encoder, scores, a ledger row, a report."""

    def __init__(
        self,
        unit: PretrainingUnit,
        storage: Storage,
        training: Pretraining,
        targets: Mapping[str, Images],
        device: torch.device,
    ) -> None:
        self._unit, self._storage, self._training, self._targets = unit, storage, training, targets
        self._device = device
        self._series = storage.series(unit.encoder, unit.scheme)

    def resume_state(self) -> dict[str, Any] | None:
        """Return the state of the last whole epoch; None to start over, also where something has a gap."""
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            return None
        with checkpoint.as_directory() as folder:
            state: dict[str, Any] = torch.load(Path(folder) / STATE, map_location="cpu", weights_only=True)
        try:
            for epoch in self._unit.recipe.series:
                if epoch <= state["epoch"]:
                    read_meta(self._series.path(epoch))
            return state if self._are_scored(state["epoch"]) else None
        except CorruptCheckpointError:
            return None

    def _are_scored(self, last: int) -> bool:
        """Return whether all epochs up to the last are scored on all targets."""
        if not self._targets:
            return True
        ledger, unit = self._storage.ledger, self._unit
        encoders = {0: read_meta(self._series.path(0))["encoder_sha256"]}
        for row in ledger.read("pretraining", unit.epoch_keys()).to_pylist():
            encoders[row["epoch"]] = row["encoder_sha256"]
        return all(
            ledger.has("robustness", scoring.key)
            for epoch in range(last + 1)
            for scoring in unit.scorings(epoch, encoders.get(epoch, ""))
        )

    def finish(self, metrics: dict[str, float], *, seconds: float) -> dict[str, float]:
        """Keep the encoder, score it, write the ledger's rows (rank 0); return what is reported."""
        epoch, sha256 = self._training.epoch, self._keep(metrics)
        started = time.monotonic()
        scored = [self._score(unit) for unit in self._unit.scorings(epoch, sha256)] if self._targets else []
        seconds += time.monotonic() - started
        if self._training.rank == 0 and epoch > 0:  # last, because it says that the epoch is whole
            row = result_row(
                key=self._unit.epoch_key(epoch), settings=self._unit.settings, seconds=seconds,
                encoder=self._unit.encoder, scheme=self._unit.scheme, epoch=epoch, encoder_sha256=sha256,
                pretraining=self._unit.key, source=self._unit.study.source.name, **metrics,
            )  # fmt: skip
            self._storage.ledger.append("pretraining", row)
        return {"epoch": epoch, **metrics, **(signals(scored) if scored else {}), **_placement_group()}

    def _score(self, unit: ScoringUnit) -> tuple[ScoringUnit, list[dict[str, Any]]]:
        started, context = time.monotonic(), ray.train.get_context()
        found = score_in_training(
            self._training.encoder,
            self._targets[unit.dataset],
            unit.study.robustness,
            precision=unit.precision,
            device=self._device,
            rank=context.get_world_rank(),
            num_processes=context.get_world_size(),
        )
        scores = [asdict(score) for score in found]
        if self._training.rank == 0:
            row = result_row(
                key=unit.key, settings=unit.settings, seconds=time.monotonic() - started,
                encoder=unit.encoder, scheme=unit.scheme, epoch=unit.epoch, dataset=unit.dataset,
                encoder_sha256=unit.encoder_sha256, scores=scores,
            )  # fmt: skip
            self._storage.ledger.append("robustness", row)
        return unit, scores

    def _keep(self, metrics: dict[str, float]) -> str:
        """Save the encoder where it is wanted (rank 0); return its SHA-256, empty where it is not kept.

        Any epoch may be chosen by what comes later: encoders outside the series wait beside it.
        """
        epoch, unit = self._training.epoch, self._unit
        in_series = epoch in unit.recipe.series or epoch == 0
        if self._training.rank != 0 or not (in_series or self._targets):
            return ""
        path = (self._series if in_series else self._storage.unsettled(unit.key)).path(epoch)
        meta = {
            "epoch": epoch,
            "scheme": unit.scheme,
            "source": unit.study.source.name,
            "image_size": unit.study.source.image_size,
            "accuracy": {name: metrics[name] for name in ("val/top1", "val/top5")},
            "pretraining": unit.key,
            "settings": unit.settings,
            "git_sha": git_sha(),
            "versions": library_versions(),
        }
        return save_encoder(path, self._training.encoder, meta)
