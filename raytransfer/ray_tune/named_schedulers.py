"""Ray Tune's early-stopping schedulers by name, for recorded and running pretrainings.

All compare pretrainings with each other at the same epoch, by the metric "robustness", higher being better.
The argument `last_epoch` is the end of the longest pretraining, beyond which no trial goes. Ray is imported
when a scheduler is built, not before: names and arguments are checked without it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from raytransfer.errors import InputError
from raytransfer.scheduling.registry import RULES, call_from_text, rule_factory
from raytransfer.scheduling.simulation import Judge, RecordedPretraining, RuleJudge

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

EPOCHS = {"time_attr": "epoch"}
"""What a scheduler is told whose metric Tune sets."""
REPORTED = {**EPOCHS, "metric": "robustness", "mode": "max"}


def _require_from(low: float, name: str, value: float) -> None:
    if not value >= low:
        raise InputError(f"{name} must be at least {low:g}, got {value!r}")


def _require_reduction(factor: float) -> None:
    if not 1 < factor < math.inf:
        raise InputError(f"reduction_factor must be above 1 and finite, got {factor!r}")


def check_asha(*, grace_period: int = 1, reduction_factor: float = 4.0) -> None:
    """Raise InputError where `asha` takes no such argument; nothing is built."""
    _require_reduction(reduction_factor)
    _require_from(1, "grace_period", grace_period)


def asha(
    last_epoch: int,
    reported: Mapping[str, str] = REPORTED,
    /,
    *,
    grace_period: int = 1,
    reduction_factor: float = 4.0,
) -> "TrialScheduler":
    """Return ASHA with one bracket: among several, Ray deals out trials with the global random generator."""
    check_asha(grace_period=grace_period, reduction_factor=reduction_factor)
    from ray.tune.schedulers import AsyncHyperBandScheduler

    grace_period = min(grace_period, last_epoch)  # nobody stops before the end; Ray refuses more
    return AsyncHyperBandScheduler(
        max_t=last_epoch, grace_period=grace_period, reduction_factor=reduction_factor, **reported
    )


def hyperband(last_epoch: int, /, *, reduction_factor: float = 3.0) -> "TrialScheduler":
    """Return synchronous HyperBand: trials wait at milestones until their bracket is halved."""
    _require_reduction(reduction_factor)
    from ray.tune.schedulers import HyperBandScheduler

    return HyperBandScheduler(max_t=last_epoch, reduction_factor=reduction_factor, **REPORTED)


def median_stopping(
    last_epoch: int, /, *, grace_period: int = 1, min_samples_required: int = 3
) -> "TrialScheduler":
    """Return the median stopping rule: a trial's best against the others' running means."""
    _require_from(0, "grace_period", grace_period)
    _require_from(1, "min_samples_required", min_samples_required)
    from ray.tune.schedulers import MedianStoppingRule

    return MedianStoppingRule(
        grace_period=grace_period, min_samples_required=min_samples_required, **REPORTED
    )


SCHEDULERS: dict[str, Callable[..., "TrialScheduler"]] = {
    "asha": asha,
    "hyperband": hyperband,
    "median-stopping": median_stopping,
}
"""Name -> what builds a scheduler, in the form that `call_from_text` takes."""


def judge_factory(text: str) -> Callable[[Sequence[RecordedPretraining]], Judge]:
    """Return what judges a replay as text says: one of our rules or one of Ray's schedulers.

    Args:
        text: For example `first-peak(patience=2)` or `asha(reduction_factor=3)`.

    Raises:
        InputError: As `call_from_text`, or a value that is refused.
    """
    build = call_from_text(text, {**RULES, **SCHEDULERS})
    if build.func in RULES.values():
        make_rule = rule_factory(text)
        return lambda pretrainings: RuleJudge(pretrainings, make_rule)
    from raytransfer.ray_tune.replay import SchedulerJudge

    build(1)  # refuses impossible values now
    return lambda pretrainings: SchedulerJudge(pretrainings, build(max(p.epochs[-1] for p in pretrainings)))
