"""A study is a file: written once, read by later commands, grown by what they add, else never changed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from raytransfer.data.settings import SourceSettings, TargetSettings
from raytransfer.errors import InputError
from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.results.study_file import read_study, write_study
from raytransfer.study import ResourcesSettings, Study
from raytransfer.transferability.settings import RobustnessSettings

STUDY = Study(
    models=("unet-micro", "swin-unet-micro"),
    schemes=("simple", "advanced"),
    datasets=("mni152", "polyps"),
    target=TargetSettings(data_root="/data", fingerprints=(("polyps", "a" * 64),)),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_study(tmp_path, "demo", STUDY)
    return tmp_path


def test_it_gives_back_what_was_written(root: Path) -> None:
    found = read_study(root)
    assert found is not None
    assert (found.study, found.preset, found.path) == (STUDY, "demo", root / "study.json")
    assert found.part(STUDY) == found.grown(STUDY) == STUDY


def test_a_storage_path_without_one_has_none(tmp_path: Path) -> None:
    assert read_study(tmp_path) is None
    assert read_study(tmp_path / "not/there") is None
    (tmp_path / "file").write_text("")
    assert read_study(tmp_path / "file") is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"downstream": DownstreamSettings(epochs=3)}, "downstream.epochs: 8 there, 3 here"),
        ({"pretraining": PretrainingSettings(seed=1)}, "pretraining.seed: 0 there, 1 here"),
        ({"robustness": RobustnessSettings(margins=(0.5,))}, r"robustness.margins: \[0.0, 0.25"),
        ({"source": SourceSettings(train_per_class=4)}, "source.train_per_class: 48 there, 4 here"),
    ],
)
def test_other_settings_are_refused_by_name(root: Path, given: dict, message: str) -> None:
    with pytest.raises(InputError, match=f"study.json holds a study of other settings .*{message}"):
        read_study(root).part(replace(STUDY, **given))


@pytest.mark.parametrize(
    "given",
    [
        {"resources": ResourcesSettings(cpus_per_trial=2)},
        {"robustness": RobustnessSettings(distance="l2", margin=0.25, level=1, pooled="never")},
        {"robustness": RobustnessSettings(batch_size=4, num_workers=3)},
        {"target": TargetSettings(data_root="/elsewhere", fingerprints=STUDY.target.fingerprints)},
    ],
)
def test_what_changes_no_result_may_differ(root: Path, given: dict) -> None:
    study = replace(STUDY, **given)
    assert read_study(root).part(study) == study


def test_a_study_grows_and_keeps_its_order(root: Path) -> None:
    given = replace(
        STUDY,
        schemes=("advanced", "simple"),
        seeds=(7, 1),
        indicators=("knn(k=3)",),
        datasets=("mine",),
        target=replace(STUDY.target, fingerprints=(("mine", "b" * 64),)),
    )
    found = read_study(root)
    part, grown = found.part(given), found.grown(given)
    assert (part.schemes, part.seeds, part.datasets) == (("simple", "advanced"), (1, 7), ("mine",))
    assert (grown.schemes, grown.seeds, grown.datasets) == (
        ("simple", "advanced"),
        (0, 1, 7),
        ("mni152", "polyps", "mine"),
    )
    assert (part.indicators, grown.indicators) == (("knn(k=3)",), ("robustness", "knn(k=3)"))
    assert grown.target.fingerprints == (("mine", "b" * 64), ("polyps", "a" * 64))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "study.json is damaged"),
        (b"[]", "study.json is damaged"),
        (b'{"format": 1, "preset": "demo"}', "study.json is damaged"),
        (b'{"format": 9}', "has format 9, not 1"),
        (
            json.dumps({"format": 1, "preset": "demo", "settings": {"seedz": [1]}}).encode(),
            "'seedz'.*'seeds'",
        ),
    ],
)
def test_a_damaged_file_is_named(root: Path, content: bytes, message: str) -> None:
    (root / "study.json").write_bytes(content)
    with pytest.raises(InputError, match=message) as raised:
        read_study(root)
    assert str(root / "study.json") in str(raised.value)
