"""Distributed pretraining: one TorchTrainer per encoder, a checkpoint series and a ledger row per epoch."""

import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
from tqdm import tqdm

from raytransfer.config import InputError
from raytransfer.data import load_source
from raytransfer.models import CheckpointSeries, CorruptCheckpointError, read_meta, save_encoder
from raytransfer.results import PretrainingUnit, Storage, git_sha, library_versions, result_row
from raytransfer.tracking import Tracker, pretraining_record
from raytransfer.training import Pretraining

STATE = "state.pt"


def series_problem(unit: PretrainingUnit, storage: Storage) -> str | None:
    """Return what keeps a unit's checkpoint series from being complete, None where nothing does.

    Raises:
        CorruptCheckpointError: A checkpoint of the series is damaged.
        InputError: The series was pretrained with other settings.
    """
    series = storage.series(unit.encoder, unit.study.scheme)
    metas = series.read_metas()
    for epoch, meta in metas.items():
        if meta.get("pretraining") != unit.key:
            raise InputError(
                f"checkpoint {series.path(epoch)} was pretrained with other settings"
                f"{_difference(meta.get('settings', {}), unit.settings)}: use another --storage-path, or "
                f"delete {series.directory}"
            )
    missing = [epoch for epoch in unit.study.pretraining.series if epoch not in metas]
    return f"{unit.encoder} lacks epochs {missing}" if missing else None


def _difference(there: dict[str, Any], here: dict[str, Any]) -> str:
    """Name the settings that differ, for example " (pretraining.epochs: 20 there, 3 here)"."""
    found = []
    for section, values in here.items():
        other = there.get(section)
        pairs = values.items() if isinstance(values, dict) else [("", values)]
        for key, value in pairs:
            theirs = other.get(key) if isinstance(other, dict) else other
            if theirs != value:
                found.append(f"{section}{'.' if key else ''}{key}: {theirs} there, {value} here")
    return f" ({'; '.join(found)})" if found else ""


def pretrain(units: list[PretrainingUnit], storage: Storage, tracker: Tracker) -> None:
    """Pretrain what is missing, one unit after the other, and publish every unit to MLflow.

    An interrupted pretraining goes on from its last whole epoch.

    Args:
        units: Pretrainings; those whose series is complete are not trained.
        storage: Where the series, the ledger and Ray's files are.
        tracker: Where runs are shown.
    """
    pending = [unit for unit in units if series_problem(unit, storage) is not None]
    data = ray.put(load_source(pending[0].study.source)) if pending else None
    for unit in units:
        if unit in pending:
            _pretrain_one(unit, data, storage, tracker)
        if not tracker.is_finished("pretraining", unit.key):
            tracker.publish(pretraining_record(unit, storage, _rows(unit, storage)))


def _rows(unit: PretrainingUnit, storage: Storage) -> list[dict[str, Any]]:
    keys = (unit.epoch_key(epoch) for epoch in range(1, unit.study.pretraining.epochs + 1))
    rows: list[dict[str, Any]] = storage.ledger.read("pretraining", keys).to_pylist()
    return rows


def _pretrain_one(
    unit: PretrainingUnit, data: ray.ObjectRef | None, storage: Storage, tracker: Tracker
) -> None:
    config, resources = unit.study.pretraining, unit.study.resources
    trainer = ray.train.torch.TorchTrainer(
        _worker,
        train_loop_config={"unit": unit, "data": data, "storage": storage.root},
        scaling_config=ray.train.ScalingConfig(
            num_workers=config.num_workers,
            use_gpu=resources.gpu_pretraining,
            resources_per_worker={"CPU": resources.cpus_per_worker},
        ),
        run_config=ray.train.RunConfig(
            name=unit.key,
            storage_path=str(storage.ray / "pretraining"),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=1),
            failure_config=ray.train.FailureConfig(max_failures=1),
        ),
    )
    with tqdm(total=config.epochs, desc=f"pretraining {unit.encoder}", unit="epoch") as bar:
        for _ in _while_fitting(trainer):
            rows = _rows(unit, storage)
            if len(rows) > bar.n:
                last = rows[-1]
                bar.set_postfix_str(f"loss {last['train/loss']:.3f}, val top-1 {last['val/top1']:.3f}")
                bar.update(len(rows) - bar.n)
                tracker.publish(pretraining_record(unit, storage, rows), finished=False)


def _while_fitting(trainer: ray.train.torch.TorchTrainer) -> Iterator[None]:
    """Run `fit()` in a thread and yield twice a second, and once at the end; raise what `fit()` raised.

    In the main thread, `fit()` would leave its own handler of Ctrl-C behind for the rest of the program.
    """
    raised: list[BaseException] = []

    def fit() -> None:
        try:
            trainer.fit()
        except BaseException as error:  # handed to the main thread
            raised.append(error)

    thread = threading.Thread(target=fit, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.5)
        yield
    if raised:
        raise raised[0]


def _worker(job: dict[str, Any]) -> None:
    """Run one data-parallel worker; every worker sees `storage`, rank 0 writes to it."""
    unit: PretrainingUnit = job["unit"]
    storage = Storage(job["storage"])
    series = storage.series(unit.encoder, unit.study.scheme)
    rank = ray.train.get_context().get_world_rank()
    training = Pretraining(
        unit.encoder,
        unit.study.scheme,
        unit.study.pretraining,
        ray.get(job["data"]),
        rank=rank,
        device=ray.train.torch.get_device(),
        parallel=ray.train.torch.prepare_model,
    )
    state = _resume_state(unit, series)
    if state is not None:
        training.load_state_dict(state)
    elif 0 in unit.study.pretraining.series:
        metrics = training.evaluate()
        if rank == 0:
            _save(unit, series, training, metrics)
    while training.epoch < unit.study.pretraining.epochs:
        started = time.monotonic()
        metrics = {**training.train_epoch(), **training.evaluate()}
        checkpoint = None
        with tempfile.TemporaryDirectory() as folder:
            if rank == 0:
                if training.epoch in unit.study.pretraining.series:
                    _save(unit, series, training, metrics)
                seconds = time.monotonic() - started
                storage.ledger.append("pretraining", _row(unit, training.epoch, metrics, seconds))
                torch.save(training.state_dict(), Path(folder) / STATE)
                checkpoint = ray.train.Checkpoint.from_directory(folder)
            ray.train.report({"epoch": training.epoch, **metrics}, checkpoint=checkpoint)


def _resume_state(unit: PretrainingUnit, series: CheckpointSeries) -> dict[str, Any] | None:
    """Return the state of the last whole epoch; None to start over, also where the series lost a checkpoint."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        state: dict[str, Any] = torch.load(Path(folder) / STATE, map_location="cpu", weights_only=True)
    try:
        for epoch in unit.study.pretraining.series:
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
        "scheme": unit.study.scheme,
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
        encoder=unit.encoder, scheme=unit.study.scheme, epoch=epoch,
        pretraining=unit.key, source=unit.study.source.name, **metrics,
    )  # fmt: skip
