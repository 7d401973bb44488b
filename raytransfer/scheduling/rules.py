"""Stopping rules: from (epoch, score) pairs to CONTINUE or STOP and a selected epoch. Numbers only.

What every rule does with unusual input:

- NaN and infinite scores say nothing: they are never selected and never count for or against stopping.
- An epoch at or before the last one seen is ignored, so that a resumed trial that repeats epochs decides as
  if it had not been interrupted; the decision that stands is returned again.
- Missing epochs are allowed: rules see those that are reported, in order.
- Ties: of equal scores the earlier epoch is selected, because it costs less.
- Standard errors matter only to rules that say so; those refuse a score without one.
- After STOP the decision and the selection stay.
- Before any usable score `selected_epoch` is None.
- A rule saved with `state()` and brought back with `restored` goes on as if it had never been away.

A new rule is a dataclass: its parameters are fields, what it remembers between epochs are fields with
`init=False` that hold plain JSON values, its `name` is what command lines call it; then it is listed in
`registry.RULES`.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, ClassVar

from raytransfer.errors import InputError, require


class Decision(Enum):
    """What becomes of a pretraining after an epoch."""

    CONTINUE = "continue"
    STOP = "stop"
    PAUSE = "pause"  # of schedulers that make trials wait for each other; no rule says it


@dataclass(eq=False)
class StoppingRule(ABC):
    """A rule over one pretraining's scores on one target; see the module for NaN, ties and repeats.

    Attributes:
        name: What command lines call it.
        signal: The score it was made for where that is not the study's, as command lines have it after "on".
        needs_errors: Whether it refuses scores without a standard error.
        selected_epoch: The epoch whose checkpoint the rule would transfer now.
    """

    name: ClassVar[str]
    signal: ClassVar[str | None] = None
    needs_errors: ClassVar[bool] = False
    selected_epoch: int | None = field(init=False, default=None)
    _last_epoch: int | None = field(init=False, default=None)
    _stopped: bool = field(init=False, default=False)

    def update(self, epoch: int, score: float, standard_error: float = math.nan) -> Decision:
        """Take in the score of an epoch (higher is better) and decide.

        Args:
            epoch: Epochs of pretraining done, 0 for none.
            score: The indicator's value for that checkpoint.
            standard_error: Of the score, in its unit; NaN where unknown.

        Raises:
            InputError: The rule needs a standard error and there is none; the rule stays as it was.
        """
        repeated = self._last_epoch is not None and epoch <= self._last_epoch
        if not (self._stopped or repeated):
            # plain numbers, whatever numpy gave: the state must be JSON
            self._stopped = self._stops(int(epoch), float(score), float(standard_error))
            self._last_epoch = int(epoch)
        return Decision.STOP if self._stopped else Decision.CONTINUE

    def check_epochs(self, most: int) -> None:
        """Refuse arguments that no training reaches.

        Args:
            most: Epochs of the longest one.

        Raises:
            InputError: A budget beyond its end, or a grace period after which nothing is left to look at.
        """
        for name in ("epochs", "grace_period"):
            value = getattr(self, name, 0)
            require(value <= most, f"{name} of {self.name}", value, f"at most {most}, where a training ends")

    @property
    def stopped(self) -> bool:
        """Whether the rule has said STOP."""
        return self._stopped

    @abstractmethod
    def _stops(self, epoch: int, score: float, standard_error: float) -> bool:
        """Judge a new epoch, updating `selected_epoch`; return whether to stop."""

    def state(self) -> dict[str, Any]:
        """Return the rule, its arguments and its memory as plain JSON values, for `registry.restored`."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        arguments = {f.name: values.pop(f.name) for f in fields(self) if f.init}
        return {"rule": self.name, "arguments": arguments, "memory": values}

    def __str__(self) -> str:
        given = (f"{f.name}={getattr(self, f.name)}" for f in fields(self) if f.init)
        return f"{self.name}({', '.join(given)})"


@dataclass(eq=False)
class FixedBudget(StoppingRule):
    """Pretrain for a fixed number of epochs, whatever the scores: the baseline to beat.

    Selects the last epoch seen that is within the budget; its score, even NaN, does not matter.

    Args:
        epochs: The budget, at least 0.

    Raises:
        InputError: A negative budget.
    """

    name: ClassVar[str] = "fixed-budget"
    epochs: int

    def __post_init__(self) -> None:
        require(self.epochs >= 0, "epochs", self.epochs, "at least 0")

    def _stops(self, epoch: int, score: float, standard_error: float) -> bool:
        if epoch <= self.epochs:
            self.selected_epoch = epoch
        return epoch >= self.epochs


