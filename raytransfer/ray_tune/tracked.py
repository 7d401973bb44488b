"""Tune's trials as MLflow runs, epoch by epoch; the driver is the only writer."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from raytransfer.pretraining.methods.base import RATE
from raytransfer.ray_train.failed import Cause, Failed
from raytransfer.ray_tune.failed_trials import FAILED, lost_trial, read_failed
from raytransfer.results.live import METRIC
from raytransfer.results.storage import Storage
from raytransfer.results.units import PretrainingUnit
from raytransfer.tracking.records import pretraining_record
from raytransfer.tracking.runs import RunRecord
from raytransfer.tracking.tracker import Tracker

Record = Callable[[dict[str, Any], Sequence[dict[str, Any]]], RunRecord]
"""Makes a trial's record of its config and its results so far."""


class TrackTrials(tune.Callback):
    """Publishes every result of every trial, and what failed.

    Args:
        record: See `Record`.
        tracker: Where runs are shown.
        end: Ends the run of a trial that has ended, of its config and its record; by default nobody does.
        fail: Told of a trial that failed, but not for the storage: its config and why; by default nobody is.
    """

    def __init__(
        self,
        record: Record,
        tracker: Tracker,
        *,
        end: Callable[[dict[str, Any], RunRecord], None] = lambda config, record: None,
        fail: Callable[[dict[str, Any], Failed], None] = lambda config, failed: None,
    ) -> None:
        self._record, self._tracker, self._end, self._fail = record, tracker, end, fail
        self._history: dict[str, list[dict[str, Any]]] = {}

    def _of(self, trial: Trial) -> RunRecord:
        return self._record(trial.config, self._history.get(trial.trial_id, []))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Publish one more epoch."""
        if FAILED not in result:
            self._history.setdefault(trial.trial_id, []).append(result)
            self._tracker.publish(self._of(trial), finished=False)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """End the run."""
        failed = read_failed(trial.last_result)
        if failed is None:
            self._end(trial.config, self._of(trial))
        elif failed.cause is not Cause.STORAGE:
            self._say(trial, failed)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Say why a trial failed."""
        # `get_error()` has it only once it is synchronised
        failed = lost_trial(Path(trial.error_file).read_text())
        self._say(trial, replace(failed, host=(trial.last_result or {}).get("hostname", "?")))

    def _say(self, trial: Trial, failed: Failed) -> None:
        self._fail(trial.config, failed)
        self._tracker.fail(self._of(trial), failed.reason)


def was_interrupted(results: tune.ResultGrid, expected: int) -> bool:
    """Return whether Tune returned before all trials had ended, as it does after Ctrl-C.

    Args:
        results: What it returned.
        expected: Number of trials that there should be.
    """
    ended = [result.error is not None or (result.metrics or {}).get("done") for result in results]
    return sum(map(bool, ended)) < expected


def reported_pretraining(
    unit: PretrainingUnit, storage: Storage, history: Sequence[dict[str, Any]]
) -> RunRecord:
    """Return the record of a pretraining from what it reported to Tune."""
    trained = {result["epoch"]: result for result in history if RATE in result}
    scores = {
        result["epoch"]: {name: value for name, value in result.items() if name.startswith(METRIC)}
        for result in history
    }
    return pretraining_record(unit, storage, trained, scores=scores)
