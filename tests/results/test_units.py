from dataclasses import replace

import pytest

from raytransfer.data.settings import TargetSettings
from raytransfer.errors import InputError
from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.models.names import num_levels
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.results.scores import score_entries
from raytransfer.results.units import (
    check_evaluations,
    configurations,
    evaluation_units,
    pretraining_units,
    scoring_units,
)
from raytransfer.study import ResourcesSettings, Study
from raytransfer.tracking.records import scoring_record
from raytransfer.transferability.indicators.base import EncoderInfo, Score
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


def test_an_indicator_more_leaves_the_others_scores_as_they_are() -> None:
    both = replace(STUDY, indicators=("robustness", "knn(k=3)"))
    one, more = ({unit.key: unit for unit in scoring_units(s, ENCODERS)} for s in (STUDY, both))
    assert more.keys() > one.keys()
    assert len(more) == 2 * len(one)
    passes = {unit.in_one_pass for unit in more.values()}
    assert len(passes) == len(one), "one pass for both"
    other = replace(STUDY, indicators=("knn(k=5)",), robustness=RobustnessSettings(margins=(0.5,)))
    knn = {unit.key for unit in scoring_units(replace(other, robustness=STUDY.robustness), ENCODERS)}
    assert {unit.key for unit in scoring_units(other, ENCODERS)} == knn, "margins are the robustness's alone"
    assert not knn & more.keys(), "another k"


@pytest.mark.parametrize(
    ("indicators", "message"),
    [
        (("robustnes",), "did you mean 'robustness'"),
        (("knn(k=0)",), "k of knn must be at least 1"),
        ((), "indicators must be non-empty"),
        (("knn", "knn"), "without repeats"),
    ],
)
def test_a_study_refuses_indicators_that_there_are_not(indicators: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Study(indicators=indicators)


def test_the_scores_that_are_shown_are_those_of_the_level_and_options_that_choose() -> None:
    study = replace(STUDY, indicators=("robustness", "knn"))
    for unit in scoring_units(study, ENCODERS)[:2]:
        levels = EncoderInfo(level_channels=(1,) * num_levels(unit.encoder))
        specs = {spec: Score(0.5, None, 9) for spec in unit.strategy.specs(levels)}
        chosen = unit.chosen_scores(specs)
        assert set(chosen) == ({True, False} if unit.indicator == "robustness" else {None})
        record = scoring_record(unit, {"scores": score_entries(specs)})
        assert record.epochs[unit.epoch][f"train/{unit.indicator}"] == 0.5
        assert (record.kind, record.summary) == ("score", {f"summary/{unit.indicator}": 0.5})


def test_new_weights_mean_new_scores_and_trials() -> None:
    changed = {key: {**series, 5: "c" * 64} for key, series in ENCODERS.items()}
    before, after = ({unit.key for unit in _trials(STUDY, encoders)} for encoders in (ENCODERS, changed))
    kept = {unit.key for unit in _trials(STUDY) if unit.configuration.epoch < 5}
    assert before & after == kept


def test_on_classification_a_name_means_its_encoder_and_each_training_is_made_once() -> None:
    study = Study(
        models=("resnet-unet-micro", "resnet-micro", "unet-micro"),
        datasets=("mni152-planes",),
        protocols=("fine_tuning", "linear_probe"),
    )
    check_evaluations(study)
    assert list(dict.fromkeys(c.model for c in configurations(study))) == ["resnet-micro", "unet-micro"]
    assert [unit.encoder for unit in pretraining_units(study)] == ["resnet-micro", "unet-micro"]
    keys = [unit.key for unit in _trials(study)]
    assert len(keys) == len(set(keys))
    both = replace(study, models=("resnet-unet-micro",), datasets=("mni152", "mni152-planes"))
    assert {(c.model, c.dataset) for c in configurations(both)} == {
        ("resnet-unet-micro", "mni152"), ("resnet-micro", "mni152-planes"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"models": ("resnet-micro",)},
            "dataset 'mni152' is for segmentation: model 'resnet-micro' is an encoder without a decoder",
        ),
        (
            {"protocols": ("frozen", "linear_probe")},
            "protocol 'linear_probe' on dataset 'mni152': a linear probe predicts one label per image",
        ),
    ],
)
def test_what_does_not_suit_a_task_is_refused_in_a_line(change: dict, says: str) -> None:
    with pytest.raises(InputError, match=says) as refused:
        check_evaluations(replace(STUDY, **change))
    assert "\n" not in str(refused.value)


def test_a_unit_depends_on_what_its_protocol_does() -> None:
    study = Study(
        models=("unet-micro",), datasets=("mni152-planes",), protocols=("frozen", "linear_probe"), seeds=(0,)
    )
    longer = replace(study, downstream=DownstreamSettings(epochs=3))
    same = {unit.key for unit in _trials(study)} & {unit.key for unit in _trials(longer)}
    assert same == {unit.key for unit in _trials(study) if unit.configuration.protocol == "linear_probe"}
    assert {unit.num_steps for unit in _trials(longer)} == {1, 3}
