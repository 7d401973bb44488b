"""Leave-one-out accuracy of a k-nearest-neighbour classifier on an encoder's features of the target.

score = share of features whose k nearest ones, by cosine, of other images vote for their class. Higher is
better, in [0, 1]. What a feature and its class are follows from the target's labels, per level:

- A class per image (classification): the feature map averaged over space, one feature per image.
- A map of classes per image (segmentation): features at pixels, `points` of each class that an image has,
  drawn by (seed, image), so that classes count alike whatever their area. A pixel's feature is that of the
  cell of the feature map it lies in: a level whose cells are larger than structures cannot tell them apart.
  Neighbours are of other images only: within an image, pixels of one class are near each other whatever the
  encoder is. Of more than 1024 images a seeded 1024 count.

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
    Batch,
    EncoderInfo,
    Need,
    Score,
    ScoreSpec,
    TargetInfo,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    Sampled = tuple[NDArray[Any], list[NDArray[Any]]]

MOST_IMAGES = 1024
"""Of a segmentation target: the cost grows with the square of the number of pixels."""

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


class Features:
    """Features with their classes, by image.

    Args:
        options: The indicator.
        specs: One per level.
        target: The target.
    """

    def __init__(self, options: NearestNeighbours, specs: Sequence[ScoreSpec], target: TargetInfo) -> None:
        import numpy as np

        self._options, self._specs, self._target = options, tuple(specs), target
        drawn = np.random.default_rng(target.seed).permutation(target.num_images)[:MOST_IMAGES]
        self._drawn = frozenset(drawn.tolist())
        # Image -> classes (P,) and, per level, features (P, C_l).
        self._images: dict[int, Sampled] = {}

    def update(self, batch: Batch) -> None:
        """Take in the features of a batch."""
        for row, (image, labels) in enumerate(zip(batch.indices, batch.labels, strict=False)):
            if labels.ndim not in (0, 2):
                raise InputError(f"a label must be a class or a map (H, W), got shape {labels.shape}")
            if labels.ndim == 2 and image not in self._drawn:
                continue
            maps = [level[row] for level in batch.levels]
            if labels.ndim == 0:
                classes, features = self._whole(maps, labels)
            else:
                classes, features = self._at_pixels(maps, labels, image)
            self._check_finite(features, image)
            self._images[image] = classes, features

    @staticmethod
    def _whole(maps: "Sequence[Tensor]", label: "NDArray[Any]") -> "Sampled":
        return label[None], [level.float().mean((1, 2))[None].cpu().numpy() for level in maps]

    def _at_pixels(self, maps: "Sequence[Tensor]", labels: "NDArray[Any]", image: int) -> "Sampled":
        import numpy as np
        import torch

        rng = np.random.default_rng([self._target.seed, image])
        pixels = []
        for label in np.unique(labels):
            of = np.flatnonzero(labels == label)
            pixels.append(np.sort(rng.choice(of, min(self._options.points, len(of)), replace=False)))
        flat = np.concatenate(pixels)
        features = []
        for level in maps:
            cells = [
                torch.from_numpy(position * cells // pixels_along).to(level.device)
                for position, cells, pixels_along in zip(
                    np.unravel_index(flat, labels.shape), level.shape[1:], labels.shape, strict=True
                )
            ]
            features.append(level[:, cells[0], cells[1]].float().T.contiguous().cpu().numpy())
        return labels.ravel()[flat], features

    def _check_finite(self, features: "Sequence[NDArray[Any]]", image: int) -> None:
        import numpy as np

        for spec, of in zip(self._specs, features, strict=True):
            if not np.isfinite(of).all():
                raise ValueError(
                    f"the encoder's output at level {spec.level} is NaN or infinite for image {image}"
                )

    def merge(self, other: "Features") -> "Features":
        """Return the features of both."""
        both = Features(self._options, self._specs, self._target)
        both._images = {**self._images, **other._images}
        return both

    def scores(self) -> dict[ScoreSpec, Score]:
        """Return the accuracy of every level.

        Raises:
            InputError: There are fewer than two images, or fewer than two classes.
        """
        import numpy as np

        images = sorted(self._images)
        if len(images) < 2:
            raise InputError(f"knn needs two images or more, got {len(images)}")
        classes = np.concatenate([self._images[image][0] for image in images])
        group = np.repeat(np.arange(len(images)), [len(self._images[image][0]) for image in images])
        names, numbers = np.unique(classes, return_inverse=True)
        if len(names) < 2:
            raise InputError(f"knn needs two classes or more, got class {names[0]} alone")
        found = {}
        for level, spec in enumerate(self._specs):
            features = np.concatenate([self._images[image][1][level] for image in images])
            right = predicted_by_others(features, numbers, group, self._options.k) == numbers
            shares = np.bincount(group, weights=right) / np.bincount(group)
            error = float(shares.std(ddof=1) / np.sqrt(len(images)))
            found[spec] = Score(float(right.mean()), error, len(images))
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
