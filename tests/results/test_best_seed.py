from pathlib import Path

import pytest

from raytransfer.results.best_seed import all_seeds_finished, best_seed, keep_best_model
from raytransfer.results.evaluations import evaluation_row
from raytransfer.results.storage import Storage
from raytransfer.results.units import EvaluationUnit, configurations, evaluation_units
from raytransfer.study import Study

NAN = float("nan")
STUDY = Study(seeds=(5, 6, 7))


def _trials() -> list[EvaluationUnit]:
    """The three trials of one configuration."""
    encoders = {("unet-micro", "simple"): {0: "a" * 64}}
    return evaluation_units(STUDY, [next(configurations(STUDY))], encoders)


def _finish(unit: EvaluationUnit, dice: float, storage: Storage) -> None:
    """End a trial as it ends in a grid: the model, the row, then the tidying up."""
    storage.trained(unit.key).parent.mkdir(parents=True)
    storage.trained(unit.key).touch()
    step = {"epoch": 1, "train/loss": 0.5, "test/dice": dice, "test/jaccard": 0.1}
    storage.ledger.append("evaluation", evaluation_row(unit, [step], seconds=1.0))
    keep_best_model(unit, storage)


@pytest.mark.parametrize(
    ("dices", "best"),
    [
        ({}, None),
        ({5: 0.2}, 5),
        ({5: 0.2, 6: 0.4}, 6),
        ({5: 0.2, 6: 0.4, 7: 0.3}, 6),
        ({7: 0.3, 6: 0.4, 5: 0.2}, 6),
        ({7: 0.4, 6: 0.1, 5: 0.4}, 5),  # of equals, the first seed
        ({5: NAN, 6: 0.0}, 6),
        ({5: NAN}, 5),
    ],
)
def test_only_the_model_of_the_best_seed_is_kept(dices: dict, best: int | None, tmp_path: Path) -> None:
    storage, trials = Storage(tmp_path), {unit.seed: unit for unit in _trials()}
    for seed, dice in dices.items():
        _finish(trials[seed], dice, storage)
    found = best_seed(trials[7], storage)
    assert (found and found.seed) == best
    assert all_seeds_finished(trials[7], storage) == (len(dices) == 3)
    kept = [seed for seed, unit in trials.items() if storage.trained(unit.key).exists()]
    assert kept == ([] if best is None else [best])


def test_a_model_whose_trial_has_no_row_yet_is_left_alone(tmp_path: Path) -> None:
    """It is about to finish: of trials that end at once, none deletes what it cannot judge."""
    storage, (first, second, _) = Storage(tmp_path), _trials()
    storage.trained(second.key).parent.mkdir(parents=True)
    storage.trained(second.key).touch()
    _finish(first, 0.9, storage)
    assert storage.trained(second.key).exists()
