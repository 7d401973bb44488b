"""What a pretraining goes on from: Ray Train's checkpoints, and what becomes of damaged ones."""

import json
from pathlib import Path

import ray
import ray.train
from ray.train.collective import broadcast_from_rank_zero

from raytransfer.errors import reason
from raytransfer.ray_train.epochs import STATE, read_state
from raytransfer.results.storage import Storage
from raytransfer.results.units import PretrainingUnit
from raytransfer.storage.files import StoragePath, atomic_write, delete, is_corruption
from raytransfer.storage.retrying import retry_on_storage_error

CHECKPOINTS, SNAPSHOT = "checkpoint_*", "checkpoint_manager_snapshot.json"
"""Names that Ray Train gives its checkpoints and the file it knows them by."""

TO_KEEP = 2
"""Checkpoints kept: the last, and one to go on from where that is damaged."""


def drop_corrupt_checkpoints(unit: PretrainingUnit, storage: Storage) -> list[str]:
    """Delete what an interrupted pretraining cannot go on from, before a trainer is made.

    Ray Train gives up where its newest checkpoint cannot be read, and where its own list of them is torn,
    names one that is gone, or was written by another version of Ray.

    Returns:
        What was deleted and where the pretraining goes on, a line each.
    """
    folder = storage.pretraining_run(unit.key)
    damaged, last = [], 0
    for checkpoint in _checkpoints(folder):
        if not (checkpoint / STATE).exists():  # it was being written
            delete(checkpoint)
            continue
        try:
            last = read_state(checkpoint)["epoch"]
        except Exception as error:  # of damaged bytes, anything can come
            if not is_corruption(error, checkpoint):
                raise
            damaged.append(f"resume checkpoint {checkpoint / STATE} is damaged ({reason(error)})")
            delete(checkpoint)
    if _is_out_of_date(folder):
        (folder / SNAPSHOT).unlink()
    resumes_at = f"{unit.name} goes on from " + (f"epoch {last}" if last else "the start")
    return [f"{line}: {resumes_at}" for line in damaged]


def _checkpoints(folder: StoragePath) -> list[StoragePath]:
    """Return the checkpoints of a run, the oldest first: their names are times."""
    return sorted(path for path in folder.glob(CHECKPOINTS) if path.is_dir())


def _is_out_of_date(folder: StoragePath) -> bool:
    """Return whether Ray Train's list of checkpoints is there, but not one it can go on with."""
    try:
        listed = json.loads((folder / SNAPSHOT).read_text())
        names = [found["checkpoint_dir_name"] for found in listed["checkpoint_results"]]
        return listed["ray_version"] != ray.__version__ or not all((folder / name).is_dir() for name in names)
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, TypeError):
        return True


def saved_state(folder: StoragePath) -> dict[str, object] | None:
    """Return what to go on from (in a worker): the same for all, None to begin.

    Args:
        folder: The run's; looked into where Ray Train does not know of its checkpoints.
    """
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as local:
            return read_state(Path(local))
    names = [path.name for path in _checkpoints(folder)]
    name = broadcast_from_rank_zero(names[-1] if names else None)  # a network file system may show less
    return None if name is None else read_state(folder / name)


def save_state(folder: StoragePath, name: str, state: Path, *, patience: float) -> ray.train.Checkpoint:
    """Write a state into the run as a checkpoint, whole or not at all.

    Args:
        folder: The run's.
        name: The checkpoint's.
        state: The file.
        patience: How long a storage that is full is waited for, seconds.
    """
    content = state.read_bytes()
    retry_on_storage_error(lambda: atomic_write(folder / name / STATE, content), seconds=patience)
    return ray.train.Checkpoint(str(folder / name))
