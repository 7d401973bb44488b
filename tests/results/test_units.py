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
from raytransfer.results import configurations, downstream_units, pretraining_units, scoring_units

ENCODERS = {
    (name, scheme): {0: "a" * 64, 1: "b" * 64, 5: f"{scheme}-b" * 8}
    for name in ("unet-micro", "resnet-micro", "swin-micro")
    for scheme in ("simple", "advanced")
}
STUDY = StudyConfig(schemes=("simple", "advanced"))


def _trials(study: StudyConfig, encoders: dict = ENCODERS) -> list:
    return downstream_units(study, configurations(study), encoders)


def _keys(study: StudyConfig) -> tuple[set, set, set]:
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
        ({"pretraining": PretrainingConfig(seed=1)}, (True, False, False)),  # they follow the weights
        ({"pretraining": PretrainingConfig(min_workers=1)}, (True, False, False)),
        ({"robustness": RobustnessConfig(seed=1)}, (False, True, False)),
        ({"robustness": RobustnessConfig(margins=(0.5,))}, (False, True, False)),
        (
            {"robustness": RobustnessConfig(margin=0.25, level=1, batch_size=7, num_workers=2)},
            (False, False, False),
        ),
        ({"downstream": DownstreamConfig(epochs=3)}, (False, False, True)),
        ({"target": TargetConfig(slice_step=5)}, (False, True, True)),
        ({"resources": ResourcesConfig(cpus_per_trial=2)}, (False, False, False)),
        ({"resources": ResourcesConfig(gpus_per_trial=1)}, (False, True, False)),  # mixed precision
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
