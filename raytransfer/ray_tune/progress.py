"""Tune's progress as one line on stderr."""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # else Tune ignores the reporter it is given

from ray import tune
from ray.tune.experiment import Trial
from tqdm import tqdm

CLOCK_SECONDS = 5.0


class ProgressBar(tune.ProgressReporter):
    """Tune's report as one line: trials finished, time left, what else is worth knowing.

    Args:
        total: Trials; Tune makes them as it goes.
        title: What the trials are together.
        describe: What to show of all trials so far.
    """

    def __init__(self, total: int, *, title: str, describe: Callable[[Sequence[Trial]], str]) -> None:
        self._total, self._title, self._describe = total, title, describe
        self._bar: tqdm | None = None
        self._next = 0.0

    def setup(self, *args: Any, **kwargs: Any) -> None:
        """Begin; Tune passes what the bar does not show."""

    def should_report(self, trials: list[Trial], done: bool = False) -> bool:
        """Report when a trial has finished, and every few seconds for the clock."""
        finished = sum(trial.is_finished() for trial in trials)
        return done or self._bar is None or finished > self._bar.n or time.monotonic() > self._next

    def report(self, trials: list[Trial], done: bool, *sys_info: Any) -> None:
        """Draw the bar."""
        if self._bar is None:
            self._bar = tqdm(total=self._total, desc=self._title, unit="trial")
        finished = [trial for trial in trials if trial.is_finished()]
        failed = sum(trial.status == Trial.ERROR for trial in finished)
        notes = [self._describe(trials), f"{failed} failed" if failed else ""]
        self._bar.set_postfix_str(", ".join(filter(None, notes)), refresh=False)
        self._bar.n = len(finished)
        self._bar.refresh()
        self._next = time.monotonic() + CLOCK_SECONDS
        if done:
            self._bar.close()
