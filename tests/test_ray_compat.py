"""What `patch_ray` changes of Tune, with doubles of its controller: no cluster."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.experiment import Trial

from raytransfer import ray_compat


def _trial(status: str) -> Any:
    return SimpleNamespace(status=status, is_finished=lambda: status in (Trial.TERMINATED, Trial.ERROR))


def test_a_process_that_was_out_of_memory_is_a_lost_one() -> None:
    seen: list[Exception] = []
    failed = ray_compat._or_killed_for_memory(lambda manager, task, error: seen.append(error))
    other = ValueError("x")
    failed(None, None, OutOfMemoryError("no memory"))
    failed(None, None, other)
    assert isinstance(seen[0], RayActorError)
    assert "no memory" in str(seen[0])
    assert seen[1] is other


@pytest.mark.parametrize(
    ("status", "error", "result", "happens"),
    [
        (Trial.PENDING, RayActorError(), {"done": True}, []),  # it was heard of before
        (Trial.RUNNING, RayActorError(), None, ["failed"]),
        (Trial.RUNNING, ValueError(), None, ["failed"]),
        (Trial.RUNNING, ValueError(), {"done": True}, ["result"]),
        (Trial.PENDING, ValueError(), {"done": True}, ["running", "result"]),
        (Trial.TERMINATED, ValueError(), {"done": True}, ["failed"]),
    ],
)
def test_a_lost_process_is_one_failure(
    status: str, error: Exception, result: dict[str, Any] | None, happens: list[str]
) -> None:
    done: list[str] = []
    trial = _trial(status)
    controller = SimpleNamespace(
        _resetting_trials=SimpleNamespace(discard=lambda trial: None),
        _set_trial_status=lambda trial, status: done.append("running"),
        _on_training_result=lambda trial, result: done.append("result"),
    )
    ray_compat._once(lambda *_: done.append("failed"), lambda error: result)(controller, trial, error)
    assert done == happens


class _Finish:
    def __init__(self, lets: bool) -> None:
        self.lets, self.running = lets, None

    def lets_finish(self, num_running: int) -> bool:
        self.running = num_running
        return self.lets


@pytest.mark.parametrize(
    ("stopper", "stopped"),
    [
        (object(), ["all"]),
        (_Finish(False), ["all"]),
        (_Finish(True), ["search", Trial.PENDING, Trial.PAUSED]),
    ],
)
def test_only_what_waits_is_ended_where_the_stopper_says_so(stopper: Any, stopped: list[str]) -> None:
    done: list[str] = []
    trials = [_trial(s) for s in (Trial.RUNNING, Trial.PENDING, Trial.PAUSED, Trial.TERMINATED)]
    controller = SimpleNamespace(
        _stopper=stopper,
        get_trials=lambda: trials,
        _search_alg=SimpleNamespace(set_finished=lambda: done.append("search")),
        _schedule_trial_stop=lambda trial: done.append(trial.status),
    )
    ray_compat._or_what_waits(lambda controller: done.append("all"))(controller)
    assert done == stopped
    assert getattr(stopper, "running", 1) == 1


PATCH = """
from ray.air.execution._internal.actor_manager import RayActorManager as M
from ray.tune.execution.tune_controller import TuneController as C
from raytransfer.ray_compat import patch_ray

def methods():
    return M._actor_task_failed, C._trial_task_failure, C._stop_experiment_if_needed

before = methods()
patch_ray(lambda error: None)
once = methods()
patch_ray(lambda error: None)
assert methods() == once
assert all(new is not old and new.__wrapped__ is old for new, old in zip(once, before))
print("patched")
"""


def test_ray_is_patched_once() -> None:
    done = subprocess.run([sys.executable, "-c", PATCH], capture_output=True, text=True)
    assert done.stdout.strip() == "patched", done.stderr
