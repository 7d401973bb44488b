"""Robustness's choices beside those that need no scores: fixed budgets, last checkpoint, no pretraining."""

from collections.abc import Callable, Sequence
from typing import Any

from tabulate import tabulate

from raytransfer.report.choosing import ALL, cell, choose, groups, rows
from raytransfer.results.curves import Curve
from raytransfer.results.signals import Signal
from raytransfer.scheduling.rules import BestOfAll, FirstPeak, FixedBudget, StoppingRule

BEST, PEAK = "best robustness, epoch 0 left out", "first peak"
LAST, NONE = "last checkpoint", "no pretraining"
ACCURACY = "best source accuracy"
SCORED: dict[str, Callable[[], StoppingRule]] = {
    PEAK: FirstPeak,
    "first peak, patience 2": lambda: FirstPeak(patience=2),
    BEST: BestOfAll,
    "best robustness, epoch 0 included": lambda: BestOfAll(grace_period=0),
}


def _fixed(epochs: int) -> Callable[[], StoppingRule]:
    return lambda: FixedBudget(epochs)


def _rules(curves: Sequence[Curve]) -> dict[str, Callable[[], StoppingRule]]:
    epochs = sorted({epoch for curve in curves for epoch in curve.epochs})
    budgets = {f"fixed at {epoch}": _fixed(epoch) for epoch in epochs if epoch > 0}
    untrained = {NONE: _fixed(0)} if epochs[0] == 0 else {}
    return {**untrained, **budgets, LAST: _fixed(epochs[-1]), **SCORED}


def rule_rows(
    curves: Sequence[Curve], signal: Signal | None = None, *, by: str = "dataset"
) -> list[dict[str, Any]]:
    """Return the statistics of every way to choose, one row per rule, dataset and protocol ("all": over all).

    Args:
        curves: The configurations, at least one.
        signal: The scores that rules follow; the thesis's where None: cosine, margin 0.5, second to last
            level, pooled for frozen.
        by: "dataset", or "model" for a row per rule, model and protocol.
    """
    among, follows = groups(curves, by), signal or Signal()
    return [
        row
        for name, rule in _rules(curves).items()
        for row in rows(among, {"rule": name}, choose(curves, rule, follows))
    ]


def accuracy_rows(curves: Sequence[Curve], *, by: str = "dataset") -> list[dict[str, Any]]:
    """Return the same of taking the checkpoint that is best on the source data, where that was recorded."""
    return rows(groups(curves, by), {"rule": ACCURACY}, choose(curves, BestOfAll, None))


def baselines_text(of: Sequence[dict[str, Any]]) -> str:
    """Return the rows of `rule_rows` as text: per dataset and protocol, then over all configurations."""
    columns = (BEST, PEAK, LAST, NONE)
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for row in of:
        if row["rule"] in columns and row["dataset"] != ALL:
            lines.setdefault((row["dataset"], row["protocol"]), {})[row["rule"]] = cell(row)
    by_dataset = [[*key, *(cells.get(name, "-") for name in columns)] for key, cells in lines.items()]
    overall = [
        [row["rule"], f"{row['mean']:.4f}", f"{row['standard_error']:.4f}", f"{row['worst']:.4f}",
         f"{row['epochs']:.1f}"]
        for row in of
        if row["dataset"] == ALL
    ]  # fmt: skip
    return "\n\n".join(
        [
            "TIS of robustness's choices and simple ones, mean ± standard error over configurations (worst)",
            tabulate(by_dataset, headers=["dataset", "protocol", *columns], disable_numparse=True),
            f"Over all {max(row['configurations'] for row in of)} configurations; epochs: of pretraining, "
            "paid for on average",
            tabulate(overall, headers=["choice", "mean", "s.e.", "worst", "epochs"], disable_numparse=True),
        ]
    )
