"""Ray Tune's early-stopping schedulers by name, for recorded and running pretrainings.

All compare pretrainings with each other at the same epoch, by the metric "robustness", higher being better.
The number before the slash is the last epoch of the longest pretraining.
"""

from collections.abc import Callable

from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

REPORTED = {"time_attr": "epoch", "metric": "robustness", "mode": "max"}


def asha(last_epoch: int, /, *, grace_period: int = 1, reduction_factor: float = 4.0) -> TrialScheduler:
    """Return ASHA with one bracket: among several, Ray deals out trials with the global random generator."""
    return AsyncHyperBandScheduler(
        max_t=last_epoch, grace_period=grace_period, reduction_factor=reduction_factor, **REPORTED
    )


def hyperband(last_epoch: int, /, *, reduction_factor: float = 3.0) -> TrialScheduler:
    """Return synchronous HyperBand: trials wait at milestones until their bracket is halved."""
    return HyperBandScheduler(max_t=last_epoch, reduction_factor=reduction_factor, **REPORTED)


def median_stopping(
    last_epoch: int, /, *, grace_period: int = 1, min_samples_required: int = 3
) -> TrialScheduler:
    """Return the median stopping rule: a trial's best against the others' running means."""
    return MedianStoppingRule(
        grace_period=grace_period, min_samples_required=min_samples_required, **REPORTED
    )


SCHEDULERS: dict[str, Callable[..., TrialScheduler]] = {
    "asha": asha,
    "hyperband": hyperband,
    "median-stopping": median_stopping,
}
