"""Trials and scorings in this process, without Ray."""

from pathlib import Path
from typing import Any

import pytest

from raytransfer.data.registry import load_target
from raytransfer.data.settings import TargetSettings
from raytransfer.metrics.segmentation import METRICS
from raytransfer.models.checkpoints import save_encoder
from raytransfer.models.registry import create_encoder
from raytransfer.ray_train.failed import Cause, Failed, failed_by
from raytransfer.ray_tune.scoring import _score_shard
from raytransfer.ray_tune.trial import EvaluationTrial, TrialRun
from raytransfer.results.evaluations import evaluation_row
from raytransfer.results.storage import Storage
from raytransfer.results.units import (
    EvaluationUnit,
    ScoringUnit,
    configurations,
    evaluation_units,
    scoring_units,
)
from raytransfer.study import Study


def test_a_finished_trial_that_is_begun_again_gives_its_result(tmp_path: Path) -> None:
    """Its last answer got lost with the network: Tune takes it for lost."""
    study = Study(seeds=(5,))
    (unit,) = evaluation_units(
        study, [next(configurations(study))], {("unet-micro", "simple"): {0: "a" * 64}}
    )
    history = [
        {"epoch": epoch, "train/loss": 0.5, **{f"test/{name}": epoch / 8 for name in METRICS}}
        for epoch in (1, 2)
    ]
    Storage(tmp_path).ledger.append("evaluation", evaluation_row(unit, history, seconds=1.0))

    class Trial(EvaluationTrial):
        def setup(self, config: dict[str, Any]) -> None:
            super().setup(config, units={unit.key: unit}, data={}, root=tmp_path)

    result = Trial({"trial": {"key": unit.key}}).train()
    assert {name: result[name] for name in ("epoch", "done", "test/dice")} == {
        "epoch": 2, "done": True, "test/dice": 0.25,
    }  # fmt: skip


@pytest.fixture
def replaced(tmp_path: Path) -> tuple[Storage, EvaluationUnit, ScoringUnit, str]:
    """A storage, units of an encoder that was replaced there, and the SHA-256 that is there."""
    storage, study = Storage(tmp_path), Study(target=TargetSettings(image_size=32, slice_step=10))
    path = storage.series("unet-micro", "simple").path(0)
    encoders = {("unet-micro", "simple"): {0: save_encoder(path, create_encoder("unet-micro"), {"epoch": 0})}}
    there = save_encoder(path, create_encoder("unet-micro"), {"epoch": 0})
    (trial, *_) = evaluation_units(study, [next(configurations(study))], encoders)
    (scoring,) = scoring_units(study, encoders)
    return storage, trial, scoring, there


def test_neither_trial_nor_scoring_takes_other_weights_than_its_units(replaced, tmp_path: Path) -> None:
    storage, trial, scoring, there = replaced
    data = load_target("mni152", trial.study.target)
    scored = _score_shard([scoring], (data.train_images, data.train_labels), tmp_path, 0)
    try:
        TrialRun(trial, data, storage)
    except Exception as error:
        trained = failed_by(error)
    for failed in (scored, trained):
        assert isinstance(failed, Failed)
        assert failed.cause is Cause.PASSING, "the same command goes on with the new weights"
        assert failed.reason.startswith("raytransfer.models.checkpoints.ReplacedCheckpointError: checkpoint ")
        assert f"is {there[:12]}..., not {trial.encoder_sha256[:12]}..." in failed.reason
