from dataclasses import replace

import pytest

from raytransfer.config import (
    DownstreamConfig,
    PretrainingConfig,
    ResourcesConfig,
    RobustnessConfig,
    StudyConfig,
    TargetConfig,
)
from raytransfer.results import downstream_units, pretraining_units, scoring_units

ENCODERS = {name: {0: "a" * 64, 5: "b" * 64} for name in ("unet-micro", "resnet-micro", "swin-micro")}


def _keys(study: StudyConfig) -> tuple[set, set, set]:
    return (
        {unit.key for unit in pretraining_units(study)},
        {unit.key for unit in scoring_units(study, ENCODERS)},
        {unit.key for unit in downstream_units(study, ENCODERS)},
    )


def test_a_study_is_its_product() -> None:
    pretrainings, scorings, trials = _keys(StudyConfig())
    assert (len(pretrainings), len(scorings), len(trials)) == (3, 6, 3 * 2 * 2 * 2)


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        ({"pretraining": PretrainingConfig(seed=1)}, (True, False, False)),  # they follow the weights
        ({"robustness": RobustnessConfig(margin=0.25)}, (False, True, False)),
        ({"robustness": RobustnessConfig(batch_size=7)}, (False, False, False)),
        ({"downstream": DownstreamConfig(epochs=3)}, (False, False, True)),
        ({"target": TargetConfig(slice_step=5)}, (False, True, True)),
        ({"resources": ResourcesConfig(cpus_per_trial=2)}, (False, False, False)),
    ],
)
def test_a_key_moves_with_what_its_result_depends_on_and_nothing_else(change: dict, moved: tuple) -> None:
    before, after = _keys(StudyConfig()), _keys(replace(StudyConfig(), **change))
    assert tuple(not (a & b) for a, b in zip(before, after, strict=True)) == moved
    assert tuple(a == b for a, b in zip(before, after, strict=True)) == tuple(not m for m in moved)


def test_new_weights_mean_new_scores_and_trials() -> None:
    study = StudyConfig()
    changed = {name: {0: "a" * 64, 5: "c" * 64} for name in ENCODERS}
    before = {u.key for u in downstream_units(study, ENCODERS)}
    after = {u.key for u in downstream_units(study, changed)}
    assert len(before & after) == len(before) // 2, "epoch 0 keeps its results, epoch 5 does not"
