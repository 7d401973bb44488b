"""What each data-parallel worker of a pretraining runs."""

import traceback
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
from ray.util import get_current_placement_group

from raytransfer.config import InputError, reason
from raytransfer.ray_train.epochs import STATE, train_unit
from raytransfer.ray_train.resuming import save_state, saved_state
from raytransfer.results import PretrainingUnit, Storage
from raytransfer.training.pretraining import Pretraining

PLACEMENT_GROUP = "placement_group"
"""Name under which reports say what the workers' resources are found by, for who stops them."""


def pretraining_worker(job: dict[str, Any]) -> tuple[str, str] | None:
    """Train one unit as one of several workers.

    Args:
        job: {"unit": PretrainingUnit, "data": reference to the source data, "storage": Storage, "targets":
            dataset -> reference to the target images that every epoch's encoder is scored on; may be empty,
            "signal": which of the scores are reported}.

    Returns:
        Why it failed, in a line and in full, where it would fail again; all workers do at once. None where it
        was trained. (Whatever is raised instead, Ray Train tries again from the last epoch.)
    """
    try:
        _train(job)
    except (FloatingPointError, InputError) as error:
        return reason(error), traceback.format_exc()
    return None


def _train(job: dict[str, Any]) -> None:
    unit: PretrainingUnit = job["unit"]
    storage: Storage = job["storage"]
    resources, folder = unit.study.resources, storage.pretraining_run(unit.key)
    context, group = ray.train.get_context(), get_current_placement_group()
    note = {} if group is None else {PLACEMENT_GROUP: group.id.hex()}
    training = Pretraining(
        unit.encoder,
        unit.scheme,
        unit.recipe,
        ray.get(job["data"]),
        rank=context.get_world_rank(),
        num_processes=context.get_world_size(),
        device=ray.train.torch.get_device(),
        loader_workers=resources.loader_workers,
        parallel=ray.train.torch.prepare_model,
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
        {name: ray.get(images) for name, images in job["targets"].items()},
        job["signal"],
        num_processes=context.get_world_size(),
        state=saved_state(folder),
        report=report,
    )
