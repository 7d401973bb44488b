"""Recorded curves: what is known of the checkpoints of a pretraining, and what choosing one of them costs.

The transferability indicator score (TIS) of a checkpoint is its downstream performance / that of the best
checkpoint (thesis, eq. 3.1), of means over seeds or seed by seed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import stdev

import numpy as np

from raytransfer.metrics.ranking import transferability_indicator_score
from raytransfer.transferability.indicators.base import ScoreSpec


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What one model on one dataset in one protocol shows about the checkpoints of one pretraining.

    Attributes:
        model: Model of the target's task.
        encoder: Its encoder.
        dataset: Target dataset.
        scheme: Pretraining scheme.
        protocol: Evaluation protocol.
        metric: What people call the primary metric of the target's task, for example "Dice".
        epochs: Epochs of pretraining of the checkpoints, ascending; 0 is the untrained encoder.
        performances: Primary metric per checkpoint and seed, in [0, 1], seeds ascending.
        scores: Spec -> score per checkpoint, higher is better.
        standard_errors: Spec -> standard error of the scores over images; NaN: not recorded.
        source_accuracy: The pretraining method's validation accuracy on the source data per checkpoint, in
            [0, 1]; NaN: not recorded.
    """

    model: str
    encoder: str
    dataset: str
    scheme: str
    protocol: str
    metric: str
    epochs: tuple[int, ...]
    performances: tuple[tuple[float, ...], ...]
    scores: Mapping[ScoreSpec, tuple[float, ...]]
    standard_errors: Mapping[ScoreSpec, tuple[float, ...]]
    source_accuracy: tuple[float, ...]

    @cached_property
    def performance(self) -> tuple[float, ...]:
        """Mean performance over seeds per checkpoint."""
        return tuple(sum(seeds) / len(seeds) for seeds in self.performances)

    @cached_property
    def spread(self) -> tuple[float, ...]:
        """Standard deviation of the performance over seeds (n - 1) per checkpoint; NaN for one seed."""
        return tuple(stdev(seeds) if len(seeds) > 1 else math.nan for seeds in self.performances)

    def points(self, choice: ScoreSpec) -> list[tuple[int, float]]:
        """Return (epoch, score) pairs, what stopping rules take."""
        return list(zip(self.epochs, self.scores[choice], strict=True))

    @cached_property
    def _tis(self) -> dict[int, float]:
        choices = np.eye(len(self.epochs)).tolist()
        return {
            e: transferability_indicator_score(c, self.performance)
            for e, c in zip(self.epochs, choices, strict=True)
        }

    def tis(self, epoch: int | None) -> float:
        """Return the TIS of taking this epoch's checkpoint; NaN where there is none."""
        return math.nan if epoch is None else self._tis.get(epoch, math.nan)

    @cached_property
    def _seed_tis(self) -> dict[int, tuple[float, ...]]:
        by_seed = np.array(list(zip(*self.performances, strict=False)))
        relative = (by_seed / by_seed.max(1, keepdims=True)).T
        return {e: tuple(seeds) for e, seeds in zip(self.epochs, relative.tolist(), strict=True)}

    def seed_tis(self, epoch: int | None) -> tuple[float, ...]:
        """Return the TIS by the performance of each seed alone, the best checkpoint being that seed's best.

        Where checkpoints have different numbers of seeds, the smallest counts.
        """
        nothing = (math.nan,) * min(map(len, self.performances))
        return nothing if epoch is None else self._seed_tis.get(epoch, nothing)
