"""A pretraining in progress: its encoder's robustness on every target, epoch by epoch.

A target is a dataset in a protocol. Every epoch's row in the ledger names the encoder it left behind, and the
scores of that encoder are ordinary rows of kind "score", with every parameter choice: what was scored
live is not scored again, and curves are read back from the ledger alone, by whatever signal.
"""

from collections.abc import Iterable
from itertools import count, product, takewhile
from statistics import fmean

from raytransfer.errors import InputError
from raytransfer.models.names import num_levels
from raytransfer.results.scores import read_scores
from raytransfer.results.storage import Storage
from raytransfer.results.units import PretrainingUnit, ScoringUnit
from raytransfer.statistics.signals import Signal
from raytransfer.study import Study
from raytransfer.transferability.indicators.base import Scores

METRIC = "robustness"
STANDARD_ERROR = "_standard_error"


def target_name(dataset: str, protocol: str) -> str:
    """Return what a target's score is called in reports: `robustness/<dataset>/<protocol>`."""
    return f"{METRIC}/{dataset}/{protocol}"


def target_names(study: Study) -> list[str]:
    """Return the targets of a study."""
    return [target_name(dataset, protocol) for dataset, protocol in product(study.datasets, study.protocols)]


def target_scores(scored: Iterable[tuple[ScoringUnit, Scores]], signal: Signal) -> dict[str, float]:
    """Return what one epoch's scores are in a report.

    Args:
        scored: Scorings of one encoder on different datasets, with the scores of every parameter choice.
        signal: Which of them count.

    Returns:
        Each target's score and standard error, `<target>_standard_error`, and the scores' mean, `robustness`.

    Raises:
        InputError: There are no scores for the signal.
    """
    values, found = [], {}
    for unit, scores in scored:
        for protocol in unit.study.protocols:
            choice = signal.choice(unit.encoder, protocol)
            if choice not in scores:
                raise InputError(
                    f"{unit.encoder} is not scored by {signal}: the margin must be one of "
                    f"robustness.margins, the level one of {num_levels(unit.encoder)}"
                )
            name, score = target_name(unit.dataset, protocol), scores[choice]
            found[name] = score.value
            if score.standard_error is not None:
                found[name + STANDARD_ERROR] = score.standard_error
            values.append(score.value)
    return {METRIC: fmean(values), **found}


def known_encoders(unit: PretrainingUnit, storage: Storage) -> dict[int, str]:
    """Return epoch -> SHA-256 of the encoder, for the epochs whose encoder is in the series or was scored."""
    rows = storage.ledger.read("pretraining", unit.epoch_keys())
    columns = (rows[name].to_pylist() for name in ("epoch", "encoder_sha256"))
    trained = {epoch: sha256 for epoch, sha256 in zip(*columns, strict=True) if sha256}
    return dict(sorted({**trained, **storage.series(unit.encoder, unit.scheme).fingerprints()}.items()))


def scored_epochs(unit: PretrainingUnit, storage: Storage, signal: Signal) -> dict[int, dict[str, float]]:
    """Return epoch -> its `target_scores`, for the epochs that are scored on every dataset of the study.

    Of a pretraining that is not over, only those before the first gap: a rule must see every epoch.

    Args:
        unit: The pretraining.
        storage: Where its series and the ledger are.
        signal: Which scores count.
    """
    scorings = {
        scoring.key: scoring
        for epoch, sha256 in known_encoders(unit, storage).items()
        for scoring in unit.scorings(epoch, sha256)
    }
    scored: dict[int, list[tuple[ScoringUnit, Scores]]] = {}
    for row in storage.ledger.read("score", scorings).to_pylist():
        scored.setdefault(row["epoch"], []).append((scorings[row["key"]], read_scores(row)))
    complete = {epoch for epoch, of in scored.items() if len(of) == len(unit.study.datasets)}
    if storage.ledger.has("pretraining", unit.epoch_key(1)) and not storage.ledger.has(
        "pretraining", unit.epoch_key(unit.recipe.epochs)
    ):
        complete = set(takewhile(complete.__contains__, count()))
    return {epoch: target_scores(scored[epoch], signal) for epoch in sorted(complete)}


def live_curves(
    unit: PretrainingUnit, storage: Storage, signal: Signal | None = None
) -> dict[str, list[tuple[int, float, float]]]:
    """Return target -> (epoch, score, standard error) of a pretraining, what `scheduling.replay` takes.

    Args:
        unit: The pretraining.
        storage: Where its series and the ledger are.
        signal: Which scores count; those that choose checkpoints by the study's settings where None.
    """
    epochs = scored_epochs(unit, storage, signal or Signal.of_study(unit.study.robustness))
    return {
        name: [(epoch, of[name], of[name + STANDARD_ERROR]) for epoch, of in epochs.items()]
        for name in target_names(unit.study)
    }
