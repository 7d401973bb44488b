"""What a stopping rule says of the scores that a pretraining in progress has on its targets."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

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
    curves: Mapping[str, Sequence[tuple[int, float, float]]], make_rule: Callable[[], StoppingRule]
) -> list[Judgement]:
    """Return what a fresh rule says of each target.

    Args:
        curves: Target -> (epoch, score, standard error), in the order of the epochs.
        make_rule: Builds a fresh rule.
    """
    judgements = []
    for target, curve in curves.items():
        rule, epoch = make_rule(), None
        for point in curve:
            epoch = point[0]
            if rule.update(*point) is Decision.STOP:
                break
        scores = {at: score for at, score, _ in curve}
        judgements.append(
            Judgement(
                target=target,
                stopped=rule.stopped,
                epoch=epoch,
                selected_epoch=rule.selected_epoch,
                score=math.nan if rule.selected_epoch is None else scores[rule.selected_epoch],
            )
        )
    return judgements
