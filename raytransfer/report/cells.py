"""Downstream performance cell by cell, complete or not: the thesis's Tables 2.6 to 2.10."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev
from typing import Any

import pyarrow as pa

from raytransfer.results.checkpoints import UNTRAINED, share_untrained
from raytransfer.results.curves import trained

Key = tuple[str, str, str, str]
"""(model, dataset, scheme, protocol)"""


@dataclass(frozen=True, kw_only=True)
class Performance:
    """Mean Dice of one checkpoint over seeds.

    Attributes:
        epoch: Its epochs of pretraining.
        dice: Dice per seed, in [0, 1].
    """

    epoch: int
    dice: tuple[float, ...]

    @cached_property
    def mean(self) -> float:
        """Mean over seeds."""
        return fmean(self.dice)

    @property
    def spread(self) -> float:
        """Standard deviation over seeds (n - 1); NaN for one."""
        return stdev(self.dice) if len(self.dice) > 1 else math.nan


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
        return None if self.missing else max(self.measured.values(), key=lambda of: (of.mean, -of.epoch))

    @property
    def worst(self) -> Performance | None:
        """The checkpoint with the lowest mean, the shorter pretraining of equals."""
        return None if self.missing else min(self.measured.values(), key=lambda of: (of.mean, of.epoch))


def performance(trials: pa.Table, expected: Mapping[Key, Sequence[int]]) -> list[Row]:
    """Return a row per expected series, by dataset, protocol, scheme and model.

    Args:
        trials: One row per training, a null `dice` where it is missing; see `raytransfer.results.curves`.
        expected: Epochs of each series.
    """
    measured: dict[Key, dict[int, Performance]] = {}
    for (model, dataset, _, scheme, protocol), checkpoints in trained(trials).items():
        measured[model, dataset, scheme, protocol] = {
            epoch: Performance(epoch=epoch, dice=seeds)
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
    found = []
    for row in rows:
        of: Performance | None = getattr(row, which)
        model, dataset, scheme, protocol = row.key
        found.append(
            {
                "dataset": dataset, "protocol": protocol, "scheme": scheme, "model": model,
                "epoch": of.epoch if of else None,
                "dice": of.mean if of else None,
                "standard_deviation": of.spread if of else None,
                "seeds": len(of.dice) if of else 0,
            }
        )  # fmt: skip
    return found


def ratio_rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return worst / best mean Dice of every series; None where it is incomplete."""
    found = []
    for row in rows:
        model, dataset, scheme, protocol = row.key
        best, worst = row.best, row.worst
        ratio = worst.mean / best.mean if worst and best else None
        found.append(
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
    return found
