"""How sure a choice of checkpoint is: the bootstrap over the downstream seeds (Efron, 1979).

Every checkpoint's trainings are drawn with replacement, as many as there are, and everything is computed
again from the means. Checkpoints are drawn independently of each other, for their numbers of seeds may
differ; one that serves several schemes (epoch 0) is drawn once. Drawing from n values makes the spread of
their mean too small by the factor sqrt((n - 1) / n), so with few seeds intervals are too narrow. They say
what other seeds might give, not what other data sets would. Intervals are percentile intervals: the
quantiles (1 - c) / 2 and (1 + c) / 2 of the resamples for a coverage c.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from raytransfer.statistics.curves import Curve

Array = NDArray[np.float64]
RESAMPLES = 4000
COVERAGE = 0.95


class Interval(NamedTuple):
    """The middle `COVERAGE` of the resamples; NaN for one seed."""

    low: float
    high: float


def resampled_dice(curves: Sequence[Curve], *, resamples: int = RESAMPLES, seed: int = 0) -> list[Array]:
    """Return the mean performance of every checkpoint of every curve in every resample, (R, E) per curve.

    Args:
        curves: The configurations.
        resamples: How many, R.
        seed: Of the draws; the same seed and curves give the same numbers.
    """
    generator = np.random.default_rng(seed)
    drawn: dict[tuple[object, ...], Array] = {}
    means = []
    for curve in curves:
        columns = []
        for epoch, dice in zip(curve.epochs, curve.performances, strict=True):
            trainings = (curve.model, curve.dataset, curve.protocol, epoch, dice)
            if trainings not in drawn:
                picked = generator.integers(len(dice), size=(resamples, len(dice)))
                drawn[trainings] = np.array(dice)[picked].mean(axis=1)
            columns.append(drawn[trainings])
        means.append(np.stack(columns, axis=1))
    return means


def relative(dice: Array) -> Array:
    """Return the TIS of every checkpoint: performance (R, E) / the best of its row."""
    return dice / dice.max(axis=1, keepdims=True)


def interval(values: Array) -> Interval:
    """Return the interval that holds the middle of resampled values (R)."""
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(values, (tail, 1 - tail)).tolist()
    return Interval(low, high)
