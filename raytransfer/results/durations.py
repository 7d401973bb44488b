"""The epochs of recorded pretrainings, and how long they took."""

from collections.abc import Sequence

import pyarrow as pa

from raytransfer.results.ledger import Ledger
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


def epoch_seconds(rows: pa.Table) -> EpochSeconds:
    """Return how long epochs took.

    Args:
        rows: Of `pretraining_epochs`.
    """
    found: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows.select(["encoder", "scheme", "epoch", "seconds"]).to_pylist():
        found.setdefault((row["encoder"], row["scheme"]), {})[row["epoch"]] = row["seconds"]
    return found
