"""Selection of checkpoints: what a strategy takes of recorded curves, and its TIS over them.

A configuration is a recorded curve: model, dataset, scheme and protocol. The transferability indicator score
(TIS) of a selection is performance of the selected checkpoint / performance of the best one, in [0, 1]; its
regret is 1 - TIS (thesis, eq. 3.1).

- A curve that lacks the scores that a strategy follows has a TIS of NaN and counts in no mean.
- A strategy that sees no usable score selects nothing: NaN too.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from raytransfer.evaluation.protocols.registry import PROTOCOLS
from raytransfer.scheduling.replay import Replay, replay
from raytransfer.scheduling.rules import BestOfAll, FirstPeak, FixedBudget, StoppingRule
from raytransfer.statistics.curves import Curve
from raytransfer.statistics.signals import Signal
from raytransfer.transferability.settings import POOLINGS

Array = NDArray[np.float64]
ALL = "all"
BEST, PEAK = "best robustness, epoch 0 left out", "first peak"
LAST, NONE = "last checkpoint", "no pretraining"
ACCURACY = "best source accuracy"

Strategies = dict[str, Callable[[], StoppingRule]]
"""Name -> what makes a fresh stopping rule."""

FOLLOW_SCORES: Strategies = {
    PEAK: FirstPeak,
    "first peak, patience 2": lambda: FirstPeak(patience=2),
    BEST: BestOfAll,
    "best robustness, epoch 0 included": lambda: BestOfAll(grace_period=0),
}


def budget_name(epochs: int) -> str:
    """Return the name of the strategy that takes a fixed budget of pretraining."""
    return f"fixed at {epochs}"


def _fixed(epochs: int) -> Callable[[], StoppingRule]:
    return lambda: FixedBudget(epochs)


def strategies(curves: Sequence[Curve]) -> Strategies:
    """Return the ways to choose a checkpoint that are compared, those that need no scores first.

    Args:
        curves: The configurations, at least one. Fixed budgets are the epochs that any of them has; the last
            checkpoint is that of the longest pretraining.
    """
    epochs = sorted({epoch for curve in curves for epoch in curve.epochs})
    budgets = {budget_name(epoch): _fixed(epoch) for epoch in epochs if epoch > 0}
    untrained = {NONE: _fixed(0)} if epochs[0] == 0 else {}
    return {**untrained, **budgets, LAST: _fixed(epochs[-1]), **FOLLOW_SCORES}


def recorded_values(curves: Sequence[Curve], parameter: str) -> list[Any]:
    """Return the values of a field of `Signal` that curves have scores for, the deepest level first."""
    if parameter == "pooled":
        return list(POOLINGS.values())
    thesis = Signal().indicator
    found = {spec[parameter] for curve in curves for spec in curve.scores if spec.indicator == thesis}
    return sorted(found, reverse=parameter == "level")


class Selections(NamedTuple):
    """What a strategy takes, one entry per curve; NaN where a curve lacks the scores it needs.

    Attributes:
        tis: TIS of the chosen checkpoint (N).
        seed_tis: The same by the performance of each seed alone (N, S).
        epochs: Epochs of pretraining that are paid for (N).
    """

    tis: Array
    seed_tis: Array
    epochs: Array


def select(curve: Curve, rule: StoppingRule, signal: Signal | None) -> Replay | None:
    """Return what a fresh rule does on a curve; None where the curve lacks the scores it follows.

    Args:
        curve: The configuration.
        rule: A fresh rule.
        signal: The scores it follows; None: the accuracy on the source data.
    """
    if signal is None:
        if any(map(math.isnan, curve.source_accuracy)):
            return None
        return replay(rule, list(zip(curve.epochs, curve.source_accuracy, strict=True)))
    choice = signal.choice(curve.encoder, curve.protocol)
    return replay(rule, curve.points(choice)) if choice in curve.scores else None


def select_all(
    curves: Sequence[Curve], rule: Callable[[], StoppingRule], signal: Signal | None
) -> Selections:
    """Return what a stopping rule takes from every curve.

    Args:
        curves: The configurations.
        rule: Makes a fresh rule.
        signal: The scores it follows; None: the accuracy on the source data.
    """
    num_seeds = min(len(seeds) for curve in curves for seeds in curve.performances)
    tis, seed_tis, paid = [], [], []
    for curve in curves:
        replayed = select(curve, rule(), signal)
        epoch = replayed.selected_epoch if replayed else None
        tis.append(curve.tis(epoch))
        seed_tis.append(curve.seed_tis(epoch)[:num_seeds])
        paid.append(replayed.stopped_epoch if replayed else math.nan)
    return Selections(np.array(tis), np.array(seed_tis), np.array(paid))


@dataclass(frozen=True, kw_only=True)
class TisStatistics:
    """TIS of a strategy over configurations.

    Attributes:
        configurations: How many of them have what the strategy needs.
        mean: Mean TIS over them.
        standard_error: Of that mean, over configurations taken as independent: standard deviation (n - 1) /
            sqrt(n). They share data sets and encoders, so it is rather too small. NaN for one.
        seed_spread: What another downstream seed may change: the choice judged by each seed alone gives a
            mean TIS per seed; their standard deviation (n - 1). NaN for one seed.
        worst: Lowest TIS.
        epochs: Mean epochs of pretraining that are paid for.
    """

    configurations: int
    mean: float
    standard_error: float
    seed_spread: float
    worst: float
    epochs: float


def tis_statistics(selections: Selections, members: NDArray[np.bool_]) -> TisStatistics:
    """Return the statistics over those of `members` (N) that have a TIS; all NaN where none has."""
    counted = members & np.isfinite(selections.tis)
    tis, seeds, epochs = (of_curves[counted] for of_curves in selections)
    if not len(tis):
        nothing = dict.fromkeys(("mean", "standard_error", "seed_spread", "worst", "epochs"), math.nan)
        return TisStatistics(configurations=0, **nothing)
    many_seeds = seeds.shape[1] > 1
    return TisStatistics(
        configurations=len(tis),
        mean=float(tis.mean()),
        standard_error=standard_error(tis),
        seed_spread=float(seeds.mean(0).std(ddof=1)) if many_seeds else math.nan,
        worst=float(tis.min()),
        epochs=float(epochs.mean()),
    )


def standard_error(values: Array) -> float:
    """Return the standard error of the mean of independent values, s / sqrt(n); NaN for fewer than two."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


