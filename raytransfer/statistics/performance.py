"""Downstream performance of every series of checkpoints, complete or not (thesis, Tables 2.6 to 2.10)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev
from typing import Any

from raytransfer.statistics.untrained import UNTRAINED, share_untrained

Key = tuple[str, str, str, str]
"""(model, dataset, scheme, protocol)"""

Trained = Mapping[tuple[str, ...], Mapping[int, tuple[tuple[Any, ...], float]]]
"""(model, dataset, encoder, scheme, protocol) -> epoch -> (performance per seed, None if missing; source
accuracy)."""


@dataclass(frozen=True, kw_only=True)
class Performance:
    """Mean performance of one checkpoint over seeds.

    Attributes:
        epoch: Its epochs of pretraining.
        values: Performance per seed, in [0, 1].
    """

    epoch: int
    values: tuple[float, ...]

    @cached_property
    def mean(self) -> float:
        """Mean over seeds."""
        return fmean(self.values)

    @property
    def spread(self) -> float:
        """Standard deviation over seeds (n - 1); NaN for one."""
        return stdev(self.values) if len(self.values) > 1 else math.nan


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured of a model on a dataset, of a scheme's checkpoints, in a protocol.

    Attributes:
        key: (model, dataset, scheme, protocol).
        expected: Epochs of the checkpoints that a complete study trains from, ascending.
        measured: Those with every seed there. What compares checkpoints needs all that are expected.
    """

    key: Key
    expected: tuple[int, ...]
    measured: Mapping[int, Performance]

    @property
    def missing(self) -> tuple[int, ...]:
        """Epochs with no training, or not all seeds."""
        return tuple(epoch for epoch in self.expected if epoch not in self.measured)

    @property
    def scratch(self) -> Performance | None:
        """Random initialisation."""
        return self.measured.get(0)

    @property
    def last(self) -> Performance | None:
        """The longest pretraining."""
        return self.measured.get(self.expected[-1])

    @property
    def best(self) -> Performance | None:
        """The checkpoint with the best mean, the shorter pretraining of equals."""
        return None if self.missing else max(self.measured.values(), key=lambda one: (one.mean, -one.epoch))

    @property
    def worst(self) -> Performance | None:
        """The checkpoint with the lowest mean, the shorter pretraining of equals."""
        return None if self.missing else min(self.measured.values(), key=lambda one: (one.mean, one.epoch))


def performance(trained: Trained, expected: Mapping[Key, Sequence[int]]) -> list[Row]:
    """Return a row per expected series, by dataset, protocol, scheme and model.

    Args:
        trained: What downstream trainings gave, complete or not, as `raytransfer.results.curves.trained`.
        expected: Epochs of each series.
    """
    measured: dict[Key, dict[int, Performance]] = {}
    for (model, dataset, _, scheme, protocol), checkpoints in trained.items():
        measured[model, dataset, scheme, protocol] = {
            epoch: Performance(epoch=epoch, values=seeds)
            for epoch, (seeds, _) in checkpoints.items()
            if None not in seeds
        }
    # A scheme without a pretraining of its own yet still has the untrained encoder of another.
    wanted = {key: measured.get(key, {}) for key in {**expected, **measured}}
    shared = share_untrained(wanted, lambda key: (*key[:2], key[3]))
    rows = []
    for key, epochs in expected.items():
        of = shared[key] if UNTRAINED in epochs else dict(measured.get(key, {}))
        rows.append(Row(key=key, expected=tuple(epochs), measured=of))
    return sorted(
        rows, key=lambda row: (row.key[1], row.key[3] != "fine_tuning", row.key[2] != "simple", row.key)
    )


def performance_rows(rows: Sequence[Row], which: str) -> list[dict[str, Any]]:
    """Return plain rows of one table; cells that are missing are None.

    Args:
        rows: Of `performance`.
        which: "scratch", "last", "best" or "worst".
    """
    plain: list[dict[str, Any]] = []
    for row in rows:
        checkpoint: Performance | None = getattr(row, which)
        model, dataset, scheme, protocol = row.key
        plain.append(
            {
                "dataset": dataset, "protocol": protocol, "scheme": scheme, "model": model,
                "epoch": checkpoint.epoch if checkpoint else None,
                "dice": checkpoint.mean if checkpoint else None,
                "standard_deviation": checkpoint.spread if checkpoint else None,
                "seeds": len(checkpoint.values) if checkpoint else 0,
            }
        )  # fmt: skip
    return plain


def ratio_rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return worst / best mean performance of every series; None where it is incomplete."""
    plain = []
    for row in rows:
        model, dataset, scheme, protocol = row.key
        best, worst = row.best, row.worst
        ratio = worst.mean / best.mean if worst and best else None
        plain.append(
            {
                "dataset": dataset,
                "protocol": protocol,
                "scheme": scheme,
                "model": model,
                "worst_over_best": ratio,
                "worst_epoch": worst.epoch if worst else None,
                "best_epoch": best.epoch if best else None,
            }
        )
    return plain
