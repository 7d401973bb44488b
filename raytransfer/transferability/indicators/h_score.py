"""H-score of an encoder's features of the target (Bao et al., 2019): how well class means explain them.

score = trace(pinv(cov(f)) cov(g)), where f are the features and g_i is the mean of the features of i's class.
Both covariances divide by the number of features. It is the variance between classes as a share of all,
summed over whitened directions. Higher is better, in [0, C - 1] for C classes, whatever the features' scale
and offset. What a feature and its class are stands in `labelled_features.py`: a feature per image, or
features at pixels of each class.

Chance alone gives about (C - 1) D / (n - 1) for n features of D channels, and with n - 1 channels or more the
score is C - 1 whatever the encoder is. `covariance="shrunk"` is for few features, the regularised H-score
(Ibrahim et al., 2021): cov(f) is the estimate of Ledoit and Wolf, and the score is multiplied by 1 - its
shrinkage. As in the public code, cov(g) then divides by n - 1.

What unusual input gives:

- Directions along which features vary by less than a millionth of their root mean square length count as
  rounding errors of float32, not as variance. So features that are all the same score 0. Weak
  directions that do count are whitened with their rounding: where features vary by 1e-4 of their length, a
  change of the batch size changed a score by 6e-6.
- Classes with more features weigh more; a class of the data set without features counts as no class.
- NaN or infinite features, one class, or one image, are an error.

There is no standard error: features share the covariance, so images are no independent terms of the score.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from raytransfer.errors import unknown_name
from raytransfer.transferability.indicators.labelled_features import LabelledIndicator

if TYPE_CHECKING:
    from numpy.typing import NDArray

COVARIANCES = ("sample", "shrunk")

_ROUNDING = 1e-6  # of float32, accumulated over an encoder's layers


@dataclass(frozen=True, kw_only=True)
class HScore(LabelledIndicator):
    """The indicator `h_score`.

    Attributes:
        covariance: Of the features, "sample" or, regularised, "shrunk".
    """

    name: ClassVar[str] = "h_score"
    covariance: str = "sample"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.covariance not in COVARIANCES:
            raise unknown_name("covariance", self.covariance, COVARIANCES)

    def score(
        self, features: "NDArray[Any]", classes: "NDArray[Any]", images: "NDArray[Any]"
    ) -> tuple[float, float | None]:
        """Return the H-score, without a standard error."""
        return h_score(features, classes, self.covariance), None


def h_score(features: "NDArray[Any]", classes: "NDArray[Any]", covariance: str = "sample") -> float:
    """Return the H-score of features.

    Args:
        features: (P, C), two or more.
        classes: (P,), whole numbers; those that do not occur are no classes.
        covariance: One of `COVARIANCES`.
    """
    import numpy as np

    rows = features.astype(np.float64)
    num = len(rows)
    rounding = _ROUNDING**2 * (rows**2).sum() / num
    rows -= rows.mean(axis=0)
    _, numbers, counts = np.unique(classes, return_inverse=True, return_counts=True)
    means = np.zeros((len(counts), rows.shape[1]))
    np.add.at(means, numbers, rows)
    means /= counts[:, None]
    if covariance == "shrunk":
        from sklearn.covariance import ledoit_wolf

        of_features, shrinkage = ledoit_wolf(rows, assume_centered=True)
        factor = (1 - shrinkage) / (num - 1)
    else:
        of_features, factor = rows.T @ rows / num, 1 / num
    variances, directions = np.linalg.eigh(of_features)
    real = variances > rounding
    between = counts @ (means @ directions[:, real]) ** 2
    return float(factor * (between / variances[real]).sum())
