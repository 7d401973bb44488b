"""What a stopping rule says of what is recorded of a pretraining in progress."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from raytransfer.results.live import live_curves
from raytransfer.results.signals import Signal
from raytransfer.results.storage import Storage
from raytransfer.results.units import PretrainingUnit
from raytransfer.scheduling.rules import Decision, StoppingRule


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A rule on one target of a pretraining.

    Attributes:
        target: The target, `robustness/<dataset>/<protocol>`.
        stopped: Whether the rule said STOP.
        epoch: Where it said so, else the last epoch that is recorded; None where none is.
        selected_epoch: The epoch whose checkpoint it takes.
        score: That checkpoint's robustness.
    """

    target: str
    stopped: bool
    epoch: int | None
    selected_epoch: int | None
    score: float


def judge(
    unit: PretrainingUnit,
    storage: Storage,
    make_rule: Callable[[], StoppingRule],
    signal: Signal | None = None,
) -> list[Judgement]:
    """Return what a rule says of each target, from the ledger alone.

    Args:
        unit: The pretraining.
        storage: Where its series and the ledger are.
        make_rule: Builds a fresh rule.
        signal: Which scores it follows; by default those of the study.
    """
    found = []
    for target, curve in live_curves(unit, storage, signal).items():
        rule, epoch = make_rule(), None
        for point in curve:
            epoch = point[0]
            if rule.update(*point) is Decision.STOP:
                break
        scores = {at: score for at, score, _ in curve}
        found.append(
            Judgement(
                target=target,
                stopped=rule.stopped,
                epoch=epoch,
                selected_epoch=rule.selected_epoch,
                score=math.nan if rule.selected_epoch is None else scores[rule.selected_epoch],
            )
        )
    return found
