"""Replay of recorded pretrainings on a few workers: an event simulation; numbers only.

Pretrainings wait for workers in their order. A worker takes one from checkpoint to checkpoint, each interval
taking its recorded time; at every checkpoint a judge says CONTINUE, STOP or PAUSE. A pause gives the worker
away, and the pretraining goes on later where it was, at no cost. Of checkpoints reached at the same time,
the one whose interval began first is judged first. Starting, scoring and saving take no time.
"""

import heapq
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from statistics import fmean
from typing import NamedTuple

from raytransfer.errors import InputError
from raytransfer.scheduling.rules import Decision, StoppingRule


@dataclass(frozen=True, kw_only=True)
class RecordedPretraining:
    """What was recorded of a pretraining.

    Attributes:
        name: What people call it.
        epochs: Its C checkpoints, increasing.
        durations: C times, from the checkpoint before (or the start) to each; any unit.
        curves: Target -> C pairs (score, standard error of the score); NaN where not recorded.

    Raises:
        InputError: No checkpoint or target, lengths that differ, or times that are negative or not finite.
    """

    name: str
    epochs: tuple[int, ...]
    durations: tuple[float, ...]
    curves: Mapping[str, Sequence[tuple[float, float]]]

    def __post_init__(self) -> None:
        lengths = {len(self.durations), *map(len, self.curves.values())}
        if not (self.epochs and self.curves and lengths == {len(self.epochs)}):
            raise InputError(f"{self.name}: every checkpoint needs a duration and a score on each target")
        if not all(a < b for a, b in pairwise(self.epochs)):
            raise InputError(f"{self.name}: epochs must increase, got {self.epochs}")
        if not all(0 <= duration < math.inf for duration in self.durations):
            raise InputError(f"{self.name}: durations must be finite and at least 0, got {self.durations}")

    def mean_score(self, checkpoint: int) -> float:
        """Return the mean over the targets whose score of this checkpoint is finite; NaN for none."""
        scores = (points[checkpoint][0] for points in self.curves.values())
        known = [score for score in scores if math.isfinite(score)]
        return fmean(known) if known else math.nan


class Judge(ABC):
    """Decides over all pretrainings of a simulation, which it knows by their index."""

    def choose(self, waiting: Iterable[int]) -> int | None:
        """Return which pretraining gets a free worker, None to leave it idle.

        Args:
            waiting: Not yet started or paused, in the order in which they began to wait.
        """
        return next(iter(waiting), None)

    @abstractmethod
    def report(self, trial: int, checkpoint: int) -> Decision:
        """Take in that a pretraining has reached its checkpoint of this index, and decide."""

    def complete(self, trial: int) -> None:  # noqa: B027 - rules need not know
        """Take in that a pretraining ended by itself, after its last checkpoint."""

    def dismissed(self) -> Iterable[int]:
        """Return, once, which waiting pretrainings were ended since this was last asked."""
        return ()

    @abstractmethod
    def selected(self, trial: int) -> dict[str, int | None]:
        """Return target -> the epoch whose checkpoint is transferred to it, None where there is none."""


class RuleJudge(Judge):
    """A stopping rule per pretraining and target: a pretraining goes on until its last target stops.

    A target that has stopped keeps its selection, whatever the others still see.

    Args:
        pretrainings: What is simulated.
        make_rule: Builds a fresh rule.
    """

    def __init__(
        self, pretrainings: Sequence[RecordedPretraining], make_rule: Callable[[], StoppingRule]
    ) -> None:
        self._pretrainings = pretrainings
        self._rules = [{target: make_rule() for target in p.curves} for p in pretrainings]

    def report(self, trial: int, checkpoint: int) -> Decision:
        """Tell every target's rule; STOP when all of them have stopped."""
        pretraining = self._pretrainings[trial]
        decision = Decision.STOP
        for target, rule in self._rules[trial].items():
            score, standard_error = pretraining.curves[target][checkpoint]
            if rule.update(pretraining.epochs[checkpoint], score, standard_error) is Decision.CONTINUE:
                decision = Decision.CONTINUE
        return decision

    def selected(self, trial: int) -> dict[str, int | None]:
        """Return what each target's rule selects."""
        return {target: rule.selected_epoch for target, rule in self._rules[trial].items()}


