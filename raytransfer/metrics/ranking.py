"""Agreement of an indicator's scores with the downstream performance of the same checkpoints."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def _checked(a: Sequence[float], b: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or len(x) == 0:
        raise ValueError(
            f"both must be non-empty sequences of one length, got shapes {x.shape} and {y.shape}"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("all values must be finite")
    return x, y


def transferability_indicator_score(scores: Sequence[float], performances: Sequence[float]) -> float:
    """Return the TIS: what choosing by the score costs (thesis, eq. 3.1).

    Downstream metric of the checkpoint with the highest score / highest downstream metric. At most 1, for
    metrics that are positive and better when higher. Of equal scores the first counts, so pass checkpoints
    in the order of their epochs.

    Args:
        scores: An indicator's value per checkpoint.
        performances: The downstream metric per checkpoint, in [0, 1].

    Raises:
        ValueError: Lengths differ, a value is not finite, or no performance is positive.

    Examples:
        >>> transferability_indicator_score([0.3, 0.5, 0.4], [0.60, 0.72, 0.80])
        0.8999999999999999
    """
    x, y = _checked(scores, performances)
    if y.max() <= 0:
        raise ValueError(f"performances must contain a positive value, the largest is {y.max()}")
    return float(y[x.argmax()] / y.max())


def weighted_kendall(a: Sequence[float], b: Sequence[float]) -> float:
    """Return Vigna's weighted Kendall tau (hyperbolic weights, additive, symmetric), in [-1, 1]."""
    from scipy import stats  # takes a second to read, which all worker processes would wait for

    return float(stats.weightedtau(*_checked(a, b)).statistic)


def pearson(a: Sequence[float], b: Sequence[float]) -> float:
    """Return Pearson's correlation, in [-1, 1]; NaN where one side is constant."""
    from scipy import stats

    return float(stats.pearsonr(*_checked(a, b)).statistic)


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Return Spearman's rank correlation, in [-1, 1]; NaN where one side is constant."""
    from scipy import stats

    return float(stats.spearmanr(*_checked(a, b)).statistic)
