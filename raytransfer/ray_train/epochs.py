"""The epochs of a pretraining, alone or as one of several processes; rank 0 writes to the storage.

No Ray in here: who calls it says where reports and what to go on from are kept.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from raytransfer.data.arrays import Images
from raytransfer.models.checkpoints import CorruptCheckpointError, read_meta, save_encoder
from raytransfer.pretraining.live_scoring import score_in_training
from raytransfer.pretraining.loop import Pretraining
from raytransfer.results.live import target_scores
from raytransfer.results.provenance import git_sha, library_versions, result_row, scoring_row
from raytransfer.results.storage import Storage
from raytransfer.results.units import PretrainingUnit, ScoringUnit
from raytransfer.runtime.gpu_metrics import gpu_metrics
from raytransfer.statistics.signals import Signal
from raytransfer.storage.files import StoragePath, local_copy
from raytransfer.storage.retrying import retry_on_storage_error
from raytransfer.transferability.indicators.base import Scores

STATE = "state.pt"

Report = Callable[[dict[str, Any], Path | None], None]
"""Takes an epoch's metrics, those of this process's GPU too, and, of rank 0 and from epoch 1, a folder with
`STATE`, to go on from."""


def read_state(folder: StoragePath) -> dict[str, Any]:
    """Return the state of a pretraining from a folder that was reported."""
    with local_copy(folder / STATE) as file:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return state


def train_unit(
    unit: PretrainingUnit,
    training: Pretraining,
    storage: Storage,
    targets: Mapping[str, Images],
    signal: Signal,
    *,
    num_processes: int,
    state: dict[str, Any] | None,
    report: Report,
) -> None:
    """Train a unit to its end.

    Args:
        unit: The pretraining.
        training: Its loop, that has not begun.
        storage: Where the series and the ledger are.
        targets: Dataset -> images that every epoch's encoder is scored on; may be empty.
        signal: Which of the scores are reported; the ledger keeps all.
        num_processes: How many train together.
        state: To go on from; not used where the series or the scores up to it have a gap. None to begin.
        report: Told of every epoch, the untrained epoch 0 only where there are targets.
    """
    epochs = _Epochs(unit, storage, training, targets, signal, num_processes)
    if state is not None and epochs.can_resume(state):
        training.load_state_dict(state)
    elif targets or 0 in unit.recipe.series:
        found = epochs.finish(training.evaluate(), seconds=0.0)
        if targets:
            report(found, None)
    while training.epoch < unit.recipe.epochs:
        started = time.monotonic()
        with gpu_metrics(training.device) as system:
            metrics = {**training.train_epoch(), **training.evaluate()}
        with tempfile.TemporaryDirectory() as folder:
            found = epochs.finish(metrics, seconds=time.monotonic() - started)
            if training.rank == 0:
                torch.save(training.state_dict(), Path(folder) / STATE)
            report({**found, **system}, Path(folder) if training.rank == 0 else None)


class _Epochs:
    """What is made of each epoch of a pretraining: an encoder, scores, a ledger row, a report."""

    def __init__(
        self,
        unit: PretrainingUnit,
        storage: Storage,
        training: Pretraining,
        targets: Mapping[str, Images],
        signal: Signal,
        num_processes: int,
    ) -> None:
        self._unit, self._storage, self._training, self._targets = unit, storage, training, targets
        self._signal, self._num_processes = signal, num_processes
        self._series = storage.series(unit.encoder, unit.scheme)
        self._patience = unit.study.resources.storage_patience

    def can_resume(self, state: Mapping[str, Any]) -> bool:
        """Return whether nothing is missing of the epochs up to a state."""
        try:
            for epoch in self._unit.recipe.series:
                if epoch <= state["epoch"]:
                    read_meta(self._series.path(epoch))
            return self._are_scored(state["epoch"])
        except CorruptCheckpointError:
            return False

    def _are_scored(self, last: int) -> bool:
        """Return whether all epochs up to the last are scored on all targets."""
        if not self._targets:
            return True
        ledger, unit = self._storage.ledger, self._unit
        encoders = {0: read_meta(self._series.path(0))["encoder_sha256"]}
        for row in ledger.read("pretraining", unit.epoch_keys()).to_pylist():
            encoders[row["epoch"]] = row["encoder_sha256"]
        return all(
            ledger.has("score", scoring.key)
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
                pretraining=self._unit.key, source=self._unit.study.source.name, metrics=metrics,
            )  # fmt: skip
            self._write("pretraining", row)
        return {"epoch": epoch, **metrics, **(target_scores(scored, self._signal) if scored else {})}

    def _score(self, unit: ScoringUnit) -> tuple[ScoringUnit, Scores]:
        started = time.monotonic()
        (found,) = score_in_training(
            self._training.encoder,
            self._targets[unit.dataset],
            [unit.strategy],
            seed=unit.study.robustness.seed,
            batch_size=unit.study.robustness.batch_size,
            precision=unit.precision,
            device=self._training.device,
            rank=self._training.rank,
            num_processes=self._num_processes,
        )
        if self._training.rank == 0:
            row = scoring_row(unit, found, seconds=time.monotonic() - started)
            self._write("score", row)
        return unit, found

    def _write(self, kind: str, row: dict[str, Any]) -> None:
        retry_on_storage_error(lambda: self._storage.ledger.append(kind, row), seconds=self._patience)

    def _keep(self, metrics: dict[str, float]) -> str:
        """Save the encoder where it is wanted (rank 0); return its SHA-256, empty where it is not kept.

        Any epoch may be chosen by what comes later: encoders outside the series wait beside it.
        """
        epoch, unit = self._training.epoch, self._unit
        in_series = epoch in unit.recipe.series or epoch == 0
        if self._training.rank != 0 or not (in_series or self._targets):
            return ""
        path = (self._series if in_series else self._storage.staging(unit.key)).path(epoch)
        meta = {
            "epoch": epoch,
            "scheme": unit.scheme,
            "source": unit.study.source.name,
            "image_size": unit.study.source.image_size,
            "metrics": {name: value for name, value in metrics.items() if name.startswith("val/")},
            "pretraining": unit.key,
            "settings": unit.settings,
            "git_sha": git_sha(),
            "versions": library_versions(),
        }
        return retry_on_storage_error(
            lambda: save_encoder(path, self._training.encoder, meta), seconds=self._patience
        )
