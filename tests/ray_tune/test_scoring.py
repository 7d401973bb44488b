"""A pass over a checkpoint as its tasks and the driver do it, in this process: rows, marks, what is shown."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from raytransfer.data.arrays import SegmentationData
from raytransfer.data.settings import TargetSettings
from raytransfer.models.checkpoints import save_encoder
from raytransfer.models.registry import create_encoder
from raytransfer.ray_train.failed import FailureWatch
from raytransfer.ray_tune.scoring import _end, _Part, _Pass, _score_shard
from raytransfer.results.scores import read_scores
from raytransfer.results.storage import Storage
from raytransfer.results.units import ScoringUnit, scoring_units
from raytransfer.study import Study
from raytransfer.transferability.indicators.knn import NearestNeighbours
from raytransfer.transferability.scorer import score_encoder
from raytransfer.transferability.settings import RobustnessSettings

STUDY = Study(
    models=("unet-micro",),
    target=TargetSettings(slice_step=10),
    indicators=("robustness", "knn(k=3)"),
    robustness=RobustnessSettings(num_workers=2, batch_size=7),
)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(tmp_path)
    save_encoder(storage.series("unet-micro", "simple").path(0), create_encoder("unet-micro"), {"epoch": 0})
    return storage


@pytest.fixture
def units(storage: Storage) -> list[ScoringUnit]:
    encoders = {("unet-micro", "simple"): storage.series("unet-micro", "simple").fingerprints()}
    return scoring_units(STUDY, encoders)


def _run(units: list[ScoringUnit], target: SegmentationData, storage: Storage) -> SimpleNamespace:
    shown = SimpleNamespace(published=[], failed={})
    shown.publish = lambda record, wait: shown.published.append(record.name)
    shown.fail = lambda record, reason: shown.failed.update({record.name: reason})
    whole = _Pass(units=units, num_running=0)
    for shard in (0, 1):
        part = _score_shard(units, (target.train_images, target.train_labels), storage.root, shard)
        assert isinstance(part, _Part), part
        whole.parts[shard] = part
    _end(whole, storage, shown, FailureWatch(storage, "scorings", 1))
    return shown


def test_one_pass_writes_a_row_for_each_indicator(storage, units, target: SegmentationData) -> None:
    assert len({unit.in_one_pass for unit in units}) == 1
    shown = _run(units, target, storage)
    assert shown.published == [unit.name for unit in units]
    rows = {row["indicator"]: row for row in storage.ledger.read("score").to_pylist()}
    assert rows.keys() == {"robustness", "knn"}
    encoder = units[0].checkpoint(storage).load()
    alone = score_encoder(encoder, target.train_images)
    found = read_scores(rows["robustness"])
    assert list(found) == list(alone)
    for spec, score in alone.items():
        assert vars(found[spec]) == pytest.approx(vars(score), abs=1e-6)
    knn = score_encoder(encoder, target.train_images, [NearestNeighbours(k=3)], labels=target.train_labels)
    assert read_scores(rows["knn"]) == knn
    assert storage.pending("score", [unit.key for unit in units]) == set()


def test_an_indicator_that_cannot_be_computed_leaves_the_others_theirs(
    storage, units, target: SegmentationData
) -> None:
    one_class = replace(target, train=replace(target.train, masks=np.zeros_like(target.train.masks)))
    shown = _run(units, one_class, storage)
    ((name, reason),) = shown.failed.items()
    assert "knn(k=3) of unet-micro simple epoch 0" in name
    assert "knn needs two classes or more, got class 0 alone" in reason
    assert [row["indicator"] for row in storage.ledger.read("score").to_pylist()] == ["robustness"]
    (failure,) = storage.failures.known("score", [unit.key for unit in units])
    assert failure.name == name


def test_an_indicator_that_is_added_is_all_that_is_left_to_do(storage, units, target) -> None:
    _run(units[:1], target, storage)
    assert storage.pending("score", [unit.key for unit in units]) == {units[1].key}
