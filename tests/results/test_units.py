from dataclasses import replace

import pytest

from raytransfer.data.settings import TargetSettings
from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.results.units import (
    configurations,
    evaluation_units,
    pretraining_units,
    scoring_units,
)
from raytransfer.study import ResourcesSettings, Study
from raytransfer.transferability.settings import RobustnessSettings

ENCODERS = {
    (name, scheme): {0: "a" * 64, 1: "b" * 64, 5: f"{scheme}-b" * 8}
    for name in ("unet-micro", "resnet-micro", "swin-micro")
    for scheme in ("simple", "advanced")
}
STUDY = Study(schemes=("simple", "advanced"))


def _trials(study: Study, encoders: dict = ENCODERS) -> list:
    return evaluation_units(study, configurations(study), encoders)


def _keys(study: Study) -> tuple[set, set, set]:
    return (
        {unit.key for unit in pretraining_units(study)},
        {unit.key for unit in scoring_units(study, ENCODERS)},
        {unit.key for unit in _trials(study)},
    )


def test_a_study_is_its_product_and_epoch_0_serves_all_schemes() -> None:
    pretrainings, scorings, trials = _keys(STUDY)
    assert (len(pretrainings), len(scorings)) == (3 * 2, 3 * 2 * 3)
    assert len(list(configurations(STUDY))) == 3 * (1 + 2 * 5) * 2
    assert len(trials) == 3 * (1 + 2 * 2) * 2 * 2, "of the checkpoints that are there"


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        ({"pretraining": PretrainingSettings(seed=1)}, (True, False, False)),  # they follow the weights
        ({"pretraining": PretrainingSettings(min_workers=1)}, (True, False, False)),
        ({"robustness": RobustnessSettings(seed=1)}, (False, True, False)),
        ({"robustness": RobustnessSettings(margins=(0.5,))}, (False, True, False)),
        (
            {"robustness": RobustnessSettings(margin=0.25, level=1, batch_size=7, num_workers=2)},
            (False, False, False),
        ),
        ({"downstream": DownstreamSettings(epochs=3)}, (False, False, True)),
        ({"target": TargetSettings(slice_step=5)}, (False, True, True)),
        ({"resources": ResourcesSettings(cpus_per_trial=2)}, (False, False, False)),
        ({"resources": ResourcesSettings(gpus_per_trial=1)}, (False, True, False)),  # mixed precision
    ],
)
def test_a_key_moves_with_what_its_result_depends_on_and_nothing_else(change: dict, moved: tuple) -> None:
    before, after = _keys(STUDY), _keys(replace(STUDY, **change))
    assert tuple(not (a & b) for a, b in zip(before, after, strict=True)) == moved
    assert tuple(a == b for a, b in zip(before, after, strict=True)) == tuple(not m for m in moved)


def test_new_weights_mean_new_scores_and_trials() -> None:
    changed = {key: {**series, 5: "c" * 64} for key, series in ENCODERS.items()}
    before, after = ({unit.key for unit in _trials(STUDY, encoders)} for encoders in (ENCODERS, changed))
    kept = {unit.key for unit in _trials(STUDY) if unit.configuration.epoch < 5}
    assert before & after == kept
