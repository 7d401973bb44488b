"""Ray Tune's own schedulers in the replay of recorded pretrainings: no cluster, no actors.

A scheduler is called as `TuneController` (Ray 2.60) calls it: all trials are added first; each result goes to
`on_trial_result`; a trial that stops or ends, to `on_trial_complete`, a paused one that is stopped, to
`on_trial_remove`. As in Tune, trials get workers in the order in which they asked for one: new ones at once,
paused ones when `choose_trial_to_run` returns them. (Tune adds and stages at most 16 trials ahead.)

Each pretraining is a trial that reports `epoch`, from 1 on, and `robustness`, the mean over its targets.
Schedulers select no checkpoint: each target takes the best score that it has seen, epoch 0 left out.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from raytransfer.scheduling.rules import BestOfAll, Decision
from raytransfer.scheduling.simulation import RecordedPretraining, RuleJudge


class _RecordedTrial:
    """What schedulers look at in a `Trial`."""

    is_saving = False

    def __init__(self, index: int) -> None:
        self.index, self.trial_id, self.status = index, f"{index:05d}", Trial.PENDING
        self.last_result: dict[str, float] = {}


class SchedulerJudge(RuleJudge):
    """A Ray Tune scheduler as the judge of a simulation, and its stand-in for the `TuneController`.

    Args:
        pretrainings: What is simulated.
        scheduler: Fresh, for the time attribute "epoch" and the metric "robustness", higher being better.
    """

    def __init__(self, pretrainings: Sequence[RecordedPretraining], scheduler: TrialScheduler) -> None:
        super().__init__(pretrainings, BestOfAll)  # for what each target selects
        self._scheduler, self._dismissed = scheduler, list[int]()
        self._trials = [_RecordedTrial(index) for index in range(len(pretrainings))]
        for trial in self._trials:
            scheduler.on_trial_add(self, trial)
        self._queue = deque(self._trials)

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
            if trial in self._queue:
                self._queue.remove(trial)
            self._scheduler.on_trial_remove(self, trial)
        trial.status = Trial.TERMINATED

    def _stage(self) -> None:
        trial = self._scheduler.choose_trial_to_run(self)
        if trial is not None and trial.status == Trial.PAUSED:
            trial.status = Trial.PENDING
            self._queue.append(trial)

    def choose(self, waiting: Iterable[int]) -> int | None:
        """Return the trial that has asked for a worker first."""
        self._stage()
        if not self._queue:
            return None
        trial = self._queue.popleft()
        trial.status = Trial.RUNNING
        self._stage()
        return trial.index

    def report(self, trial: int, checkpoint: int) -> Decision:
        """Report a result to the scheduler and do what it says."""
        super().report(trial, checkpoint)
        pretraining, running = self._pretrainings[trial], self._trials[trial]
        if (epoch := pretraining.epochs[checkpoint]) == 0:
            return Decision.CONTINUE
        running.last_result = {"epoch": epoch, "robustness": pretraining.mean_score(checkpoint)}
        decision = Decision(self._scheduler.on_trial_result(self, running, running.last_result).lower())
        if decision is Decision.PAUSE:
            running.status = Trial.PAUSED
        elif decision is Decision.STOP:
            self.stop_trial(running)
        self._stage()
        return decision

    def complete(self, trial: int) -> None:
        """Tell the scheduler that a trial ended by itself."""
        self.stop_trial(self._trials[trial])

    def dismissed(self) -> list[int]:
        """Return the paused trials that the scheduler has ended since this was last asked."""
        ended, self._dismissed = self._dismissed, []
        return ended
