import pickle
from dataclasses import FrozenInstanceError, replace

import pytest

from raytransfer.errors import InputError
from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.settings import describe, digest, from_dict, to_dict, with_overrides
from raytransfer.study import Study


def test_a_config_survives_its_plain_form() -> None:
    study = Study(models=("unet-micro",), downstream=DownstreamSettings(epochs=3, learning_rate=1))
    assert from_dict(Study, to_dict(study)) == study


def test_overrides_reach_nested_settings_and_leave_the_original_alone() -> None:
    study = Study()
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
    assert study == Study()


def test_a_list_may_be_written_without_brackets() -> None:
    given = ["schemes=simple, simsiam", "seeds=0,3", "indicators=robustness,knn(k=10, points=8)"]
    changed = with_overrides(Study(), given)
    assert (changed.schemes, changed.seeds) == (("simple", "simsiam"), (0, 3))
    assert changed.indicators == ("robustness", "knn(k=10, points=8)")
    assert with_overrides(Study(), ['datasets="a,b"']).datasets == ("a,b",), "quoted, it is one name"


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
        ("protocols=frozn", "unknown protocol 'frozn': did you mean 'frozen'"),
        ("seeds=[0, -1]", "seeds must be at least 0, got -1"),
        ("seeds=4294967296", "seeds must be at most 4294967295, got 4294967296"),
        ("source.seed=-1", "source.seed must be at least 0, got -1"),
        ("pretraining.seed=-1", "pretraining.seed must be at least 0, got -1"),
        ("robustness.seed=18446744073709551616", "robustness.seed must be at most 4294967295"),
        ("downstream.learning_rate=NaN", "downstream.learning_rate must be a finite number, got nan"),
        ("pretraining.learning_rate=1e400", "pretraining.learning_rate must be a finite number, got inf"),
        (f"downstream.learning_rate={10**400}", "downstream.learning_rate must be a finite number, got 1000"),
        ("robustness.margins=[0.5, Infinity]", "robustness.margins[1] must be a finite number, got inf"),
        ("resources.storage_patience=Infinity", "resources.storage_patience must be a finite number"),
        (f"downstream.epochs={'9' * 5000}", "downstream.epochs must be int, got '9999"),
        ("seeds=" + "[" * 100_000, "seeds[0] must be int, got '[["),
        ("seeds=[0, 1", "seeds[0] must be int, got '[0, 1'"),
        ("seeds=0,", "seeds[1] must be int, got ''"),
        ("pretraining.weight_decay=-1", "pretraining.weight_decay must be at least 0, got -1.0"),
        ("downstream.weight_decay=-1e-9", "downstream.weight_decay must be at least 0"),
        ("downstream.momentum=1.5", "downstream.momentum must be in [0, 1), got 1.5"),
        ("downstream.poly_exponent=-1", "downstream.poly_exponent must be at least 0"),
        ("downstream.epochs=1000000000000", "downstream.epochs must be at most 100000"),
        ("pretraining.epochs=200000", "pretraining.epochs must be at most 100000"),
        ("downstream.batch_size=9999999", "downstream.batch_size must be at most 1000000"),
        ("source.train_per_class=9999999", "source.train_per_class must be at most 1000000"),
        ("source.image_size=32000", "source.image_size must be at most 8192"),
        ("robustness.num_workers=100000", "robustness.num_workers must be at most 1024"),
        ("resources.cpus_per_trial=0.00001", "resources.cpus_per_trial must be at least 0.0001"),
        ("resources.memory_per_trial=1e300", "resources.memory_per_trial must be at most 1000000"),
    ],
    ids=lambda text: text[:60],
)
def test_wrong_overrides_name_the_setting(override: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        with_overrides(Study(), [override])
    assert message in str(raised.value)


def test_what_comes_near_no_name_gets_a_short_answer() -> None:
    with pytest.raises(InputError) as raised:
        with_overrides(Study(), ["=3"])
    (message,) = raised.value.args
    assert message.startswith("unknown setting '': valid: datasets, downstream.batch_size, ")
    assert message.endswith(f", ... ({len(list(describe(Study())))} in all)")
    assert len(message) < 300


def test_unknown_keys_of_a_stored_config_are_refused() -> None:
    values = to_dict(Study())
    values["pretraining"]["epoch"] = 3
    with pytest.raises(InputError, match=r"did you mean 'pretraining\.epochs'"):
        from_dict(Study, values)


def test_digest_depends_on_values_alone() -> None:
    assert digest(PretrainingSettings()) == digest(
        from_dict(PretrainingSettings, to_dict(PretrainingSettings()))
    )
    assert digest(PretrainingSettings()) != digest(PretrainingSettings(seed=1))


def test_every_setting_has_a_meaning() -> None:
    assert all(meaning for _, _, meaning in describe(Study()))


def test_lists_are_tuples_ints_are_floats_and_copies_are_checked() -> None:
    study = Study(models=["unet-micro"], downstream=DownstreamSettings(learning_rate=1))
    assert study.models == ("unet-micro",)
    assert repr(study.downstream.learning_rate) == "1.0"
    assert {study: 1}[pickle.loads(pickle.dumps(study))] == 1
    with pytest.raises(InputError, match=r"^downstream\.epochs must be at least 1, got 0$"):
        replace(study.downstream, epochs=0)
    with pytest.raises(InputError, match=r"^downstream must be DownstreamSettings, got 3$"):
        replace(study, downstream=3)
    with pytest.raises(InputError, match=r"^unknown setting 'downstream\.epoch': did you mean"):
        DownstreamSettings(epoch=3)
    with pytest.raises(InputError, match=r"^models must be tuple\[str, \.\.\.\], got 'unet'$"):
        Study(models="unet")
    with pytest.raises(FrozenInstanceError):
        study.seeds = (1,)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batch_size": 7}, "pretraining.batch_size must be a multiple of num_workers=2, got 7"),
        ({"warmup_epochs": 21}, "pretraining.warmup_epochs must be between 0 and epochs=20, got 21"),
        ({"min_workers": 3}, "pretraining.min_workers must be between 0 and num_workers=2, got 3"),
        ({"learning_rate": 0}, "pretraining.learning_rate must be positive, got 0.0"),
        ({"label_smoothing": 1}, "pretraining.label_smoothing must be in [0, 1), got 1.0"),
    ],
)
def test_a_refusal_is_one_line(values: dict, message: str) -> None:
    with pytest.raises(InputError) as raised:
        PretrainingSettings(**values)
    assert str(raised.value) == message
