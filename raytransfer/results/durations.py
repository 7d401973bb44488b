"""How long the epochs of recorded pretrainings took."""

from collections.abc import Mapping, Sequence

from raytransfer.results.ledger import Ledger
from raytransfer.results.units import PretrainingUnit

EpochSeconds = Mapping[tuple[str, str], Mapping[int, float]]
"""(encoder, scheme) -> epoch -> seconds that this epoch took."""


def epoch_seconds(ledger: Ledger, units: Sequence[PretrainingUnit]) -> EpochSeconds:
    """Return how long epochs took; those that are not in the ledger are left out.

    Args:
        ledger: The results.
        units: The pretrainings of a study.
    """
    keys = {
        unit.epoch_key(epoch): ((unit.encoder, unit.scheme), epoch)
        for unit in units
        for epoch in range(1, unit.recipe.epochs + 1)
    }
    found: dict[tuple[str, str], dict[int, float]] = {}
    table = ledger.read("pretraining", keys)
    for key, seconds in zip(table["key"].to_pylist(), table["seconds"].to_pylist(), strict=True):
        pretraining, epoch = keys[key]
        found.setdefault(pretraining, {})[epoch] = seconds
    return found
