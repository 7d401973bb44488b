"""How trials of Tune say that they failed.

What a trial raises becomes its last result; the errors that Tune itself knows of are those of lost processes,
which alone are worth another attempt.
"""

from collections.abc import Mapping
from typing import Any

from ray import tune
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.air.execution._internal.tracked_actor_task import TrackedActorTask
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial

from raytransfer.ray_train.failed import MEMORY_KILL, RETRIES, Failed, out_of_memory

FAILED, DETAILS, LASTING, STORAGE = "failed", "failed_details", "failed_lasting", "failed_storage"
"""Results of a trial that failed: why, in a line and in full, whether it would again, if the storage did."""

LOST = ("actor died", "may not have been executed on the actor")
"""What Ray says of a process that is lost, alone or with its host, and of one that cannot be reached."""


_actor_task_failed = RayActorManager._actor_task_failed


def _or_killed_for_memory(
    manager: RayActorManager, tracked_actor_task: TrackedActorTask, exception: Exception
) -> None:
    """Take a trial that Ray's memory monitor killed for one whose process was lost.

    Tune (2.60) knows two kinds of errors; at this third one it ends with all its trials.
    """
    if isinstance(exception, OutOfMemoryError):
        exception = RayActorError(error_msg=str(exception))
    _actor_task_failed(manager, tracked_actor_task, exception)


RayActorManager._actor_task_failed = _or_killed_for_memory


_trial_task_failure = TuneController._trial_task_failure


def _once(controller: TuneController, trial: Trial, exception: Exception) -> None:
    """Take a process that is lost while it takes up another trial for one failure of that trial.

    Tune (2.60) hears of it twice, for the process and for its task: the second time, the trial waits to begin
    again, and Tune ends it. Were it not to, the trial would wait for the answer of the lost process.
    """
    controller._resetting_trials.discard(trial)
    if not (isinstance(exception, RayActorError) and trial.status == Trial.PENDING):
        _trial_task_failure(controller, trial, exception)


TuneController._trial_task_failure = _once


def failed_result(failed: Failed, *, by_storage: bool = False) -> dict[str, Any]:
    """Return the last result of a trial that failed."""
    return {
        FAILED: failed.reason, DETAILS: failed.details, LASTING: failed.lasting, STORAGE: by_storage,
        "done": True,
    }  # fmt: skip


def read_failed(result: Mapping[str, Any]) -> Failed | None:
    """Return why a trial failed, by its last result; None where it did not, or only for the storage."""
    if FAILED not in result or result[STORAGE]:
        return None
    return Failed(reason=result[FAILED], details=result[DETAILS], lasting=result[LASTING])


def lost_trial(details: str) -> Failed:
    """Return why a trial failed whose process Tune lost too often.

    Args:
        details: What Tune wrote of it.
    """
    if MEMORY_KILL in details:
        return out_of_memory("resources.memory_per_trial", details)
    if any(said in details for said in LOST):
        said = f"its process or its host was lost, {RETRIES + 1} times"
        return Failed(reason=said, details=details, lasting=False)
    return Failed(reason=details.strip().splitlines()[-1], details=details)


class StopWithoutStorage(tune.Stopper):
    """Ends all trials where one could not write: the others could not either.

    Attributes:
        said: Why it could not; None where all could.
    """

    def __init__(self) -> None:
        self.said: str | None = None

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Look at a trial's result."""
        if result.get(STORAGE):
            self.said = result[FAILED]
        return False

    def stop_all(self) -> bool:
        """Return whether the storage failed."""
        return self.said is not None
