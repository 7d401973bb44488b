"""The robustness of the thesis (eq. 4.2): jittered views of one image stay close, other images far.

score = 1 - mean_i max(0, d(q_i, k+_i) - d(q_i, k-_i) + margin), where q_i and k+_i are representations of
two colour-jittered views of target image i and k-_i of another image, the next one in a seeded order. No
labels are used. Higher is better, at most 1.

What unusual input gives:

- A representation that is zero (cosine) or constant (Pearson) has distance 1 to every other, so an encoder
  that has collapsed tells no image apart and scores 1 - margin, as one that maps all images to one vector.
- Equal images are other images all the same: their score is close to 1 - margin.
- NaN or infinite representations are an error that names level and image; a score is never NaN.
- One image is an error: it has no other.

The standard error is the standard deviation of the hinge (n - 1) / sqrt(n), over images. It takes images as
independent; neighbours in the pairing share a view (correlations of 0.0 to 0.3 on the demo), slices of one
volume share a patient, so it is rather too small.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from raytransfer.errors import InputError, unknown_name
from raytransfer.transferability.indicators.base import (
    Accumulator,
    EncoderInfo,
    Need,
    ScoreSpec,
    TargetInfo,
    level_from_end,
)
from raytransfer.transferability.settings import DISTANCE_NAMES, MARGINS

if TYPE_CHECKING:
    from raytransfer.transferability.hinge_sums import Representation


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """Every combination of distance, margin, level and pooling, in one pass over both views.

    Attributes:
        distances: Of "cosine", "l2" (mean squared difference) and "pearson".
        margins: Margins of the hinge, at least 0.
        levels: Encoder levels, from 1 or negative from the end; None for all.
        poolings: True averages feature maps over space, False flattens them.
    """

    name: ClassVar[str] = "robustness"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.JITTERED_VIEWS})
    distances: tuple[str, ...] = DISTANCE_NAMES
    margins: tuple[float, ...] = MARGINS
    levels: tuple[int, ...] | None = None
    poolings: tuple[bool, ...] = (True, False)

    def __post_init__(self) -> None:
        for distance in self.distances:
            if distance not in DISTANCE_NAMES:
                raise unknown_name("distance", distance, DISTANCE_NAMES)
        for margin in self.margins:
            if not 0 <= margin < float("inf"):
                raise InputError(f"margin must be at least 0 and finite, got {margin}")

    def _representations(self, encoder: EncoderInfo) -> "list[Representation]":
        count = len(encoder.level_channels)
        levels = [level_from_end(n, count) for n in (encoder.levels if self.levels is None else self.levels)]
        return [
            (level, pooled, distance)
            for level in dict.fromkeys(levels)
            for pooled in self.poolings
            for distance in self.distances
        ]

    def specs(self, encoder: EncoderInfo) -> Sequence[ScoreSpec]:
        """Return the specs by level, pooling, distance and margin."""
        return [
            ScoreSpec(self.name, level, pooled, (("distance", distance), ("margin", margin)))
            for level, pooled, distance in self._representations(encoder)
            for margin in self.margins
        ]

    def start(self, encoder: EncoderInfo, target: TargetInfo) -> Accumulator:
        """Return sums over no image."""
        from raytransfer.transferability.hinge_sums import HingeSums

        return HingeSums(self._representations(encoder), self.margins, self.specs(encoder))
