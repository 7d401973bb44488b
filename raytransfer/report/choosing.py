"""How good it is to choose checkpoints in some way: TIS over configurations, with its uncertainty.

A configuration is a recorded curve: model, dataset, scheme and protocol.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from raytransfer.evaluation.settings import PROTOCOLS
from raytransfer.results.curves import Curve
from raytransfer.results.signals import Signal
from raytransfer.scheduling.replay import Replay, replay
from raytransfer.scheduling.rules import StoppingRule
from raytransfer.transferability.settings import POOLINGS

Array = NDArray[np.float64]
ALL = "all"


def values(curves: Sequence[Curve], parameter: str) -> list[Any]:
    """Return the values of a field of `Signal` that curves have scores for, the deepest level first."""
    if parameter == "pooled":
        return list(POOLINGS.values())
    thesis = Signal().indicator
    found = {spec[parameter] for curve in curves for spec in curve.scores if spec.indicator == thesis}
    return sorted(found, reverse=parameter == "level")


class Chosen(NamedTuple):
    """What a way of choosing takes, one entry per curve; NaN where a curve lacks the scores it needs.

    Attributes:
        tis: TIS of the chosen checkpoint (N).
        seed_tis: The same by the Dice of each seed alone (N, S).
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


def choose(curves: Sequence[Curve], rule: Callable[[], StoppingRule], signal: Signal | None) -> Chosen:
    """Return what a stopping rule takes from every curve.

    Args:
        curves: The configurations.
        rule: Makes a fresh rule.
        signal: The scores it follows; None: the accuracy on the source data.
    """
    num_seeds = min(len(seeds) for curve in curves for seeds in curve.performances)
    tis, seed_tis, paid = [], [], []
    for curve in curves:
        seen = select(curve, rule(), signal)
        epoch = seen.selected_epoch if seen else None
        tis.append(curve.tis(epoch))
        seed_tis.append(curve.seed_tis(epoch)[:num_seeds])
        paid.append(seen.stopped_epoch if seen else math.nan)
    return Chosen(np.array(tis), np.array(seed_tis), np.array(paid))


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """TIS of a way of choosing over configurations.

    Attributes:
        configurations: How many of them have what the way of choosing needs.
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


def statistics(chosen: Chosen, members: NDArray[np.bool_]) -> Statistics:
    """Return the statistics over those of `members` (N) that have a TIS."""
    there = members & np.isfinite(chosen.tis)
    tis, seeds, epochs = chosen.tis[there], chosen.seed_tis[there], chosen.epochs[there]
    if not len(tis):
        nothing = dict.fromkeys(("mean", "standard_error", "seed_spread", "worst", "epochs"), math.nan)
        return Statistics(configurations=0, **nothing)
    many_seeds = seeds.shape[1] > 1
    return Statistics(
        configurations=len(tis),
        mean=float(tis.mean()),
        standard_error=standard_error(tis),
        seed_spread=float(seeds.mean(0).std(ddof=1)) if many_seeds else math.nan,
        worst=float(tis.min()),
        epochs=float(epochs.mean()),
    )


def standard_error(values: Array) -> float:
    """Return the standard error of the mean of independent values; NaN for fewer than two."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


class Group(NamedTuple):
    """Configurations that are averaged over.

    Attributes:
        names: What they have in common, for example "dataset" -> "acdc" and "protocol" -> "fine_tuning"; or
        "all". members: Which curves they are (N).
    """

    names: Mapping[str, str]
    members: NDArray[np.bool_]


def groups(curves: Sequence[Curve], by: str = "dataset") -> list[Group]:
    """Return the configurations of each dataset, or model, and protocol, and last all of them.

    Args:
        curves: The configurations.
        by: "dataset" or "model".
    """
    found = []
    for value in sorted({getattr(curve, by) for curve in curves}):
        for protocol in PROTOCOLS:
            members = np.array([(getattr(c, by), c.protocol) == (value, protocol) for c in curves])
            if members.any():
                found.append(Group({by: value, "protocol": protocol}, members))
    return [*found, Group({by: ALL, "protocol": ALL}, np.ones(len(curves), dtype=bool))]


def rows(among: Sequence[Group], names: Mapping[str, Any], chosen: Chosen) -> list[dict[str, Any]]:
    """Return a row per group: `names`, the group's, and the statistics; groups without any are left out."""
    found = []
    for group in among:
        of = statistics(chosen, group.members)
        if of.configurations:
            found.append({**names, **group.names, **vars(of)})
    return found


def cell(row: Mapping[str, Any]) -> str:
    """Return a row's TIS as text: mean ± standard error (worst)."""
    error = "" if math.isnan(row["standard_error"]) else f" ± {row['standard_error']:.4f}"
    return f"{row['mean']:.4f}{error} ({row['worst']:.4f})"
