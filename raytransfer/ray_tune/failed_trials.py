"""How trials of Tune say that they failed.

What a trial raises becomes its last result, and so does what keeps Ray from setting up its process; the
errors that Tune itself knows of are those of lost processes, which alone are worth another attempt.
"""

import logging
from collections.abc import Mapping
from typing import Any

from ray import tune

from raytransfer.ray_train.failed import (
    MEMORY_KILL,
    RETRIES,
    Cause,
    Failed,
    FailureWatch,
    failed_by,
    out_of_memory,
)

FAILED, DETAILS, CAUSE, HOST = "failed", "failed_details", "failed_cause", "failed_host"
"""Results of a trial that failed: why, in a line and in full, what made it fail, and where."""

_log = logging.getLogger(__name__)

LOST = ("actor died", "may not have been executed on the actor")
"""What Ray says of a process that is lost, alone or with its host, and of one that cannot be reached."""


def failed_result(failed: Failed) -> dict[str, Any]:
    """Return the last result of a trial that failed."""
    return {
        FAILED: failed.reason, DETAILS: failed.details, CAUSE: failed.cause.value, HOST: failed.host,
        "done": True,
    }  # fmt: skip


def unless_passing(error: Exception) -> dict[str, Any] | None:
    """Return the last result of a trial whose process met an error, for `raytransfer.ray_compat.patch_ray`.

    Returns:
        None where another attempt, maybe on another machine, may make it good.
    """
    failed = failed_by(error)
    return failed_result(failed) if failed.cause is Cause.MACHINE else None


def read_failed(result: Mapping[str, Any]) -> Failed | None:
    """Return why a trial failed, by its last result; None where it did not."""
    if FAILED not in result:
        return None
    host = result[HOST] or result.get("hostname", "")
    return Failed(reason=result[FAILED], details=result[DETAILS], cause=Cause(result[CAUSE]), host=host)


def lost_trial(details: str) -> Failed:
    """Return why a trial failed whose process Tune lost too often.

    Args:
        details: What Tune wrote of it.
    """
    if MEMORY_KILL in details:
        return out_of_memory("resources.memory_per_trial", details)
    if any(said in details for said in LOST):
        said = f"its process or its host was lost, {RETRIES + 1} times"
        return Failed(reason=said, details=details, cause=Cause.PASSING)
    return Failed(reason=details.strip().splitlines()[-1], details=details)


class StopAfterFailures(tune.Stopper):
    """Ends all trials where others would fail as those before did.

    Args:
        watch: Says when that is.
        finish: Whether trials that run come to their end first, where they can write: they keep nothing that
            they could go on from.
    """

    def __init__(self, watch: FailureWatch, *, finish: bool = False) -> None:
        self._watch, self._finish, self._waited = watch, finish, False

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Look at a trial's result."""
        failed = read_failed(result)
        if failed is not None:
            self._watch.add(failed)
        elif result.get("done"):
            self._watch.succeeded(result.get("hostname", ""))
        return False

    def stop_all(self) -> bool:
        """Return whether nothing more should begin."""
        return self._watch.over

    def lets_finish(self, num_running: int) -> bool:
        """Return whether only those trials end now that have not begun.

        Args:
            num_running: How many have; it is said once that they are waited for.
        """
        if not self._finish or not self._watch.over or self._watch.without_storage:
            return False
        if num_running and not self._waited:
            _log.warning("%s; waiting for the %d that run", self._watch.error(), num_running)
        self._waited = True
        return True
