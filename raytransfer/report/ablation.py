"""The ablation: how well each choice of the robustness indicator's parameters chooses checkpoints."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from tabulate import tabulate

from raytransfer.report.choosing import ALL, cell, choose, groups, rows, values
from raytransfer.results.curves import Curve
from raytransfer.results.signals import PARAMETERS, Signal
from raytransfer.scheduling.rules import BestOfAll, FirstPeak


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
EXTREMES = 5


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
        for value in values(curves, parameter)
        for method in METHODS
        for row in rows(
            among,
            {"parameter": parameter, "value": _name(parameter, value), **method._asdict()},
            choose(curves, method.rule, Signal().varied(**{parameter: value})),
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
        for row in rows(
            among,
            {**choice.parameters, **method._asdict()},
            choose(curves, method.rule, Signal.of_spec(choice)),
        )
    ]


def _parameter_table(parameter: str, of: Sequence[dict[str, Any]]) -> str:
    """Return one parameter's rows as a text table, the methods side by side."""
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for row in of:
        key = (row["value"], row["dataset"], row["protocol"], row["configurations"])
        lines.setdefault(key, {})[str(Method(row["method"], row["grace_period"]))] = cell(row)
    methods = [str(method) for method in METHODS]
    body = [[*key, *(cells.get(method, "-") for method in methods)] for key, cells in lines.items()]
    return tabulate(body, headers=[parameter, "dataset", "protocol", "n", *methods], disable_numparse=True)


def _extremes_table(of: Sequence[dict[str, Any]], method: Method, configurations: int) -> str:
    """Return the best and the worst choices that all configurations have, as a text table."""
    ranked = sorted(
        (
            row
            for row in of
            if Method(row["method"], row["grace_period"]) == method
            and (row["dataset"], row["protocol"], row["configurations"]) == (ALL, ALL, configurations)
        ),
        key=lambda row: -row["mean"],
    )
    ranks = sorted({*range(min(EXTREMES, len(ranked))), *range(max(0, len(ranked) - EXTREMES), len(ranked))})
    body = [
        [
            f"{rank + 1} of {len(ranked)}",
            *(row[name] for name in ("distance", "margin", "level")),
            "yes" if row["pooled"] else "no",
            cell(row),
        ]
        for rank, row in ((rank, ranked[rank]) for rank in ranks)
    ]
    return tabulate(body, headers=["rank", "distance", "margin", "level", "pooled", str(method)])


def ablation_text(
    curves: Sequence[Curve], varied: Sequence[dict[str, Any]], every: Sequence[dict[str, Any]]
) -> str:
    """Return the ablation as text: a table per parameter, then the best and worst of all choices.

    Args:
        curves: The configurations.
        varied: Their `parameter_rows`.
        every: Their `choice_rows`.
    """
    count = len(curves)
    tables = [
        _parameter_table(parameter, [row for row in varied if row["parameter"] == parameter])
        for parameter in PARAMETERS
    ]
    extremes = [_extremes_table(every, method, count) for method in METHODS[:2]]
    spread = [row["seed_spread"] for row in varied if row["dataset"] == ALL]
    heading = [
        "Ablation: TIS with one parameter varied, the others being cosine, margin 0.5, level -2 (second to "
        "last), pooled for frozen.",
        "Mean ± standard error over n configurations (worst); levels are counted from the deepest, -1.",
    ]
    if not any(map(math.isnan, spread)):
        heading.append(
            f"Seed by seed, the means over all vary by {min(spread):.4f} to {max(spread):.4f} (standard "
            "deviation over downstream seeds)."
        )
    return "\n\n".join(
        [
            "\n".join(heading),
            *tables,
            f"Of all choices that the {count} configurations have scores for, the best and the worst (the "
            "best of so many looks better than it is):",
            *extremes,
        ]
    )
