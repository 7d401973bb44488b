"""What Ray keeps private and this platform needs: with another version of Ray, this file is what to look at.

Each part says which behaviour of Ray 2.60 it is there for. Nothing is changed by import: `patch_ray` does it.
"""

import functools
import json
from collections.abc import Callable
from typing import Any

import ray.train
import ray.train.torch
from ray._private.state import state
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.air.execution._internal.tracked_actor_task import TrackedActorTask
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.experimental.internal_kv import _internal_kv_get
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.failure_handling import DefaultFailurePolicy
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial

LastResult = Callable[[Exception], dict[str, Any] | None]
"""Returns a trial's last result where Tune should end it for an error as if it had reported that itself."""

PATCHED = "__raytransfer_patched__"


def patch_ray(last_result: LastResult) -> None:
    """Mend in this process how Tune takes lost processes, those out of memory, and the end of all trials.

    For the process that drives Tune, once before it does; a second call changes nothing.

    Args:
        last_result: Of an error of a trial's process, its last result where another attempt on such a machine
            would not make it good; None where Tune is to go on as it does.
    """
    if hasattr(TuneController, PATCHED):
        return
    setattr(TuneController, PATCHED, True)
    manager: Any = RayActorManager
    manager._actor_task_failed = _or_killed_for_memory(RayActorManager._actor_task_failed)
    controller: Any = TuneController
    controller._trial_task_failure = _once(TuneController._trial_task_failure, last_result)
    controller._stop_experiment_if_needed = _or_what_waits(TuneController._stop_experiment_if_needed)


def _or_killed_for_memory(actor_task_failed: Callable[..., None]) -> Callable[..., None]:
    """Take a trial that Ray's memory monitor killed for one whose process was lost.

    Tune (2.60) knows two kinds of errors; at this third one it ends with all its trials.
    """

    @functools.wraps(actor_task_failed)
    def failed(manager: RayActorManager, tracked_actor_task: TrackedActorTask, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            exception = RayActorError(error_msg=str(exception))
        actor_task_failed(manager, tracked_actor_task, exception)

    return failed


def _once(trial_task_failure: Callable[..., None], last_result: LastResult) -> Callable[..., None]:
    """Take a process that is lost while it takes up another trial for one failure of that trial.

    Tune (2.60) hears of it twice, for the process and for its task: the second time, the trial waits to begin
    again, and Tune ends it. Were it not to, the trial would wait for the answer of the lost process.

    What another attempt on such a machine would not make good ends the trial as if it had said so itself.
    """

    @functools.wraps(trial_task_failure)
    def failed(controller: TuneController, trial: Trial, exception: Exception) -> None:
        controller._resetting_trials.discard(trial)
        if isinstance(exception, RayActorError) and trial.status == Trial.PENDING:
            return
        result = last_result(exception)
        if result is None or trial.is_finished():
            trial_task_failure(controller, trial, exception)
            return
        if trial.status == Trial.PENDING:  # its process took it up after another one
            controller._set_trial_status(trial, Trial.RUNNING)
        controller._on_training_result(trial, result)

    return failed


def _or_what_waits(stop_experiment_if_needed: Callable[[TuneController], None]) -> Callable[..., None]:
    """End only those trials that have not begun, where their stopper lets the others finish.

    Tune (2.60) can only end all. Such a stopper has a method `lets_finish(num_running)`.
    """

    @functools.wraps(stop_experiment_if_needed)
    def stop(controller: TuneController) -> None:
        trials, lets_finish = controller.get_trials(), getattr(controller._stopper, "lets_finish", None)
        num_running = sum(trial.status == Trial.RUNNING for trial in trials)
        if lets_finish is None or not lets_finish(num_running):
            stop_experiment_if_needed(controller)
            return
        controller._search_alg.set_finished()
        for trial in trials:
            if trial.status in (Trial.PENDING, Trial.PAUSED):
                controller._schedule_trial_stop(trial)

    return stop


class RetryUnless(DefaultFailurePolicy):
    """Ray Train's retries, but none for some errors.

    Args:
        failure_config: Ray Train's.
        gave_up: Whether an error is one of those.
    """

    def __init__(
        self,
        failure_config: ray.train.FailureConfig,
        gave_up: Callable[[ray.train.TrainingFailedError], bool],
    ) -> None:
        super().__init__(failure_config)
        self._gave_up = gave_up

    def _is_retryable_error(self, training_failed_error: ray.train.TrainingFailedError) -> bool:
        return not self._gave_up(training_failed_error) and super()._is_retryable_error(training_failed_error)


class Trainer(ray.train.torch.TorchTrainer):
    """Ray Train's trainer for torch, without two things that it does by itself.

    Args:
        *args: TorchTrainer's.
        gave_up: Of which errors no other attempt is made.
        supervised: Whether somebody takes the workers' resources back: then no actor is started for that.
        **options: TorchTrainer's.
    """

    def __init__(
        self,
        *args: Any,
        gave_up: Callable[[ray.train.TrainingFailedError], bool],
        supervised: bool,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self._gave_up, self._supervised = gave_up, supervised

    def _initialize_and_run_controller(self, **options: Any) -> ray.train.Result:
        policy = RetryUnless(self.run_config.failure_config, self._gave_up)
        return super()._initialize_and_run_controller(**{**options, "failure_policy": policy})

    def _create_default_callbacks(self) -> list[Any]:
        callbacks = super()._create_default_callbacks()
        if not self._supervised:
            return callbacks
        return [each for each in callbacks if not isinstance(each, PlacementGroupCleanerCallback)]


def cluster_config() -> Any:
    """Return what Ray knows of the nodes that its autoscaler could start; None without an autoscaler."""
    return state.get_cluster_config()


def active_node_kinds() -> dict[str, int]:
    """Return kind of node -> how many there are, as the autoscaler's last report says."""
    status = json.loads(_internal_kv_get(b"__autoscaling_status") or "{}")
    return (status.get("autoscaler_report") or {}).get("active_nodes", {})