@dataclass(eq=False)
class _BestRule(StoppingRule):
    """A rule that selects the epoch with the best score."""

    _best: float | None = field(init=False, default=None)

    def _improves(self, epoch: int, score: float, *, min_delta: float = 0.0) -> bool:
        """Select the epoch where its score beats the best by more than `min_delta`."""
        if self._best is not None and not score > self._best + min_delta:
            return False
        self._best, self.selected_epoch = score, epoch
        return True


@dataclass(eq=False)
class BestOfAll(_BestRule):
    """Pretrain to the end, then take the best score: the thesis's offline method.

    Args:
        grace_period: Epochs before this one are no candidates; 1 leaves out the untrained encoder, as the
            thesis does.

    Raises:
        InputError: A negative grace period.
    """

    name: ClassVar[str] = "best-of-all"
    grace_period: int = 1

    def __post_init__(self) -> None:
        require(self.grace_period >= 0, "grace_period", self.grace_period, "at least 0")

    def _stops(self, epoch: int, score: float, standard_error: float) -> bool:
        if epoch >= self.grace_period and math.isfinite(score):
            self._improves(epoch, score)
        return False


@dataclass(eq=False)
class FirstPeak(_BestRule):
    """Stop when the score has not risen for a while: the thesis's online method with the defaults.

    Args:
        patience: Stop after this many scores in a row that do not beat the best one.
        min_delta: A score beats the best when it is higher by more than this.
        grace_period: Epochs before this one are not looked at.

    Raises:
        InputError: Patience below 1, or a negative or infinite `min_delta`, or a negative grace period.
    """

    name: ClassVar[str] = "first-peak"
    patience: int = 1
    min_delta: float = 0.0
    grace_period: int = 1
    _waited: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        require(self.patience >= 1, "patience", self.patience, "at least 1")
        require(0 <= self.min_delta < math.inf, "min_delta", self.min_delta, "at least 0 and finite")
        require(self.grace_period >= 0, "grace_period", self.grace_period, "at least 0")

    def _stops(self, epoch: int, score: float, standard_error: float) -> bool:
        if epoch < self.grace_period or not math.isfinite(score):
            return False
        self._waited = 0 if self._improves(epoch, score, min_delta=self.min_delta) else self._waited + 1
        return self._waited >= self.patience


@dataclass(eq=False)
class SignificantFall(_BestRule):
    """Stop when the score has fallen below the best one by more than its noise; select the best one.

    A fall counts when best - score > z * sqrt(e_best^2 + e^2), e being the standard errors. That is the
    noise of the difference of two *independent* scores. Checkpoints scored on the same images err together:
    with correlation r and equal errors the noise is smaller by sqrt(1 - r), so the rule is cautious: its z
    is worth z / sqrt(1 - r) standard errors, and it stops later than the true noise would allow, never
    earlier. The best score being the luckiest of several is not corrected for.

    A score that is finite but has no finite standard error is refused with an InputError: without its noise
    the rule would be `FirstPeak` under another name.

    Args:
        z: How many standard errors a fall must exceed; 0 counts every fall (a tie is none).
        patience: Stop after this many such falls in a row.
        grace_period: Epochs before this one are not looked at.

    Raises:
        InputError: A negative or infinite z, patience below 1, or a negative grace period.
    """

    name: ClassVar[str] = "significant-fall"
    needs_errors: ClassVar[bool] = True
    z: float = 2.0
    patience: int = 1
    grace_period: int = 1
    _best_error: float = field(init=False, default=0.0)
    _waited: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        require(0 <= self.z < math.inf, "z", self.z, "at least 0 and finite")
        require(self.patience >= 1, "patience", self.patience, "at least 1")
        require(self.grace_period >= 0, "grace_period", self.grace_period, "at least 0")

    def _stops(self, epoch: int, score: float, standard_error: float) -> bool:
        if epoch < self.grace_period or not math.isfinite(score):
            return False
        if not 0 <= standard_error < math.inf:
            raise InputError(
                f"{self} needs the standard error of the score at epoch {epoch}, got {standard_error}: "
                "use scores that record it, or first-peak"
            )
        if self._improves(epoch, score):
            self._best_error, self._waited = standard_error, 0
            return False
        fell = self._best is not None and self._best - score > self.z * math.hypot(
            self._best_error, standard_error
        )
        self._waited = self._waited + 1 if fell else 0
        return self._waited >= self.patience
