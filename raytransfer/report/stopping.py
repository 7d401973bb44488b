"""What live stopping saved and took, per pretraining and target."""

import math
from collections.abc import Sequence

from tabulate import tabulate

from raytransfer.results.curves import Curve
from raytransfer.results.judgements import Judgement
from raytransfer.results.live import target_name
from raytransfer.results.storage import Storage
from raytransfer.results.units import PretrainingUnit


def _tis(unit: PretrainingUnit, judgement: Judgement, curves: Sequence[Curve]) -> str:
    """Return the TIS of the selected checkpoint in every recorded model that has this encoder."""
    values = [
        curve.tis(judgement.selected_epoch)
        for curve in curves
        if (curve.encoder, curve.scheme) == (unit.encoder, unit.scheme)
        and target_name(curve.dataset, curve.protocol) == judgement.target
    ]
    return ", ".join(f"{value:.3f}" for value in values if not math.isnan(value)) or "-"


def stopping_table(
    judgements: Sequence[tuple[PretrainingUnit, Sequence[Judgement]]],
    storage: Storage,
    curves: Sequence[Curve],
) -> str:
    """Return a text table, a row per pretraining and target.

    Args:
        judgements: Each pretraining with what the rule said of its targets.
        storage: Where its epochs are.
        curves: What is recorded of the downstream grid; may be empty.
    """
    rows = []
    for unit, found in judgements:
        total = unit.recipe.epochs
        trained = storage.ledger.read("pretraining", unit.epoch_keys()).num_rows
        for judgement in found:
            epoch = judgement.epoch
            note = "" if judgement.stopped else " (end)" if epoch == total else " (not by the rule)"
            rows.append(
                [
                    unit.name,
                    judgement.target.partition("/")[2],
                    "-" if epoch is None else f"{epoch}{note}",
                    "-" if epoch is None else total - epoch,
                    trained or "-",
                    "-" if judgement.selected_epoch is None else judgement.selected_epoch,
                    f"{judgement.score:.4f}",
                    _tis(unit, judgement, curves),
                ]
            )
    headers = ["pretraining", "target", "stop", "saved", "trained", "selected", "robustness", "TIS"]
    return tabulate(rows, headers=headers, disable_numparse=True)
