"""Robustness as a live stopping signal: stopping rules as a scheduler and as a stopper of Ray Tune.

    Tuner(..., tune_config=TuneConfig(scheduler=RobustnessScheduler(FirstPeak)))
    Tuner(..., tune_config=TuneConfig(scheduler=AsyncHyperBandScheduler(...)),  # any of Ray's, and beside it
          run_config=RunConfig(stop=RobustnessStopper(FirstPeak, folder=...)))

`rule` builds a fresh rule for each trial and target, or is one; `time_attr` counts epochs (not
`training_iteration`, which begins anew when a trial resumes); `metric` is the score, or the part before "/"
of several targets' scores; with `mode` "min" lower scores are better. See `raytransfer.ray_tune.trial_rules`
for results that are not as they should be. Tune (2.60) neither saves nor restores a scheduler: these save
themselves after every decision, and a new object goes on where the last one was.
"""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow.fs
from ray.tune import Stopper
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from raytransfer.ray_tune.trial_rules import TrialRules
from raytransfer.scheduling.rules import StoppingRule

if TYPE_CHECKING:
    from ray.tune.execution.tune_controller import TuneController

Rule = Callable[[], StoppingRule] | StoppingRule
FOLDER = "stopping_rules"


class StoppingRuleScheduler(FIFOScheduler):
    """Stops each trial when its rule has stopped on every target; trials start in their order.

    The rules are saved in the experiment's storage, under `stopping_rules/`.
    """

    def __init__(
        self, rule: Rule, *, time_attr: str = "epoch", metric: str = "robustness", mode: str = "max"
    ) -> None:
        super().__init__()
        self._rules = TrialRules(rule, time_attr=time_attr, metric=metric, mode=mode)

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Leave Tune's metric to Tune: it says which trial is best, this object's own which stops."""
        return True

    def on_trial_add(self, tune_controller: "TuneController", trial: Trial) -> None:
        """Learn where the experiment's storage is."""
        if (storage := getattr(trial, "storage", None)) is not None:  # recorded trials have none
            self._rules.save_under(f"{storage.experiment_fs_path}/{FOLDER}", storage.storage_filesystem)

    def on_trial_result(
        self, tune_controller: "TuneController", trial: Trial, result: Mapping[str, Any]
    ) -> str:
        """Decide."""
        stops = self._rules.stops(trial.trial_id, result)
        return TrialScheduler.STOP if stops else TrialScheduler.CONTINUE

    def selected_epochs(self, trial_id: str) -> dict[str, int | None]:
        """Return target -> the epoch whose checkpoint a trial would transfer to it."""
        return self._rules.selected(trial_id)

    def debug_string(self) -> str:
        """Return a line for Tune's status."""
        return "Stopping rules on robustness."


class RobustnessStopper(Stopper):
    """The same decisions, beside another scheduler.

    They are saved in `folder`, best one in the experiment's storage: Tune does not tell a stopper where that
    is. Without, they are as old after a restart as Tune's last snapshot.
    """

    def __init__(
        self, rule: Rule, *, time_attr: str = "epoch", metric: str = "robustness", mode: str = "max",
        folder: str | os.PathLike[str] | None = None,
    ) -> None:  # fmt: skip
        self._rules = TrialRules(rule, time_attr=time_attr, metric=metric, mode=mode)
        if folder is not None:
            path, filesystem = os.fspath(folder), None
            if "://" in path:
                filesystem, path = pyarrow.fs.FileSystem.from_uri(path)
            self._rules.save_under(path, filesystem)

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Return whether a trial is to stop."""
        return self._rules.stops(trial_id, result)

    def stop_all(self) -> bool:
        """Return False: trials are judged one by one."""
        return False

    def selected_epochs(self, trial_id: str) -> dict[str, int | None]:
        """Return target -> the epoch whose checkpoint a trial would transfer to it."""
        return self._rules.selected(trial_id)
