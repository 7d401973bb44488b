"""Of each configuration, the trial with the best seed: the one whose model is kept."""

from raytransfer.results.evaluations import performance, read_metrics
from raytransfer.results.storage import Storage
from raytransfer.results.units import EvaluationUnit


def best_seed(unit: EvaluationUnit, storage: Storage) -> EvaluationUnit | None:
    """Return the finished trial with the highest performance of a unit's configuration, None where none is.

    Of equals, the first seed's; a performance that is NaN is below all others.
    """
    trials = {trial.key: trial for trial in unit.seeds}
    found = read_metrics(storage.ledger, trials)
    performances = {key: performance(trials[key], metrics) for key, metrics in found.items()}
    return trials[max(performances, key=performances.__getitem__)] if performances else None


def all_seeds_finished(unit: EvaluationUnit, storage: Storage) -> bool:
    """Return whether every trial of a unit's configuration is in the ledger."""
    return all(storage.ledger.has("evaluation", trial.key) for trial in unit.seeds)


def keep_best_model(unit: EvaluationUnit, storage: Storage) -> None:
    """Delete the models of a unit's configuration that are not the best so far.

    Called by each trial once its row is written: of trials that end at once, the last one sees all rows.
    """
    best = best_seed(unit, storage)
    for trial in unit.seeds:
        if best is not None and trial.key != best.key and storage.ledger.has("evaluation", trial.key):
            storage.trained(trial.key).unlink(missing_ok=True)
