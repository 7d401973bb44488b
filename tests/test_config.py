from dataclasses import replace

import pytest

from raytransfer.config import (
    DownstreamConfig,
    InputError,
    PretrainingConfig,
    StudyConfig,
    describe,
    digest,
    from_dict,
    to_dict,
    with_overrides,
)


def test_a_config_survives_its_plain_form() -> None:
    study = StudyConfig(models=("unet-micro",), downstream=DownstreamConfig(epochs=3, learning_rate=1))
    assert from_dict(StudyConfig, to_dict(study)) == study


def test_overrides_reach_nested_settings_and_leave_the_original_alone() -> None:
    study = StudyConfig()
    changed = with_overrides(
        study,
        [
            "downstream.epochs=3",
            "downstream.learning_rate=1",
            'models=["unet-micro"]',
            "schemes=simple",
            "seeds=7",
        ],
    )
    assert changed.downstream == replace(study.downstream, epochs=3, learning_rate=1.0)
    assert (changed.models, changed.schemes, changed.seeds) == (("unet-micro",), ("simple",), (7,))
    assert study == StudyConfig()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("downstream.epoch=3", "did you mean 'downstream.epochs'"),
        ("epochs=3", "unknown setting 'epochs'"),
        ("downstream=3", "unknown setting 'downstream'"),
        ("downstream.epochs", "--set takes key=value"),
        ("downstream.epochs=three", "downstream.epochs must be int, got 'three'"),
        ("downstream.epochs=3.5", "downstream.epochs must be int, got 3.5"),
        ("downstream.epochs=true", "downstream.epochs must be int, got True"),
        ("downstream.epochs=0", "downstream.epochs must be at least 1"),
        ("downstream.learning_rate=fast", "downstream.learning_rate must be float"),
        ("resources.gpu_pretraining=1", "resources.gpu_pretraining must be bool"),
        ("pretraining.series=[0, 2, 1]", "pretraining.series must be increasing"),
        ("pretraining.series=[0, 99]", "pretraining.series must be within 20 epochs"),
        ("pretraining.batch_size=63", "pretraining.batch_size must be a multiple of num_workers=2"),
        ("pretraining.chunk_size=-1", "pretraining.chunk_size must be at least 0"),
        ("pretraining.stochastic_depth=1.0", "pretraining.stochastic_depth must be in [0, 1)"),
        ("pretraining.augmentation=1.5", "pretraining.augmentation must be in [0, 1]"),
        ("resources.loader_workers=-1", "resources.loader_workers must be at least 0"),
        ("source.image_size=70", "source.image_size must be a multiple of 32 "),
        ("target.slice_step=11", "target.slice_step must be between 1 and 10"),
        ("robustness.margin=0.1", "robustness.margin must be one of robustness.margins=(0.0, "),
        ("robustness.margins=[-1]", "robustness.margins must be at least 0, without repeats"),
        ("robustness.level=0", "robustness.level must be from 1 up"),
        ("models=[]", "models must be non-empty"),
        ("seeds=[1, 1]", "without repeats"),
        ("modes=frozen", "unknown mode 'frozen'"),
    ],
)
def test_wrong_overrides_name_the_setting(override: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        with_overrides(StudyConfig(), [override])
    assert message in str(raised.value)


def test_unknown_keys_of_a_stored_config_are_refused() -> None:
    values = to_dict(StudyConfig())
    values["pretraining"]["epoch"] = 3
    with pytest.raises(InputError, match=r"did you mean 'pretraining\.epochs'"):
        from_dict(StudyConfig, values)


def test_digest_depends_on_values_alone() -> None:
    assert digest(PretrainingConfig()) == digest(from_dict(PretrainingConfig, to_dict(PretrainingConfig())))
    assert digest(PretrainingConfig()) != digest(PretrainingConfig(seed=1))


def test_every_setting_has_a_meaning() -> None:
    assert all(meaning for _, _, meaning in describe(StudyConfig()))
