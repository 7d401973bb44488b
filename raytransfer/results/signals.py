"""The signals of a pretraining in progress: its encoder's robustness on every target, epoch by epoch.

A signal is a target dataset in a mode: of the scores that choose checkpoints the pooled one for decoder-only,
the other for full training. Every epoch's row in the ledger names the encoder it left behind, and the scores
of that encoder are ordinary rows of kind "robustness", so what was scored live is not scored again, and a
curve is read back from the ledger alone.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from statistics import fmean
from typing import Any

from raytransfer.config import StudyConfig
from raytransfer.results.storage import Storage
from raytransfer.results.units import PretrainingUnit, ScoringUnit

SIGNAL = "robustness"
STANDARD_ERROR = "_standard_error"


def signal_name(dataset: str, mode: str) -> str:
    """Return what a signal is called in reports: `robustness/<dataset>/<mode>`."""
    return f"{SIGNAL}/{dataset}/{mode}"


def signal_names(study: StudyConfig) -> list[str]:
    """Return the signals of a study."""
    return [signal_name(dataset, mode) for dataset, mode in product(study.datasets, study.modes)]


def signals(scored: Iterable[tuple[ScoringUnit, Sequence[Mapping[str, Any]]]]) -> dict[str, float]:
    """Return what one epoch's scores are in a report.

    Args:
        scored: Scorings of one encoder on different datasets, with the scores of every parameter choice.

    Returns:
        Each signal's score and standard error, `<signal>_standard_error`, and their mean, `robustness`.
    """
    found: dict[str, float] = {}
    for unit, scores in scored:
        chosen = unit.chosen_scores(scores)
        for mode in unit.study.modes:
            name, score = signal_name(unit.dataset, mode), chosen[mode == "decoder-only"]
            found[name] = score["score"]
            found[name + STANDARD_ERROR] = score["standard_error"]
    known = [v for name, v in found.items() if not name.endswith(STANDARD_ERROR) and math.isfinite(v)]
    return {SIGNAL: fmean(known) if known else math.nan, **found}


def known_encoders(unit: PretrainingUnit, storage: Storage) -> dict[int, str]:
    """Return epoch -> SHA-256 of the encoder, for the epochs whose encoder is in the series or was scored."""
    rows = storage.ledger.read("pretraining", unit.epoch_keys())
    columns = (rows[name].to_pylist() for name in ("epoch", "encoder_sha256"))
    trained = {epoch: sha256 for epoch, sha256 in zip(*columns, strict=True) if sha256}
    return dict(sorted({**trained, **storage.series(unit.encoder, unit.scheme).fingerprints()}.items()))


def scored_epochs(unit: PretrainingUnit, storage: Storage) -> dict[int, dict[str, float]]:
    """Return epoch -> its `signals`, for the epochs that are scored on every dataset of the study.

    Args:
        unit: The pretraining; the choice of scores is its study's.
        storage: Where its series and the ledger are.
    """
    scorings = {
        scoring.key: scoring
        for epoch, sha256 in known_encoders(unit, storage).items()
        for scoring in unit.scorings(epoch, sha256)
    }
    scored: dict[int, list[tuple[ScoringUnit, Any]]] = {}
    for row in storage.ledger.read("robustness", scorings).to_pylist():
        scored.setdefault(row["epoch"], []).append((scorings[row["key"]], row["scores"]))
    complete = {epoch: of for epoch, of in scored.items() if len(of) == len(unit.study.datasets)}
    return {epoch: signals(complete[epoch]) for epoch in sorted(complete)}


def live_curves(unit: PretrainingUnit, storage: Storage) -> dict[str, list[tuple[int, float, float]]]:
    """Return signal -> (epoch, score, standard error) of a pretraining, what `scheduling.replay` takes.

    Args:
        unit: The pretraining.
        storage: Where its series and the ledger are.
    """
    epochs = scored_epochs(unit, storage)
    return {
        name: [(epoch, of[name], of[name + STANDARD_ERROR]) for epoch, of in epochs.items()]
        for name in signal_names(unit.study)
    }
