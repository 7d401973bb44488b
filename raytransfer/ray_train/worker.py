"""What each data-parallel worker of a pretraining runs."""

from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
from ray.util import get_current_placement_group

from raytransfer.ray_train.epochs import read_state, train_unit
from raytransfer.results import PretrainingUnit
from raytransfer.training.pretraining import Pretraining

PLACEMENT_GROUP = "placement_group"
"""Name under which reports say what the workers' resources are found by, for who stops them."""


def pretraining_worker(job: dict[str, Any]) -> None:
    """Train one unit as one of several workers.

    Args:
        job: {"unit": PretrainingUnit, "data": reference to the source data, "storage": Storage, "targets":
            dataset -> reference to the target images that every epoch's encoder is scored on; may be empty,
            "signal": which of the scores are reported}.
    """
    unit: PretrainingUnit = job["unit"]
    context, group = ray.train.get_context(), get_current_placement_group()
    note = {} if group is None else {PLACEMENT_GROUP: group.id.hex()}
    training = Pretraining(
        unit.encoder,
        unit.scheme,
        unit.recipe,
        ray.get(job["data"]),
        rank=context.get_world_rank(),
        device=ray.train.torch.get_device(),
        loader_workers=unit.study.resources.loader_workers,
        parallel=ray.train.torch.prepare_model,
    )

    def report(metrics: dict[str, Any], folder: Path | None) -> None:
        checkpoint = None if folder is None else ray.train.Checkpoint.from_directory(folder)
        ray.train.report({**metrics, **note}, checkpoint=checkpoint)

    train_unit(
        unit,
        training,
        job["storage"],
        {name: ray.get(images) for name, images in job["targets"].items()},
        job["signal"],
        num_processes=context.get_world_size(),
        state=_saved_state(),
        report=report,
    )


def _saved_state() -> dict[str, Any] | None:
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        return read_state(Path(folder))
