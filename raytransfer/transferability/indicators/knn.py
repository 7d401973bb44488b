"""Leave-one-out accuracy of a k-nearest-neighbour classifier on an encoder's features of the target.

score = share of features whose k nearest ones, by cosine, of other images vote for their class. Higher is
better, in [0, 1]. What a feature and its class are stands in `labelled_features.py`: a feature per image, or
features at pixels of each class. Neighbours are of other images only: within an image, pixels of one class
are near each other whatever the encoder is.

What unusual input gives:

- Features at equal distance: the one of the image with the lower index is nearer. Classes with equally many
  votes: the lower class wins, as in scikit-learn.
- A feature that is zero has no direction: its similarity to all others is 0.
- Fewer other features than k: all of them vote.
- NaN or infinite features, one class, or one image, are an error.

The standard error is over images, which it takes as independent: standard deviation (n - 1) of an image's
share of right features / sqrt(n). For a class per image that is the binomial one, sqrt(p (1 - p) / (n - 1)).
Slices of one volume share a patient, and neighbours are shared, so it is rather too small.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from raytransfer.errors import InputError
from raytransfer.transferability.indicators.labelled_features import LabelledIndicator

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 1024  # features that are compared with all others at a time


@dataclass(frozen=True, kw_only=True)
class NearestNeighbours(LabelledIndicator):
    """The indicator `knn`.

    Attributes:
        k: Neighbours that vote, at least 1.
    """

    name: ClassVar[str] = "knn"
    k: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k < 1:
            raise InputError(f"k of knn must be at least 1, got {self.k}")

    def score(
        self, features: "NDArray[Any]", classes: "NDArray[Any]", images: "NDArray[Any]"
    ) -> tuple[float, float | None]:
        """Return the accuracy and its standard error."""
        import numpy as np

        right = predicted_by_others(features, classes, images, self.k) == classes
        shares = np.bincount(images, weights=right) / np.bincount(images)
        return float(right.mean()), float(shares.std(ddof=1) / np.sqrt(len(shares)))


def predicted_by_others(
    features: "NDArray[Any]", classes: "NDArray[Any]", group: "NDArray[Any]", k: int
) -> "NDArray[Any]":
    """Return for each feature the class that its k nearest features of other groups vote for.

    Args:
        features: (P, C).
        classes: (P,), numbers from 0.
        group: (P,), number of the image that each is of; no neighbours are of the same one.
        k: Neighbours, all where there are fewer.
    """
    import numpy as np

    rows = features.astype(np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    num_classes = int(classes.max()) + 1
    found = np.empty(len(rows), dtype=classes.dtype)
    for low in range(0, len(rows), _BLOCK):
        part = slice(low, low + _BLOCK)
        # Rounded: products of equal features differ in the last digit by where they stand in a block.
        similarity = np.round(rows[part] @ rows.T, 12)
        similarity[group[part, None] == group] = -np.inf
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
        voting = np.take_along_axis(similarity, nearest, axis=1) > -np.inf
        votes = np.zeros((len(nearest), num_classes))
        np.add.at(votes, (np.arange(len(nearest))[:, None], classes[nearest]), voting)
        found[part] = votes.argmax(axis=1)
    return found
