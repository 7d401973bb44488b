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
- NaN or infinite features are an error that names level and image.
- One class, or one image, is an error.

The standard error is over images, which it takes as independent: standard deviation (n - 1) of an image's
share of right features / sqrt(n). For a class per image that is the binomial one, sqrt(p (1 - p) / (n - 1)).
Slices of one volume share a patient, and neighbours are shared, so it is rather too small.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from raytransfer.errors import InputError
from raytransfer.transferability.indicators.base import (
    EncoderInfo,
    Need,
    Score,
    ScoreSpec,
    TargetInfo,
)
from raytransfer.transferability.indicators.labelled_features import LabelledFeatures

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 1024  # features that are compared with all others at a time


@dataclass(frozen=True, kw_only=True)
class NearestNeighbours:
    """The indicator `knn`.

    Attributes:
        k: Neighbours that vote, at least 1.
        points: Pixels per class and image, at least 1; only with maps of classes.
    """

    name: ClassVar[str] = "knn"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.IMAGES, Need.LABELS})
    k: int = 5
    points: int = 4

    def __post_init__(self) -> None:
        for name in ("k", "points"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} of knn must be at least 1, got {getattr(self, name)}")

    def specs(self, encoder: EncoderInfo) -> Sequence[ScoreSpec]:
        """Return a spec per level, the highest resolution first."""
        options = (("k", self.k), ("points", self.points))
        return [ScoreSpec(self.name, level, options=options) for level in encoder.levels]

    def start(self, encoder: EncoderInfo, target: TargetInfo) -> "Features":
        """Return an accumulator without features."""
        return Features(self, self.specs(encoder), target)


class Features(LabelledFeatures):
    """Features with their classes, by image.

    Args:
        options: The indicator.
        specs: One per level.
        target: The target.
    """

    def __init__(self, options: NearestNeighbours, specs: Sequence[ScoreSpec], target: TargetInfo) -> None:
        super().__init__(options.name, options.points, specs, target)
        self._k = options.k

    def scores(self) -> dict[ScoreSpec, Score]:
        """Return the accuracy of every level.

        Raises:
            InputError: There are fewer than two images, or fewer than two classes.
        """
        import numpy as np

        classes, group, levels = self._gathered()
        num_images = int(group.max()) + 1
        found = {}
        for spec, features in zip(self._specs, levels, strict=True):
            right = predicted_by_others(features, classes, group, self._k) == classes
            shares = np.bincount(group, weights=right) / np.bincount(group)
            error = float(shares.std(ddof=1) / np.sqrt(num_images))
            found[spec] = Score(float(right.mean()), error, num_images)
        return found


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
