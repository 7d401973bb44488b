"""What a search varies, and what becomes of a study that was interrupted; without a cluster."""

import math

import optuna
import pytest
from optuna.trial import TrialState

from raytransfer.ray_train.failed import Cause, Failed
from raytransfer.ray_tune.failed_trials import failed_result
from raytransfer.ray_tune.search import _Optuna, _resumed, with_settings
from raytransfer.results.units import Configuration, EvaluationUnit, PretrainingUnit
from raytransfer.study import Study

SETTINGS = {"learning_rate": 0.01, "weight_decay": 0.2, "augmentation": 0.5}
PRETRAINING = PretrainingUnit(study=Study(), encoder="unet-micro", scheme="simple")
DOWNSTREAM = EvaluationUnit(
    study=Study(),
    configuration=Configuration(
        model="unet-micro", dataset="mni152", scheme="simple", epoch=20, protocol="fine_tuning"
    ),
    encoder_sha256="a" * 64,
    seed=0,
)


def test_a_search_varies_the_recipe() -> None:
    varied = with_settings(PRETRAINING, SETTINGS).recipe
    assert (varied.learning_rate, varied.weight_decay, varied.augmentation) == (0.01, 0.2, 0.5)
    assert (varied.epochs, varied.series, varied.num_workers) == (20, (0, 20), 1)
    changed = with_settings(DOWNSTREAM, SETTINGS).study.downstream
    assert (changed.learning_rate, changed.weight_decay) == (0.01, 0.2)
    assert (changed.rotation, changed.flip) == (90.0, 0.25)
    for base in (PRETRAINING, DOWNSTREAM):
        other = with_settings(base, {**SETTINGS, "weight_decay": 0.3})
        assert len({base.key, with_settings(base, SETTINGS).key, other.key}) == 3


def test_what_was_interrupted_is_tried_again_with_the_same_settings() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize")
    space = {"x": optuna.distributions.FloatDistribution(0, 1)}
    done, failed, opened = (study.ask(space) for _ in range(3))
    study.tell(done, 0.5)
    study.tell(failed, state=TrialState.FAIL)
    assert _resumed(study) == 2
    assert _resumed(study) == 2, "again, before it was tried"
    again = study.ask(space)
    assert again.params == opened.params
    study.tell(again, 0.7)
    assert _resumed(study) == 3
    assert study.best_value == pytest.approx(0.7)


def test_what_did_not_fail_by_its_own_doing_stays_open() -> None:
    searcher = _Optuna(
        space={"x": optuna.distributions.FloatDistribution(0, 1)}, metric="test/dice", mode="max"
    )
    for cause in Cause:
        searcher.suggest(cause)
        failed = Failed(reason="x", details="", cause=cause)
        searcher.on_trial_complete(cause, {**failed_result(failed), "test/dice": math.nan})
    searcher.suggest("done")
    searcher.on_trial_complete("done", {"test/dice": 0.5, "done": True})
    states = {
        name: trial.state for name, trial in zip([*Cause, "done"], searcher._ot_study.trials, strict=True)
    }
    assert states == {
        **dict.fromkeys(Cause, TrialState.RUNNING), Cause.OWN: TrialState.FAIL, "done": TrialState.COMPLETE,
    }  # fmt: skip
