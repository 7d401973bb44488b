"""Replay of a recorded curve through a stopping rule."""

from collections.abc import Iterable
from dataclasses import dataclass

from raytransfer.scheduling.rules import Decision, StoppingRule


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What a rule did on a curve.

    Attributes:
        selected_epoch: The checkpoint it takes; None where it saw no usable score.
        stopped_epoch: The last epoch it pays for: where it stopped, else the end of the curve.
    """

    selected_epoch: int | None
    stopped_epoch: int


def replay(rule: StoppingRule, curve: Iterable[tuple[int, float] | tuple[int, float, float]]) -> Replay:
    """Run a fresh rule over a curve in order, until it stops.

    Args:
        rule: A rule that has seen nothing yet; it is used up.
        curve: (epoch, score) or (epoch, score, standard error), in the order of the epochs.

    Raises:
        ValueError: The curve is empty.
        InputError: The rule needs standard errors and a point has none.
    """
    stopped = None
    for point in curve:
        stopped = point[0]
        if rule.update(*point) is Decision.STOP:
            break
    if stopped is None:
        raise ValueError("curve must have at least one point")
    return Replay(selected_epoch=rule.selected_epoch, stopped_epoch=stopped)