class Group(NamedTuple):
    """Configurations that are averaged over.

    Attributes:
        names: What they have in common, for example "dataset" -> "acdc" and "protocol" -> "fine_tuning"; or
            "all".
        members: Which curves they are (N).
    """

    names: Mapping[str, str]
    members: NDArray[np.bool_]


def groups(curves: Sequence[Curve], by: str = "dataset") -> list[Group]:
    """Return the configurations of each dataset, or model, and protocol, and last all of them.

    Args:
        curves: The configurations.
        by: "dataset" or "model".
    """
    averaged = []
    for value in sorted({getattr(curve, by) for curve in curves}):
        for protocol in PROTOCOLS:
            members = np.array([(getattr(c, by), c.protocol) == (value, protocol) for c in curves])
            if members.any():
                averaged.append(Group({by: value, "protocol": protocol}, members))
    return [*averaged, Group({by: ALL, "protocol": ALL}, np.ones(len(curves), dtype=bool))]


def statistics_rows(
    among: Sequence[Group], names: Mapping[str, Any], selections: Selections
) -> list[dict[str, Any]]:
    """Return a row per group: `names`, the group's, and the statistics; groups without any are left out."""
    return [
        {**names, **group.names, **vars(computed)}
        for group in among
        if (computed := tis_statistics(selections, group.members)).configurations
    ]


def rule_rows(
    curves: Sequence[Curve], signal: Signal | None = None, *, by: str = "dataset"
) -> list[dict[str, Any]]:
    """Return the statistics of every strategy, one row per strategy, dataset and protocol ("all": over all).

    Args:
        curves: The configurations, at least one.
        signal: The scores that rules follow; the thesis's where None: cosine, margin 0.5, second to last
            level, pooled for frozen.
        by: "dataset", or "model" for a row per rule, model and protocol.
    """
    among, follows = groups(curves, by), signal or Signal()
    return [
        row
        for name, rule in strategies(curves).items()
        for row in statistics_rows(among, {"rule": name}, select_all(curves, rule, follows))
    ]


def accuracy_rows(curves: Sequence[Curve], *, by: str = "dataset") -> list[dict[str, Any]]:
    """Return the same of taking the checkpoint that is best on the source data, where that was recorded."""
    return statistics_rows(groups(curves, by), {"rule": ACCURACY}, select_all(curves, BestOfAll, None))
