"""Stopping rules: from (epoch, score) pairs to CONTINUE or STOP and a selected epoch. Numbers only.

What every rule does with unusual input:

- NaN and infinite scores say nothing: they are never selected and never count for or against stopping.
- An epoch at or before the last one seen is ignored, so that a resumed trial that repeats epochs decides as
  if it had not been interrupted; the decision that stands is returned again.
- Missing epochs are allowed: rules see those that are reported, in order.
- Ties: of equal scores the earlier epoch is selected, because it costs less.
- After STOP the decision and the selection stay.
- Before any usable score `selected_epoch` is None.
"""

import math
from abc import ABC, abstractmethod
from enum import Enum

from raytransfer.config import InputError


class Decision(Enum):
    """What a rule says after an epoch."""

    CONTINUE = "continue"
    STOP = "stop"


class StoppingRule(ABC):
    """A rule over one pretraining's scores on one target; see the module for NaN, ties and repeats."""

    def __init__(self) -> None:
        self.selected_epoch: int | None = None
        """The epoch whose checkpoint the rule would transfer now."""
        self._last_epoch: int | None = None
        self._decision = Decision.CONTINUE

    def update(self, epoch: int, score: float) -> Decision:
        """Take in the score of an epoch (higher is better) and decide.

        Args:
            epoch: Epochs of pretraining done, 0 for none.
            score: The indicator's value for that checkpoint.
        """
        repeated = self._last_epoch is not None and epoch <= self._last_epoch
        if self._decision is Decision.STOP or repeated:
            return self._decision
        self._last_epoch = epoch
        self._decision = self._decide(epoch, score)
        return self._decision

    @abstractmethod
    def _decide(self, epoch: int, score: float) -> Decision:
        """Judge a new epoch, updating `selected_epoch`."""


class FixedBudget(StoppingRule):
    """Pretrain for a fixed number of epochs, whatever the scores: the baseline to beat.

    Selects the last epoch seen that is within the budget; its score, even NaN, does not matter.

    Args:
        epochs: The budget, at least 0.

    Raises:
        InputError: A negative budget.
    """

    def __init__(self, epochs: int) -> None:
        if epochs < 0:
            raise InputError(f"epochs must be at least 0, got {epochs}")
        super().__init__()
        self.epochs = epochs

    def _decide(self, epoch: int, score: float) -> Decision:
        if epoch <= self.epochs:
            self.selected_epoch = epoch
        return Decision.STOP if epoch >= self.epochs else Decision.CONTINUE


class BestOfAll(StoppingRule):
    """Pretrain to the end, then take the best score: the thesis's offline method.

    Args:
        grace_period: Epochs before this one are no candidates; 1 leaves out the untrained encoder, as the
            thesis does.

    Raises:
        InputError: A negative grace period.
    """

    def __init__(self, grace_period: int = 1) -> None:
        if grace_period < 0:
            raise InputError(f"grace_period must be at least 0, got {grace_period}")
        super().__init__()
        self.grace_period = grace_period
        self._best = -math.inf

    def _improves(self, epoch: int, score: float, *, min_delta: float = 0.0) -> bool:
        """Select the epoch where its score beats the best by more than `min_delta`."""
        if self.selected_epoch is not None and not score > self._best + min_delta:
            return False
        self._best, self.selected_epoch = score, epoch
        return True

    def _decide(self, epoch: int, score: float) -> Decision:
        if epoch >= self.grace_period and math.isfinite(score):
            self._improves(epoch, score)
        return Decision.CONTINUE


class FirstPeak(BestOfAll):
    """Stop when the score has not risen for a while: the thesis's online method with the defaults.

    Args:
        patience: Stop after this many scores in a row that do not beat the best one.
        min_delta: A score beats the best when it is higher by more than this.
        grace_period: Epochs before this one are not looked at.

    Raises:
        InputError: Patience below 1, or a negative `min_delta` or grace period.
    """

    def __init__(self, patience: int = 1, min_delta: float = 0.0, grace_period: int = 1) -> None:
        super().__init__(grace_period)
        if patience < 1:
            raise InputError(f"patience must be at least 1, got {patience}")
        if not min_delta >= 0:
            raise InputError(f"min_delta must be at least 0, got {min_delta}")
        self.patience = patience
        self.min_delta = min_delta
        self._waited = 0

    def _decide(self, epoch: int, score: float) -> Decision:
        if epoch < self.grace_period or not math.isfinite(score):
            return Decision.CONTINUE
        self._waited = 0 if self._improves(epoch, score, min_delta=self.min_delta) else self._waited + 1
        return Decision.STOP if self._waited >= self.patience else Decision.CONTINUE
