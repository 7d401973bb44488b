"""Of each configuration, the trial with the best seed: the one whose model is kept."""

import math

from raytransfer.results.storage import Storage
from raytransfer.results.units import DownstreamUnit


def best_seed(unit: DownstreamUnit, storage: Storage) -> DownstreamUnit | None:
    """Return the finished trial with the highest Dice of a unit's configuration, None where none is finished.

    Of equals, the first seed's; a Dice that is NaN is below all others.
    """
    trials = {trial.key: trial for trial in unit.seeds}
    rows = storage.ledger.read("downstream", list(trials)).to_pylist()
    dices = {row["key"]: -math.inf if math.isnan(row["dice"]) else row["dice"] for row in rows}
    return trials[max(dices, key=dices.__getitem__)] if dices else None


def all_seeds_finished(unit: DownstreamUnit, storage: Storage) -> bool:
    """Return whether every trial of a unit's configuration is in the ledger."""
    return all(storage.ledger.has("downstream", trial.key) for trial in unit.seeds)


def keep_best_model(unit: DownstreamUnit, storage: Storage) -> None:
    """Delete the models of a unit's configuration that are not the best so far.

    Called by each trial once its row is written: of trials that end at once, the last one sees all rows.
    """
    best = best_seed(unit, storage)
    for trial in unit.seeds:
        if best is not None and trial.key != best.key and storage.ledger.has("downstream", trial.key):
            storage.trained(trial.key).unlink(missing_ok=True)
