"""Distributed pretraining: one TorchTrainer per encoder, a checkpoint series and a ledger row per epoch."""

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import ray
import ray.train
import ray.train.torch

from raytransfer.data.registry import load_source
from raytransfer.ray_compat import Trainer
from raytransfer.ray_train.failed import (
    RETRIES,
    Cause,
    FailureWatch,
    failed_training,
    given_up,
    record_failure,
)
from raytransfer.ray_train.interface import TorchOverRayNetwork
from raytransfer.ray_train.resuming import TO_KEEP, drop_corrupt_checkpoints
from raytransfer.ray_train.worker import PretrainingJob, pretraining_worker
from raytransfer.results.schemas import read_rows
from raytransfer.results.series import is_imported, is_pending, is_trainable
from raytransfer.results.storage import Storage
from raytransfer.results.units import PretrainingUnit
from raytransfer.statistics.signals import Signal
from raytransfer.storage.files import delete
from raytransfer.terminal import progress_bar
from raytransfer.tracking.records import pretraining_record, recorded_metrics
from raytransfer.tracking.runs import RunRecord
from raytransfer.tracking.tracker import Tracker

_log = logging.getLogger(__name__)


def pretrain(units: list[PretrainingUnit], storage: Storage, tracker: Tracker) -> None:
    """Pretrain what is missing, one unit after the other, and publish every unit to MLflow.

    Imported series are left as they are, with what they lack.

    An interrupted pretraining goes on from its last whole epoch. One that fails is in `storage.failures`
    afterwards, and the others are trained, as long as `FailureWatch` lets them.

    Args:
        units: Pretrainings; those that are complete are not trained, those that were stopped go on.
        storage: Where the series, the ledger and Ray's files are.
        tracker: Where runs are shown.

    Raises:
        WorkFailedError: The storage takes nothing, or machines lack what every pretraining needs.
    """
    units = [unit for unit in units if not is_imported(unit, storage)]
    pending = [unit for unit in units if is_pending(unit, storage)]
    data = ray.put(load_source(pending[0].study.source)) if pending else None
    watch = FailureWatch(storage, "pretrainings", len(pending))
    for unit in units:
        if unit in pending:
            _pretrain_one(unit, data, storage, tracker, watch)
            watch.check()
        if is_trainable(unit, storage):  # it failed, now or before
            continue
        storage.failures.forget("pretraining", unit.key)
        if not tracker.is_finished("pretraining", unit.key):
            tracker.publish(_record(unit, storage, _rows(unit, storage)), wait=True)


def _rows(unit: PretrainingUnit, storage: Storage, *, after: int = 0) -> list[dict[str, Any]]:
    """Return the ledger's rows of the epochs after a given one."""
    epochs = range(after + 1, unit.recipe.epochs + 1)
    return read_rows(storage.ledger.read("pretraining", map(unit.epoch_key, epochs)))


def has_given_up(error: ray.train.TrainingFailedError) -> bool:
    """Return whether a worker gave up, which no other attempt would make good."""
    return given_up(error) is not None


def _record(unit: PretrainingUnit, storage: Storage, rows: Sequence[Mapping[str, Any]]) -> RunRecord:
    return pretraining_record(unit, storage, recorded_metrics(rows))


def pretraining_trainer(
    unit: PretrainingUnit,
    data: ray.ObjectRef | None,
    storage: Storage,
    *,
    targets: Mapping[str, ray.ObjectRef],
    signal: Signal | None = None,
    callbacks: Sequence[ray.train.UserCallback] = (),
) -> ray.train.torch.TorchTrainer:
    """Return what trains a unit, from its last whole epoch where there is one.

    Args:
        unit: The pretraining.
        data: Reference to the source data.
        storage: Where the series, the ledger and Ray's files are.
        targets: Dataset -> reference to its images: every epoch's encoder is scored on them. All datasets of
            the unit's study, or none.
        signal: Which of the scores are reported; those of the study where None.
        callbacks: Told of every report. Who stops the trainer by them also frees its placement group, which
            every report names.
    """
    config, resources = unit.recipe, unit.study.resources
    folder = storage.pretraining_run(unit.key)
    job = PretrainingJob(
        unit=unit,
        data=data,
        storage=storage,
        targets=dict(targets),
        signal=signal or Signal.of_study(unit.study.robustness),
    )
    return Trainer(
        pretraining_worker,
        gave_up=has_given_up,
        supervised=bool(callbacks),
        train_loop_config={"job": job},
        torch_config=TorchOverRayNetwork(),
        scaling_config=ray.train.ScalingConfig(
            num_workers=(config.min_workers, config.num_workers)
            if config.min_workers
            else config.num_workers,
            use_gpu=resources.gpu_pretraining,
            resources_per_worker=resources.of_worker,
        ),
        run_config=ray.train.RunConfig(
            name=folder.name,
            storage_path=str(folder.parent),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=TO_KEEP),
            failure_config=ray.train.FailureConfig(max_failures=RETRIES, max_preemption_failures=-1),
            callbacks=list(callbacks),
        ),
    )


def _pretrain_one(
    unit: PretrainingUnit,
    data: ray.ObjectRef | None,
    storage: Storage,
    tracker: Tracker,
    watch: FailureWatch,
) -> None:
    folder = storage.pretraining_run(unit.key)
    for line in drop_corrupt_checkpoints(unit, storage):
        _log.warning(line)
    trainer = pretraining_trainer(unit, data, storage, targets={})
    resuming, started = folder.exists(), datetime.now(UTC)
    rows: list[dict[str, Any]] = []
    found: list[ray.train.Result | BaseException] = []
    with progress_bar(unit.recipe.epochs, title=f"pretraining {unit.name}", unit="epoch") as bar:
        for _ in _while_fitting(trainer, found):
            known = _rows(unit, storage, after=rows[-1]["epoch"] if rows else 0)
            # A series that is made again replaces rows that are there.
            new = [row for row in known if resuming or row["finished_at"] >= started]
            if new:
                rows += new
                last, primary = rows[-1]["metrics"], unit.primary_metric
                shown = f"loss {last['train/loss']:.3f}, {primary} {last[primary]:.3f}"
                bar.set_postfix_str(shown, refresh=False)
                bar.update(len(new))
                tracker.publish(_record(unit, storage, rows), finished=False)
    failed = failed_training(found[0])
    if failed is None:
        delete(folder)  # only for resuming
        return
    watch.add(failed)
    if failed.cause is not Cause.STORAGE:
        record_failure(storage, unit, failed)
        tracker.fail(_record(unit, storage, _rows(unit, storage)), failed.reason)


def _while_fitting(
    trainer: ray.train.torch.TorchTrainer, found: list[ray.train.Result | BaseException]
) -> Iterator[None]:
    """Run `fit()` in a thread, yield twice a second and once at the end; append what it returned or raised.

    In the main thread, `fit()` would leave its own handler of Ctrl-C behind for the rest of the program.
    """

    def fit() -> None:
        try:
            found.append(trainer.fit())
        except BaseException as error:  # handed to the main thread
            found.append(error)

    thread = threading.Thread(target=fit, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.5)
        yield
