"""What stopping rules would have cost and reached on recorded pretrainings."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from statistics import fmean

import numpy as np

from raytransfer.errors import InputError
from raytransfer.scheduling.rules import FixedBudget
from raytransfer.scheduling.simulation import Judge, RecordedPretraining, RuleJudge, simulate
from raytransfer.statistics.curves import Curve
from raytransfer.statistics.selection import standard_error
from raytransfer.statistics.signals import Signal

EpochSeconds = Mapping[tuple[str, str], Mapping[int, float]]
"""(encoder, scheme) -> epoch -> seconds that this epoch took."""

JudgeFactory = Callable[[Sequence[RecordedPretraining]], Judge]


@dataclass(frozen=True, kw_only=True)
class Recordings:
    """Recorded curves, sorted by the pretraining they share.

    Attributes:
        curves: K configurations: model, dataset, scheme and protocol.
        pretrainings: One per encoder and scheme; its targets are "<dataset> <protocol>".
        unit: What durations count: "hour" where every epoch's time was recorded, else "epoch".
    """

    curves: tuple[Curve, ...]
    pretrainings: tuple[RecordedPretraining, ...]
    unit: str


def _pretraining(curve: Curve) -> str:
    return f"{curve.encoder} {curve.scheme}"


def _target(curve: Curve) -> str:
    return f"{curve.dataset} {curve.protocol}"


def _values(curve: Curve, parameter: str) -> str:
    found = {spec[parameter] for spec in curve.scores if parameter in spec.parameters}
    return " ".join(map(str, sorted(found)))


def _hours(epochs: Sequence[int], seconds: Mapping[int, float]) -> tuple[float, ...] | None:
    """Return the hours to each checkpoint from the one before; None where an epoch's time is missing."""
    if not set(range(1, epochs[-1] + 1)) <= seconds.keys():
        return None
    steps = pairwise((0, *epochs))
    return tuple(sum(seconds[epoch] for epoch in range(a + 1, b + 1)) / 3600 for a, b in steps)


def recordings(curves: Sequence[Curve], signal: Signal, seconds: EpochSeconds | None = None) -> Recordings:
    """Bring curves into the form that the simulator takes.

    Args:
        curves: At least one; those of one encoder and scheme become one pretraining.
        signal: The scores that are replayed; models that share an encoder have the same.
        seconds: (encoder, scheme) -> epoch -> seconds. Where any is missing, every epoch takes one unit.

    Raises:
        InputError: A curve has no scores of the signal.
    """
    points: dict[tuple[str, str], dict[str, dict[int, tuple[float, float]]]] = {}
    for curve in curves:
        choice = signal.choice(curve.encoder, curve.protocol)
        if choice not in curve.scores:
            raise InputError(
                f"no scores {signal} of {_pretraining(curve)} on {curve.dataset}; recorded: "
                + ", ".join(f"{n} {_values(curve, n)}" for n in ("distance", "margin", "level"))
            )
        pairs = zip(curve.scores[choice], curve.standard_errors[choice], strict=True)
        targets = points.setdefault((curve.encoder, curve.scheme), {})
        targets[_target(curve)] = dict(zip(curve.epochs, pairs, strict=True))
    epochs = {key: sorted(set().union(*targets.values())) for key, targets in points.items()}
    hours = {key: _hours(epochs[key], (seconds or {}).get(key, {})) for key in points}
    timed = None not in hours.values()
    nothing = (math.nan, math.nan)
    pretrainings = []
    for key, targets in points.items():
        one_each = tuple(float(b - a) for a, b in pairwise((0, *epochs[key])))
        pretrainings.append(
            RecordedPretraining(
                name=" ".join(key),
                epochs=tuple(epochs[key]),
                durations=(hours[key] if timed else None) or one_each,
                curves={
                    name: [of_target.get(e, nothing) for e in epochs[key]]
                    for name, of_target in targets.items()
                },
            )
        )
    return Recordings(
        curves=tuple(curves), pretrainings=tuple(pretrainings), unit="hour" if timed else "epoch"
    )


