"""The rule that waits until a score has reached its plateau."""

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import ClassVar

from raytransfer.errors import require
from raytransfer.scheduling.rules import StoppingRule


@dataclass(eq=False)
class Plateau(StoppingRule):
    """Stop when the score has long not risen over a doubling of the epochs; select the current epoch.

    An epoch rises when its score is higher than that of the last epoch seen at or before half of it, by more
    than `tolerance` times the range (highest - lowest) of the scores so far; one with no such half counts as
    rising. The rule stops at the first epoch, `min_epochs` or later, that is more than `factor` times the
    last one that rose. Epochs enter by their ratios and scores relative to their range: neither the unit of
    the score nor the spacing of the checkpoints matters.

    It takes the current checkpoint, not the best one, because a score that has settled ranks checkpoints
    little, and downstream they go on improving slowly. Made for the L2 robustness of an early level (level
    -4, margin 1, not pooled): it keeps the scale of the features and settles when they do. Cosine and Pearson
    distances leave the scale out, and settling of theirs says nothing in the thesis's published results.

    Args:
        factor: How many times the epochs of the last rise to train; 4 is two doublings.
        tolerance: Share of the range that a rise must exceed.
        min_epochs: No stop before this epoch.
        grace_period: Epochs before this one are not looked at; 1 leaves out the untrained encoder.

    Raises:
        InputError: A factor below 1 or infinite, a tolerance outside [0, 1), or negative epochs.
    """

    name: ClassVar[str] = "plateau"
    signal: ClassVar[str] = "l2(margin=1, level=-4, pooled=never)"
    factor: float = 4.0
    tolerance: float = 0.1
    min_epochs: int = 20
    grace_period: int = 1
    _epochs: list[int] = field(init=False, default_factory=list)
    _scores: list[float] = field(init=False, default_factory=list)
    _last_rise: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        require(1 <= self.factor < math.inf, "factor", self.factor, "at least 1 and finite")
        require(0 <= self.tolerance < 1, "tolerance", self.tolerance, "at least 0 and below 1")
        require(self.min_epochs >= 0, "min_epochs", self.min_epochs, "at least 0")
        require(self.grace_period >= 0, "grace_period", self.grace_period, "at least 0")

    def _stops(self, epoch: int, score: float, standard_error: float) -> bool:
        if epoch < self.grace_period or not math.isfinite(score):
            return False
        up_to_half = bisect_right(self._epochs, epoch / 2)
        # new lists, because states that were handed out hold the old ones
        self._epochs, self._scores = [*self._epochs, epoch], [*self._scores, score]
        self.selected_epoch = epoch
        notable = self.tolerance * (max(self._scores) - min(self._scores))
        if up_to_half == 0 or score - self._scores[up_to_half - 1] > notable:
            self._last_rise = epoch
        return epoch >= self.min_epochs and epoch > self.factor * self._last_rise