class Event(NamedTuple):
    """A decision: at `time`, over pretraining number `trial`, which had reached `epoch` (None: none yet)."""

    time: float
    trial: int
    epoch: int | None
    decision: Decision


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a pretraining.

    Attributes:
        stopped_epoch: The last checkpoint that was paid for; None where it never reached one.
        selected: Target -> the epoch whose checkpoint is transferred to it.
        finished_at: When it was stopped, dismissed or complete; in the unit of the durations.
    """

    stopped_epoch: int | None
    selected: Mapping[str, int | None]
    finished_at: float


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """What happened.

    Attributes:
        outcomes: One per pretraining, in their order.
        events: Every decision, in the order in which they were taken.
        makespan: When the last worker was done; in the unit of the durations.
        worker_time: Time that workers worked, all together.
    """

    outcomes: tuple[Outcome, ...]
    events: tuple[Event, ...]
    makespan: float
    worker_time: float


class _Simulator:
    """The state of a simulation between two events."""

    def __init__(self, pretrainings: Sequence[RecordedPretraining], judge: Judge) -> None:
        self.pretrainings = pretrainings
        self.judge = judge
        self.clock = 0.0
        self.waiting = dict.fromkeys(range(len(pretrainings)))  # a set in the order of arrival
        self.running: list[tuple[float, int, int]] = []  # (when it reports, number of the interval, trial)
        self.reached = [-1] * len(pretrainings)
        self.finished_at = [math.nan] * len(pretrainings)
        self.events: list[Event] = []
        self._intervals = count()

    def go_on(self, trial: int) -> None:
        """Give the worker the trial's next interval, or complete it where there is none."""
        durations, following = self.pretrainings[trial].durations, self.reached[trial] + 1
        if following < len(durations):
            heapq.heappush(self.running, (self.clock + durations[following], next(self._intervals), trial))
        else:
            self.judge.complete(trial)
            self.finished_at[trial] = self.clock
            self.dismiss()

    def dismiss(self) -> None:
        """End the waiting trials that the judge has ended."""
        for trial in self.judge.dismissed():
            del self.waiting[trial]
            self.finished_at[trial] = self.clock
            self.decided(trial, Decision.STOP)

    def epoch(self, trial: int) -> int | None:
        """Return the last checkpoint that a trial has reached."""
        reached = self.reached[trial]
        return self.pretrainings[trial].epochs[reached] if reached >= 0 else None

    def decided(self, trial: int, decision: Decision) -> None:
        """Note a decision."""
        self.events.append(Event(self.clock, trial, self.epoch(trial), decision))

    def start(self, workers: int) -> None:
        """Give idle workers what the judge chooses."""
        while len(self.running) < workers and self.waiting:
            trial = self.judge.choose(self.waiting)
            if trial is None:
                return
            del self.waiting[trial]
            self.go_on(trial)

    def step(self) -> None:
        """Go to the next checkpoint that is reached, and do what the judge decides."""
        self.clock, _, trial = heapq.heappop(self.running)
        self.reached[trial] += 1
        decision = self.judge.report(trial, self.reached[trial])
        self.decided(trial, decision)
        if decision is Decision.CONTINUE:
            self.go_on(trial)
        elif decision is Decision.PAUSE:
            self.waiting[trial] = None
        else:
            self.finished_at[trial] = self.clock
        self.dismiss()


def simulate(pretrainings: Sequence[RecordedPretraining], judge: Judge, *, workers: int = 1) -> Simulation:
    """Replay pretrainings on workers until all have ended.

    Args:
        pretrainings: In the order in which they wait for a worker.
        judge: Fresh, and built for the same pretrainings; it is used up.
        workers: How many pretrainings can run at once.

    Raises:
        InputError: Fewer than one worker, or a rule needs what was not recorded.
        RuntimeError: The judge leaves pretrainings waiting for ever.
    """
    if workers < 1:
        raise InputError(f"workers must be at least 1, got {workers}")
    state = _Simulator(pretrainings, judge)
    state.start(workers)
    while state.running:
        state.step()
        state.start(workers)
    if state.waiting:
        names = ", ".join(pretrainings[trial].name for trial in state.waiting)
        raise RuntimeError(f"never continued nor stopped: {names}")
    outcomes = tuple(
        Outcome(
            stopped_epoch=state.epoch(trial),
            selected=judge.selected(trial),
            finished_at=state.finished_at[trial],
        )
        for trial in range(len(pretrainings))
    )
    paid = (sum(p.durations[: reached + 1]) for p, reached in zip(pretrainings, state.reached, strict=True))
    return Simulation(
        outcomes=outcomes, events=tuple(state.events), makespan=state.clock, worker_time=sum(paid)
    )
