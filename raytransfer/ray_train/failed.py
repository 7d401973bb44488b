"""Why work on the cluster failed, and whether it would fail again.

What a worker raises is its own doing, and so is running out of memory. A worker that is lost otherwise, with
its host or without, is tried again by Ray, up to `RETRIES` times beside announced preemptions, which do not
count. A storage that takes nothing stops the command: more work would only be lost.
"""

import traceback
from dataclasses import dataclass

import ray.exceptions
import ray.train
from ray.train.v2._internal.exceptions import UserExceptionWithTraceback, WorkerHealthCheckFailedError

from raytransfer.config import WorkFailedError, reason
from raytransfer.files import is_of_storage
from raytransfer.results import Storage

RETRIES = 3
"""How often lost work is tried again."""

MEMORY_KILL = "running low on memory"
"""What Ray says where its monitor killed a process for its node's memory."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """How work failed.

    Attributes:
        reason: One line.
        details: All of it.
        lasting: Whether it would fail again.
    """

    reason: str
    details: str
    lasting: bool = True


def out_of_memory(setting: str, details: str) -> Failed:
    """Return how work failed whose node ran out of memory; the setting keeps some free for it."""
    said = f"OutOfMemoryError: its node ran out of memory; {setting}, in GB, keeps some free for each"
    return Failed(reason=said, details=details)


def storage_failed(storage: Storage, said: object) -> WorkFailedError:
    """Return the error of a command that ends because its storage takes nothing."""
    return WorkFailedError(
        f"--storage-path {storage.root} takes no results now ({said}): nothing that was finished is lost; "
        "once it does, the same command goes on"
    )


def failed_task(error: ray.exceptions.RayError) -> Failed:
    """Return why a task failed for good."""
    details = "".join(traceback.format_exception(error))
    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return out_of_memory("resources.memory_per_trial", details)
    raised = isinstance(error, ray.exceptions.RayTaskError)  # else its process or its host was lost
    return Failed(reason=reason(error), details=details, lasting=raised)


def failed_training(found: ray.train.Result | BaseException, storage: Storage) -> Failed | None:
    """Return why a trainer failed, None where it did not.

    Args:
        found: What `fit()` returned or raised.
        storage: Where it writes.

    Raises:
        WorkFailedError: The storage takes nothing.
    """
    if isinstance(found, ray.train.Result):
        if found.return_value is None:
            return None
        said, details = found.return_value
        return Failed(reason=said, details=details)
    if not isinstance(found, ray.train.TrainingFailedError):
        raise found
    lost, cause = _cause(found)
    if is_of_storage(cause):
        raise storage_failed(storage, cause) from found
    details = str(found)
    if MEMORY_KILL in details:
        return out_of_memory("resources.memory_per_worker", details)
    if lost:
        said = f"a worker's process or its host was lost, {RETRIES + 1} times"
        return Failed(reason=said, details=details, lasting=False)
    return Failed(reason=reason(cause), details=details, lasting=cause is not found)


def _cause(error: ray.train.TrainingFailedError) -> tuple[bool, BaseException]:
    """Return whether a worker was lost, and what one raised, or else the error."""
    raised = list(getattr(error, "worker_failures", {}).values())  # a failing controller has none
    lost = any(isinstance(each, WorkerHealthCheckFailedError) for each in raised)
    for each in raised:
        if isinstance(each, UserExceptionWithTraceback):
            return lost, each._base_exc
    return lost, getattr(error, "controller_failure", error)
