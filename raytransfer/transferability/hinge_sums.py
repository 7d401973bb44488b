"""Running sums of the robustness's hinge for every parameter choice at once, which add up over workers."""

import math
from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raytransfer.errors import InputError, unknown_name
from raytransfer.transferability.distances import DISTANCES, neighbour_products, pair_products
from raytransfer.transferability.indicators.base import Batch, Score, ScoreSpec

Representation = tuple[int, bool, str]
"""Level from the end, whether it is averaged over space, and the distance between representations."""


def robustness(
    query: Tensor, positive: Tensor, negative: Tensor, *, distance: str = "cosine", margin: float = 0.5
) -> float:
    """Return the robustness of given representations.

    Args:
        query: Representations (N, ...) of one view of N images; entries after the first axis are flattened.
        positive: Of another view of the same images.
        negative: Of views of other images.
        distance: "cosine", "l2" (mean squared difference) or "pearson".
        margin: Margin of the hinge, at least 0.

    Returns:
        1 - mean hinge; at most 1. Zero and constant representations have distance 1 to all others.

    Raises:
        InputError: Shapes differ, N is 0, the distance does not exist, or the margin is negative.
        ValueError: A representation is NaN or infinite.
    """
    if not query.shape == positive.shape == negative.shape or query.ndim < 2 or query.numel() == 0:
        shapes = [tuple(t.shape) for t in (query, positive, negative)]
        raise InputError(
            f"query, positive and negative must have one shape (N, ...) with N > 0, got {shapes}"
        )
    if distance not in DISTANCES:
        raise unknown_name("distance", distance, DISTANCES)
    if not 0 <= margin < math.inf:
        raise InputError(f"margin must be at least 0 and finite, got {margin}")
    q, p, n = (t.flatten(1) for t in (query, positive, negative))
    function = DISTANCES[distance]
    hinge = (function(pair_products(q, p)) - function(pair_products(q, n)) + margin).clamp_min(0).mean()
    if not torch.isfinite(hinge):
        raise ValueError("query, positive and negative must be finite, one holds NaN or infinite entries")
    return 1 - float(hinge)


def _differences(
    query: Sequence[Sequence[Tensor]], keys: Sequence[Sequence[Tensor]], distances: Sequence[str]
) -> Tensor:
    """Return d(q_i, k_i) - d(q_i, k_(i+1)), (R, N), with a row per representation and distance.

    Args:
        query: Per representation, N tensors (D,).
        keys: Per representation, N + 1 tensors (D,).
        distances: Names.
    """
    rows = []
    for q, k in zip(query, keys, strict=True):
        own, following = neighbour_products(q, k)
        rows += [DISTANCES[name](own) - DISTANCES[name](following) for name in distances]
    return torch.stack(rows)


Carried = list[tuple[list[Tensor], list[Tensor]]]
"""Per representation, both views of the image that has no negative yet; none at the start."""


class HingeSums:
    """Sums over images of the hinge max(0, d(q, k+) - d(q, k-) + margin) and its square.

    The negative of one image is the second view of the next, and of the last the first's, so a batch needs
    itself and the image carried over from the one before, and a shard the second view of the image after its
    last. Distances and sums are in float64.

    Args:
        representations: Of each row: by level and pooling, the distances innermost.
        margins: Margin of each column.
        specs: What each entry is a score of, row by row.

    Attributes:
        totals: (R, M) float64 sums of the hinge.
        squares: (R, M) float64 sums of its square.
        count: Images.
    """

    def __init__(
        self, representations: Sequence[Representation], margins: Sequence[float], specs: Sequence[ScoreSpec]
    ) -> None:
        self.specs = tuple(specs)
        self._representations, self._margins = tuple(representations), tuple(margins)
        self._keys = list(dict.fromkeys(key[:2] for key in representations))
        self._distances = tuple(dict.fromkeys(key[2] for key in representations))
        self.totals = np.zeros((len(self._representations), len(self._margins)))
        self.squares, self.count = self.totals, 0
        self._carried: Carried = [([], []) for _ in self._keys]
        self._carried_index: list[int] = []

    def _of_levels(self, maps: Sequence[Tensor]) -> list[Tensor]:
        return [
            maps[level].mean((2, 3), dtype=torch.float32) if pooled else maps[level].flatten(1)
            for level, pooled in self._keys
        ]

    def update(self, batch: Batch) -> None:
        """Take in the hinges of all images that have their negative by now."""
        first, second = map(self._of_levels, batch.views)
        query = [
            [*before, *f[: len(batch.indices) - 1]]
            for (before, _), f in zip(self._carried, first, strict=True)
        ]
        keys = [[*before, *s] for (_, before), s in zip(self._carried, second, strict=True)]
        images = [*self._carried_index, *batch.indices]
        if query[0]:
            found = _differences(query, keys, self._distances).cpu().numpy()
            self._check_finite(found, images)
            self._add(found)
        carries = batch.num_own > 0 and not batch.is_last
        self._carried = [
            ([f[-1].clone()], [s[-1].clone()]) if carries else ([], [])
            for f, s in zip(first, second, strict=True)
        ]
        self._carried_index = images[-1:] if carries else []

    def _add(self, differences: NDArray[np.float64]) -> None:
        """Take in the differences d(q, k+) - d(q, k-), (R, N), of N images."""
        hinges = np.maximum(differences[:, None, :] + np.array(self._margins)[:, None], 0)
        self.totals = self.totals + hinges.sum(2)
        self.squares = self.squares + np.square(hinges).sum(2)
        self.count += differences.shape[1]

    def _check_finite(self, differences: NDArray[np.float64], images: Sequence[int]) -> None:
        """Raise ValueError naming the first level and image whose representation is NaN or infinite."""
        bad = np.argwhere(~np.isfinite(differences))
        if len(bad):
            level, image = self._representations[bad[0, 0]][0], images[bad[0, 1]]
            raise ValueError(
                f"the encoder's output at level {level} is NaN or infinite for image {image} or the next"
            )

    def merge(self, other: Self) -> Self:
        """Return the sums over the images of both: those of two shards.

        Raises:
            ValueError: The two are of different choices.
        """
        if self.specs != other.specs:
            raise ValueError("sums of different parameter choices do not add up")
        both = type(self)(self._representations, self._margins, self.specs)
        both.totals = self.totals + other.totals
        both.squares = self.squares + other.squares
        both.count = self.count + other.count
        return both

    def scores(self) -> dict[ScoreSpec, Score]:
        """Return the score of every choice.

        Raises:
            InputError: The sums are over fewer than two images.
        """
        if self.count < 2:
            raise InputError(f"a robustness needs two images or more, got {self.count}")
        means = self.totals / self.count
        variances = np.maximum(self.squares - self.count * means**2, 0) / (self.count - 1)
        values, errors = (1 - means).ravel().tolist(), variances.ravel().tolist()
        return {
            spec: Score(value, math.sqrt(variance / self.count), self.count)
            for spec, value, variance in zip(self.specs, values, errors, strict=True)
        }
