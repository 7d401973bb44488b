"""Tune's progress as one line on stderr."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from tqdm import tqdm

from raytransfer.ray_tune.failed_trials import FAILED
from raytransfer.terminal import progress_bar

CLOCK_SECONDS = 5.0


class ProgressBar(tune.ProgressReporter):
    """Tune's report as one line: trials done, epochs of running ones included, time left, what else matters.

    Args:
        total: Trials; Tune makes them as it goes.
        title: What the trials are together.
        epochs: How many epochs a trial has at most; the time left is until then.
        describe: What to show of all trials so far.
    """

    def __init__(
        self,
        total: int,
        *,
        title: str,
        epochs: Callable[[Trial], int],
        describe: Callable[[Sequence[Trial]], str],
    ) -> None:
        self._total, self._title, self._epochs, self._describe = total, title, epochs, describe
        self._bar: tqdm | None = None
        self._finished = 0
        self._next = 0.0

    def setup(self, *args: Any, **kwargs: Any) -> None:
        """Begin; Tune passes what the bar does not show."""

    def should_report(self, trials: list[Trial], done: bool = False) -> bool:
        """Report when a trial has finished, and every few seconds for the clock."""
        finished = sum(trial.is_finished() for trial in trials)
        return done or self._bar is None or finished > self._finished or time.monotonic() > self._next

    def _share(self, trial: Trial) -> float:
        """Return how much of a trial is done."""
        return 1.0 if trial.is_finished() else trial.last_result.get("epoch", 0) / self._epochs(trial)

    def report(self, trials: list[Trial], done: bool, *sys_info: Any) -> None:
        """Draw the bar."""
        if self._bar is None:
            self._bar = progress_bar(self._total, title=self._title, unit="trial")
        failed = sum(trial.status == Trial.ERROR or FAILED in trial.last_result for trial in trials)
        notes = [self._describe(trials), f"{failed} failed" if failed else ""]
        self._bar.set_postfix_str(", ".join(filter(None, notes)), refresh=False)
        shares = round(sum(map(self._share, trials)), 1)
        self._bar.n = int(shares) if shares.is_integer() else shares
        self._bar.refresh()
        self._finished = sum(trial.is_finished() for trial in trials)
        self._next = time.monotonic() + CLOCK_SECONDS
        if done:
            self._bar.close()
