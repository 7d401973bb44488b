"""Ray Tune's own schedulers in the replay of recorded pretrainings: no cluster, no actors.

A scheduler is called as `TuneController` (Ray 2.60) calls it: all trials are added first; each result goes to
`on_trial_result`; a trial that stops or ends, to `on_trial_complete`, a paused one that is stopped, to
`on_trial_remove`; a free worker takes what `choose_trial_to_run` returns, else the first pending trial. Live,
Tune asks for actors ahead and adds trials little by little: it may take them in another order.

Each pretraining is a trial that reports `epoch`, from 1 on as trials of Tune do, and `robustness`, the mean
of its targets' scores. Schedulers stop trials but select no checkpoint: each target takes the one with the
best score that it has seen, epoch 0 left out.
"""

from collections.abc import Iterable, Sequence

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from raytransfer.scheduling import BestOfAll, Decision, Judge, RecordedPretraining, RuleJudge


class _RecordedTrial:
    """What schedulers look at in a `Trial`."""

    is_saving = False

    def __init__(self, index: int) -> None:
        self.index, self.trial_id, self.status = index, f"{index:05d}", Trial.PENDING
        self.last_result: dict[str, float] = {}


class SchedulerJudge(Judge):
    """A Ray Tune scheduler as the judge of a simulation, and its stand-in for the `TuneController`.

    Args:
        pretrainings: What is simulated.
        scheduler: Fresh, for the time attribute "epoch" and the metric "robustness", higher being better.
    """

    def __init__(self, pretrainings: Sequence[RecordedPretraining], scheduler: TrialScheduler) -> None:
        self._pretrainings, self._scheduler = pretrainings, scheduler
        self._best = RuleJudge(pretrainings, BestOfAll)
        self._dismissed: list[int] = []
        self._trials = [_RecordedTrial(index) for index in range(len(pretrainings))]
        for trial in self._trials:
            scheduler.on_trial_add(self, trial)

    def get_trials(self) -> list[_RecordedTrial]:
        """Return all trials; schedulers ask."""
        return self._trials

    def get_live_trials(self) -> set[_RecordedTrial]:
        """Return the trials that have not ended; schedulers ask."""
        return {trial for trial in self._trials if trial.status != Trial.TERMINATED}

    def stop_trial(self, trial: _RecordedTrial) -> None:
        """End a trial; schedulers ask for paused ones."""
        if trial.status == Trial.RUNNING:
            self._scheduler.on_trial_complete(self, trial, trial.last_result)
        elif trial.status in (Trial.PENDING, Trial.PAUSED):
            self._dismissed.append(trial.index)
            self._scheduler.on_trial_remove(self, trial)
        trial.status = Trial.TERMINATED

    def choose(self, waiting: Iterable[int]) -> int | None:
        """Ask the scheduler, then the queue of trials that were not started yet."""
        trial = self._scheduler.choose_trial_to_run(self)
        if trial is None:
            trial = next(
                (t for t in map(self._trials.__getitem__, waiting) if t.status == Trial.PENDING), None
            )
        if trial is None:
            return None
        trial.status = Trial.RUNNING
        return trial.index

    def report(self, trial: int, checkpoint: int) -> Decision:
        """Report a result to the scheduler and do what it says."""
        self._best.report(trial, checkpoint)
        pretraining, running = self._pretrainings[trial], self._trials[trial]
        if pretraining.epochs[checkpoint] == 0:
            return Decision.CONTINUE
        running.last_result = {
            "epoch": pretraining.epochs[checkpoint],
            "robustness": pretraining.mean_score(checkpoint),
        }
        decision = Decision(self._scheduler.on_trial_result(self, running, running.last_result).lower())
        if decision is Decision.PAUSE:
            running.status = Trial.PAUSED
        elif decision is Decision.STOP:
            self.stop_trial(running)
        return decision

    def complete(self, trial: int) -> None:
        """Tell the scheduler that a trial ended by itself."""
        self.stop_trial(self._trials[trial])

    def dismissed(self) -> list[int]:
        """Return the paused trials that the scheduler has ended since this was last asked."""
        ended, self._dismissed = self._dismissed, []
        return ended

    def selected(self, trial: int) -> dict[str, int | None]:
        """Return the epoch of the best score that each target has seen, from 1 on."""
        return self._best.selected(trial)
