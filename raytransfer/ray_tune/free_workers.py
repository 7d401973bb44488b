"""What becomes of the resources of Ray Train's workers when their trial of Tune ends."""

from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.util.placement_group import PlacementGroup, remove_placement_group

from raytransfer.ray_train.worker import PLACEMENT_GROUP


class FreeWorkers(tune.Callback):
    """Takes the workers' resources back as soon as their trial is stopped or paused.

    Ray Train (2.60) leaves that to an actor that asks the dashboard whether the trial's controller lives.
    Only Ray's extra "default" has the dashboard: without it the resources of a stopped trial never come
    back. So its trainers have no such actor, see `pretraining_trainer`.
    """

    def __init__(self) -> None:
        self._held: dict[str, str] = {}

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Learn what a trial's workers hold."""
        if PLACEMENT_GROUP in result:
            self._held[trial.trial_id] = result[PLACEMENT_GROUP]

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Free what trials hold that no longer run."""
        for trial in trials:
            if trial.status != Trial.RUNNING and trial.trial_id in self._held:
                group = ray.PlacementGroupID(bytes.fromhex(self._held.pop(trial.trial_id)))
                remove_placement_group(PlacementGroup(group))
