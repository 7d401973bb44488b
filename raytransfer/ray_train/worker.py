"""What each data-parallel worker of a pretraining runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
from ray.util import get_current_placement_group

from raytransfer.errors import InputError
from raytransfer.pretraining.loop import Pretraining
from raytransfer.ray_train.epochs import STATE, train_unit
from raytransfer.ray_train.failed import Cause, GivenUpError, failed_by
from raytransfer.ray_train.interface import GPU_SETTING
from raytransfer.ray_train.resuming import save_state, saved_state
from raytransfer.results.storage import Storage
from raytransfer.results.units import PretrainingUnit
from raytransfer.runtime.devices import usable_device
from raytransfer.statistics.signals import Signal

PLACEMENT_GROUP = "placement_group"
"""Name under which reports say what the workers' resources are found by, for who stops them."""


@dataclass(frozen=True, kw_only=True)
class PretrainingJob:
    """What the workers of a pretraining are given.

    Attributes:
        unit: What to train.
        data: Reference to the source data; None where there is nothing left to train.
        storage: Where the series, the ledger and Ray's files are.
        targets: Dataset -> reference to the target images that every epoch's encoder is scored on; may be
            empty.
        signal: Which of the scores are reported.
    """

    unit: PretrainingUnit
    data: ray.ObjectRef | None
    storage: Storage
    targets: Mapping[str, ray.ObjectRef]
    signal: Signal


def pretraining_worker(config: dict[str, PretrainingJob]) -> None:
    """Train one unit as one of several workers.

    Args:
        config: {"job": ...}; Ray Train takes nothing but a dict.

    Raises:
        GivenUpError: It would fail again, or for what is wrong with this machine: it is not tried again.
        Exception: Whatever else there is; Ray Train tries again from the last epoch.
    """
    try:
        _train(config["job"])
    except Exception as error:
        failed = failed_by(error)
        alone = not isinstance(error, (ConnectionError, TimeoutError))  # else another worker may be lost
        if isinstance(error, (FloatingPointError, InputError)) or (failed.cause is Cause.MACHINE and alone):
            raise GivenUpError(failed) from error
        raise


def _train(job: PretrainingJob) -> None:
    unit, storage = job.unit, job.storage
    resources, folder = unit.study.resources, storage.pretraining_run(unit.key)
    context, group = ray.train.get_context(), get_current_placement_group()
    note = {} if group is None else {PLACEMENT_GROUP: group.id.hex()}
    gpus = resources.of_worker.get("GPU", 0)
    device = usable_device(gpus, GPU_SETTING, choose=ray.train.torch.get_device)
    training = Pretraining(
        unit.encoder,
        unit.scheme,
        unit.recipe,
        ray.get(job.data),
        rank=context.get_world_rank(),
        num_processes=context.get_world_size(),
        device=device,
        loader_workers=resources.loader_workers,
        options=unit.method_options,
        parallel=partial(ray.train.torch.prepare_model, move_to_device=device),
    )

    def report(metrics: dict[str, Any], kept: Path | None) -> None:
        ray.train.report(
            {**metrics, **note},
            checkpoint=None if kept is None else ray.train.Checkpoint.from_directory(kept),
            checkpoint_upload_fn=lambda checkpoint, name: save_state(
                folder, name, Path(checkpoint.path) / STATE, patience=resources.storage_patience
            ),
        )

    train_unit(
        unit,
        training,
        storage,
        {name: ray.get(images) for name, images in job.targets.items()},
        job.signal,
        num_processes=context.get_world_size(),
        state=saved_state(folder),
        report=report,
    )
