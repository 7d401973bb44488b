"""Running sums of the hinge for every parameter choice at once, which add up over workers."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from raytransfer.errors import InputError


@dataclass(frozen=True, kw_only=True)
class RobustnessScore:
    """One parameter choice's score of one encoder on one set of images.

    Attributes:
        distance: "cosine", "l2" or "pearson".
        margin: Margin of the hinge.
        level: Encoder level, from 1.
        pooled: Whether feature maps were averaged over space.
        score: 1 - mean hinge.
        standard_error: Of the score, over images: standard deviation of the hinge (n - 1) / sqrt(n). It takes
            images as independent; neighbours in the pairing share a view (correlations of 0.0 to 0.3 on the
            demo), slices of one volume share a patient, so it is rather too small.
        num_images: Images n.
    """

    distance: str
    margin: float
    level: int
    pooled: bool
    score: float
    standard_error: float
    num_images: int


@dataclass(frozen=True, kw_only=True)
class HingeSums:
    """Sums over images of the hinge max(0, d(q, k+) - d(q, k-) + margin) and its square.

    Attributes:
        representations: (level, pooled, distance) of each row.
        margins: Margin of each column.
        totals: (R, M) float64 sums of the hinge.
        squares: (R, M) float64 sums of its square.
        count: Images.
    """

    representations: tuple[tuple[int, bool, str], ...]
    margins: tuple[float, ...]
    totals: NDArray[np.float64]
    squares: NDArray[np.float64]
    count: int

    @classmethod
    def zero(cls, representations: Iterable[tuple[int, bool, str]], margins: Iterable[float]) -> Self:
        """Return the sums over no image."""
        rows, columns = tuple(representations), tuple(margins)
        nothing = np.zeros((len(rows), len(columns)))
        return cls(representations=rows, margins=columns, totals=nothing, squares=nothing, count=0)

    def with_gaps(self, gaps: NDArray[np.float64]) -> Self:
        """Return the sums with more images.

        Args:
            gaps: (R, N) differences d(q, k+) - d(q, k-) of N images.
        """
        hinges = np.maximum(gaps[:, None, :] + np.array(self.margins)[:, None], 0)
        return replace(
            self,
            totals=self.totals + hinges.sum(2),
            squares=self.squares + np.square(hinges).sum(2),
            count=self.count + gaps.shape[1],
        )

    def __add__(self, other: Self) -> Self:
        """Return the sums over the images of both: those of two shards.

        Raises:
            ValueError: The two are of different choices.
        """
        if (self.representations, self.margins) != (other.representations, other.margins):
            raise ValueError("sums of different parameter choices do not add up")
        return replace(
            self,
            totals=self.totals + other.totals,
            squares=self.squares + other.squares,
            count=self.count + other.count,
        )

    def scores(self) -> list[RobustnessScore]:
        """Return the score of every choice, by level, pooling, distance and margin.

        Raises:
            InputError: The sums are over fewer than two images.
        """
        if self.count < 2:
            raise InputError(f"a robustness needs two images or more, got {self.count}")
        means = self.totals / self.count
        variances = np.maximum(self.squares - self.count * means**2, 0) / (self.count - 1)
        return [
            RobustnessScore(
                distance=distance,
                margin=margin,
                level=level,
                pooled=pooled,
                score=float(1 - means[row, column]),
                standard_error=math.sqrt(variances[row, column] / self.count),
                num_images=self.count,
            )
            for row, (level, pooled, distance) in enumerate(self.representations)
            for column, margin in enumerate(self.margins)
        ]
