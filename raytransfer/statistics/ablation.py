"""The ablation: how well each choice of the robustness indicator's parameters chooses checkpoints.

One parameter is varied at a time, or all at once; what a choice is worth is the TIS of what it selects.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from raytransfer.scheduling.rules import BestOfAll, FirstPeak
from raytransfer.statistics.curves import Curve
from raytransfer.statistics.selection import groups, recorded_values, select_all, statistics_rows
from raytransfer.statistics.signals import PARAMETERS, Signal


class Method(NamedTuple):
    """A way to choose a checkpoint by scores.

    Attributes:
        method: "offline" (the best score of all) or "online" (the first peak).
        grace_period: 1 leaves the untrained encoder out, 0 makes it a candidate.
    """

    method: str
    grace_period: int

    def rule(self) -> BestOfAll | FirstPeak:
        """Return a fresh stopping rule."""
        rule = BestOfAll if self.method == "offline" else FirstPeak
        return rule(grace_period=self.grace_period)

    def __str__(self) -> str:
        return self.method if self.grace_period else f"{self.method}, epoch 0 too"


METHODS = tuple(Method(name, grace_period) for grace_period in (1, 0) for name in ("offline", "online"))


def _name(parameter: str, value: Any) -> str:
    return Signal(pooled=value).pooling if parameter == "pooled" else str(value)


def parameter_rows(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    """Return the statistics with one parameter varied at a time, the others being the thesis's.

    One row per parameter, value, method, dataset and protocol ("all": over all of them). A value that only
    some encoders have, as the fifth level from the end, is averaged over those; `configurations` says how
    many.

    Args:
        curves: The configurations, at least one.
    """
    among = groups(curves)
    return [
        row
        for parameter in PARAMETERS
        for value in recorded_values(curves, parameter)
        for method in METHODS
        for row in statistics_rows(
            among,
            {"parameter": parameter, "value": _name(parameter, value), **method._asdict()},
            select_all(curves, method.rule, Signal().varied(**{parameter: value})),
        )
    ]


def choice_rows(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    """Return the statistics of every parameter choice, one row per choice, method, dataset and protocol.

    Args:
        curves: The configurations, at least one.
    """
    among = groups(curves)
    return [
        row
        for choice in sorted({choice for curve in curves for choice in curve.scores})
        if choice.indicator == Signal().indicator
        for method in METHODS
        for row in statistics_rows(
            among,
            {**choice.parameters, **method._asdict()},
            select_all(curves, method.rule, Signal.of_spec(choice)),
        )
    ]
