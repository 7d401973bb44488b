"""Indicators that compare features of a target with its classes: they say only how one level scores.

What a feature and its class are follows from the target's labels, per level:

- A class per image (classification): the feature map averaged over space, one feature per image.
- A map of classes per image (segmentation): features at pixels, `points` of each class that an image has,
  drawn by (seed, image), so that classes count alike whatever their area. A pixel's feature is that of the
  cell of the feature map it lies in: a level whose cells are larger than structures cannot tell them apart.
  Of more than 1024 images a seeded 1024 count.

NaN or infinite features are an error that names level and image. One class, or one image, is an error.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

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
"""Of a segmentation target: the cost of neighbours grows with the square of the number of pixels."""


@dataclass(frozen=True, kw_only=True)
class LabelledIndicator(ABC):
    """An indicator that scores each level by features and their classes. Its fields are its options.

    Attributes:
        points: Pixels per class and image, at least 1; only with maps of classes.
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[Need]] = frozenset({Need.IMAGES, Need.LABELS})
    points: int = 4

    def __post_init__(self) -> None:
        if self.points < 1:
            raise InputError(f"points of {self.name} must be at least 1, got {self.points}")

    @abstractmethod
    def score(
        self, features: "NDArray[Any]", classes: "NDArray[Any]", images: "NDArray[Any]"
    ) -> tuple[float, float | None]:
        """Return the score of a level and its standard error, None where it has none.

        Args:
            features: (P, C), of two images or more, in the order of the images.
            classes: (P,), numbers from 0, two or more of them.
            images: (P,), number of the image that each is of, from 0.
        """

    def specs(self, encoder: EncoderInfo) -> Sequence[ScoreSpec]:
        """Return a spec per level, the highest resolution first."""
        options = tuple((field.name, getattr(self, field.name)) for field in fields(self))
        return [ScoreSpec(self.name, level, options=options) for level in encoder.levels]

    def start(self, encoder: EncoderInfo, target: TargetInfo) -> "LabelledFeatures":
        """Return an accumulator without features."""
        return LabelledFeatures(self, self.specs(encoder), target)


class LabelledFeatures:
    """Features with their classes, by image.

    Args:
        indicator: Scores them.
        specs: One per level.
        target: The target.
    """

    def __init__(self, indicator: LabelledIndicator, specs: Sequence[ScoreSpec], target: TargetInfo) -> None:
        import numpy as np

        self._indicator, self._specs, self._target = indicator, tuple(specs), target
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
            pixels.append(np.sort(rng.choice(of, min(self._indicator.points, len(of)), replace=False)))
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

    def merge(self, other: Self) -> Self:
        """Return the features of both."""
        both = copy.copy(self)
        both._images = {**self._images, **other._images}
        return both

    def scores(self) -> dict[ScoreSpec, Score]:
        """Return the score of every level.

        Raises:
            InputError: There are fewer than two images, or fewer than two classes.
        """
        import numpy as np

        images, name = sorted(self._images), self._indicator.name
        if len(images) < 2:
            raise InputError(f"{name} needs two images or more, got {len(images)}")
        classes = np.concatenate([self._images[image][0] for image in images])
        group = np.repeat(np.arange(len(images)), [len(self._images[image][0]) for image in images])
        known, numbers = np.unique(classes, return_inverse=True)
        if len(known) < 2:
            raise InputError(f"{name} needs two classes or more, got class {known[0]} alone")
        found = {}
        for level, spec in enumerate(self._specs):
            features = np.concatenate([self._images[image][1][level] for image in images])
            found[spec] = Score(*self._indicator.score(features, numbers, group), len(images))
        return found
