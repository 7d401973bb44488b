"""The epochs of recorded pretrainings, and how long they took."""

import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from raytransfer.pretraining.schemes import scheme_named
from raytransfer.results.ledger import Ledger
from raytransfer.results.schemas import read_rows
from raytransfer.results.units import PretrainingUnit
from raytransfer.statistics.ratings import EpochSeconds


def pretraining_epochs(ledger: Ledger, units: Sequence[PretrainingUnit]) -> pa.Table:
    """Return the ledger's rows of pretraining epochs; those that are not there are left out.

    Args:
        ledger: The results.
        units: The pretrainings of a study.
    """
    keys = [unit.epoch_key(epoch) for unit in units for epoch in range(1, unit.recipe.epochs + 1)]
    return ledger.read("pretraining", keys)


def source_curves(rows: pa.Table) -> list[dict[str, Any]]:
    """Return loss and accuracy on the source data per epoch, whatever the pretraining methods.

    Args:
        rows: Of `pretraining_epochs`.

    Returns:
        Rows of "encoder", "scheme", "epoch", "train/loss", "train/top1", "val/loss" and "val/top1"; "top1" is
        the method's primary metric, and what a method does not measure is NaN.
    """
    found = []
    for row in read_rows(rows):
        metrics = row["metrics"]
        accuracy = scheme_named(row["scheme"]).strategy.primary_metric.removeprefix("val/")
        curves = {
            f"{split}/{shown}": metrics.get(f"{split}/{name}", math.nan)
            for split in ("train", "val")
            for shown, name in (("loss", "loss"), ("top1", accuracy))
        }
        found.append({"encoder": row["encoder"], "scheme": row["scheme"], "epoch": row["epoch"], **curves})
    return found


def epoch_seconds(rows: pa.Table) -> EpochSeconds:
    """Return how long epochs took.

    Args:
        rows: Of `pretraining_epochs`.
    """
    found: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows.select(["encoder", "scheme", "epoch", "seconds"]).to_pylist():
        found.setdefault((row["encoder"], row["scheme"]), {})[row["epoch"]] = row["seconds"]
    return found