@dataclass(frozen=True, kw_only=True)
class Rating:
    """What a rule costs and reaches: each configuration on its own, and pretrainings shared by their targets.

    Attributes:
        rule: Its text.
        tis: Per configuration on its own, TIS of the checkpoint selected for it; NaN where there is none.
        epochs: Per configuration on its own, epochs paid for.
        shared_tis: As `tis`, where a pretraining goes on until its last target stops. The same for our rules;
            Ray's schedulers then see the mean over the targets.
        shared_epochs: Per pretraining, epochs paid for until its last target stops.
        worker_time: Time of all workers together, of the shared pretrainings; in hours or epochs.
        makespan: Until the last shared pretraining stops; in hours or epochs.
    """

    rule: str
    tis: tuple[float, ...]
    epochs: tuple[int, ...]
    shared_tis: tuple[float, ...]
    shared_epochs: tuple[int, ...]
    worker_time: float
    makespan: float

    @cached_property
    def mean_tis(self) -> float:
        """Mean over configurations; NaN where one has none."""
        return fmean(self.tis)

    @cached_property
    def worst_tis(self) -> float:
        """Lowest of the configurations; NaN where one has none."""
        return math.nan if any(map(math.isnan, self.tis)) else min(self.tis)

    @cached_property
    def standard_error(self) -> float:
        """Of the mean TIS, over configurations; NaN for one."""
        return standard_error(np.array(self.tis))

    @cached_property
    def mean_epochs(self) -> float:
        """Mean over configurations, each on its own."""
        return fmean(self.epochs)


def rate(rule: str, make_judge: JudgeFactory, recorded: Recordings, *, workers: int = 1) -> Rating:
    """Replay all pretrainings through a rule or scheduler, for each target alone and for all together.

    Args:
        rule: Its text.
        make_judge: Builds a fresh judge of some pretrainings.
        recorded: What is replayed.
        workers: Pretrainings that run at once. Rules do not depend on it, schedulers do.

    Raises:
        InputError: Fewer than one worker, or a rule needs what was not recorded.
    """
    pretrainings = recorded.pretrainings
    alone = {}
    for target in dict.fromkeys(target for p in pretrainings for target in p.curves):
        having = [replace(p, curves={target: p.curves[target]}) for p in pretrainings if target in p.curves]
        outcomes = simulate(having, make_judge(having), workers=workers).outcomes
        alone.update({(p.name, target): outcome for p, outcome in zip(having, outcomes, strict=True)})
    together = simulate(pretrainings, make_judge(pretrainings), workers=workers)
    shared = {p.name: outcome for p, outcome in zip(pretrainings, together.outcomes, strict=True)}
    own = [alone[_pretraining(curve), _target(curve)] for curve in recorded.curves]
    return Rating(
        rule=rule,
        tis=tuple(
            curve.tis(outcome.selected[_target(curve)])
            for curve, outcome in zip(recorded.curves, own, strict=True)
        ),
        epochs=tuple(outcome.stopped_epoch or 0 for outcome in own),
        shared_tis=tuple(
            curve.tis(shared[_pretraining(curve)].selected[_target(curve)]) for curve in recorded.curves
        ),
        shared_epochs=tuple(outcome.stopped_epoch or 0 for outcome in together.outcomes),
        worker_time=together.worker_time,
        makespan=together.makespan,
    )


def fixed_budgets(recorded: Recordings, *, workers: int = 1) -> list[Rating]:
    """Return the line to beat: a fixed budget for every recorded checkpoint but the untrained one.

    Raises:
        InputError: Fewer than one worker, or nothing but untrained encoders was recorded.
    """
    epochs = sorted({epoch for p in recorded.pretrainings for epoch in p.epochs if epoch > 0})
    if not epochs:
        raise InputError("every recorded checkpoint is an untrained encoder: there is nothing to stop")
    return [
        rate(
            f"fixed-budget(epochs={epoch})",
            lambda pretrainings, epoch=epoch: RuleJudge(pretrainings, lambda: FixedBudget(epoch)),  # type: ignore[misc]
            recorded,
            workers=workers,
        )
        for epoch in epochs
    ]


def gain_over(line: Sequence[Rating], rating: Rating) -> float:
    """Return how far a rule's mean TIS lies above fixed budgets of the same mean epochs.

    Between two budgets the line is straight: it is what dealing configurations out to the two would reach.
    NaN before the first and after the last one.
    """
    points = sorted((budget.mean_epochs, budget.mean_tis) for budget in line)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return rating.mean_tis - float(np.interp(rating.mean_epochs, xs, ys, left=math.nan, right=math.nan))


def rating_rows(ratings: Sequence[Rating], line: Sequence[Rating], unit: str) -> list[dict[str, str | float]]:
    """Return one plain row per rule.

    Args:
        ratings: Of the rules.
        line: Of the fixed budgets.
        unit: Of the times: "hour" or "epoch".
    """
    return [
        {
            "rule": rating.rule,
            "mean_tis": rating.mean_tis,
            "worst_tis": rating.worst_tis,
            "standard_error": rating.standard_error,
            "mean_epochs": rating.mean_epochs,
            "gain_over_fixed_budgets": gain_over(line, rating),
            "shared_mean_tis": fmean(rating.shared_tis),
            "shared_mean_epochs": fmean(rating.shared_epochs),
            f"worker_{unit}s": rating.worker_time,
            f"makespan_{unit}s": rating.makespan,
        }
        for rating in ratings
    ]
